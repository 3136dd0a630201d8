/* Quotas and rate limits: what an app may use, and changing it. `berth quota` is of the quotas, `berth ratelimit` of the bucket. */
#include <stdio.h>
#include <string.h>

#include "core/base/json.h"
#include "core/base/text.h"
#include "core/cli/commands.h"
#include "core/tenant/limit.h"

/* What the command line asks for. */
struct ask {
    bool rate; /* of the bucket */
    bool of_default, dry_run;
    const char *app; /* NULL: the defaults */
    const char *words[1 + LIMIT_COUNT];
    struct limit_edit edits[LIMIT_COUNT];
    size_t edit_count;
    struct db_pool *admin;
};

/* ---- Reading the words ---- */

static const char *names_text(const struct ask *ask, struct arena *mem)
{
    const char *list = "";

    for (int i = 0; i < LIMIT_COUNT; i++)
        if (limit_info((enum limit)i)->rate == ask->rate)
            list = arena_printf(mem, "%s%s%s", list, *list ? ", " : "", limit_info((enum limit)i)->name);
    return list;
}

static int refuse_name(struct cli *cli, const struct ask *ask, const char *name, struct err *e)
{
    enum limit limit;

    if (limit_find(name, &limit)) {
        err_set(e, ERR_INVALID, "%s is %s", name, ask->rate ? "a quota" : "a rate limit");
        return err_hint(e, "`berth %s set` changes it.", ask->rate ? "quota" : "ratelimit");
    }
    err_set(e, ERR_INVALID, "there is no limit \"%s\"", cli_plain(cli->mem, name));
    return err_hint(e, "There are %s.", names_text(ask, cli->mem));
}

/* "cpu_units=8192" */
static int read_edit(struct cli *cli, struct ask *ask, const char *word, struct err *e)
{
    const char *equals = strchr(word, '=');
    struct limit_edit *edit = &ask->edits[ask->edit_count];

    if (!equals) {
        err_set(e, ERR_INVALID, "\"%s\" is no change of a limit", cli_plain(cli->mem, word));
        return err_hint(e, "Write NAME=VALUE, like %s.", ask->rate ? "pushes_burst=20" : "cpu_units=8192");
    }
    const char *name = arena_copy_n(cli->mem, word, (size_t)(equals - word));
    if (!limit_find(name, &edit->limit) || limit_info(edit->limit)->rate != ask->rate)
        return refuse_name(cli, ask, name, e);
    for (size_t i = 0; i < ask->edit_count; i++)
        if (ask->edits[i].limit == edit->limit)
            return err_set(e, ERR_INVALID, "%s is given twice", name);
    if (limit_parse(edit->limit, equals + 1, &edit->value, e))
        return err_context(e, "%s", name);
    if (edit->value == LIMIT_DEFAULT && ask->of_default)
        return err_set(e, ERR_INVALID, "%s: the default itself has to be a number", name);
    edit->was = LIMIT_UNSEEN;
    ask->edit_count++;
    return 0;
}

static int read_ask(struct cli *cli, int argc, char **argv, struct ask *ask, struct err *e)
{
    const struct cli_option table[] = {
        { .name = "default", .flag = &ask->of_default },
        { .name = "dry-run", .flag = &ask->dry_run } /* last: only of set */
    };
    bool set = text_ends(argv[0], " set");
    size_t first;

    ask->rate = text_starts(argv[0], "ratelimit");
    if (cli_parse(cli, argc, argv, table, set ? 2 : 1, ask->words, 0, set ? 1 + LIMIT_COUNT : 1, e))
        return e->code;
    first = ask->of_default ? 0 : 1;
    ask->app = ask->of_default ? NULL : ask->words[0];
    if ((!ask->of_default && (!ask->app || strchr(ask->app, '='))) || (ask->of_default && !set && ask->words[0])) {
        err_set(e, ERR_INVALID, "berth %s needs an app's name, or --default", argv[0]);
        return err_hint(
            e, "`berth apps list` shows the apps there are; --default is of all that have no number of their own.");
    }
    if (set && !ask->words[first]) {
        err_set(e, ERR_INVALID, "berth %s needs what to change", argv[0]);
        return err_hint(e, "Write NAME=VALUE, like %s; there are %s.", ask->rate ? "pushes_burst=20" : "cpu_units=8192",
                        names_text(ask, cli->mem));
    }
    for (size_t i = first; i < 1 + LIMIT_COUNT && ask->words[i]; i++)
        if (read_edit(cli, ask, ask->words[i], e))
            return e->code;
    return cli_pool(cli, "admin", 1, &ask->admin, e);
}

static int read_limits(struct cli *cli, const struct ask *ask, struct limits *out, struct err *e)
{
    AUTO_DB struct db *db = NULL;

    if (db_take(ask->admin, &db, e))
        return e->code;
    return limits_read(db, ask->app, cli->mem, out, e);
}

/* ---- show ---- */

static json_object *state_json(enum limit limit, const struct limit_state *state)
{
    const struct limit_info *info = limit_info(limit);
    json_object *one = json_build("{s:s, s:s, s:I, s:I, s:I}", "name", info->name, "title", info->title, "used",
                                  state->used, "limit", state->in_force, "default", state->standard);

    json_put(one, "percent", json_number(limit_percent(state)));
    json_put(one, "level", json_text(limit_level_word(limit_level(state))));
    if (state->own != LIMIT_DEFAULT)
        json_put(one, "own", json_number(state->own));
    return one;
}

static void print_json(const struct ask *ask, const struct limits *limits)
{
    json_object *all = json_new_array();

    for (int i = 0; i < LIMIT_COUNT; i++)
        if (limit_info((enum limit)i)->rate == ask->rate)
            json_append(all, state_json((enum limit)i, &limits->of[i]));
    json_object *answer = json_build("{s:s, s:o}", "app", ask->app, "limits", all);
    if (ask->rate && ask->app)
        json_put(answer, "bucket",
                 json_build("{s:I, s:I, s:I}", "tokens", limits->tokens, "next_ms", limits->next_ms, "full_ms",
                            limits->full_ms));
    if (limits->owed)
        json_put(answer, "look_again", json_text(limits->owed));
    cli_print_json(answer);
}

static void print_defaults(struct cli *cli, const struct ask *ask, const struct limits *limits)
{
    const char *cells[LIMIT_COUNT * 3];
    size_t rows = 0;

    for (int i = 0; i < LIMIT_COUNT; i++) {
        if (limit_info((enum limit)i)->rate != ask->rate)
            continue;
        const char **row = &cells[3 * rows++];
        row[0] = limit_info((enum limit)i)->name;
        row[1] = limit_number(cli->mem, limits->of[i].in_force);
        row[2] =
            arena_printf(cli->mem, "%lld of %lld apps", (long long)limits->of[i].followers, (long long)limits->apps);
    }
    cli_print_table((const char *[]){ "NAME", "DEFAULT", "IN FORCE FOR" }, 3, cells, rows);
}

static void print_states(struct cli *cli, const struct ask *ask, const struct limits *limits)
{
    enum { COLUMNS = 6 };
    const char *cells[LIMIT_COUNT * COLUMNS];
    size_t rows = 0;

    for (int i = 0; i < LIMIT_COUNT; i++) {
        const struct limit_state *state = &limits->of[i];
        if (limit_info((enum limit)i)->rate != ask->rate)
            continue;
        const char **row = &cells[COLUMNS * rows++];
        row[0] = limit_info((enum limit)i)->name;
        row[1] = limit_number(cli->mem, state->used);
        row[2] = limit_number(cli->mem, state->in_force);
        row[3] = arena_printf(cli->mem, "%d%%", limit_percent(state));
        row[4] = limit_level_word(limit_level(state));
        row[5] = state->own == LIMIT_DEFAULT ? "default" : "its own";
    }
    cli_print_table((const char *[]){ "NAME", "USED", "LIMIT", "SHARE", "", "FROM" }, COLUMNS, cells, rows);
}

static void print_sums(struct cli *cli, const struct limits *now, const struct limits *then)
{
    struct limit_sum sums[LIMIT_SUMS];

    limit_sums(now, then, cli->mem, sums);
    for (int i = 0; i < LIMIT_SUMS; i++)
        if (*sums[i].text)
            printf("%s: %s\n", sums[i].title, sums[i].text);
}

static int show(struct cli *cli, int argc, char **argv, struct err *e)
{
    struct ask ask = { 0 };
    struct limits limits;

    if (read_ask(cli, argc, argv, &ask, e) || read_limits(cli, &ask, &limits, e))
        return e->code;
    if (cli->json) {
        print_json(&ask, &limits);
        return 0;
    }
    if (ask.app)
        print_states(cli, &ask, &limits);
    else
        print_defaults(cli, &ask, &limits);
    if (ask.app && (ask.rate || limits.owed)) {
        struct limit_sum sums[LIMIT_SUMS];
        limit_sums(&limits, &limits, cli->mem, sums);
        printf("\n%s: %s\n", sums[2].title, sums[2].text);
    }
    return 0;
}

int command_quota_show(struct cli *cli, int argc, char **argv, struct err *e)
{
    return show(cli, argc, argv, e);
}

int command_ratelimit_show(struct cli *cli, int argc, char **argv, struct err *e)
{
    return show(cli, argc, argv, e);
}

/* ---- set ---- */

static json_object *change_json(struct cli *cli, const struct limits *now, const struct limits *then, enum limit limit)
{
    struct limit_effect effect;

    limit_effect(now, then, limit, cli->mem, &effect);
    json_object *one = json_build("{s:s, s:I, s:I}", "name", limit_info(limit)->name, "before", now->of[limit].in_force,
                                  "after", then->of[limit].in_force);
    if (*effect.lead)
        json_put(one, "effect",
                 json_text(arena_printf(cli->mem, "%s%s%s", effect.lead, *effect.rest ? " " : "", effect.rest)));
    return one;
}

static void print_change(struct cli *cli, const struct limits *now, const struct limits *then, enum limit limit)
{
    struct limit_effect effect;

    limit_effect(now, then, limit, cli->mem, &effect);
    printf("%s: %s", limit_info(limit)->name, limit_number(cli->mem, now->of[limit].in_force));
    if (effect.changed)
        printf(" -> %s", limit_number(cli->mem, then->of[limit].in_force));
    else
        fputs(" already", stdout);
    printf("%s%s%s%s%s.\n", *effect.use ? ", " : "", effect.use, *effect.lead ? ". " : "", effect.lead,
           *effect.rest
               ? arena_printf(cli->mem, " %.*s", (int)(strlen(effect.rest) - text_ends(effect.rest, ".")), effect.rest)
               : "");
}

static void print_changes(struct cli *cli, const struct ask *ask, const struct limits *now)
{
    struct limits then;

    limits_with(now, ask->edits, ask->edit_count, &then);
    if (cli->json) {
        json_object *all = json_new_array();
        for (size_t i = 0; i < ask->edit_count; i++)
            json_append(all, change_json(cli, now, &then, ask->edits[i].limit));
        cli_print_json(json_build("{s:s, s:b, s:o}", "app", ask->app, "dry_run", ask->dry_run, "changes", all));
        return;
    }
    for (size_t i = 0; i < ask->edit_count; i++)
        print_change(cli, now, &then, ask->edits[i].limit);
    if (ask->dry_run)
        print_sums(cli, now, &then);
    puts(ask->dry_run ? "Nothing was changed." : "Saved; in force from the next push on.");
}

static int set(struct cli *cli, int argc, char **argv, struct err *e)
{
    struct ask ask = { 0 };
    struct limits now;
    struct limit_conflict conflicts[LIMIT_COUNT];
    size_t conflict_count;

    if (read_ask(cli, argc, argv, &ask, e) || read_limits(cli, &ask, &now, e))
        return e->code;
    if (!ask.dry_run && limits_set(ask.admin, ask.app, cli_actor(cli), ask.edits, ask.edit_count, cli->mem, conflicts,
                                   &conflict_count, e))
        return e->code;
    print_changes(cli, &ask, &now);
    return 0;
}

int command_quota_set(struct cli *cli, int argc, char **argv, struct err *e)
{
    return set(cli, argc, argv, e);
}

int command_ratelimit_set(struct cli *cli, int argc, char **argv, struct err *e)
{
    return set(cli, argc, argv, e);
}
