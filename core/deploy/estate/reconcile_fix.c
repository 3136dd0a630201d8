/* What can be done about what reconcile found. Each app's fix is a transaction that holds the app's row, so that no release begins meanwhile. */
#include <string.h>

#include "core/deploy/estate/reconcile_parts.h"
#include "core/deploy/estate/teardown.h"

struct fix {
    struct db *db;
    struct estate_place *place;
    struct findings *found;
    const char *actor;
};

static bool is_of(const struct finding *f, const char *app, enum finding_kind kind)
{
    return f->kind == kind && f->app && strcmp(f->app, app) == 0 && !f->hint;
}

static void mark(struct fix *fix, const char *app, enum finding_kind kind, const char *done)
{
    for (size_t i = 0; i < fix->found->count; i++)
        if (is_of(&fix->found->items[i], app, kind))
            fix->found->items[i].fixed = done;
}

static int audit(struct fix *fix, const char *app, const char *what, struct err *e)
{
    AUTO_JSON json_object *after = json_build("{s:s}", "done", what);

    return db_query(fix->db, app, QUERY_AUDIT_ADD, NULL, e, db_text(fix->actor), db_text("app.reconcile"), db_text(app),
                    db_null(), db_text(json_to_text(after, fix->place->mem)));
}

/* Until the transaction's end no release of the app begins. *state NULL: there is no such app; *busy: a release of it is on its way. */
static int lock(struct fix *fix, const char *app, const char **state, bool *busy, struct err *e)
{
    AUTO_ROWS struct db_rows *rows = NULL, *under_way = NULL;

    if (db_query(fix->db, app, QUERY_APP_LOCK, &rows, e, db_text(app)) ||
        db_query(fix->db, app, QUERY_RELEASE_UNDER_WAY, &under_way, e, db_text(app)))
        return e->code;
    *state = db_count(rows) > 0 ? db_get_copy(rows, 0, "state", fix->place->mem) : NULL;
    *busy = db_count(under_way) > 0;
    return 0;
}

/* *is_free: it is there, and neither a release nor a teardown of it is on its way. */
static int lock_app(struct fix *fix, const char *app, bool *is_free, struct err *e)
{
    const char *state = NULL;
    bool busy = false;

    *is_free = false;
    if (lock(fix, app, &state, &busy, e))
        return e->code;
    *is_free = state && strncmp(state, "delet", 5) != 0 && !busy;
    return 0;
}

static const char under_way[] = "A release or the teardown of the app began meanwhile: look again when it has ended.";

/* Missing and changed */

static const char *outdated_kinds(const struct fix *fix, const char *app, bool *image_gone)
{
    AUTO_BUF struct buf kinds = { 0 };

    for (size_t i = 0; i < fix->found->count; i++) {
        const struct finding *f = &fix->found->items[i];
        if (!f->resource || (!is_of(f, app, FINDING_MISSING) && !is_of(f, app, FINDING_CHANGED)))
            continue;
        buf_printf(&kinds, "%s%s", kinds.len ? "," : "", f->resource);
        *image_gone = *image_gone || (f->kind == FINDING_MISSING && f->thing == ESTATE_REPOSITORY);
    }
    return kinds.len ? arena_copy(fix->place->mem, buf_text(&kinds)) : NULL;
}

/* What is live once more, through the steps that make things; with its image, unless that went with its repository. */
static int queue_again(struct fix *fix, const char *app, const struct deployment *live, bool image_gone, int *made,
                       struct err *e)
{
    AUTO_ROWS struct db_rows *rows = NULL;

    if (db_query(fix->db, app, QUERY_RELEASE_REPAIR, &rows, e, db_text(app), db_text("redeploy"),
                 db_text(live->commit_sha), db_text("Made anew by reconcile"), db_text(fix->actor),
                 image_gone ? db_null() : db_int(live->release),
                 db_text("Queued by reconcile, to make anew what is missing or was changed on AWS.")))
        return e->code;
    *made = (int)db_get_int(rows, 0, "number");
    if (!image_gone && db_query(fix->db, app, QUERY_RELEASE_BEGIN_AT, NULL, e, db_text(app), db_int(*made),
                                db_text(step_name_text(STEP_IDENTITY))))
        return e->code;
    return db_run(fix->db, app, QUERY_NOTIFY_RELEASES, NULL, 0, NULL, e);
}

static int make_anew(struct fix *fix, const char *app, const char **done, struct err *e)
{
    struct deployment live = { 0 };
    bool is_free = false, image_gone = false;
    const char *kinds = outdated_kinds(fix, app, &image_gone);
    int made = 0;

    *done = NULL;
    if (lock_app(fix, app, &is_free, e))
        return e->code;
    if (!is_free)
        return 0;
    if (db_query(fix->db, app, QUERY_RESOURCE_OUTDATE, NULL, e, db_text(app), db_text(kinds)) ||
        deployment_find(fix->db, app, fix->place->mem, &live, e) ||
        (live.release && queue_again(fix, app, &live, image_gone, &made, e)))
        return e->code;
    *done = made ? arena_printf(fix->place->mem, "v%d makes it anew", made) : "the next release makes it anew";
    return audit(fix, app, *done, e);
}

static int fix_made(struct fix *fix, const char *app, struct err *e)
{
    const char *done = NULL;

    if (db_begin(fix->db, app, e))
        return e->code;
    if (make_anew(fix, app, &done, e)) {
        db_rollback(fix->db);
        return e->code;
    }
    if (db_commit(fix->db, e))
        return e->code;
    if (done) {
        mark(fix, app, FINDING_MISSING, done);
        mark(fix, app, FINDING_CHANGED, done);
    }
    return 0;
}

/* What a live app has too much */

static int remove_policy(struct fix *fix, const struct finding *f, struct err *e)
{
    const char *policy = f->detail + strlen("policy ");
    bool attached = strncmp(policy, "arn:", 4) == 0;
    AUTO_JSON json_object *ask =
        json_build("{s:s, s:s}", "RoleName", f->name, attached ? "PolicyArn" : "PolicyName", policy);

    if (attached ? aws_call(fix->place->aws, &IAM, "DetachRolePolicy", ask, NULL, e)
                 : aws_call(fix->place->aws, &IAM, "DeleteRolePolicy", ask, NULL, e))
        return err_is(e, "NoSuchEntity") ? 0 : (int)e->code;
    return 0;
}

/*
 * Whether a release took it up after it was found: by its ARN, or by the name that it would be removed by, which is another's by now. A rule has no name of its own:
 * what is called so is its host.
 */
static bool is_recorded(const struct finding *f, const struct resource_row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        bool same_kind = estate_kind_of_resource(rows[i].kind) == f->thing && f->thing != ESTATE_LISTENER_RULE;
        if ((f->arn && strcmp(rows[i].arn, f->arn) == 0) || (same_kind && strcmp(rows[i].name, f->name) == 0))
            return true;
    }
    return false;
}

static int remove_thing(struct fix *fix, struct finding *f, struct err *e)
{
    const struct estate_thing thing = {
        .kind = f->thing, .name = f->name, .arn = f->arn, .owner = f->owner, .state = f->state
    };
    struct resource_row *rows = NULL;
    size_t count = 0;

    if (app_resources(fix->db, f->app, fix->place->mem, &rows, &count, e))
        return e->code;
    if (!is_recorded(f, rows, count))
        return estate_remove(fix->place, &thing, f->app, e);
    f->fixed = "left alone: it is on record by now";
    return 0;
}

/* Under the app's lock, which keeps releases from beginning: what isn't on record now is nobody's. */
static int remove_extra(struct fix *fix, struct finding *f, struct err *e)
{
    bool is_free = false;

    if (lock_app(fix, f->app, &is_free, e))
        return e->code;
    if (!is_free) {
        f->hint = under_way;
        return 0;
    }
    if (f->kind == FINDING_EXTRA_POLICY ? remove_policy(fix, f, e) : remove_thing(fix, f, e))
        return e->code;
    *e = (struct err){ 0 };
    if (f->fixed)
        return 0;
    if (audit(fix, f->app, arena_printf(fix->place->mem, "removed %s %s", f->what, f->name), e))
        return e->code;
    f->fixed = "removed";
    return 0;
}

static int fix_extra(struct fix *fix, struct finding *f, struct err *e)
{
    if (db_begin(fix->db, f->app, e))
        return e->code;
    if (remove_extra(fix, f, e)) {
        db_rollback(fix->db);
        return e->code;
    }
    return db_commit(fix->db, e);
}

/* What is left of apps that are gone: by their teardown, once for all of it. */
static int fix_left_over(struct fix *fix, const char *app, enum finding_kind kind, struct err *e)
{
    bool begun = false;

    if (teardown_start_unknown(fix->db, app, fix->actor, &begun, e))
        return e->code;
    for (size_t i = 0; i < fix->found->count; i++) {
        struct finding *f = &fix->found->items[i];
        if (f->kind == kind && f->app && strcmp(f->app, app) == 0) {
            f->fixed = "a worker removes it";
            f->hint = NULL;
        }
    }
    return 0;
}

/* Slots */

/* A slot is changed only as it was found; *changed false: it isn't so any more. */
static int free_slot(struct fix *fix, const struct finding *f, bool *changed, struct err *e)
{
    AUTO_ROWS struct db_rows *freed = NULL;
    const char *state = NULL;
    bool busy = false;

    if (f->app && lock(fix, f->app, &state, &busy, e))
        return e->code;
    if (db_query(fix->db, f->app, QUERY_LISTENER_SLOT_FREE, &freed, e, db_text(f->arn), db_int(f->priority),
                 db_text(f->app)))
        return e->code;
    *changed = db_count(freed) > 0;
    return 0;
}

static int move_slot(struct fix *fix, const struct finding *f, bool *changed, struct err *e)
{
    AUTO_ROWS struct db_rows *set = NULL;
    const char *state = NULL;
    bool busy = false;

    if (f->app && lock(fix, f->app, &state, &busy, e))
        return e->code;
    if (busy)
        return 0;
    if (f->app && db_query(fix->db, f->app, QUERY_LISTENER_SLOT_LEAVE, NULL, e, db_text(f->app)))
        return e->code;
    /* An app that this database never had is somebody else. */
    if (db_query(fix->db, f->app, QUERY_LISTENER_SLOT_SET, &set, e, db_text(f->arn), db_int(f->priority),
                 db_text(state ? f->app : NULL)))
        return e->code;
    *changed = db_count(set) > 0;
    return 0;
}

static int fix_slot(struct fix *fix, struct finding *f, struct err *e)
{
    bool unused = f->kind == FINDING_SLOT_FREE, changed = false;

    if (db_begin(fix->db, f->app, e))
        return e->code;
    if (unused ? free_slot(fix, f, &changed, e) : move_slot(fix, f, &changed, e)) {
        db_rollback(fix->db);
        return e->code;
    }
    if (db_commit(fix->db, e))
        return e->code;
    if (!changed)
        f->hint = "The slot changed, or a release of the app began, after the look: it was left alone. Look again.";
    else
        f->fixed = unused ? "freed" : f->app ? "the slot says so now" : "marked as taken";
    return 0;
}

static int fix_one(struct fix *fix, struct finding *f, bool named, struct err *e)
{
    switch (f->kind) {
    case FINDING_MISSING:
    case FINDING_CHANGED:
        return f->hint || !f->resource ? 0 : fix_made(fix, f->app, e);
    case FINDING_EXTRA_POLICY:
        return fix_extra(fix, f, e);
    case FINDING_ORPHANED:
        return f->app_gone ? fix_left_over(fix, f->app, FINDING_ORPHANED, e) : fix_extra(fix, f, e);
    case FINDING_UNKNOWN:
        return named ? fix_left_over(fix, f->app, FINDING_UNKNOWN, e) : 0;
    case FINDING_SLOT_FREE:
    case FINDING_SLOT_TAKEN:
        return fix_slot(fix, f, e);
    case FINDING_KIND_COUNT:
        break;
    }
    return 0;
}

/* Slots first: what is made anew takes its place from them. */
int reconcile_fix(struct db *db, struct estate_place *place, struct findings *found, bool named, const char *actor,
                  struct err *e)
{
    struct fix fix = { .db = db, .place = place, .found = found, .actor = actor };

    for (int pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < found->count; i++) {
            struct finding *f = &found->items[i];
            bool slot = f->kind == FINDING_SLOT_FREE || f->kind == FINDING_SLOT_TAKEN;
            if (slot == (pass == 0) && !f->fixed && fix_one(&fix, f, named, e))
                return e->code;
        }
    return 0;
}
