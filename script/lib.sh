# shellcheck shell=bash
# What the scripts share. Sourced; the caller sets -euo pipefail.

# shellcheck disable=SC2034 # used by the scripts that source this
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
python=$top/.venv/bin/python

say() {
    printf '\n== %s\n' "$*"
}

die() {
    printf 'berth: %s\n' "$*" >&2
    exit 1
}

# Runs a command as root: directly, or by sudo where there is one that asks nothing.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
        sudo "$@"
    else
        die "this needs root, and sudo would ask a question; as root run: $*"
    fi
}

# wait_for FILE PID WHAT LOG: until the file is there and not empty; fails when the process dies or 30 s are over.
wait_for() {
    local i
    for ((i = 0; i < 300; i++)); do
        [ -s "$1" ] && return 0
        if ! kill -0 "$2" 2>/dev/null; then
            tail -n 20 "$4" >&2
            die "$3 ended at its start; its log is $4"
        fi
        sleep 0.1
    done
    die "$3 did not start within 30 s; its log is $4"
}

# wait_for_socket SOCKET PID WHAT LOG
wait_for_socket() {
    local i
    for ((i = 0; i < 300; i++)); do
        [ -S "$1" ] && return 0
        kill -0 "$2" 2>/dev/null || break
        sleep 0.1
    done
    tail -n 20 "$4" >&2
    die "$3 did not start; its log is $4"
}

# Whether a process runs. One that has ended but that nobody has waited for yet does not.
is_alive() {
    local stat
    { read -r stat <"/proc/$1/stat"; } 2>/dev/null && [[ ${stat##*) } != Z* ]]
}

# stop_pids PID...: TERM to all, then after 5 s KILL. Nothing to those that are gone.
stop_pids() {
    local pid i
    for pid in "$@"; do
        kill -TERM "$pid" 2>/dev/null || true
    done
    for pid in "$@"; do
        for ((i = 0; i < 50; i++)); do
            is_alive "$pid" || continue 2
            sleep 0.1
        done
        kill -KILL "$pid" 2>/dev/null || true
    done
}

free_port() {
    "$python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}
