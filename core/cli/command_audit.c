/* audit: who changed what, newest first; as a table, JSON or CSV. */
#include <stdio.h>
#include <string.h>

#include "core/base/json.h"
#include "core/cli/commands.h"
#include "core/deploy/audit.h"

static json_object *values_json(const char *text)
{
    json_object *values = NULL;
    struct err e = { 0 };

    return text && json_parse(text, strlen(text), &values, &e) == 0 ? values : NULL;
}

static json_object *entry_json(const struct audit_entry *entry)
{
    json_object *one = json_build("{s:I, s:s, s:s, s:s}", "id", entry->id, "at", entry->at, "actor", entry->actor,
                                  "action", entry->action);

    if (entry->app)
        json_put(one, "app", json_text(entry->app));
    if (entry->before)
        json_put(one, "before", values_json(entry->before));
    if (entry->after)
        json_put(one, "after", values_json(entry->after));
    return one;
}

static void print_list(struct cli *cli, const struct audit_entry *entries, size_t count)
{
    enum { COLUMNS = 6 };
    const char **cells = arena_array(cli->mem, count * COLUMNS, sizeof *cells);

    if (cli->json) {
        json_object *rows = json_new_array();
        for (size_t i = 0; i < count; i++)
            json_append(rows, entry_json(&entries[i]));
        cli_print_json(json_build("{s:o}", "audit", rows));
        return;
    }
    if (count == 0) {
        puts("No such change is in the audit log.");
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const char **row = &cells[i * COLUMNS];
        row[0] = entries[i].at;
        row[1] = entries[i].actor;
        row[2] = entries[i].action;
        row[3] = entries[i].app;
        row[4] = entries[i].before;
        row[5] = entries[i].after;
    }
    cli_print_table((const char *[]){ "AT", "ACTOR", "ACTION", "APP", "BEFORE", "AFTER" }, COLUMNS, cells, count);
}

/* All of them, a page at a time: a log may be larger than memory. */
static int print_csv(struct db *db, struct audit_page page, int limit, struct err *e)
{
    bool more = true, headings = true;
    int left = limit;

    while (more && (limit == 0 || left > 0)) {
        AUTO_ARENA struct arena *mem = arena_new();
        AUTO_BUF struct buf out = { 0 };
        struct audit_entry *entries = NULL;
        size_t count = 0;
        page.limit = limit && left < AUDIT_PAGE_MAX ? left : AUDIT_PAGE_MAX;
        if (audit_list(db, &page, mem, &entries, &count, &more, e))
            return e->code;
        audit_csv(entries, count, headings, &out);
        fputs(buf_text(&out), stdout);
        headings = false;
        left -= (int)count;
        if (count > 0)
            page.after = entries[count - 1].id;
    }
    return 0;
}

int command_audit(struct cli *cli, int argc, char **argv, struct err *e)
{
    struct audit_page page = { 0 };
    bool csv = false;
    int limit = 0;
    const struct cli_option table[] = {
        { .name = "app", .text = &page.app },
        { .name = "actor", .text = &page.actor },
        { .name = "since", .text = &page.since },
        { .name = "csv", .flag = &csv },
        { .name = "limit", .number = &limit, .least = 1, .most = AUDIT_PAGE_MAX },
    };
    AUTO_DB struct db *db = NULL;
    struct db_pool *admin = NULL;
    struct audit_entry *entries = NULL;
    size_t count = 0;
    bool more;

    if (cli_parse(cli, argc, argv, table, sizeof table / sizeof *table, NULL, 0, 0, e))
        return e->code;
    if (csv && cli->json)
        return err_set(e, ERR_INVALID, "--csv and --json are two forms of the answer: write one of them");
    if (cli_pool(cli, "admin", 1, &admin, e) || db_take(admin, &db, e))
        return e->code;
    if (csv)
        return print_csv(db, page, limit, e);
    page.limit = limit ? limit : 50;
    if (audit_list(db, &page, cli->mem, &entries, &count, &more, e))
        return e->code;
    print_list(cli, entries, count);
    return 0;
}
