#include "core/deploy/poller.h"

#include <string.h>

#include "core/base/buf.h"
#include "core/base/hash.h"
#include "core/base/log.h"
#include "core/base/test_point.h"
#include "core/deploy/estate/ownership.h"
#include "core/tenant/names.h"

enum { PAUSE_LEAST_MS = 200 };

/* Rows `from` to `to` of what is due, asked about in one call. */
struct batch {
    const struct poller *poller;
    const struct db_rows *due;
    size_t from, to;
    struct arena *mem;
    struct buf apps, numbers; /* of those with news */
};

struct watch {
    const char *kind;
    size_t batch;
    int (*ask)(struct batch *batch, struct err *e);
};

static void has_news(struct batch *batch, size_t row)
{
    const char *comma = batch->apps.len ? "," : "";

    buf_printf(&batch->apps, "%s%s", comma, db_get(batch->due, row, "app_name"));
    buf_printf(&batch->numbers, "%s%s", comma, db_get(batch->due, row, "number"));
}

static int ask_builds(struct batch *batch, struct err *e)
{
    json_object *ids = json_new_array();
    AUTO_JSON json_object *ask = json_build("{s:o}", "ids", ids);
    AUTO_JSON json_object *reply = NULL;

    for (size_t i = batch->from; i < batch->to; i++)
        json_append(ids, json_text(db_get(batch->due, i, "build_id")));
    if (aws_call(batch->poller->aws, &CODEBUILD, "BatchGetBuilds", ask, &reply, e))
        return e->code;
    for (size_t i = batch->from; i < batch->to; i++) {
        const json_object *build = item_find(json_at(reply, "/builds"), "/id", db_get(batch->due, i, "build_id"));
        const char *status = json_find_text(build, "/buildStatus", batch->mem);
        if (!status || strcmp(status, "IN_PROGRESS") != 0)
            has_news(batch, i);
    }
    return 0;
}

/* Whether it still rolls out what the release waits for. */
static bool rolls_out(const json_object *service, const char *deployment, struct arena *mem)
{
    const json_object *primary = item_find(json_at(service, "/deployments"), "/status", "PRIMARY");
    const char *id = json_find_text(primary, "/id", mem);
    const char *state = json_find_text(primary, "/rolloutState", mem);

    return id && deployment && strcmp(id, deployment) == 0 && state && strcmp(state, "IN_PROGRESS") == 0;
}

static int ask_services(struct batch *batch, struct err *e)
{
    json_object *names = json_new_array();
    AUTO_JSON json_object *ask =
        json_build("{s:s, s:o}", "cluster", batch->poller->settings->cluster, "services", names);
    AUTO_JSON json_object *reply = NULL;

    for (size_t i = batch->from; i < batch->to; i++)
        json_append(names, json_text(name_service(batch->mem, db_get(batch->due, i, "app_name"))));
    if (aws_call(batch->poller->aws, &ECS, "DescribeServices", ask, &reply, e))
        return e->code;
    for (size_t i = batch->from; i < batch->to; i++) {
        const char *name = name_service(batch->mem, db_get(batch->due, i, "app_name"));
        const json_object *service = item_find(json_at(reply, "/services"), "/serviceName", name);
        if (!rolls_out(service, db_get(batch->due, i, "ecs_deployment_id"), batch->mem))
            has_news(batch, i);
    }
    return 0;
}

static const struct watch watches[] = {
    { "build", POLL_BUILDS_MAX, ask_builds },
    { "service", POLL_SERVICES_MAX, ask_services },
};

static int wake(struct batch *batch, const char *kind, struct err *e)
{
    AUTO_ROWS struct db_rows *rows = NULL;

    if (batch->apps.len == 0)
        return 0;
    if (batch->apps.failed || batch->numbers.failed)
        return err_set(e, ERR_NO_MEMORY, "no memory for the releases to wake");
    TEST_POINT("poller", "wake", "before");
    if (db_query_once(batch->poller->db, NULL, QUERY_POLLS_WAKE, &rows, e, db_text(kind),
                      db_text(buf_text(&batch->apps)), db_text(buf_text(&batch->numbers))))
        return e->code;
    TEST_POINT("poller", "wake", "after");
    return 0;
}

/*
 * AWS did not say: the releases look by themselves, and each tells in its timeline what is wrong. All of them when asking again is no use (a missing permission); else one, so
 * that something gets on, and a service in trouble isn't asked by all.
 */
static void let_look(struct batch *batch, const char *kind, const struct err *cause)
{
    bool all = !err_may_retry(cause);
    uint32_t random = 0;
    struct err e = { 0 };

    hash_random(&random, sizeof random);
    for (size_t i = batch->from; i < batch->to; i++)
        if (all || i == batch->from + random % (batch->to - batch->from))
            has_news(batch, i);
    if (wake(batch, kind, &e))
        log_err(LOG_WARN, "releases that AWS is not asked about were not woken", &e, log_text("kind", kind));
}

static int poll_batch(struct batch *batch, const struct watch *watch, struct err *e)
{
    AUTO_ARENA struct arena *mem = arena_new();
    int code;

    batch->mem = mem;
    code = watch->ask(batch, e);
    if (code)
        let_look(batch, watch->kind, e);
    else
        code = wake(batch, watch->kind, e);
    buf_free(&batch->apps);
    buf_free(&batch->numbers);
    return code;
}

static int poll_kind(const struct poller *poller, const struct watch *watch, size_t *asked, struct err *e)
{
    AUTO_ROWS struct db_rows *due = NULL;

    if (db_query_once(poller->db, NULL, QUERY_POLLS_DUE, &due, e, db_text(poller->holder), db_text(watch->kind),
                      db_int((int64_t)watch->batch)))
        return e->code;
    for (size_t from = 0; from < db_count(due); from += watch->batch) {
        size_t rest = db_count(due) - from;
        struct batch batch = {
            .poller = poller, .due = due, .from = from, .to = from + (rest < watch->batch ? rest : watch->batch)
        };
        if (poll_batch(&batch, watch, e))
            return e->code;
        *asked += batch.to - from;
    }
    return 0;
}

int poller_round(const struct poller *poller, int64_t *next_ms, struct err *e)
{
    AUTO_ROWS struct db_rows *rows = NULL;
    size_t asked = 0;
    int64_t due_ms;
    int code = 0;

    if (db_run_once(poller->db, NULL, QUERY_POLL_NEXT, NULL, 0, &rows, e))
        return e->code;
    due_ms = db_get(rows, 0, "due_ms") ? db_get_int(rows, 0, "due_ms") : POLL_LOOK_MS;
    if (due_ms > 0) {
        *next_ms = due_ms < POLL_LOOK_MS ? due_ms : POLL_LOOK_MS;
        return 0;
    }
    for (size_t i = 0; i < sizeof watches / sizeof *watches; i++) {
        struct err unasked = { 0 }; /* of one service: the other is asked all the same */
        if (poll_kind(poller, &watches[i], &asked, &unasked)) {
            *e = unasked;
            code = unasked.code;
        }
    }
    *next_ms = asked ? PAUSE_LEAST_MS : POLL_LOOK_MS; /* due, but not ours to ask: another worker polls */
    return code;
}
