/* deliveries: what GitHub sent and what came of it; and running one again. */
#include <stdio.h>
#include <string.h>

#include "core/cli/commands.h"
#include "core/deploy/delivery.h"
#include "core/tenant/app.h"

/* ---- the list ---- */

static json_object *entry_json(const struct delivery_entry *entry)
{
    json_object *one = json_build("{s:s, s:s, s:s, s:s, s:s, s:s, s:b}", "app", entry->app, "delivery", entry->id,
                                  "event", entry->event, "outcome", delivery_outcome_name(entry->outcome), "reason",
                                  entry->reason, "received_at", entry->received_at, "has_body", entry->has_body);

    if (entry->release)
        json_put(one, "release", json_number(entry->release));
    if (entry->branch)
        json_put(one, "branch", json_text(entry->branch));
    if (entry->commit_sha)
        json_put(one, "commit", json_text(entry->commit_sha));
    if (entry->commit_title)
        json_put(one, "commit_title", json_text(entry->commit_title));
    if (entry->pushed_by)
        json_put(one, "pushed_by", json_text(entry->pushed_by));
    return one;
}

static void fill_row(struct cli *cli, const struct delivery_entry *entry, const char **row)
{
    row[0] = entry->received_at;
    row[1] = entry->app;
    row[2] = entry->id;
    row[3] = entry->release ? arena_printf(cli->mem, "%s, v%d", delivery_outcome_name(entry->outcome), entry->release)
                            : delivery_outcome_name(entry->outcome);
    row[4] = entry->commit_sha ? arena_printf(cli->mem, "%.8s", entry->commit_sha) : NULL;
    row[5] = entry->pushed_by;
    row[6] = entry->reason;
}

static void print_list(struct cli *cli, const struct delivery_entry *entries, size_t count)
{
    enum { COLUMNS = 7 };
    const char **cells = arena_array(cli->mem, count * COLUMNS, sizeof *cells);

    if (cli->json) {
        json_object *rows = json_new_array();
        for (size_t i = 0; i < count; i++)
            json_append(rows, entry_json(&entries[i]));
        cli_print_json(json_build("{s:o}", "deliveries", rows));
        return;
    }
    if (count == 0) {
        puts("No such delivery is kept.");
        return;
    }
    for (size_t i = 0; i < count; i++)
        fill_row(cli, &entries[i], &cells[i * COLUMNS]);
    cli_print_table((const char *[]){ "RECEIVED", "APP", "DELIVERY", "OUTCOME", "COMMIT", "BY", "WHY" }, COLUMNS, cells,
                    count);
}

/* One page looks through so many deliveries only: on, until limit are found or there are no more. */
static int read_all(struct cli *cli, struct db *db, struct delivery_page page, struct delivery_entry *entries,
                    size_t *count, struct err *e)
{
    struct delivery_list list;
    int wanted = page.limit;

    *count = 0;
    do {
        page.limit = wanted - (int)*count;
        if (delivery_list(db, &page, cli->mem, &list, e))
            return e->code;
        memcpy(entries + *count, list.entries, list.count * sizeof *entries);
        *count += list.count;
        page.after = list.more;
    } while (list.more && *count < (size_t)wanted);
    return 0;
}

static int refuse_outcome(struct cli *cli, const char *word, struct err *e)
{
    const char *names = "";

    for (int i = 0; i < DELIVERY_OUTCOME_COUNT; i++)
        names = arena_printf(cli->mem, "%s%s%s", names, *names ? ", " : "",
                             delivery_outcome_name((enum delivery_outcome)i));
    err_set(e, ERR_INVALID, "there is no outcome \"%s\"", cli_plain(cli->mem, word));
    return err_hint(e, "There are %s.", names);
}

int command_deliveries(struct cli *cli, int argc, char **argv, struct err *e)
{
    const char *name = NULL, *word = NULL;
    struct delivery_page page = { .limit = 20 };
    const struct cli_option table[] = {
        { .name = "outcome", .text = &word },
        { .name = "limit", .number = &page.limit, .least = 1, .most = DELIVERY_PAGE_MAX },
    };
    enum delivery_outcome outcome;
    struct delivery_entry entries[DELIVERY_PAGE_MAX];
    size_t count;
    AUTO_DB struct db *db = NULL;
    struct db_pool *admin = NULL;
    struct app app = { 0 };

    if (cli_parse(cli, argc, argv, table, 2, &name, 0, 1, e))
        return e->code;
    if (word && !delivery_outcome_parse(word, &outcome))
        return refuse_outcome(cli, word, e);
    page.app = name;
    page.outcome = word ? &outcome : NULL;
    if (cli_pool(cli, "admin", 1, &admin, e) || db_take(admin, &db, e) ||
        (name && app_get(db, name, cli->mem, &app, e)) || read_all(cli, db, page, entries, &count, e))
        return e->code;
    print_list(cli, entries, count);
    return 0;
}

/* ---- running one again ---- */

static json_object *rerun_json(const char *app, const char *id, const struct delivery_rerun *rerun)
{
    json_object *answer = json_build("{s:s, s:s, s:b}", "app", app, "delivery", id, "looks_at_branch", rerun->looked);

    if (rerun->looked)
        return answer;
    json_put(answer, "outcome", json_text(delivery_outcome_name(rerun->outcome)));
    json_put(answer, "reason", json_text(rerun->reason));
    if (rerun->hint)
        json_put(answer, "hint", json_text(rerun->hint));
    if (rerun->release)
        json_put(answer, "release", json_number(rerun->release));
    return answer;
}

static void print_rerun(struct cli *cli, const char *app, const char *id, const struct delivery_rerun *rerun)
{
    if (cli->json) {
        cli_print_json(rerun_json(app, id, rerun));
        return;
    }
    if (rerun->looked) {
        printf("What GitHub sent with %s is no longer kept, so a worker looks at the branch of %s instead.\n", id, app);
        printf("hint: berth releases %s shows what becomes of it\n", app);
        return;
    }
    printf("%s, run again: %s", id, delivery_outcome_name(rerun->outcome));
    if (rerun->release)
        printf(", v%d", rerun->release);
    printf(" (%s).\n", cli_plain(cli->mem, rerun->reason));
    if (rerun->hint)
        printf("hint: %s\n", cli_plain(cli->mem, rerun->hint));
}

int command_deliveries_run(struct cli *cli, int argc, char **argv, struct err *e)
{
    const char *words[2] = { 0 };
    struct db_pool *admin = NULL;
    struct delivery_rerun rerun = { 0 };

    if (cli_parse(cli, argc, argv, NULL, 0, words, 2, 2, e) || cli_pool(cli, "admin", 1, &admin, e) ||
        delivery_run_again(admin, words[0], words[1], cli_actor(cli), cli->mem, &rerun, e))
        return e->code;
    print_rerun(cli, words[0], words[1], &rerun);
    /* It is told already; the exit code says that a limit stands in the way. */
    if (!rerun.looked && (rerun.outcome == DELIVERY_LIMITED || rerun.outcome == DELIVERY_OVER_QUOTA))
        e->code = ERR_QUOTA;
    return e->code;
}
