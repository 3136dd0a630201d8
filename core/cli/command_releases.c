/* releases: an app's history, or one release with its timeline. */
#include <stdio.h>
#include <string.h>

#include "core/cli/commands.h"
#include "core/cli/release_view.h"
#include "core/tenant/app.h"

static int list(struct cli *cli, struct db *db, const char *name, int limit, struct err *e)
{
    struct release *all = NULL;
    struct deployment live = { 0 };
    size_t count = 0;

    if (release_list(db, name, limit, cli->mem, &all, &count, e) || deployment_find(db, name, cli->mem, &live, e))
        return e->code;
    if (cli->json) {
        json_object *rows = json_new_array();
        for (size_t i = 0; i < count; i++)
            json_append(rows, release_json(&all[i]));
        cli_print_json(json_build("{s:s, s:o}", "app", name, "releases", rows));
        return 0;
    }
    if (count == 0) {
        printf("%s has no release yet: push to its branch.\n", name);
        return 0;
    }

    const char **cells = arena_array(cli->mem, count * 6, sizeof *cells);
    for (size_t i = 0; i < count; i++) {
        cells[i * 6] = arena_printf(cli->mem, "v%d", all[i].number);
        cells[i * 6 + 1] = release_word(cli->mem, &all[i], live.release);
        cells[i * 6 + 2] = arena_printf(cli->mem, "%.8s", all[i].commit_sha);
        cells[i * 6 + 3] = all[i].pushed_by;
        cells[i * 6 + 4] = all[i].created_at;
        cells[i * 6 + 5] = all[i].error ? all[i].error : all[i].commit_title;
    }
    cli_print_table((const char *[]){ "RELEASE", "STATE", "COMMIT", "BY", "CREATED", "WHAT" }, 6, cells, count);
    return 0;
}

int command_releases(struct cli *cli, int argc, char **argv, struct err *e)
{
    const char *words[2] = { 0 };
    int limit = 20, number = 0;
    const struct cli_option table[] = { { .name = "limit", .number = &limit, .least = 1, .most = 10000 } };
    AUTO_DB struct db *db = NULL;
    struct db_pool *admin = NULL;
    struct app app = { 0 };

    if (cli_parse(cli, argc, argv, table, 1, words, 1, 2, e) ||
        (words[1] && cli_release_number(words[1], &number, e)) || cli_pool(cli, "admin", 1, &admin, e) ||
        db_take(admin, &db, e) || app_get(db, words[0], cli->mem, &app, e))
        return e->code;
    return number ? release_print(cli, db, words[0], number, e) : list(cli, db, words[0], limit, e);
}
