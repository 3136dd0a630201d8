#include "core/deploy/intake.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/fatal.h"
#include "core/base/hash.h"
#include "core/base/log.h"
#include "core/base/text.h"

enum {
    WAKE_PAUSE_MS = 5, /* one NOTIFY serves all commits of that time */
    WAKE_RETRY_MS = 1000
};

struct intake {
    struct db_pool *pool;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool pending; /* something was committed that no NOTIFY has told of */
    bool stop;
};

static const char *const outcome_names[INTAKE_OUTCOME_COUNT] = {
    [INTAKE_ACCEPTED] = "accepted",
    [INTAKE_IGNORED] = "ignored",
    [INTAKE_DUPLICATE] = "duplicate",
    [INTAKE_PAUSED] = "paused",
    [INTAKE_LIMITED] = "limited",
    [INTAKE_OVER_QUOTA] = "over_quota",
    [INTAKE_OTHER_REPOSITORY] = "other_repository",
    [INTAKE_UNKNOWN] = "unknown",
};

const char *intake_outcome_name(enum intake_outcome outcome)
{
    return outcome_names[outcome];
}

/* ---- waking the workers ---- */

/* Waits until there is something to tell; false: it is over. */
static bool await_commits(struct intake *intake)
{
    pthread_mutex_lock(&intake->lock);
    while (!intake->pending && !intake->stop)
        pthread_cond_wait(&intake->changed, &intake->lock);
    bool tell = intake->pending;
    intake->pending = false;
    pthread_mutex_unlock(&intake->lock);
    return tell;
}

static bool is_stopping(struct intake *intake)
{
    pthread_mutex_lock(&intake->lock);
    bool stop = intake->stop;
    pthread_mutex_unlock(&intake->lock);
    return stop;
}

static void mark_pending(struct intake *intake)
{
    pthread_mutex_lock(&intake->lock);
    intake->pending = true;
    pthread_cond_signal(&intake->changed);
    pthread_mutex_unlock(&intake->lock);
}

/* Workers look by themselves too, so a NOTIFY that can't be sent delays, and loses nothing. */
static void *wake_workers(void *context)
{
    struct intake *intake = context;
    struct err e = { 0 };

    while (await_commits(intake)) {
        if (db_run_once(intake->pool, NULL, QUERY_NOTIFY_RELEASES, NULL, 0, NULL, &e) == 0) {
            clock_sleep_ms(&clock_system, WAKE_PAUSE_MS);
            continue;
        }
        log_err(LOG_WARN, "workers could not be woken", &e, log_text("channel", "berth_releases"));
        if (is_stopping(intake))
            break;
        clock_sleep_ms(&clock_system, WAKE_RETRY_MS);
        mark_pending(intake);
    }
    return NULL;
}

int intake_new(struct db_pool *hooks, struct intake **out, struct err *e)
{
    struct intake *intake = calloc(1, sizeof(*intake));

    if (!intake)
        fatal_no_memory();
    intake->pool = hooks;
    pthread_mutex_init(&intake->lock, NULL);
    pthread_cond_init(&intake->changed, NULL);

    int failure = pthread_create(&intake->thread, NULL, wake_workers, intake);
    if (failure != 0) {
        pthread_cond_destroy(&intake->changed);
        pthread_mutex_destroy(&intake->lock);
        free(intake);
        return err_set(e, ERR_INTERNAL, "cannot start the thread that wakes the workers: %s", strerror(failure));
    }
    *out = intake;
    return 0;
}

void intake_free(struct intake *intake)
{
    if (!intake)
        return;
    pthread_mutex_lock(&intake->lock);
    intake->stop = true;
    pthread_cond_signal(&intake->changed);
    pthread_mutex_unlock(&intake->lock);
    pthread_join(intake->thread, NULL);
    pthread_cond_destroy(&intake->changed);
    pthread_mutex_destroy(&intake->lock);
    free(intake);
}

/* ---- taking a delivery in ---- */

static int read_outcome(const char *name, enum intake_outcome *out, struct err *e)
{
    for (int i = 0; i < INTAKE_OUTCOME_COUNT; i++) {
        if (strcmp(outcome_names[i], name) == 0) {
            *out = (enum intake_outcome)i;
            return 0;
        }
    }
    return err_set(e, ERR_INTERNAL, "berth.take_delivery gave the outcome \"%s\", which this version does not know",
                   name);
}

static int ask(struct intake *intake, const struct delivery *delivery, bool again, struct db_rows **rows, struct err *e)
{
    const struct github_event *event = delivery->event;

    return db_query_once(intake->pool, NULL, QUERY_INTAKE, rows, e, db_text(delivery->app), db_text(delivery->id),
                         db_text(event->name), db_text(event->ignored), db_bytes(delivery->body_sha256, HASH_SIZE),
                         db_bytes(delivery->body, delivery->body_len), db_text(event->repository),
                         event->repository ? db_int(event->repository_id) : db_null(), db_text(event->branch),
                         db_text(event->commit_sha), db_text(event->commit_title), db_text(event->pushed_by),
                         db_bool(again));
}

/*
 * The connection was lost (08, or 57P: the server went down), so whether the statement was committed isn't known. With 08001 there was no connection to
 * begin with.
 */
static bool is_answer_lost(const struct err *e)
{
    return e->code == ERR_TRANSIENT && !err_is(e, "08001") &&
           (text_starts(e->detail, "08") || text_starts(e->detail, "57P"));
}

/* Another transaction was in the way, and nothing was committed. */
static bool is_conflict(const struct err *e)
{
    return e->code == ERR_CONFLICT;
}

static void read_answer(const struct db_rows *rows, struct arena *mem, struct intake_answer *out)
{
    out->reason = db_get_copy(rows, 0, "reason", mem);
    out->hint = db_get_copy(rows, 0, "hint", mem);
    out->release = (int)db_get_int(rows, 0, "release");
    out->wait_ms = db_get(rows, 0, "wait_ms") ? db_get_int(rows, 0, "wait_ms") : -1;
    out->bucket.burst = db_get_int(rows, 0, "burst");
    out->bucket.per_hour = db_get_int(rows, 0, "per_hour");
    out->bucket.tokens = db_get_int(rows, 0, "tokens");
    out->quota.name = db_get_copy(rows, 0, "quota", mem);
    out->quota.used = db_get_int(rows, 0, "quota_used");
    out->quota.needed = db_get_int(rows, 0, "quota_needed");
    out->quota.limit = db_get_int(rows, 0, "quota_limit");
}

int intake_take(struct intake *intake, const struct delivery *delivery, struct arena *mem, struct intake_answer *out,
                struct err *e)
{
    AUTO_ROWS struct db_rows *rows = NULL;
    struct intake_answer answer = { 0 };

    int code = ask(intake, delivery, false, &rows, e);
    if (code && (is_answer_lost(e) || is_conflict(e)))
        code = ask(intake, delivery, is_answer_lost(e), &rows, e);
    if (code)
        return code;

    if (read_outcome(db_get(rows, 0, "outcome"), &answer.outcome, e))
        return (int)e->code;
    read_answer(rows, mem, &answer);
    /* A limited one too: a worker is to know when the branch is looked at again. */
    if (answer.outcome == INTAKE_ACCEPTED || answer.outcome == INTAKE_LIMITED || answer.outcome == INTAKE_OVER_QUOTA)
        mark_pending(intake);
    *out = answer;
    return 0;
}
