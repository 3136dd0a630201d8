/* status: where the newest release is; with --wait how it ended. */
#include "core/cli/commands.h"
#include "core/cli/release_view.h"
#include "core/tenant/app.h"

static int newest(struct db *db, const char *app, struct arena *mem, int *number, struct err *e)
{
    struct release *release = NULL;
    size_t count = 0;

    if (release_list(db, app, 1, mem, &release, &count, e))
        return e->code;
    if (count == 0) {
        err_set(e, ERR_NOT_FOUND, "%s has no release yet", app);
        return err_hint(
            e, "Push to its branch; whether its webhook is set up shows in the repository's settings on GitHub.");
    }
    *number = release->number;
    return 0;
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

    if (cli_parse(cli, argc, argv, table, 2, words, 1, 2, e) ||
        (words[1] && cli_release_number(words[1], &number, e)) || cli_pool(cli, "admin", 1, &admin, e) ||
        db_take(admin, &db, e) || app_get(db, words[0], cli->mem, &app, e) ||
        (!number && newest(db, words[0], cli->mem, &number, e)) ||
        (wait && release_wait(db, words[0], number, timeout_s, e)) || release_print(cli, db, words[0], number, e))
        return e->code;
    return wait ? release_verdict(cli, db, words[0], number, e) : 0;
}
