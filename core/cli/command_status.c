#include "core/base/clock.h"
#include "core/cli/commands.h"
#include "core/cli/release_view.h"
#include "core/tenant/app.h"

enum { STATUS_POLL_MS = 500 };

static int newest(struct db *db, const char *app, struct arena *mem, int *number, struct err *e)
{
    struct release *release = NULL;
    size_t count = 0;

    if (release_list(db, app, 1, mem, &release, &count, e))
        return e->code;
    if (count == 0) {
        err_set(e, ERR_NOT_FOUND, "%s has no release yet", app);
        return err_hint(e, "push to its branch; a webhook that isn't set up yet shows under the repository's settings");
    }
    *number = release->number;
    return 0;
}

static bool has_ended(const struct release *release)
{
    return release->state != RELEASE_QUEUED && release->state != RELEASE_RUNNING;
}

/* Until the release has ended, or the time is over. */
static int wait_for_end(struct db *db, const char *app, int number, int timeout_s, struct err *e)
{
    int64_t end = clock_monotonic_ms(&clock_system) + (int64_t)timeout_s * 1000;

    for (;;) {
        AUTO_ARENA struct arena *mem = arena_new();
        struct release release = { 0 };
        if (release_get(db, app, number, mem, &release, e))
            return e->code;
        if (has_ended(&release))
            return 0;
        if (clock_monotonic_ms(&clock_system) >= end)
            return err_set(e, ERR_TRANSIENT, "%s v%d has not ended after %d s: it is in step %s", app, number, timeout_s,
                           step_name_text(release.step));
        clock_sleep_ms(&clock_system, STATUS_POLL_MS);
    }
}

/* With --wait the exit code tells how it ended; the failure itself is printed already. */
static int verdict(struct cli *cli, struct db *db, const char *app, int number, struct err *e)
{
    struct release release = { 0 };

    if (release_get(db, app, number, cli->mem, &release, e))
        return e->code;
    if (release.state != RELEASE_LIVE)
        e->code = ERR_INTERNAL;
    return e->code;
}

int command_status(struct cli *cli, int argc, char **argv, struct err *e)
{
    const char *words[2] = { 0 };
    bool wait = false;
    int timeout_s = 1800, number = 0;
    const struct cli_option table[] = {
        { .name = "wait", .flag = &wait },
        { .name = "timeout", .number = &timeout_s, .least = 1, .most = 86400 },
    };
    AUTO_DB struct db *db = NULL;
    struct db_pool *admin = NULL;
    struct app app = { 0 };

    if (cli_parse(cli, argc, argv, table, 2, words, 1, 2, e) || (words[1] && cli_release_number(words[1], &number, e)) ||
        cli_pool(cli, "admin", 1, &admin, e) || db_take(admin, &db, e) || app_get(db, words[0], cli->mem, &app, e) ||
        (!number && newest(db, words[0], cli->mem, &number, e)) ||
        (wait && wait_for_end(db, words[0], number, timeout_s, e)) || release_print(cli, db, words[0], number, e))
        return e->code;
    return wait ? verdict(cli, db, words[0], number, e) : 0;
}
