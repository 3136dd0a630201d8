/* destroy: shows, asks, starts the teardown, and follows it if told to. Workers carry it out. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/cli/commands.h"
#include "core/deploy/estate/teardown.h"
#include "core/tenant/app.h"

enum { DESTROY_POLL_MS = 500, ANSWER_MAX = 128 };

struct destroy {
    struct cli *cli;
    struct db *db;
    const char *app;
    bool dry_run, yes, wait;
    int timeout_s;
};

static const char *const notes[] = {
    [TEARDOWN_RECORDED] = "",
    [TEARDOWN_UNRECORDED] = "not on record, but tagged as the app's",
    [TEARDOWN_ABSENT] = "on record, but not on AWS any more",
    [TEARDOWN_NOT_OURS] = "left alone: it is not tagged as the app's",
};
static const char *const standings[] = { "recorded", "unrecorded", "absent", "not_ours" };

static void print_plan(const struct destroy *d, const struct teardown_item *items, size_t count)
{
    const char **cells = arena_array(d->cli->mem, count * 4 + 1, sizeof *cells);

    for (size_t i = 0; i < count; i++) {
        bool many = items[i].count > 1;
        cells[i * 4] = items[i].kind;
        cells[i * 4 + 1] =
            many ? arena_printf(d->cli->mem, "%d, such as %s", items[i].count, items[i].name) : items[i].name;
        cells[i * 4 + 2] = items[i].arn;
        cells[i * 4 + 3] = notes[items[i].standing];
    }
    if (count == 0)
        printf("%s has nothing on AWS.\n", d->app);
    else
        cli_print_table((const char *[]){ "RESOURCE", "NAME", "ARN", "" }, 4, cells, count);
}

static json_object *plan_json(const struct teardown_item *items, size_t count)
{
    json_object *all = json_new_array();

    for (size_t i = 0; i < count; i++)
        json_append(all, json_build("{s:s, s:s, s:s, s:s, s:i}", "kind", items[i].kind, "name", items[i].name, "arn",
                                    items[i].arn, "standing", standings[items[i].standing], "count",
                                    items[i].count > 1 ? items[i].count : 1));
    return all;
}

int cli_estate_place(struct cli *cli, struct estate_place *out, struct err *e)
{
    const struct settings *settings = NULL;
    struct aws *aws = NULL;
    const char *partition, *account;

    if (cli_settings(cli, &settings, e) || settings_require_platform(settings, e) || cli_aws(cli, &aws, e) ||
        aws_arn_account(settings->listeners.items[0], cli->mem, &partition, &account, e))
        return e->code;
    *out = (struct estate_place){
        .settings = settings, .aws = aws, .partition = partition, .account = account, .mem = cli->mem
    };
    return 0;
}

static int show(const struct destroy *d, struct err *e)
{
    struct estate_place place = { 0 };
    struct teardown_item *items = NULL;
    size_t count = 0;

    if (cli_estate_place(d->cli, &place, e) || teardown_plan(d->db, &place, d->app, &items, &count, e))
        return e->code;
    if (d->cli->json && d->dry_run)
        cli_print_json(json_build("{s:s, s:o}", "app", d->app, "would_remove", plan_json(items, count)));
    else
        print_plan(d, items, count);
    return 0;
}

/* Only who types the app's name means it. */
static int ask(const struct destroy *d, struct err *e)
{
    char answer[ANSWER_MAX] = "";

    if (d->yes)
        return 0;
    if (d->cli->json || !isatty(STDIN_FILENO)) {
        err_set(e, ERR_INVALID, "nobody is there to confirm that %s and all it has is to be removed", d->app);
        return err_hint(e, "Add --yes to mean it; `berth destroy %s --dry-run` shows what would go.", d->app);
    }
    if (show(d, e))
        return e->code;
    printf("\nAll of this is removed from AWS, and can't be brought back. Type the app's name to confirm: ");
    fflush(stdout);
    if (!fgets(answer, sizeof answer, stdin))
        answer[0] = '\0';
    answer[strcspn(answer, "\n")] = '\0';
    if (strcmp(answer, d->app) == 0)
        return 0;
    return err_set(e, ERR_INVALID, "\"%.64s\" is not \"%s\": nothing was removed", answer, d->app);
}

static void print_step(const struct destroy *d, const struct teardown *now, const char **told)
{
    const char *line =
        arena_printf(d->cli->mem, "%s%s%s%s%s", now->step, now->error ? ": " : "", now->error ? now->error : "",
                     now->hint ? "\n    " : "", now->hint ? now->hint : "");

    if (d->cli->json || now->state != TEARDOWN_RUNNING || (*told && strcmp(*told, line) == 0))
        return;
    printf("  %s\n", line);
    fflush(stdout);
    *told = line;
}

/* Until it has ended, or the time is over. */
static int follow(const struct destroy *d, struct teardown *now, struct err *e)
{
    int64_t end = clock_monotonic_ms(&clock_system) + (int64_t)d->timeout_s * 1000;
    const char *told = NULL;

    for (;; clock_sleep_ms(&clock_system, DESTROY_POLL_MS)) {
        if (teardown_find(d->db, d->app, d->cli->mem, now, e))
            return e->code;
        print_step(d, now, &told);
        if (now->state != TEARDOWN_RUNNING)
            break;
        if (clock_monotonic_ms(&clock_system) >= end) {
            err_set(e, ERR_TRANSIENT, "the teardown of %s has not ended after %d s: it is at \"%s\"%s%s", d->app,
                    d->timeout_s, now->step, now->error ? ": " : "", now->error ? now->error : "");
            return err_hint(e, "A worker goes on with it; `berth destroy %s --wait` follows it again.", d->app);
        }
    }
    if (now->state == TEARDOWN_DONE)
        return 0;
    err_set(e, ERR_INTERNAL, "the teardown of %s stopped at \"%s\": %s", d->app, now->step,
            now->error ? now->error : "");
    return now->hint ? err_hint(e, "%s Then: berth destroy %s", now->hint, d->app)
                     : err_hint(e, "Put that right, then: berth destroy %s", d->app);
}

static void tell(const struct destroy *d, bool begun, const struct teardown *now)
{
    bool done = now->state == TEARDOWN_DONE;

    if (d->cli->json)
        cli_print_json(json_build("{s:s, s:s, s:b, s:s}", "app", d->app, "state", done ? "destroyed" : "deleting",
                                  "begun", begun ? 1 : 0, "step", done ? NULL : now->step));
    else if (done && !begun && !d->wait)
        printf(
            "%s was destroyed before: there is nothing left to remove. `berth releases %s` still tells its history.\n",
            d->app, d->app);
    else if (done)
        printf("%s is destroyed. `berth releases %s` still tells its history.\n", d->app, d->app);
    else
        printf("%s %s takes no more pushes, and a worker removes what it has. `berth destroy %s --wait` follows.\n",
               begun ? "The teardown has begun:" : "Its teardown is under way already:", d->app, d->app);
}

/* Whoever repeats it has what they want. The app was there a moment ago, so it has been destroyed. */
static int gone_before(const struct destroy *d, struct err *e)
{
    *e = (struct err){ 0 };
    tell(d, false, &(struct teardown){ .state = TEARDOWN_DONE });
    return 0;
}

static int destroy(const struct destroy *d, struct err *e)
{
    struct teardown now = { 0 };
    bool begun = false;

    if (teardown_find(d->db, d->app, d->cli->mem, &now, e))
        return e->code;
    if (now.state != TEARDOWN_RUNNING && ask(d, e))
        return e->code;
    if (teardown_start(d->db, d->app, cli_actor(d->cli), &begun, e))
        return e->code == ERR_NOT_FOUND ? gone_before(d, e) : (int)e->code;
    if (begun && !d->cli->json && d->wait)
        printf("Removing what %s has:\n", d->app);
    if (d->wait ? follow(d, &now, e) : teardown_find(d->db, d->app, d->cli->mem, &now, e))
        return e->code;
    tell(d, begun, &now);
    return 0;
}

int command_destroy(struct cli *cli, int argc, char **argv, struct err *e)
{
    struct destroy d = { .cli = cli, .timeout_s = 3600 };
    const struct cli_option table[] = {
        { .name = "dry-run", .flag = &d.dry_run },
        { .name = "yes", .flag = &d.yes },
        { .name = "wait", .flag = &d.wait },
        { .name = "timeout", .number = &d.timeout_s, .least = 1, .most = 86400 },
    };
    AUTO_DB struct db *db = NULL;
    struct db_pool *admin = NULL;
    struct app app = { 0 };

    if (cli_parse(cli, argc, argv, table, sizeof table / sizeof *table, &d.app, 1, 1, e) ||
        cli_pool(cli, "admin", 1, &admin, e) || db_take(admin, &db, e) || app_get(db, d.app, cli->mem, &app, e))
        return e->code;
    d.db = db;
    if (d.dry_run)
        return show(&d, e);
    if (strcmp(app.state, "deleted") == 0)
        d.yes = true; /* there is nothing to confirm */
    return destroy(&d, e);
}
