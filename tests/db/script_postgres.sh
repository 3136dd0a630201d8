#!/usr/bin/env bash
# script/postgres: what it starts can be used, is kept or removed as it says, and shows no password.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
work=$(mktemp -d /tmp/berth-script-test.XXXXXX)
chmod 755 "$work"
started=()
finish() {
    for dir in "${started[@]}"; do
        "$root/script/postgres" stop "$dir" 2>/dev/null || true
    done
    rm -rf "$work"
}
trap finish EXIT

fail() {
    printf 'FAILED: %s\n' "$1" >&2
    exit 1
}

start() {
    started+=("$1")
    "$root/script/postgres" start --fast "$1"
}

# ask DIR LOGIN SQL
ask() {
    (
        # shellcheck source=/dev/null
        . "$1/env"
        login=BERTH_DATABASE_$2
        "$BERTH_POSTGRES_BIN/psql" --no-psqlrc --tuples-only --no-align --command "$3" "${!login}"
    )
}

each_login_connects_as_its_own_role() {
    start "$work/a"
    for pair in SUPERUSER:postgres OWNER:berth_migrate HOOKS:berth_hooks WORKER:berth_worker ADMIN:berth_admin; do
        [[ $(ask "$work/a" "${pair%%:*}" 'SELECT current_user') == "${pair#*:}" ]] || fail "${FUNCNAME[0]}: $pair"
    done
}

a_second_start_and_a_restart_keep_the_data() {
    ask "$work/a" SUPERUSER 'CREATE TABLE public.kept ()' >/dev/null
    "$root/script/postgres" start "$work/a"
    "$root/script/postgres" restart "$work/a"
    "$root/script/postgres" stop "$work/a"
    "$root/script/postgres" start "$work/a"
    ask "$work/a" SUPERUSER 'SELECT FROM public.kept' >/dev/null || fail "${FUNCNAME[0]}"
}

two_run_at_once() {
    start "$work/b"
    ask "$work/b" SUPERUSER 'SELECT FROM public.kept' >/dev/null 2>&1 && fail "${FUNCNAME[0]}: it is the same server"
    [[ $(ask "$work/a" HOOKS 'SELECT 1') == 1 ]] || fail "${FUNCNAME[0]}"
}

a_password_is_only_in_a_file_for_its_owner() {
    local password
    [[ $(stat -c %a "$work/a/pgpass") == 600 && $(stat -c %a "$work/a/env") == 600 ]] || fail "${FUNCNAME[0]}: mode"
    while IFS=: read -r _ _ _ _ password; do
        [[ ${#password} -ge 32 ]] || fail "${FUNCNAME[0]}: short"
        grep -rqsF --exclude=pgpass -- "$password" "$work/a" && fail "${FUNCNAME[0]}: found elsewhere"
    done <"$work/a/pgpass"
    return 0
}

a_wrong_password_is_refused() {
    sed 's/.$/x/' "$work/a/pgpass" >"$work/wrong"
    chmod 600 "$work/wrong"
    (
        # shellcheck source=/dev/null
        . "$work/a/env"
        ! "$BERTH_POSTGRES_BIN/psql" --command 'SELECT 1' "$BERTH_DATABASE_HOOKS passfile=$work/wrong" 2>/dev/null
    ) || fail "${FUNCNAME[0]}"
}

a_directory_too_long_for_a_socket_works_and_stop_removes_what_is_outside() {
    local dir home
    dir="$work/with 'quotes' and $(printf 'x%.0s' {1..100})/pg"
    start "$dir"
    home=$(<"$dir/home")
    [[ $home != "$dir"/* && -d $home ]] || fail "${FUNCNAME[0]}: home $home"
    [[ $(ask "$dir" WORKER 'SELECT 1') == 1 ]] || fail "${FUNCNAME[0]}: no answer"
    "$root/script/postgres" stop "$dir"
    [[ ! -e $home ]] || fail "${FUNCNAME[0]}: $home stayed"
}

run_gives_the_commands_status_and_leaves_nothing() {
    local status=0 dir
    # shellcheck disable=SC2016
    "$root/script/postgres" run --fast sh -c 'echo "$BERTH_POSTGRES_DIR"; exit 7' >"$work/out" || status=$?
    dir=$(<"$work/out")
    [[ $status == 7 && -n $dir && ! -e $dir ]] || fail "${FUNCNAME[0]}: status $status, $dir"
}

what_is_not_there_is_said_with_a_hint() {
    "$root/script/postgres" stop "$work/nowhere" 2>"$work/err" && fail "${FUNCNAME[0]}: it succeeded"
    grep -q hint "$work/err" || fail "${FUNCNAME[0]}: no hint"
}

each_login_connects_as_its_own_role
a_second_start_and_a_restart_keep_the_data
two_run_at_once
a_password_is_only_in_a_file_for_its_owner
a_wrong_password_is_refused
a_directory_too_long_for_a_socket_works_and_stop_removes_what_is_outside
run_gives_the_commands_status_and_leaves_nothing
what_is_not_there_is_said_with_a_hint
echo 'all passed'
