#include "core/cli/release_view.h"

#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/deploy/release_state.h"

enum { WAIT_POLL_MS = 500 };

json_object *release_json(const struct release *r)
{
    json_object *shown = json_build(
        "{s:i, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "release", r->number, "kind",
        r->kind, "state", release_state_name(r->state), "step", step_name_text(r->step), "commit", r->commit_sha,
        "title", r->commit_title, "pushed_by", r->pushed_by, "source_version", r->source_version, "build_id",
        r->build_id, "image_digest", r->image_digest, "task_definition", r->task_definition_arn, "error", r->error,
        "hint", r->hint, "created_at", r->created_at, "finished_at", r->finished_at);

    if (r->rollback_to)
        json_put(shown, "rollback_to", json_number(r->rollback_to));
    if (r->halt)
        json_put(shown, "halt", json_text(release_halt_name(r->halt)));
    if (r->halt_by)
        json_put(shown, "halt_by", json_number(r->halt_by));
    return shown;
}

const char *release_word(struct arena *mem, const struct release *r, int live)
{
    if (r->state == RELEASE_RUNNING && r->halt)
        return arena_printf(mem, "%s (%s)", r->halt == HALT_CANCEL ? "cancelling" : "giving way",
                            step_name_text(r->step));
    if (r->state == RELEASE_SUPERSEDED && r->halt_by)
        return arena_printf(mem, "superseded by v%d", r->halt_by);
    if (r->state == RELEASE_RUNNING || r->state == RELEASE_FAILED)
        return arena_printf(mem, "%s (%s)", release_state_name(r->state), step_name_text(r->step));
    return r->state == RELEASE_LIVE && r->number != live ? "went live" : release_state_name(r->state);
}

static void print_text(struct cli *cli, const struct release *r, int live, const struct release_event *events,
                       size_t count)
{
    const char **cells = arena_array(cli->mem, count * 4 + 1, sizeof *cells);

    const char *word = release_word(cli->mem, r, live), *by = strcmp(r->kind, "push") ? ", by " : ", pushed by ";

    printf("%s v%d %s%s: commit %.8s%s%s\n", r->app, r->number, strcmp(word, "went live") ? "is " : "", word,
           r->commit_sha, r->pushed_by ? by : "", r->pushed_by ? cli_plain(cli->mem, r->pushed_by) : "");
    if (r->error)
        printf("%s\n", cli_plain(cli->mem, r->error));
    if (r->hint)
        printf("hint: %s\n", cli_plain(cli->mem, r->hint));
    for (size_t i = 0; i < count; i++) {
        cells[i * 4] = events[i].at;
        cells[i * 4 + 1] = events[i].step;
        cells[i * 4 + 2] = events[i].kind;
        cells[i * 4 + 3] = events[i].message;
    }
    putchar('\n');
    cli_print_table((const char *[]){ "AT", "STEP", "", "WHAT" }, 4, cells, count);
}

int release_print(struct cli *cli, struct db *db, const char *app, int number, struct err *e)
{
    struct release release = { 0 };
    struct release_event *events = NULL;
    struct deployment live = { 0 };
    size_t count = 0;

    if (release_get(db, app, number, cli->mem, &release, e) ||
        release_events(db, app, number, cli->mem, &events, &count, e) || deployment_find(db, app, cli->mem, &live, e))
        return e->code;
    if (!cli->json) {
        print_text(cli, &release, live.release, events, count);
        return 0;
    }

    json_object *rows = json_new_array();
    for (size_t i = 0; i < count; i++)
        json_append(rows, json_build("{s:s, s:s, s:s, s:s}", "at", events[i].at, "step", events[i].step, "kind",
                                     events[i].kind, "message", events[i].message));
    json_object *shown = release_json(&release);
    json_put(shown, "app", json_text(app));
    json_put(shown, "events", rows);
    cli_print_json(shown);
    return 0;
}

static int is_late(const char *app, const struct release *release, int timeout_s, struct err *e)
{
    err_set(e, ERR_TRANSIENT, "%s v%d has not ended after %d s: it is in step %s", app, release->number, timeout_s,
            step_name_text(release->step));
    return err_hint(e, "It goes on by itself; `berth status %s v%d --wait` follows it again.", app, release->number);
}

int release_wait(struct db *db, const char *app, int number, int timeout_s, struct err *e)
{
    int64_t end = clock_monotonic_ms(&clock_system) + (int64_t)timeout_s * 1000;

    for (;;) {
        AUTO_ARENA struct arena *mem = arena_new();
        struct release release = { 0 };
        if (release_get(db, app, number, mem, &release, e))
            return e->code;
        if (release_has_ended(release.state))
            return 0;
        if (clock_monotonic_ms(&clock_system) >= end)
            return is_late(app, &release, timeout_s, e);
        clock_sleep_ms(&clock_system, WAIT_POLL_MS);
    }
}

int release_verdict(struct cli *cli, struct db *db, const char *app, int number, struct err *e)
{
    struct release release = { 0 };

    if (release_get(db, app, number, cli->mem, &release, e))
        return e->code;
    if (release.state != RELEASE_LIVE)
        e->code = ERR_INTERNAL;
    return e->code;
}
