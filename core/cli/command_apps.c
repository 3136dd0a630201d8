/* apps: makes one, with its webhook's secret; changes that; lists and shows them. */
#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/cli/commands.h"
#include "core/deploy/summary.h"
#include "core/tenant/app.h"
#include "core/tenant/hook_secret.h"
#include "core/tenant/names.h"

enum { APPS_PAGE = 500 };

/* When the secret before this one ends; NULL: there was none. */
static const char *old_until_text(struct cli *cli, int64_t old_until_ms)
{
    char at[CLOCK_ISO_SIZE];

    clock_format_iso(old_until_ms, at);
    return old_until_ms ? arena_copy(cli->mem, at) : NULL;
}

/* What to paste into GitHub. The secret is shown to the operator here, once; nowhere else. */
static void print_webhook(struct cli *cli, const struct app *app, const struct secret *secret, int64_t old_until_ms)
{
    const char *base = cli->loaded.settings.hooks_url, *old_until = old_until_text(cli, old_until_ms);
    const char *url = arena_printf(cli->mem, "%s/hooks/github/%s", base ? base : "https://YOUR-BERTH-HOST", app->name);

    if (cli->json) {
        cli_print_json(json_build("{s:s, s:s, s:s, s:{s:s, s:s, s:s, s:[s], s:s}}", "app", app->name, "repository",
                                  app->repository, "branch", app->branch, "webhook", "url", url, "content_type",
                                  "application/json", "secret", secret_bytes(secret), "events", "push",
                                  "old_secret_until", old_until));
        return;
    }
    printf("In GitHub open https://github.com/%s/settings/hooks/new and paste:\n"
           "  Payload URL   %s\n"
           "  Content type  application/json\n"
           "  Secret        %s\n"
           "  Events        Just the push event.\n"
           "The secret is shown only now; Secrets Manager keeps it as %s.\n",
           app->repository, url, secret_bytes(secret), name_hook_secret(cli->mem, app->name));
    if (old_until)
        printf("The one before it holds for 24 hours, until %s: GitHub has to use the new one by then.\n", old_until);
    if (!base)
        printf("YOUR-BERTH-HOST is where GitHub reaches this berth: set [hooks] url to have it printed.\n");
}

static int check_policy(const char *policy, struct err *e)
{
    if (policy && !strcmp(policy, "github"))
        return 0;
    if (policy && !strcmp(policy, "signed")) {
        err_set(e, ERR_INVALID, "--webhook signed (HMAC and the caller's AWS identity) comes in a later version");
        return err_hint(e, "Use --webhook github: HMAC-SHA256, which GitHub itself sends.");
    }
    err_set(e, ERR_INVALID, policy ? "--webhook \"%s\" is no webhook policy" : "--webhook is missing%s",
            policy ? policy : "");
    return err_hint(e,
                    "--webhook github: each delivery must carry GitHub's HMAC-SHA256 signature. There is no default.");
}

static int check_app(const struct app *app, const char *policy, struct err *e)
{
    if (!app->repository) {
        err_set(e, ERR_INVALID, "--repo is missing");
        return err_hint(e, "Write --repo OWNER/NAME, as in https://github.com/OWNER/NAME.");
    }
    return check_policy(policy, e) ? (int)e->code : app_check(app, e);
}

int command_apps_create(struct cli *cli, int argc, char **argv, struct err *e)
{
    struct app app = { .branch = "main",
                       .health_check_path = "/",
                       .port = 8080,
                       .cpu_units = 256,
                       .memory_mib = 512,
                       .tasks = 1,
                       .policy = WEBHOOK_GITHUB };
    const char *policy = NULL;
    const struct cli_option table[] = {
        { .name = "repo", .text = &app.repository },
        { .name = "webhook", .text = &policy },
        { .name = "branch", .text = &app.branch },
        { .name = "health-check", .text = &app.health_check_path },
        { .name = "port", .number = &app.port, .least = 1, .most = 65535 },
        { .name = "cpu", .number = &app.cpu_units, .least = 1, .most = 16384 },
        { .name = "memory", .number = &app.memory_mib, .least = 1, .most = 122880 },
        { .name = "tasks", .number = &app.tasks, .least = 1, .most = 1000 },
        { .name = "paths", .text = &app.path_filter },
    };
    AUTO_SECRET struct secret *secret = NULL;
    struct db_pool *admin = NULL;
    struct aws *aws = NULL;
    int64_t old_until_ms = 0;

    if (cli_parse(cli, argc, argv, table, sizeof table / sizeof *table, &app.name, 1, 1, e) ||
        check_app(&app, policy, e) || cli_pool(cli, "admin", 1, &admin, e) || cli_aws(cli, &aws, e) ||
        app_create(admin, &app, cli_actor(cli), e))
        return e->code;
    /* The row decides who made the app, so a secret that is there already is debris of an app that never came to be. */
    if (hook_secret_create(aws, &clock_system, app.name, true, &secret, &old_until_ms, e)) {
        err_context(e, "app %s is made, but its webhook secret could not be stored", app.name);
        return err_hint(e, "Put that right, then: berth apps secret %s", app.name);
    }
    if (!cli->json)
        printf("App %s is made: a push to %s of %s becomes a release.\n\n", app.name, app.branch, app.repository);
    print_webhook(cli, &app, secret, old_until_ms);
    return 0;
}

int command_apps_secret(struct cli *cli, int argc, char **argv, struct err *e)
{
    AUTO_SECRET struct secret *secret = NULL;
    AUTO_DB struct db *db = NULL;
    struct db_pool *admin = NULL;
    struct aws *aws = NULL;
    const char *name = NULL;
    int64_t old_until_ms = 0;
    struct app app = { 0 };

    if (cli_parse(cli, argc, argv, NULL, 0, &name, 1, 1, e) || cli_pool(cli, "admin", 1, &admin, e) ||
        db_take(admin, &db, e) || app_get(db, name, cli->mem, &app, e))
        return e->code;
    if (!strncmp(app.state, "delet", 5)) /* it would be left over */
        return err_set(e, ERR_CONFLICT, "%s is %s: it takes no pushes", app.name, app.state);
    if (cli_aws(cli, &aws, e) || cli_audit(cli, db, "app.secret", app.name, e) ||
        hook_secret_create(aws, &clock_system, app.name, true, &secret, &old_until_ms, e))
        return e->code;
    print_webhook(cli, &app, secret, old_until_ms);
    return 0;
}

static json_object *summary_json(const struct app_summary *a)
{
    json_object *live = NULL, *newest = NULL;

    if (a->live_release)
        live = json_build("{s:i, s:s, s:s, s:s}", "release", a->live_release, "commit", a->live_commit, "since",
                          a->live_since, "host", a->host);
    if (a->newest_release)
        newest = json_build("{s:i, s:s, s:s, s:s, s:s}", "release", a->newest_release, "state", a->newest_state, "step",
                            a->newest_step, "error", a->newest_error, "created_at", a->newest_at);
    return json_build("{s:s, s:s, s:s, s:s, s:o, s:o}", "app", a->app, "repository", a->repository, "branch", a->branch,
                      "state", a->state, "live", live, "newest", newest);
}

static void summary_cells(struct arena *mem, const struct app_summary *a, const char **cells)
{
    cells[0] = a->app;
    cells[1] = a->state;
    cells[2] = a->live_release ? arena_printf(mem, "v%d", a->live_release) : NULL;
    cells[3] = a->live_commit ? arena_printf(mem, "%.8s", a->live_commit) : NULL;
    cells[4] = a->newest_release ? arena_printf(mem, "v%d %s", a->newest_release, a->newest_state) : NULL;
    cells[5] = a->host;
}

static int all_summaries(struct cli *cli, bool deleted, json_object *rows, const char ***cells, size_t *count,
                         struct err *e)
{
    AUTO_DB struct db *db = NULL;
    struct db_pool *admin = NULL;
    struct summary_page page = { .by_name = true, .limit = APPS_PAGE, .deleted = deleted };
    size_t got = APPS_PAGE;

    if (cli_pool(cli, "admin", 1, &admin, e) || db_take(admin, &db, e))
        return e->code;
    while (got == APPS_PAGE) {
        struct app_summary *some = NULL;
        if (app_summaries(db, &page, cli->mem, &some, &got, e))
            return e->code;
        const char **grown = arena_array(cli->mem, (*count + got) * 6 + 1, sizeof *grown);
        if (*count)
            memcpy(grown, *cells, *count * 6 * sizeof *grown);
        *cells = grown;
        for (size_t i = 0; i < got; i++, (*count)++) {
            json_append(rows, summary_json(&some[i]));
            summary_cells(cli->mem, &some[i], grown + *count * 6);
        }
        page.after_app = got ? some[got - 1].app : NULL;
    }
    return 0;
}

int command_apps_list(struct cli *cli, int argc, char **argv, struct err *e)
{
    AUTO_JSON json_object *rows = json_new_array();
    const char **cells = NULL;
    size_t count = 0;
    bool all = false;
    const struct cli_option table[] = { { .name = "all", .flag = &all } };

    if (cli_parse(cli, argc, argv, table, 1, NULL, 0, 0, e) || all_summaries(cli, all, rows, &cells, &count, e))
        return e->code;
    if (cli->json)
        cli_print_json(json_build("{s:O}", "apps", rows));
    else if (count == 0)
        puts("No app yet. Make one: berth apps create shop --repo acme/shop --webhook github");
    else
        cli_print_table((const char *[]){ "APP", "STATE", "LIVE", "COMMIT", "NEWEST", "ADDRESS" }, 6, cells, count);
    return 0;
}

static json_object *resources_json(const struct resource_row *rows, size_t count)
{
    json_object *all = json_new_array();

    for (size_t i = 0; i < count; i++)
        json_append(all, json_build("{s:s, s:s, s:s}", "kind", rows[i].kind, "name", rows[i].name, "arn", rows[i].arn));
    return all;
}

static void print_settings(struct cli *cli, const struct app *app)
{
    const char *cells[APP_SETTING_COUNT * 2];

    for (int i = 0; i < APP_SETTING_COUNT; i++) {
        const char *value = app_setting_text(app, (enum app_setting)i, cli->mem);
        cells[2 * i] = app_setting_name((enum app_setting)i);
        cells[2 * i + 1] = *value ? value : NULL;
    }
    cli_print_table((const char *[]){ "SETTING", "VALUE" }, 2, cells, APP_SETTING_COUNT);
}

static void print_app(struct cli *cli, const struct app *app, const struct deployment *live,
                      const struct resource_row *rows, size_t count)
{
    const char **cells = arena_array(cli->mem, count * 3 + 1, sizeof *cells);

    printf("%s (%s), built from %s; webhook policy %s\n", app->name, app->state, app->repository,
           webhook_policy_name(app->policy));
    if (live->release)
        printf("live: v%d, commit %.8s, since %s, at https://%s\n", live->release, live->commit_sha, live->live_since,
               live->host);
    else
        puts("live: nothing yet");
    putchar('\n');
    print_settings(cli, app);
    for (size_t i = 0; i < count; i++) {
        cells[i * 3] = rows[i].kind;
        cells[i * 3 + 1] = rows[i].name;
        cells[i * 3 + 2] = rows[i].arn;
    }
    if (count) {
        putchar('\n');
        cli_print_table((const char *[]){ "RESOURCE", "NAME", "ARN" }, 3, cells, count);
    }
}

static json_object *app_json(const struct app *app, const struct deployment *live, json_object *resources)
{
    json_object *now = NULL;

    if (live->release)
        now = json_build("{s:i, s:s, s:s, s:s, s:s, s:s}", "release", live->release, "commit", live->commit_sha,
                         "image_digest", live->image_digest, "task_definition", live->task_definition_arn, "host",
                         live->host, "since", live->live_since);
    /* health_check is what health_check_path was called before it could be set. */
    json_object *all =
        json_build("{s:s, s:s, s:s, s:s, s:s, s:o, s:o}", "app", app->name, "repository", app->repository, "state",
                   app->state, "webhook_policy", webhook_policy_name(app->policy), "health_check",
                   app->health_check_path, "live", now, "resources", resources);
    for (int i = 0; i < APP_SETTING_COUNT; i++)
        json_put(all, app_setting_name((enum app_setting)i), app_setting_json(app, (enum app_setting)i));
    return all;
}

int command_apps_show(struct cli *cli, int argc, char **argv, struct err *e)
{
    AUTO_DB struct db *db = NULL;
    struct db_pool *admin = NULL;
    struct deployment live = { 0 };
    struct resource_row *rows = NULL;
    const char *name = NULL;
    size_t count = 0;
    struct app app = { 0 };

    if (cli_parse(cli, argc, argv, NULL, 0, &name, 1, 1, e) || cli_pool(cli, "admin", 1, &admin, e) ||
        db_take(admin, &db, e) || app_get(db, name, cli->mem, &app, e) ||
        deployment_find(db, name, cli->mem, &live, e) || app_resources(db, name, cli->mem, &rows, &count, e))
        return e->code;
    if (cli->json)
        cli_print_json(app_json(&app, &live, resources_json(rows, count)));
    else
        print_app(cli, &app, &live, rows, count);
    return 0;
}
