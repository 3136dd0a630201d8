/* migrate: the database's schema. */
#include <stdio.h>
#include <string.h>

#include "core/cli/commands.h"
#include "core/db/migrate.h"

static void report(void *context, const struct migration *done)
{
    const struct cli *cli = context;

    if (!cli->json)
        printf("Applied %s.\n", done->name);
}

static int up(struct cli *cli, struct db_pool *owner, struct err *e)
{
    int applied = 0;

    if (migrate_up(owner, migrations_embedded, migrations_embedded_count, report, cli, &applied, e))
        return e->code;
    if (cli->json)
        cli_print_json(json_build("{s:i, s:I}", "applied", applied, "version", (int64_t)migrations_embedded_count));
    else if (applied == 0)
        puts("The schema is up to date.");
    return 0;
}

static int status(struct cli *cli, struct db_pool *owner, struct err *e)
{
    struct migration_status *all = NULL;
    size_t count = 0;

    if (migrate_status(owner, migrations_embedded, migrations_embedded_count, cli->mem, &all, &count, e))
        return e->code;
    if (cli->json) {
        json_object *rows = json_new_array();
        for (size_t i = 0; i < count; i++)
            json_append(rows, json_build("{s:i, s:s, s:s, s:s}", "version", all[i].version, "name", all[i].name,
                                         "state", migration_state_name(all[i].state), "applied_at", all[i].applied_at));
        cli_print_json(json_build("{s:o}", "migrations", rows));
        return 0;
    }

    const char **cells = arena_array(cli->mem, count * 3 + 1, sizeof *cells);
    for (size_t i = 0; i < count; i++) {
        cells[i * 3] = all[i].name;
        cells[i * 3 + 1] = migration_state_name(all[i].state);
        cells[i * 3 + 2] = all[i].applied_at;
    }
    cli_print_table((const char *[]){ "MIGRATION", "STATE", "APPLIED" }, 3, cells, count);
    return 0;
}

static int verify(struct cli *cli, struct db_pool *owner, struct err *e)
{
    if (migrate_verify(owner, migrations_embedded, migrations_embedded_count, e))
        return e->code;
    if (cli->json)
        cli_print_json(json_build("{s:b}", "verified", 1));
    else
        printf("All %zu migrations are applied, unchanged.\n", migrations_embedded_count);
    return 0;
}

int command_migrate(struct cli *cli, int argc, char **argv, struct err *e)
{
    const char *what = "up";
    struct db_pool *owner = NULL;

    if (cli_parse(cli, argc, argv, NULL, 0, &what, 0, 1, e) || cli_pool(cli, "owner", 2, &owner, e))
        return e->code;
    if (!strcmp(what, "up"))
        return up(cli, owner, e);
    if (!strcmp(what, "status"))
        return status(cli, owner, e);
    if (!strcmp(what, "verify"))
        return verify(cli, owner, e);
    return err_set(e, ERR_INVALID, "berth migrate knows up, status and verify, not \"%s\"", what);
}
