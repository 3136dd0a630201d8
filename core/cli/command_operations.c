/* What an operator does with releases: roll back, deploy, cancel. */
#include <stdio.h>
#include <string.h>

#include "core/cli/commands.h"
#include "core/cli/release_view.h"
#include "core/deploy/github_access.h"
#include "core/deploy/operation.h"

/* The words and options that all of them take. */
struct order {
    const char *words[2]; /* the app, the release */
    const char *commit;
    bool wait;
    int timeout_s;
    struct db_pool *admin;
};

static int take_order(struct cli *cli, int argc, char **argv, size_t words_most, struct order *order, struct err *e)
{
    const struct cli_option table[] = {
        { .name = "wait", .flag = &order->wait },
        { .name = "timeout", .number = &order->timeout_s, .least = 1, .most = 86400 },
        { .name = "commit", .text = &order->commit }, /* last: only of deploy */
    };
    size_t count = sizeof table / sizeof *table - (strcmp(argv[0], "deploy") != 0);

    order->timeout_s = 1800;
    if (cli_parse(cli, argc, argv, table, count, order->words, 1, words_most, e))
        return e->code;
    return cli_pool(cli, "admin", 1, &order->admin, e);
}

/* A new release was made: says so, and with --wait how it ended. */
static int tell(struct cli *cli, const struct order *order, int number, const char *line, json_object *answer,
                struct err *e)
{
    AUTO_JSON json_object *told = answer;
    AUTO_DB struct db *db = NULL;
    const char *app = order->words[0];

    if (!cli->json)
        puts(line);
    else if (!order->wait)
        cli_print_json(json_hold(told));
    if (!order->wait)
        return 0;
    if (db_take(order->admin, &db, e) || release_wait(db, app, number, order->timeout_s, e) ||
        release_print(cli, db, app, number, e))
        return e->code;
    return release_verdict(cli, db, app, number, e);
}

int command_rollback(struct cli *cli, int argc, char **argv, struct err *e)
{
    struct order order = { 0 };
    int to = 0, made = 0;

    if (take_order(cli, argc, argv, 2, &order, e) || (order.words[1] && cli_release_number(order.words[1], &to, e)) ||
        operation_rollback(order.admin, order.words[0], cli_actor(cli), &to, &made, e))
        return e->code;
    return tell(cli, &order, made, arena_printf(cli->mem, "Rolled back %s to v%d as v%d.", order.words[0], to, made),
                json_build("{s:s, s:i, s:i}", "app", order.words[0], "release", made, "rollback_to", to), e);
}

static int find_commit(struct cli *cli, const struct order *order, struct github_commit *out, struct err *e)
{
    struct commit_ask ask = { .admin = order->admin, .app = order->words[0], .commit = order->commit };

    if (cli_settings(cli, &ask.settings, e) || cli_aws(cli, &ask.aws, e))
        return e->code;
    ask.transport = http_curl_transport(cli->curl);
    return github_app_commit(&ask, cli->mem, out, e);
}

int command_deploy(struct cli *cli, int argc, char **argv, struct err *e)
{
    struct order order = { 0 };
    struct github_commit commit = { 0 };
    int made = 0;

    if (take_order(cli, argc, argv, 1, &order, e) || find_commit(cli, &order, &commit, e) ||
        operation_deploy(order.admin, order.words[0], cli_actor(cli), &commit, &made, e))
        return e->code;
    return tell(cli, &order, made,
                arena_printf(cli->mem, "Deploying %s at %.7s as v%d.", order.words[0], commit.sha, made),
                json_build("{s:s, s:i, s:s}", "app", order.words[0], "release", made, "commit", commit.sha), e);
}

static void print_cancelled(struct cli *cli, const char *app, const struct cancelled *cancelled, bool ended)
{
    json_object *numbers;

    if (!cli->json) {
        printf("%s %s %s; ", ended ? "Cancelled" : "Cancelling", app, release_numbers_text(&cancelled->all, cli->mem));
        if (cancelled->live)
            printf("v%d stays live.\n", cancelled->live);
        else
            puts("nothing of it is live.");
        return;
    }
    numbers = json_new_array();
    for (size_t i = 0; i < cancelled->all.count; i++)
        json_append(numbers, json_number(cancelled->all.of[i]));
    json_object *answer = json_build("{s:s, s:o, s:b}", "app", app, "cancelled", numbers, "ended", ended);
    if (cancelled->live)
        json_put(answer, "live", json_number(cancelled->live));
    cli_print_json(answer);
}

/* What ran when it was cancelled may have come to another end first. */
static int check_end(struct cli *cli, const struct order *order, const struct cancelled *cancelled, struct err *e)
{
    AUTO_DB struct db *db = NULL;
    const char *app = order->words[0];
    struct release release = { 0 };

    if (db_take(order->admin, &db, e) || release_wait(db, app, cancelled->running, order->timeout_s, e) ||
        release_get(db, app, cancelled->running, cli->mem, &release, e))
        return e->code;
    if (release.state == RELEASE_LIVE) {
        err_set(e, ERR_CONFLICT, "%s v%d went live before the cancel reached it", app, release.number);
        return err_hint(e, "It was not cancelled. `berth rollback %s` goes back to the release before it.", app);
    }
    if (release.state == RELEASE_FAILED) {
        err_set(e, ERR_INTERNAL, "%s v%d failed instead of being cancelled: %s", app, release.number,
                release.error ? release.error : "");
        return release.hint ? err_hint(e, "%s", release.hint) : (int)e->code;
    }
    return 0;
}

int command_cancel(struct cli *cli, int argc, char **argv, struct err *e)
{
    struct order order = { 0 };
    struct cancelled cancelled = { 0 };

    if (take_order(cli, argc, argv, 1, &order, e) ||
        operation_cancel(order.admin, order.words[0], cli_actor(cli), NULL, cli->mem, &cancelled, e) ||
        (order.wait && cancelled.running && check_end(cli, &order, &cancelled, e)))
        return e->code;
    print_cancelled(cli, order.words[0], &cancelled, order.wait || !cancelled.running);
    return 0;
}
