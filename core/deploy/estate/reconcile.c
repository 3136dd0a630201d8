#include "core/deploy/estate/reconcile.h"

#include <string.h>

#include "core/deploy/estate/reconcile_parts.h"
#include "core/tenant/names.h"

const char *finding_kind_name(enum finding_kind kind)
{
    static const char *const names[FINDING_KIND_COUNT] = {
        [FINDING_MISSING] = "missing",
        [FINDING_CHANGED] = "changed",
        [FINDING_EXTRA_POLICY] = "extra policy",
        [FINDING_ORPHANED] = "orphaned",
        [FINDING_UNKNOWN] = "unknown",
        [FINDING_SLOT_FREE] = "slot without rule",
        [FINDING_SLOT_TAKEN] = "rule without slot",
    };

    return names[kind];
}

void finding_add(struct estate_place *place, struct findings *out, const struct finding *finding)
{
    if (out->count == out->room) {
        size_t room = out->room ? out->room * 2 : 16;
        struct finding *grown = arena_array(place->mem, room, sizeof *grown);
        if (out->count)
            memcpy(grown, out->items, out->count * sizeof *grown);
        out->items = grown;
        out->room = room;
    }
    out->items[out->count++] = *finding;
}

const struct resource_row *subject_row(const struct reconcile_subject *subject, const char *kind)
{
    for (size_t i = 0; i < subject->row_count; i++)
        if (strcmp(subject->rows[i].kind, kind) == 0)
            return &subject->rows[i];
    return NULL;
}

/* One app */

static const struct resource_row *row_of(const struct reconcile_subject *s, const struct estate_thing *thing)
{
    for (size_t i = 0; i < s->row_count; i++)
        if (thing->arn && strcmp(s->rows[i].arn, thing->arn) == 0)
            return &s->rows[i];
    return NULL;
}

static bool is_of(const struct estate_thing *thing, const char *app)
{
    return thing->owner && strcmp(thing->owner, app) == 0;
}

/* A secret whose fixed name is another app's. */
static bool is_misplaced(struct arena *mem, const struct estate_thing *thing, const char *app)
{
    return thing->kind == ESTATE_SECRET && strcmp(thing->name, name_hook_secret(mem, app)) != 0 &&
           strcmp(thing->name, name_config_secret(mem, app)) != 0;
}

static int compare_there(struct estate_place *place, const struct reconcile_subject *s, const struct estate *found,
                         struct findings *out, struct err *e)
{
    for (size_t i = 0; i < found->count; i++) {
        const struct estate_thing *thing = &found->things[i];
        const struct resource_row *row = row_of(s, thing);
        if (!is_of(thing, s->app.name))
            continue;
        if (row && drift_find(place, s, thing, row, out, e))
            return e->code;
        if ((!row && estate_resource_kinds(thing->kind)) || is_misplaced(place->mem, thing, s->app.name)) {
            const struct finding orphan = { .kind = FINDING_ORPHANED,
                                            .app = s->app.name,
                                            .what = estate_kind_name(thing->kind),
                                            .name = thing->name,
                                            .arn = thing->arn,
                                            .detail = "the app has no such thing on record",
                                            .thing = thing->kind,
                                            .owner = thing->owner,
                                            .state = thing->state };
            finding_add(place, out, &orphan);
        }
    }
    return 0;
}

static bool is_kind_of(enum estate_kind kind, const char *resource)
{
    const char *all = estate_resource_kinds(kind), *at = all ? strstr(all, resource) : NULL;
    size_t len = strlen(resource);

    return at && (at == all || at[-1] == ',') && (at[len] == '\0' || at[len] == ',');
}

enum estate_kind estate_kind_of_resource(const char *resource)
{
    int kind = 0;

    while (kind < ESTATE_KIND_COUNT && !is_kind_of((enum estate_kind)kind, resource))
        kind++;
    return (enum estate_kind)kind;
}

/* What isn't among the tagged things may be there without its tag. */
static int find_missing(struct estate_place *place, const struct reconcile_subject *s, const struct resource_row *row,
                        struct findings *out, struct err *e)
{
    AUTO_ESTATE struct estate named = { 0 };
    enum estate_kind kind = estate_kind_of_resource(row->kind);
    struct finding finding = { .kind = FINDING_MISSING,
                               .app = s->app.name,
                               .what = kind < ESTATE_KIND_COUNT ? estate_kind_name(kind) : row->kind,
                               .name = row->name,
                               .arn = row->arn,
                               .detail = "AWS has no such thing any more",
                               .thing = kind,
                               .resource = row->kind };

    if (kind < ESTATE_KIND_COUNT && estate_find(place, kind, s->app.name, &named, e))
        return e->code;
    for (size_t i = 0; i < named.count; i++) {
        if (!named.things[i].arn || strcmp(named.things[i].arn, row->arn) != 0)
            continue;
        if (is_of(&named.things[i], s->app.name)) /* it came meanwhile */
            return 0;
        finding.kind = FINDING_CHANGED;
        finding.detail = arena_printf(place->mem, "it is not tagged %s=%s any more", NAMES_TAG_APP, s->app.name);
        finding.hint = arena_printf(place->mem,
                                    "berth touches nothing that isn't tagged as the app's: tag it %s=%s, or remove it "
                                    "by hand.",
                                    NAMES_TAG_APP, s->app.name);
    }
    finding_add(place, out, &finding);
    return 0;
}

static int compare_rows(struct estate_place *place, const struct reconcile_subject *s, const struct estate *found,
                        struct findings *out, struct err *e)
{
    for (size_t i = 0; i < s->row_count; i++) {
        bool there = false;
        for (size_t j = 0; j < found->count && !there; j++)
            there = is_of(&found->things[j], s->app.name) && row_of(s, &found->things[j]) == &s->rows[i];
        if (!there && find_missing(place, s, &s->rows[i], out, e))
            return e->code;
    }
    return 0;
}

static void compare_secret(struct estate_place *place, const struct reconcile_subject *s, const struct estate *found,
                           struct findings *out)
{
    const char *name = name_hook_secret(place->mem, s->app.name);
    const struct finding missing = {
        .kind = FINDING_MISSING,
        .app = s->app.name,
        .what = estate_kind_name(ESTATE_SECRET),
        .name = name,
        .detail = "without it no push can be verified",
        .hint =
            arena_printf(place->mem, "`berth apps secret %s` makes a new one, to be pasted into GitHub.", s->app.name),
        .thing = ESTATE_SECRET,
    };

    for (size_t i = 0; i < found->count; i++)
        if (found->things[i].kind == ESTATE_SECRET && is_of(&found->things[i], s->app.name) &&
            strcmp(found->things[i].name, name) == 0)
            return;
    finding_add(place, out, &missing);
}

static int is_busy(struct db *db, const struct app *app, bool *busy, struct err *e)
{
    AUTO_ROWS struct db_rows *rows = NULL;

    *busy = strcmp(app->state, "deleting") == 0;
    if (*busy)
        return 0;
    if (db_query(db, app->name, QUERY_RELEASE_UNDER_WAY, &rows, e, db_text(app->name)))
        return e->code;
    *busy = db_count(rows) > 0;
    return 0;
}

static void skip(struct estate_place *place, struct findings *out, const char *app)
{
    const char **grown = arena_array(place->mem, out->busy_count + 1, sizeof *grown);

    if (out->busy_count)
        memcpy(grown, out->busy, out->busy_count * sizeof *grown);
    grown[out->busy_count++] = app;
    out->busy = grown;
}

/* The rows are read after AWS was, so that nothing recorded meanwhile passes for left over. */
static int compare_app(struct db *db, struct estate_place *place, const struct app *app, const struct estate *found,
                       struct findings *out, struct err *e)
{
    struct reconcile_subject s = { .app = *app };
    struct resource_row *rows = NULL;
    bool busy = false;

    if (strcmp(app->state, "deleted") == 0)
        return 0;
    if (is_busy(db, app, &busy, e))
        return e->code;
    if (busy) {
        skip(place, out, app->name);
        return 0;
    }
    if (app_resources(db, app->name, place->mem, &rows, &s.row_count, e) ||
        deployment_find(db, app->name, place->mem, &s.live, e) ||
        (s.live.release && release_app(db, app->name, s.live.release, place->mem, &s.app, e)))
        return e->code;
    s.rows = rows;
    out->apps++;
    compare_secret(place, &s, found, out);
    if (compare_there(place, &s, found, out, e) || compare_rows(place, &s, found, out, e))
        return e->code;
    return 0;
}

/* What no app claims */

static const struct app *app_named(const struct app *apps, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(apps[i].name, name) == 0)
            return &apps[i];
    return NULL;
}

static void find_unclaimed(struct estate_place *place, const struct app *apps, size_t app_count,
                           const struct estate *found, struct findings *out)
{
    for (size_t i = 0; i < found->count; i++) {
        const struct estate_thing *thing = &found->things[i];
        const struct app *app = thing->owner ? app_named(apps, app_count, thing->owner) : NULL;
        struct finding finding = { .kind = app ? FINDING_ORPHANED : FINDING_UNKNOWN,
                                   .app = thing->owner,
                                   .what = estate_kind_name(thing->kind),
                                   .name = thing->name,
                                   .arn = thing->arn,
                                   .thing = thing->kind,
                                   .owner = thing->owner,
                                   .state = thing->state,
                                   .app_gone = true };
        if (!thing->owner || (app && strcmp(app->state, "deleted") != 0))
            continue;
        finding.detail = app ? arena_printf(place->mem, "the app %s was destroyed", thing->owner)
                             : arena_printf(place->mem, "this database never had an app named %s", thing->owner);
        if (!app)
            finding.hint = arena_printf(place->mem,
                                        "It may be that of another berth in this account. If it is not: "
                                        "berth reconcile %s --fix",
                                        thing->owner);
        finding_add(place, out, &finding);
    }
}

static int read_apps(struct db *db, struct estate_place *place, const char *only, struct app **apps, size_t *count,
                     struct err *e)
{
    struct app *one;

    if (!only)
        return app_list(db, place->mem, apps, count, e);
    one = arena_array(place->mem, 1, sizeof *one);
    *apps = one;
    *count = 0;
    if (!app_get(db, only, place->mem, one, e)) {
        *count = 1;
        return 0;
    }
    return e->code == ERR_NOT_FOUND ? 0 : (int)e->code;
}

int reconcile_look(struct db *db, struct estate_place *place, const char *only, struct findings *out, struct err *e)
{
    AUTO_ESTATE struct estate found = { 0 };
    struct app *apps = NULL;
    size_t count = 0;

    for (int kind = 0; kind < ESTATE_KIND_COUNT; kind++)
        if (estate_find(place, (enum estate_kind)kind, only, &found, e))
            return e->code;
    if (read_apps(db, place, only, &apps, &count, e))
        return e->code;
    if (only && count == 0 && found.count == 0)
        return e->code; /* there is no such app: app_get has said so */
    *e = (struct err){ 0 };
    for (size_t i = 0; i < count; i++)
        if (compare_app(db, place, &apps[i], &found, out, e))
            return e->code;
    find_unclaimed(place, apps, count, &found, out);
    return slots_compare(db, place, only, out, e);
}
