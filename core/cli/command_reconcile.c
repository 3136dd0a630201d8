/* reconcile: shows where what berth thinks and what AWS has part, and puts it right if told to. */
#include <stdio.h>
#include <string.h>

#include "core/cli/commands.h"
#include "core/deploy/estate/reconcile.h"

static json_object *finding_json(const struct finding *f)
{
    return json_build("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "finding", finding_kind_name(f->kind), "app", f->app,
                      "kind", f->what, "name", f->name, "arn", f->arn, "detail", f->detail, "hint",
                      f->fixed ? NULL : f->hint, "fixed", f->fixed);
}

static void print_json(const struct findings *found, size_t open)
{
    json_object *all = json_new_array(), *busy = json_new_array();

    for (size_t i = 0; i < found->count; i++)
        json_append(all, finding_json(&found->items[i]));
    for (size_t i = 0; i < found->busy_count; i++)
        json_append(busy, json_text(found->busy[i]));
    cli_print_json(json_build("{s:I, s:o, s:I, s:o}", "apps_compared", (int64_t)found->apps, "apps_busy", busy,
                              "differences_left", (int64_t)open, "findings", all));
}

static void print_text(struct cli *cli, const struct findings *found, size_t open)
{
    const char **cells = arena_array(cli->mem, found->count * 6 + 1, sizeof *cells);
    const char *told = NULL;

    for (size_t i = 0; i < found->count; i++) {
        const struct finding *f = &found->items[i];
        cells[i * 6] = f->app;
        cells[i * 6 + 1] = finding_kind_name(f->kind);
        cells[i * 6 + 2] = f->what;
        cells[i * 6 + 3] = f->name;
        cells[i * 6 + 4] = f->fixed;
        cells[i * 6 + 5] = f->detail;
    }
    if (found->count)
        cli_print_table((const char *[]){ "APP", "FINDING", "RESOURCE", "NAME", "FIXED", "WHAT" }, 6, cells,
                        found->count);
    for (size_t i = 0; i < found->count; i++) {
        const char *hint = found->items[i].fixed ? NULL : found->items[i].hint;
        if (hint && (!told || strcmp(told, hint) != 0))
            printf("hint: %s\n", told = hint);
    }
    for (size_t i = 0; i < found->busy_count; i++)
        printf("%s was not compared: a release or its teardown is on its way.\n", found->busy[i]);
    printf("%zu %s compared, %zu %s left.\n", found->apps, found->apps == 1 ? "app" : "apps", open,
           open == 1 ? "difference" : "differences");
}

static size_t count_open(const struct findings *found)
{
    size_t open = 0;

    for (size_t i = 0; i < found->count; i++)
        open += !found->items[i].fixed;
    return open;
}

int command_reconcile(struct cli *cli, int argc, char **argv, struct err *e)
{
    const char *only = NULL;
    bool fix = false;
    const struct cli_option table[] = { { .name = "fix", .flag = &fix } };
    struct estate_place place = { 0 };
    struct findings found = { 0 };
    AUTO_DB struct db *db = NULL;
    struct db_pool *admin = NULL;
    size_t open;

    if (cli_parse(cli, argc, argv, table, 1, &only, 0, 1, e) || cli_estate_place(cli, &place, e) ||
        cli_pool(cli, "admin", 1, &admin, e) || db_take(admin, &db, e) || reconcile_look(db, &place, only, &found, e) ||
        (fix && reconcile_fix(db, &place, &found, only != NULL, cli_actor(cli), e)))
        return e->code;
    open = count_open(&found);
    if (cli->json)
        print_json(&found, open);
    else
        print_text(cli, &found, open);
    *e = (struct err){ .code = open ? ERR_INTERNAL : 0 }; /* said above; the exit code is 1 */
    return e->code;
}
