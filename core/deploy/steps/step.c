#include "core/deploy/steps/step.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/base/hash.h"
#include "core/base/test_point.h"
#include "core/base/text.h"

enum { NOTE_MAX = 2048 };

static const char *const kind_names[RESOURCE_KIND_COUNT] = {
    [RESOURCE_TASK_ROLE] = "task_role",       [RESOURCE_EXECUTION_ROLE] = "execution_role",
    [RESOURCE_BUILD_ROLE] = "build_role",     [RESOURCE_REPOSITORY] = "repository",
    [RESOURCE_LOG_GROUP] = "log_group",       [RESOURCE_BUILD_PROJECT] = "build_project",
    [RESOURCE_TARGET_GROUP] = "target_group", [RESOURCE_LISTENER_RULE] = "listener_rule",
    [RESOURCE_SERVICE] = "service",
};

/* The three parameters that every statement under the lease begins with. */
#define HELD(run) db_text((run)->app.name), db_int((run)->release.number), db_int((run)->release.lease_token)

#define POINT(run, action, moment) TEST_POINT(step_name_text((run)->release.step), action, moment)

/* A statement under the lease changed no row: its token is no longer the release's. */
static int still_held(const struct step_run *run, const struct db_rows *rows, struct err *e)
{
    if (db_count(rows) > 0)
        return 0;
    err_set(e, ERR_CONFLICT, "another worker has taken over release v%d of %s", run->release.number, run->app.name);
    return err_detail(e, LEASE_LOST);
}

static int renew(void *holder, struct err *e)
{
    AUTO_ROWS struct db_rows *rows = NULL;
    struct step_run *run = holder;

    POINT(run, "lease", "before");
    if (db_query(run->db, run->app.name, QUERY_LEASE_RENEW, &rows, e, HELD(run), db_int(run->lease.length_ms)) ||
        still_held(run, rows, e))
        return e->code;
    POINT(run, "lease", "after");
    return 0;
}

static struct lease *lease_of(struct step_run *run)
{
    run->lease.clock = run->clock;
    run->lease.renew = renew;
    run->lease.holder = run;
    return &run->lease;
}

int step_renew(struct step_run *run, struct err *e)
{
    return lease_renew(lease_of(run), e);
}

const struct aws_guard *step_guard(struct step_run *run)
{
    run->guard = lease_to_change(lease_of(run));
    return &run->guard;
}

int step_keep(struct step_run *run, struct err *e)
{
    return lease_keep(lease_of(run), e);
}

int step_read(struct step_run *run, const struct aws_service *service, const char *operation, json_object *ask,
              json_object **reply, struct err *e)
{
    const struct aws_guard keeper = lease_to_look(lease_of(run));

    return aws_call_guarded(run->aws, &keeper, service, operation, ask, reply, e);
}

int step_read_paged(struct step_run *run, const struct aws_service *service, const char *operation, json_object *ask,
                    const char *list, const char *token_out, const char *token_in, json_object **array, struct err *e)
{
    const struct aws_guard keeper = lease_to_look(lease_of(run));
    const struct aws_paging paging = { .list = list, .token_out = token_out, .token_in = token_in };

    return aws_call_paged_guarded(run->aws, &keeper, service, operation, ask, &paging, array, e);
}

/* "codebuild:StartBuild" to "StartBuild" */
static const char *bare(const char *operation)
{
    const char *colon = strchr(operation, ':');

    return colon ? colon + 1 : operation;
}

int step_intend(struct step_run *run, const char *operation, const char *target, int64_t *intent, struct err *e)
{
    AUTO_ROWS struct db_rows *rows = NULL;
    int64_t asked_ms = clock_monotonic_ms(run->clock);

    run->intended = bare(operation);
    POINT(run, run->intended, "before_intent");
    if (db_query(run->db, run->app.name, QUERY_INTENT_ADD, &rows, e, HELD(run), db_int(run->lease.length_ms),
                 db_text(operation), db_text(target)) ||
        still_held(run, rows, e))
        return e->code;
    run->lease.ends_ms = asked_ms + run->lease.length_ms;
    *intent = db_get_int(rows, 0, "id");
    POINT(run, run->intended, "after_intent");
    return 0;
}

int step_answered(struct step_run *run, int64_t intent, struct err *e)
{
    POINT(run, run->intended, "after_call");
    if (db_query(run->db, run->app.name, QUERY_INTENT_ANSWERED, NULL, e, db_text(run->app.name),
                 db_int(run->release.number), db_int(intent)))
        return e->code;
    POINT(run, run->intended, "after_answer");
    return 0;
}

/* Whether nothing was changed for sure: AWS has said no to the only try, or none was sent. Of more tries than one, an earlier one may have been carried out. */
static bool is_refusal(const struct step_run *run, const struct err *e)
{
    if (run->lease.sends == 0)
        return true;
    if (run->lease.sends > 1 || err_is(e, LEASE_LOST))
        return false;
    switch (e->code) {
    case ERR_THROTTLED:
    case ERR_CONFLICT:
    case ERR_DENIED:
    case ERR_NOT_FOUND:
    case ERR_INVALID:
    case ERR_QUOTA:
        return true;
    default:
        return false;
    }
}

/* Has no idempotency token, and makes another one each time: what became of it is looked up before it is asked again (task_definition.c). */
static bool is_asked_once(const char *operation)
{
    return strcmp(operation, "RegisterTaskDefinition") == 0;
}

int step_call(struct step_run *run, const struct aws_service *service, const char *operation, const char *target,
              json_object *ask, json_object **reply, struct err *e)
{
    const char *asked = arena_printf(run->mem, "%s:%s", service->signing_name, operation);
    AUTO_JSON json_object *answer = NULL;
    int64_t intent = 0;
    struct err unnoted = { 0 };

    if (step_intend(run, asked, target, &intent, e))
        return e->code;
    step_guard(run);
    run->guard.once = is_asked_once(operation);
    if (aws_call_guarded(run->aws, &run->guard, service, operation, ask, &answer, e)) {
        /* When the note is lost too, the next run looks once more than it needs to; AWS's refusal is what matters. */
        if (is_refusal(run, e))
            (void)step_answered(run, intent, &unnoted);
        return e->code;
    }
    if (step_answered(run, intent, e))
        return e->code;
    if (reply)
        *reply = json_hold(answer);
    return 0;
}

int step_left_open(struct step_run *run, const char *operation, const char *target, int64_t within_ms, bool *open,
                   struct err *e)
{
    AUTO_ROWS struct db_rows *rows = NULL;

    if (db_query(run->db, run->app.name, QUERY_INTENT_LEFT_OPEN, &rows, e, db_text(run->app.name),
                 db_int(run->release.number), db_text(operation), db_text(target), db_int(within_ms)))
        return e->code;
    *open = db_get_bool(rows, 0, "open");
    return 0;
}

int step_times_asked(struct step_run *run, const char *operation, int64_t *times, struct err *e)
{
    AUTO_ROWS struct db_rows *rows = NULL;

    if (db_query(run->db, run->app.name, QUERY_INTENT_COUNT, &rows, e, db_text(run->app.name),
                 db_int(run->release.number), db_text(operation)))
        return e->code;
    *times = db_get_int(rows, 0, "asked");
    return 0;
}

int step_note(struct step_run *run, const char *kind, struct err *e, const char *format, ...)
{
    AUTO_ROWS struct db_rows *rows = NULL;
    char written[NOTE_MAX], message[NOTE_MAX];
    va_list args;

    va_start(args, format);
    vsnprintf(written, sizeof written, format, args);
    va_end(args);
    text_excerpt(written, message, sizeof message); /* one line of well-formed UTF-8, wherever it was cut */
    POINT(run, "note", "before");
    if (db_query(run->db, run->app.name, QUERY_RELEASE_EVENT_ADD, &rows, e, HELD(run), db_text(kind),
                 db_text(message)) ||
        still_held(run, rows, e))
        return e->code;
    POINT(run, "note", "after");
    return 0;
}

static void keep(struct step_run *run, const char **fact, const char *value)
{
    if (value)
        *fact = arena_copy(run->mem, value);
}

int release_set(struct step_run *run, const struct release_facts *facts, struct err *e)
{
    AUTO_ROWS struct db_rows *rows = NULL;
    struct release *release = &run->release;

    POINT(run, "facts", "before");
    if (db_query(run->db, run->app.name, QUERY_RELEASE_SET, &rows, e, HELD(run), db_text(facts->source_version),
                 db_text(facts->build_id), db_text(facts->image_digest), db_text(facts->task_definition_arn),
                 db_text(facts->ecs_deployment_id), facts->build_attempt ? db_int(facts->build_attempt) : db_null()) ||
        still_held(run, rows, e))
        return e->code;
    keep(run, &release->source_version, facts->source_version);
    keep(run, &release->build_id, facts->build_id);
    keep(run, &release->image_digest, facts->image_digest);
    keep(run, &release->task_definition_arn, facts->task_definition_arn);
    keep(run, &release->ecs_deployment_id, facts->ecs_deployment_id);
    if (facts->build_attempt)
        release->build_attempt = facts->build_attempt;
    POINT(run, "facts", "after");
    return 0;
}

int resource_find(struct step_run *run, enum resource_kind kind, struct resource *out, struct err *e)
{
    AUTO_ROWS struct db_rows *rows = NULL;

    if (db_query(run->db, run->app.name, QUERY_RESOURCE_FIND, &rows, e, db_text(run->app.name),
                 db_text(kind_names[kind])))
        return e->code;
    *out = (struct resource){ 0 };
    if (db_count(rows) > 0)
        *out = (struct resource){
            .name = db_get_copy(rows, 0, "name", run->mem),
            .arn = db_get_copy(rows, 0, "arn", run->mem),
            .spec_hash = db_get_copy(rows, 0, "spec_hash", run->mem),
        };
    return 0;
}

int resource_record(struct step_run *run, enum resource_kind kind, const char *name, const char *arn,
                    const char *spec_hash, struct err *e)
{
    AUTO_ROWS struct db_rows *rows = NULL;

    POINT(run, "resource", "before");
    if (db_query(run->db, run->app.name, QUERY_RESOURCE_RECORD, &rows, e, HELD(run), db_text(kind_names[kind]),
                 db_text(name), db_text(arn), db_text(spec_hash)) ||
        still_held(run, rows, e))
        return e->code;
    POINT(run, "resource", "after");
    return 0;
}

const char *resource_kind_name(enum resource_kind kind)
{
    return kind_names[kind];
}

const char *spec_hash(struct arena *mem, const json_object *spec)
{
    const char *text = json_to_text(spec, mem);
    uint8_t digest[HASH_SIZE];
    char *hex = arena_alloc(mem, HASH_HEX_SIZE);

    hash_sha256(text, strlen(text), digest);
    hash_hex(digest, HASH_SIZE, hex);
    return hex;
}
