/* The worker's side of a teardown: its steps, and one turn of it under a lease. */
#include <string.h>

#include "core/base/hash.h"
#include "core/base/test_point.h"
#include "core/base/text.h"
#include "core/deploy/estate/teardown.h"
#include "core/deploy/permission.h"
#include "core/deploy/pipeline.h"
#include "core/deploy/steps/step.h"
#include "core/deploy/summary.h"

enum {
    POLL_S = 5,
    SETTLE_MS = 30000, /* by then what a lost call made shows in AWS' answers */
    MOVE_PAUSE_MS = 200
};

struct teardown_run {
    struct turn_place *place;
    struct db *db; /* of one step */
    struct arena *mem;
    const char *app;
    int64_t token;
    struct lease lease;
    struct teardown teardown;
    struct estate_place estate;
};

struct teardown_step {
    const char *name;
    int (*run)(struct teardown_run *run, const struct teardown_step *step, enum step_answer *answer, struct err *e);
    enum estate_kind kind;
    int give_up_s;
};

#define HELD(run) db_text((run)->app), db_int((run)->token)

static int lost(const struct teardown_run *run, struct err *e)
{
    err_set(e, ERR_CONFLICT, "another worker has taken over the teardown of %s", run->app);
    return err_detail(e, LEASE_LOST);
}

static int renew(void *holder, struct err *e)
{
    struct teardown_run *run = holder;
    AUTO_ROWS struct db_rows *rows = NULL;

    TEST_POINT("teardown", "lease", "before");
    if (db_query(run->db, run->app, QUERY_TEARDOWN_RENEW, &rows, e, HELD(run), db_int(run->place->lease_ms)))
        return e->code;
    TEST_POINT("teardown", "lease", "after");
    return db_count(rows) > 0 ? 0 : lost(run, e);
}

/* The steps */

static int stop_builds(struct teardown_run *run, const struct teardown_step *step, enum step_answer *answer,
                       struct err *e)
{
    size_t left = 0;

    (void)step;
    if (estate_stop_builds(&run->estate, run->app, &left, e))
        return e->code;
    *answer = left ? STEP_WAIT : STEP_DONE;
    return 0;
}

static bool is_recorded(const struct resource_row *rows, size_t count, const struct estate_thing *thing)
{
    for (size_t i = 0; i < count; i++)
        if (thing->arn && strcmp(rows[i].arn, thing->arn) == 0)
            return true;
    return false;
}

/*
 * Removes what is there of the app. What only has its name is somebody else's and stays; but a thing that is on record and has lost its tag is one that a person
 * must decide about: estate_remove refuses it.
 */
static int remove_found(struct teardown_run *run, enum estate_kind kind, size_t *left, struct err *e)
{
    AUTO_ESTATE struct estate found = { 0 };
    struct resource_row *rows = NULL;
    size_t row_count = 0;

    *left = 0;
    if (estate_find(&run->estate, kind, run->app, &found, e) ||
        app_resources(run->db, run->app, run->mem, &rows, &row_count, e))
        return e->code;
    for (size_t i = 0; i < found.count; i++) {
        const struct estate_thing *thing = &found.things[i];
        bool ours = thing->owner && strcmp(thing->owner, run->app) == 0;
        if (!ours && !is_recorded(rows, row_count, thing))
            continue;
        if (estate_remove(&run->estate, thing, run->app, e))
            return e->code;
        ++*left;
    }
    return 0;
}

static int forget(struct teardown_run *run, const struct teardown_step *step, struct err *e)
{
    const char *kinds = estate_resource_kinds(step->kind);

    TEST_POINT("teardown", "forget", "before");
    if (kinds && db_query(run->db, run->app, QUERY_TEARDOWN_FORGET, NULL, e, HELD(run), db_text(kinds)))
        return e->code;
    /* Its rule went in the step before: AWS has confirmed both absent. */
    if (step->kind == ESTATE_TARGET_GROUP && db_query(run->db, run->app, QUERY_TEARDOWN_FREE_SLOT, NULL, e, HELD(run)))
        return e->code;
    TEST_POINT("teardown", "forget", "after");
    return 0;
}

/*
 * The group that can't go is still a rule's: DescribeRules comes in pages, and while other apps' rules are deleted the next page may begin past ours, so the step before
 * took it for gone. It is looked for again; 0 when one was found, and is gone now.
 */
static int remove_missed_rules(struct teardown_run *run, struct err *e)
{
    const struct err in_use = *e;
    size_t rules = 0;

    *e = (struct err){ 0 };
    if (remove_found(run, ESTATE_LISTENER_RULE, &rules, e))
        return e->code;
    *e = rules ? (struct err){ 0 } : in_use; /* a page may show a rule that the one before had, too: gone by then */
    return e->code;
}

static int remove_kind(struct teardown_run *run, const struct teardown_step *step, enum step_answer *answer,
                       struct err *e)
{
    size_t left = 0;

    if (remove_found(run, step->kind, &left, e)) {
        if (step->kind != ESTATE_TARGET_GROUP || !err_is(e, "ResourceInUse") || remove_missed_rules(run, e))
            return e->code;
        *answer = STEP_WAIT;
        return 0;
    }
    if (left && remove_found(run, step->kind, &left, e))
        return e->code;
    *answer = left ? STEP_WAIT : STEP_DONE;
    return left ? 0 : forget(run, step, e);
}

/* Once more over everything: what a call made whose answer was lost may have shown only after its step had passed. */
static int confirm(struct teardown_run *run, const struct teardown_step *step, enum step_answer *answer, struct err *e)
{
    AUTO_ROWS struct db_rows *rows = NULL;

    (void)step;
    *answer = STEP_WAIT;
    if (db_query(run->db, run->app, QUERY_TEARDOWN_SETTLED, &rows, e, db_text(run->app), db_int(SETTLE_MS)))
        return e->code;
    if (db_get_int(rows, 0, "wait_ms") > 0)
        return 0;
    for (int kind = 0; kind < ESTATE_KIND_COUNT; kind++) {
        size_t left = 0;
        if (remove_found(run, (enum estate_kind)kind, &left, e))
            return e->code;
        if (left)
            return 0;
    }
    if (db_get_int(rows, 0, "recorded") > 0)
        return err_set(e, ERR_INTERNAL, "resources of %s are on record that no step removes", run->app);
    *answer = STEP_DONE;
    return 0;
}

/* clang-format off */
static const struct teardown_step steps[] = {
    { "builds",           stop_builds, ESTATE_KIND_COUNT,      600  },
    { "service",          remove_kind, ESTATE_SERVICE,         1800 },
    { "listener rule",    remove_kind, ESTATE_LISTENER_RULE,   900  },
    { "target group",     remove_kind, ESTATE_TARGET_GROUP,    900  },
    { "task definitions", remove_kind, ESTATE_TASK_DEFINITION, 3600 },
    { "late builds",      stop_builds, ESTATE_KIND_COUNT,      600  }, /* that were started right before, and not shown yet */
    { "build project",    remove_kind, ESTATE_BUILD_PROJECT,   900  },
    { "image repository", remove_kind, ESTATE_REPOSITORY,      900  },
    { "log group",        remove_kind, ESTATE_LOG_GROUP,       900  },
    { "roles",            remove_kind, ESTATE_ROLE,            900  },
    { "source archives",  remove_kind, ESTATE_SOURCE,          7200 },
    { "secrets",          remove_kind, ESTATE_SECRET,          900  },
    { "confirm",          confirm,     ESTATE_KIND_COUNT,      1800 },
};
/* clang-format on */
enum { STEPS = sizeof steps / sizeof *steps };

/* The moves */

static const struct teardown_step *step_named(const char *name)
{
    for (size_t i = 0; i < STEPS; i++)
        if (strcmp(steps[i].name, name) == 0)
            return &steps[i];
    return &steps[0]; /* of another version of berth: from the beginning, which is safe */
}

enum move_of { TO_NEXT, TO_PAUSE, TO_FAIL, TO_FINISH };

struct teardown_move {
    enum move_of kind;
    const char *next, *error, *hint;
    bool waited;
    int64_t delay_ms;
};

/* What Postgres takes as text, whatever an outside service put into an error. */
static struct db_param clean(const char *text, char room[ERR_TEXT_MAX])
{
    if (!text || !*text)
        return db_null();
    text_excerpt(text, room, ERR_TEXT_MAX);
    return db_text(room);
}

static int move(struct teardown_run *run, const struct teardown_move *to, bool *held, struct err *e)
{
    AUTO_ROWS struct db_rows *rows = NULL;
    AUTO_DB struct db *db = NULL;
    char error[ERR_TEXT_MAX], hint[ERR_TEXT_MAX];
    int code = 0;

    if (db_take(run->place->options->db, &db, e))
        return e->code;
    TEST_POINT("teardown", "move", "before");
    if (to->kind == TO_NEXT)
        code = db_query(db, run->app, QUERY_TEARDOWN_NEXT, &rows, e, HELD(run), db_text(to->next),
                        db_int(run->place->lease_ms));
    else if (to->kind == TO_PAUSE)
        code = db_query(db, run->app, QUERY_TEARDOWN_PAUSE, &rows, e, HELD(run), db_int(to->delay_ms),
                        db_bool(to->waited), clean(to->error, error), clean(to->hint, hint));
    else if (to->kind == TO_FAIL)
        code = db_query(db, run->app, QUERY_TEARDOWN_FAIL, &rows, e, HELD(run), clean(to->error, error),
                        clean(to->hint, hint));
    else
        code = db_query(db, run->app, QUERY_TEARDOWN_FINISH, &rows, e, HELD(run));
    TEST_POINT("teardown", "move", "after");
    *held = db_count(rows) > 0;
    return code;
}

static void log_move(const struct teardown_run *run, const struct teardown_step *step, const struct teardown_move *to,
                     const struct err *cause)
{
    const struct log_field app = log_text("app", run->app), name = log_text("step", step->name);

    if (to->kind == TO_FAIL)
        log_err(LOG_ERROR, "teardown stopped", cause, app, name);
    else if (to->kind == TO_PAUSE && cause->code)
        log_err(LOG_WARN, "teardown is tried again", cause, app, name, log_int("delay_ms", to->delay_ms));
    else if (to->kind == TO_PAUSE)
        log_event(LOG_DEBUG, "teardown waits", app, name, log_int("delay_ms", to->delay_ms));
    else
        log_event(LOG_INFO, to->kind == TO_NEXT ? "teardown step done" : "app destroyed", app, name);
}

/* A restart of Postgres must not cost the lease's time: tried again as long as that lasts. True when the next step is ours. */
static bool make_move(struct teardown_run *run, const struct teardown_step *step, const struct teardown_move *to,
                      const struct err *cause)
{
    const struct turn_place *place = run->place;
    int64_t deadline = clock_monotonic_ms(place->clock) + place->lease_ms;
    struct err e = { 0 };
    bool held = false;

    while (move(run, to, &held, &e)) {
        if (!err_may_retry(&e) || place->stopping || clock_monotonic_ms(place->clock) >= deadline) {
            log_err(LOG_ERROR, "teardown not moved, its lease runs out", &e, log_text("app", run->app));
            return false;
        }
        clock_sleep_ms(place->clock, MOVE_PAUSE_MS);
        e = (struct err){ 0 };
    }
    if (!held) {
        log_event(LOG_WARN, "teardown is held by another worker", log_text("app", run->app));
        return false;
    }
    log_move(run, step, to, cause);
    return to->kind == TO_NEXT;
}

/* A missing permission, too: a person who adds it finds the teardown going on, and until then its hint says which. */
static bool may_retry(const struct err *e)
{
    return pipeline_may_retry(e) || e->code == ERR_DENIED;
}

static struct teardown_move next_move(const struct teardown_run *run, const struct teardown_step *step,
                                      enum step_answer answer, struct err *e)
{
    static const struct pipeline_step polled = { .poll_s = POLL_S };
    bool late = run->teardown.step_age_ms >= (int64_t)step->give_up_s * 1000;
    uint32_t random = 0;

    if (!e->code && answer == STEP_DONE)
        return step == &steps[STEPS - 1] ? (struct teardown_move){ .kind = TO_FINISH }
                                         : (struct teardown_move){ .kind = TO_NEXT, .next = step[1].name };
    if (late && !e->code) {
        err_set(e, ERR_CONFLICT, "the step \"%s\" was still waiting after %d minutes", step->name,
                step->give_up_s / 60);
        err_hint(e, "`berth destroy %s --dry-run` shows what is left; run the command again to go on.", run->app);
    }
    permission_hint(e);
    if (e->code && (late || !may_retry(e)))
        return (struct teardown_move){ .kind = TO_FAIL, .error = e->message, .hint = e->hint };
    if (!e->code)
        return (struct teardown_move){ .kind = TO_PAUSE,
                                       .waited = true,
                                       .delay_ms = pipeline_wait_ms(&polled, run->teardown.waits) };
    hash_random(&random, sizeof random);
    return (struct teardown_move){ .kind = TO_PAUSE,
                                   .error = e->message,
                                   .hint = e->hint,
                                   .delay_ms = pipeline_backoff_ms(run->teardown.attempt, random) };
}

/* The turn */

static int load(struct teardown_run *run, struct err *e)
{
    AUTO_ROWS struct db_rows *slot = NULL;
    const struct turn_place *place = run->place;

    if (teardown_find(run->db, run->app, run->mem, &run->teardown, e) ||
        db_query(run->db, run->app, QUERY_LISTENER_SLOT_FIND, &slot, e, db_text(run->app)))
        return e->code;
    run->estate = (struct estate_place){
        .settings = place->options->settings,
        .aws = place->options->aws,
        .partition = place->partition,
        .account = place->account,
        .more_listener = db_count(slot) > 0 ? db_get_copy(slot, 0, "listener_arn", run->mem) : NULL,
        .lease = &run->lease,
        .mem = run->mem,
    };
    return run->teardown.lease_token == run->token ? 0 : lost(run, e);
}

static const struct teardown_step *run_step(struct teardown_run *run, enum step_answer *answer, struct err *e)
{
    AUTO_DB struct db *db = NULL;
    const struct teardown_step *step = &steps[0];

    if (db_take(run->place->options->db, &db, e))
        return step;
    run->db = db;
    if (!load(run, e)) {
        step = step_named(run->teardown.step);
        if (!step->run(run, step, answer, e))
            *e = (struct err){ 0 }; /* a refusal that the step got over leaves its text behind */
    }
    run->db = NULL;
    return step;
}

static bool advance(struct teardown_run *run)
{
    AUTO_ARENA struct arena *mem = arena_new();
    enum step_answer answer = STEP_WAIT;
    struct err e = { 0 };
    const struct teardown_step *step;
    struct teardown_move to;

    run->mem = mem;
    if (run->place->stopping) {
        to = (struct teardown_move){ .kind = TO_PAUSE, .waited = true };
        return make_move(run, &steps[0], &to, &e);
    }
    step = run_step(run, &answer, &e);
    to = next_move(run, step, answer, &e);
    return make_move(run, step, &to, &e);
}

int teardown_take(struct turn_place *place, const char *worker_name, bool *taken, struct err *e)
{
    AUTO_ARENA struct arena *mem = arena_new();
    AUTO_ROWS struct db_rows *rows = NULL;
    struct teardown_run run = { .place = place };
    int64_t asked_ms = clock_monotonic_ms(place->clock);

    TEST_POINT("teardown", "claim", "before");
    if (db_query_once(place->options->db, NULL, QUERY_TEARDOWN_CLAIM, &rows, e, db_text(worker_name),
                      db_int(place->lease_ms)))
        return e->code;
    *taken = db_count(rows) > 0;
    if (!*taken)
        return 0;
    TEST_POINT("teardown", "claim", "after");
    run.app = db_get_copy(rows, 0, "app_name", mem);
    run.token = db_get_int(rows, 0, "lease_token");
    run.lease = (struct lease){ .clock = place->clock,
                                .length_ms = place->lease_ms,
                                .ends_ms = asked_ms + place->lease_ms,
                                .renew = renew,
                                .holder = &run };
    while (advance(&run))
        continue;
    return 0;
}
