/* apps: changes what an app's releases are built from and run with, and whether it takes pushes. */
#include <stdio.h>
#include <string.h>

#include "core/base/text.h"
#include "core/cli/commands.h"
#include "core/tenant/app.h"
#include "core/tenant/limit.h"

/* What the command line asks for. */
struct ask {
    bool dry_run;
    const char *words[1 + APP_SETTING_COUNT]; /* the app, and what is to be changed of it */
    struct app_edit edits[APP_SETTING_COUNT];
    size_t edit_count;
    struct db_pool *admin;
};

/* ---- Reading the words ---- */

static const char *names_text(struct arena *mem)
{
    const char *list = "";

    for (int i = 0; i < APP_SETTING_COUNT; i++)
        list = arena_printf(mem, "%s%s%s", list, *list ? ", " : "", app_setting_name((enum app_setting)i));
    return list;
}

/* "cpu_units=512" */
static int read_edit(struct cli *cli, struct ask *ask, const char *word, struct err *e)
{
    const char *equals = strchr(word, '=');
    struct app_edit *edit = &ask->edits[ask->edit_count];

    if (!equals) {
        err_set(e, ERR_INVALID, "\"%s\" is no change of a setting", cli_plain(cli->mem, word));
        return err_hint(e, "Write NAME=VALUE, like cpu_units=512; there are %s.", names_text(cli->mem));
    }
    const char *name = arena_copy_n(cli->mem, word, (size_t)(equals - word));
    if (!app_setting_find(name, &edit->setting)) {
        err_set(e, ERR_INVALID, "there is no setting \"%s\"", cli_plain(cli->mem, name));
        return err_hint(e, "There are %s.", names_text(cli->mem));
    }
    for (size_t i = 0; i < ask->edit_count; i++)
        if (ask->edits[i].setting == edit->setting)
            return err_set(e, ERR_INVALID, "%s is given twice", name);
    edit->to = equals + 1;
    ask->edit_count++;
    return 0;
}

static int read_ask(struct cli *cli, int argc, char **argv, struct ask *ask, struct err *e)
{
    const struct cli_option table[] = { { .name = "dry-run", .flag = &ask->dry_run } };

    if (cli_parse(cli, argc, argv, table, 1, ask->words, 1, 1 + APP_SETTING_COUNT, e))
        return e->code;
    if (strchr(ask->words[0], '=')) {
        err_set(e, ERR_INVALID, "berth %s needs an app's name before what to change", argv[0]);
        return err_hint(e, "`berth apps list` shows the apps there are.");
    }
    if (!ask->words[1]) {
        err_set(e, ERR_INVALID, "berth %s needs what to change", argv[0]);
        return err_hint(e, "Write NAME=VALUE, like cpu_units=512; there are %s.", names_text(cli->mem));
    }
    for (size_t i = 1; i <= APP_SETTING_COUNT && ask->words[i]; i++)
        if (read_edit(cli, ask, ask->words[i], e))
            return e->code;
    return cli_pool(cli, "admin", 1, &ask->admin, e);
}

/* ---- set ---- */

static bool is_edited(const struct app_update *done, enum app_setting setting, struct arena *mem)
{
    return strcmp(app_setting_text(&done->before, setting, mem), app_setting_text(&done->after, setting, mem)) != 0;
}

/* A rollout runs the old tasks and the new ones; told where the size changes. */
static int rollout_text(struct cli *cli, const struct ask *ask, const struct app_update *done, const char **out,
                        struct err *e)
{
    AUTO_DB struct db *db = NULL;
    const struct app *app = &done->after;
    struct limits limits;

    *out = NULL;
    if (!is_edited(done, APP_CPU_UNITS, cli->mem) && !is_edited(done, APP_MEMORY_MIB, cli->mem) &&
        !is_edited(done, APP_TASKS, cli->mem))
        return 0;
    if (db_take(ask->admin, &db, e) || limits_read(db, app->name, cli->mem, &limits, e))
        return e->code;
    const struct limit_state *cpu = &limits.of[LIMIT_CPU_UNITS], *memory = &limits.of[LIMIT_MEMORY_MIB];
    *out = arena_printf(
        cli->mem, "During a rollout the old tasks and the new ones run: %s of %s CPU units and %s of %s MiB.",
        limit_number(cli->mem, cpu->base + (int64_t)app->cpu_units * app->tasks), limit_number(cli->mem, cpu->in_force),
        limit_number(cli->mem, memory->base + (int64_t)app->memory_mib * app->tasks),
        limit_number(cli->mem, memory->in_force));
    return 0;
}

static void print_json(const struct ask *ask, const struct app_update *done, const char *rollout)
{
    json_object *all = json_new_array();

    for (size_t i = 0; i < ask->edit_count; i++) {
        enum app_setting setting = ask->edits[i].setting;
        json_object *one = json_build("{s:s}", "name", app_setting_name(setting));
        json_put(one, "before", app_setting_json(&done->before, setting));
        json_put(one, "after", app_setting_json(&done->after, setting));
        json_append(all, one);
    }
    json_object *answer = json_build("{s:s, s:b, s:b, s:o}", "app", ask->words[0], "dry_run", ask->dry_run, "changed",
                                     done->changed && !ask->dry_run, "changes", all);
    if (rollout)
        json_put(answer, "effect", json_text(rollout));
    cli_print_json(answer);
}

static const char *value_text(struct cli *cli, const struct app *app, enum app_setting setting)
{
    const char *text = app_setting_text(app, setting, cli->mem);

    return *text ? text : "(empty)";
}

/* What of the change holds from when: settings of tasks begin with a release, those of pushes at once. */
static const char *from_when(struct cli *cli, const struct ask *ask, const struct app_update *done)
{
    bool of_pushes = is_edited(done, APP_BRANCH, cli->mem) || is_edited(done, APP_PATH_FILTER, cli->mem);
    bool of_tasks = false;

    for (int i = 0; i < APP_BRANCH; i++)
        of_tasks = of_tasks || is_edited(done, (enum app_setting)i, cli->mem);
    if (ask->dry_run || !done->changed)
        return "Nothing was changed.";
    if (!of_tasks)
        return "Saved; in force from the next push on.";
    return arena_printf(cli->mem,
                        "Saved; the next release is the first that runs with it%s. To have one now: berth deploy %s",
                        of_pushes ? ", and the next push is judged by it" : "", done->after.name);
}

static void print_text(struct cli *cli, const struct ask *ask, const struct app_update *done, const char *rollout)
{
    for (size_t i = 0; i < ask->edit_count; i++) {
        enum app_setting setting = ask->edits[i].setting;
        printf("%s: %s", app_setting_name(setting), value_text(cli, &done->before, setting));
        if (is_edited(done, setting, cli->mem))
            printf(" -> %s\n", value_text(cli, &done->after, setting));
        else
            puts(" already");
    }
    if (rollout)
        puts(rollout);
    puts(from_when(cli, ask, done));
}

/* What is there now is what the edits are held against: what somebody changes between the two is not written over. */
static int update(struct cli *cli, struct ask *ask, struct app_update *done, struct err *e)
{
    AUTO_DB struct db *db = NULL;
    struct app app = { 0 };

    if (ask->dry_run)
        return app_update_try(ask->admin, ask->words[0], ask->edits, ask->edit_count, cli->mem, done, e);
    if (db_take(ask->admin, &db, e) || app_get(db, ask->words[0], cli->mem, &app, e))
        return e->code;
    db_give(db);
    db = NULL;
    for (size_t i = 0; i < ask->edit_count; i++)
        ask->edits[i].was = app_setting_text(&app, ask->edits[i].setting, cli->mem);
    return app_update(ask->admin, ask->words[0], cli_actor(cli), ask->edits, ask->edit_count, cli->mem, done, e);
}

int command_apps_set(struct cli *cli, int argc, char **argv, struct err *e)
{
    struct ask ask = { 0 };
    struct app_update done;
    const char *rollout = NULL;

    if (read_ask(cli, argc, argv, &ask, e) || update(cli, &ask, &done, e) ||
        rollout_text(cli, &ask, &done, &rollout, e))
        return e->code;
    if (cli->json)
        print_json(&ask, &done, rollout);
    else
        print_text(cli, &ask, &done, rollout);
    return 0;
}

/* ---- pause and resume ---- */

int command_apps_pause(struct cli *cli, int argc, char **argv, struct err *e)
{
    struct db_pool *admin = NULL;
    const char *app = NULL;
    bool changed = false;

    if (cli_parse(cli, argc, argv, NULL, 0, &app, 1, 1, e) || cli_pool(cli, "admin", 1, &admin, e) ||
        app_pause(admin, app, cli_actor(cli), &changed, e))
        return e->code;
    if (cli->json)
        cli_print_json(json_build("{s:s, s:s, s:b}", "app", app, "state", "paused", "changed", changed));
    else if (!changed)
        printf("%s is paused already.\n", app);
    else
        printf("%s is paused: it takes no pushes, and what is live stays. When it is resumed (berth apps resume %s), "
               "its branch is looked at if a push came.\n",
               app, app);
    return 0;
}

int command_apps_resume(struct cli *cli, int argc, char **argv, struct err *e)
{
    struct db_pool *admin = NULL;
    const char *app = NULL;
    bool changed = false, look = false;

    if (cli_parse(cli, argc, argv, NULL, 0, &app, 1, 1, e) || cli_pool(cli, "admin", 1, &admin, e) ||
        app_resume(admin, app, cli_actor(cli), &changed, &look, e))
        return e->code;
    if (cli->json)
        cli_print_json(
            json_build("{s:s, s:s, s:b, s:b}", "app", app, "state", "active", "changed", changed, "looks", look));
    else if (!changed)
        printf("%s is not paused.\n", app);
    else
        printf("%s takes pushes again%s.\n", app,
               look ? "; one came meanwhile, so a worker looks at its branch now" : "");
    return 0;
}
