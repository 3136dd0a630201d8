#include "core/deploy/turn.h"

#include "core/base/hash.h"
#include "core/base/test_point.h"
#include "core/deploy/halt.h"
#include "core/deploy/move.h"
#include "core/deploy/permission.h"
#include "core/deploy/release_state.h"
#include "core/deploy/steps/commit_status.h"

enum {
    PERSIST_PAUSE_MS = 100,
    PERSIST_PAUSE_MAX_MS = 5000,
    CLAIMS_MAX = 8, /* workers that a release may bring down in a row */
    CLEARING_MAX_MS =
        10 * 60 * 1000 /* after a step's deadline: so long it is tried to end what the step had under way */
};

struct turn {
    struct turn_place *place;
    struct step_run run;
    int64_t loaded_ms; /* monotonic: when the release was read */
};

static const struct pipeline_step *step_of(const struct turn *turn)
{
    return &turn->place->steps[turn->run.release.step];
}

static int64_t step_age_ms(const struct turn *turn)
{
    return turn->run.release.step_age_ms + clock_monotonic_ms(turn->place->clock) - turn->loaded_ms;
}

static bool is_worth_another_try(const struct err *e)
{
    return err_may_retry(e) ||
           (e->code == ERR_CONFLICT && e->detail[0]); /* with a SQLSTATE: Postgres' conflict, not ours */
}

/*
 * Does something in the database that must not be lost to its restart: tries again, on a new connection, as long as the lease lasts.
 */
static int persist(struct turn *turn, int (*what)(struct turn *turn, struct db *db, void *context, struct err *e),
                   void *context, struct err *e)
{
    const struct turn_place *place = turn->place;
    int64_t deadline = clock_monotonic_ms(place->clock) + place->lease_ms;

    for (int64_t pause = PERSIST_PAUSE_MS;; pause = pause < PERSIST_PAUSE_MAX_MS ? pause * 2 : pause) {
        AUTO_DB struct db *db = NULL;
        *e = (struct err){ 0 };
        if (!db_take(place->options->db, &db, e) && !what(turn, db, context, e))
            return 0;
        if (!is_worth_another_try(e) || place->stopping || clock_monotonic_ms(place->clock) >= deadline)
            return e->code;
        db_give(db);
        db = NULL;
        clock_sleep_ms(place->clock, pause);
    }
}

struct claimed {
    const char *app;
    int number;
    int64_t token;
};

static int load(struct turn *turn, struct db *db, void *context, struct err *e)
{
    const struct claimed *claimed = context;
    struct step_run *run = &turn->run;

    if (release_app(db, claimed->app, claimed->number, run->mem, &run->app, e) ||
        release_get(db, claimed->app, claimed->number, run->mem, &run->release, e))
        return e->code;
    turn->loaded_ms = clock_monotonic_ms(turn->place->clock);
    return 0;
}

static int run_step(struct turn *turn, enum step_answer *answer, struct err *e)
{
    AUTO_DB struct db *db = NULL;
    struct step_run *run = &turn->run;
    const struct release *release = &run->release;

    if (db_take(turn->place->options->db, &db, e))
        return e->code;
    run->db = db;
    if (release->step == release_first_step(release->kind) && release->attempt == 1 && release->waits == 0)
        commit_status_tell(run, GITHUB_PENDING, NULL, "v%d is being deployed", release->number);
    if (!step_of(turn)->ensure(run, answer, e))
        *e = (struct err){ 0 }; /* a refusal that the step got over, such as "exists already", leaves its text behind */
    run->db = NULL;
    return e->code;
}

static const char *for_so_long(struct arena *mem, int64_t ms)
{
    int64_t s = ms / 1000;

    return s < 120 ? arena_printf(mem, "%lld seconds", (long long)s)
                   : arena_printf(mem, "%lld minutes", (long long)(s / 60));
}

static struct move fail_late(struct turn *turn, const struct err *e)
{
    struct arena *mem = turn->run.mem;
    const char *age = for_so_long(mem, step_age_ms(turn));
    const char *name = step_of(turn)->name;

    if (e->code)
        return (struct move){ .kind = MOVE_FAIL,
                              .hint = e->hint,
                              .message = arena_printf(mem, "%s (given up after %s)", e->message, age) };
    return (struct move){
        .kind = MOVE_FAIL,
        .message = arena_printf(mem, "the step %s was still waiting after %s, and was given up", name, age),
        .hint = arena_printf(mem,
                             "The timeline (`berth status %s`) shows how far it came; push again, or redeploy, "
                             "when the cause is gone.",
                             turn->run.app.name),
    };
}

static struct move try_again(struct turn *turn, const struct err *e)
{
    uint32_t random = 0;

    hash_random(&random, sizeof random);
    return (struct move){ .kind = MOVE_RETRY,
                          .message = e->message,
                          .hint = e->hint,
                          .delay_ms = pipeline_backoff_ms(turn->run.release.attempt, random) };
}

static struct move wait(struct turn *turn)
{
    const struct step_run *run = &turn->run;
    int64_t left_ms = (int64_t)step_of(turn)->give_up_s * 1000 - step_age_ms(turn);
    int64_t most_ms = run->patience_ms > 0 && run->patience_ms < left_ms ? run->patience_ms : left_ms;
    int64_t delay_ms = run->waits_for ? PIPELINE_POLLED_WAIT_MS : pipeline_wait_ms(step_of(turn), run->release.waits);

    return (struct move){ .kind = MOVE_WAIT,
                          .waits_for = run->waits_for,
                          .at_most_ms = most_ms,
                          .delay_ms = delay_ms < most_ms ? delay_ms : most_ms };
}

static int abandon(struct turn *turn, struct err *e)
{
    AUTO_DB struct db *db = NULL;
    int code;

    if (db_take(turn->place->options->db, &db, e))
        return e->code;
    turn->run.db = db;
    code = step_of(turn)->abandon(&turn->run, e);
    turn->run.db = NULL;
    return code;
}

/* Before a release fails, what its step has under way is ended; when that can't be done, it is tried again for a while, and at last the failure says so. */
static struct move clear_then(struct turn *turn, struct move fail, struct err *unclear)
{
    const struct pipeline_step *step = step_of(turn);
    int64_t most_ms = (int64_t)step->give_up_s * 1000 + CLEARING_MAX_MS;

    if (!step->abandon || turn->run.cleared || !abandon(turn, unclear))
        return fail;
    if (pipeline_may_retry(unclear) && step_age_ms(turn) < most_ms)
        return try_again(turn, unclear);
    fail.message =
        arena_printf(turn->run.mem, "%s. What it had started may still run: %s", fail.message, unclear->message);
    return fail;
}

static struct move next_move(struct turn *turn, enum step_answer answer, struct err *e, struct err *unclear)
{
    const struct pipeline_step *step = step_of(turn);
    bool late = step_age_ms(turn) >= (int64_t)step->give_up_s * 1000;

    if (e->code && !pipeline_may_retry(e)) {
        permission_hint(e);
        return clear_then(turn, (struct move){ .kind = MOVE_FAIL, .message = e->message, .hint = e->hint }, unclear);
    }
    if (late && (e->code || answer == STEP_WAIT))
        return clear_then(turn, fail_late(turn, e), unclear);
    if (e->code)
        return try_again(turn, e);
    if (answer == STEP_WAIT)
        return wait(turn);
    return (struct move){ .kind = MOVE_NEXT,
                          .next = step->next,
                          .lease_ms = turn->place->lease_ms,
                          .message = arena_printf(turn->run.mem, "Done in %.1f s.", (double)step_age_ms(turn) / 1000) };
}

struct moving {
    const struct move *move;
    bool held;
};

/* Of an end; a status that stayed pending would tell that there is something to wait for. */
static void tell_github(struct turn *turn, struct db *db, const struct move *move)
{
    struct step_run *run = &turn->run;
    int number = run->release.number;

    run->db = db;
    if (move->kind == MOVE_FAIL)
        commit_status_tell(run, GITHUB_FAILURE, NULL, "v%d failed: %s", number, move->message);
    if (move->kind == MOVE_SUPERSEDE || move->kind == MOVE_CANCEL)
        commit_status_tell(run, GITHUB_ERROR, NULL, "v%d: %s", number, move->message);
    run->db = NULL;
}

static int make_move(struct turn *turn, struct db *db, void *context, struct err *e)
{
    struct moving *moving = context;

    if (move_release(db, &turn->run.release, moving->move, &moving->held, e))
        return e->code;
    if (moving->held)
        tell_github(turn, db, moving->move);
    return 0;
}

static void log_move(const struct turn *turn, const struct move *move, const struct err *cause)
{
    static const char *const events[MOVE_KIND_COUNT] = {
        [MOVE_NEXT] = "release step done",       [MOVE_WAIT] = "release waits",
        [MOVE_RETRY] = "release is tried again", [MOVE_FAIL] = "release failed",
        [MOVE_LET_GO] = "release handed on",     [MOVE_SUPERSEDE] = "release superseded",
        [MOVE_CANCEL] = "release cancelled",
    };
    const struct release *release = &turn->run.release;
    const struct log_field app = log_text("app", release->app), number = log_int("release", release->number),
                           step = log_text("step", step_of(turn)->name);

    if (move->kind == MOVE_RETRY)
        log_err(LOG_WARN, events[move->kind], cause, app, number, step, log_int("attempt", release->attempt),
                log_int("delay_ms", move->delay_ms));
    else if (move->kind == MOVE_FAIL && cause->code)
        log_err(LOG_ERROR, events[move->kind], cause, app, number, step);
    else if (move->kind == MOVE_FAIL)
        log_event(LOG_ERROR, events[move->kind], app, number, step, log_text("message", move->message));
    else if (move->kind == MOVE_WAIT)
        log_event(LOG_DEBUG, events[move->kind], app, number, step, log_int("delay_ms", move->delay_ms));
    else
        log_event(LOG_INFO, events[move->kind], app, number, step, log_int("ms", step_age_ms(turn)));
}

/* True when the release is still ours. */
static bool move_and_tell(struct turn *turn, const struct move *move, const struct err *cause)
{
    struct moving moving = { .move = move };
    const struct release *release = &turn->run.release;
    struct err e = { 0 };

    if (persist(turn, make_move, &moving, &e)) {
        log_err(LOG_ERROR, "release not moved, its lease runs out", &e, log_text("app", release->app),
                log_int("release", release->number), log_text("step", step_of(turn)->name));
        return false;
    }
    if (!moving.held) {
        log_event(LOG_WARN, "release is held by another worker", log_text("app", release->app),
                  log_int("release", release->number), log_text("step", step_of(turn)->name));
        return false;
    }
    log_move(turn, move, cause);
    return move->kind == MOVE_NEXT;
}

/* One step and what follows from it; true when the next step is ours to run. */
static bool advance(struct turn *turn)
{
    const struct release *release = &turn->run.release;
    enum step_answer answer = STEP_WAIT;
    struct err e = { 0 }, unclear = { 0 };
    struct move move;

    run_step(turn, &answer, &e);
    if (!e.code && answer == STEP_DONE && step_of(turn)->next == release->step) {
        log_event(LOG_INFO, "release is live", log_text("app", release->app), log_int("release", release->number),
                  log_int("ms", step_age_ms(turn)));
        return false;
    }
    if (!e.code && answer == STEP_ENDED) {
        log_event(LOG_INFO, "release superseded", log_text("app", release->app), log_int("release", release->number));
        return false;
    }
    move = next_move(turn, answer, &e, &unclear);
    return move_and_tell(turn, &move, unclear.code ? &unclear : &e);
}

/* Each worker that takes it dies or freezes before it gets anywhere: it must not bring down the next ones for ever. */
static bool give_up(struct turn *turn)
{
    const struct release *release = &turn->run.release;
    struct err e = { 0 }, unclear = { 0 };
    struct move move;

    err_set(&e, ERR_INTERNAL, "v%d was given up in the step %s: %d workers in a row ended or froze while they had it",
            release->number, step_of(turn)->name, release->claims - 1);
    err_hint(
        &e,
        "The operator should see in the worker's log and the system's journal (memory, kills) why, and then run `berth "
        "deploy %s`.",
        release->app);
    move = (struct move){ .kind = MOVE_FAIL, .message = e.message, .hint = e.hint };
    if (release->claims == CLAIMS_MAX + 1) /* further on, this itself may be what kills them */
        move = clear_then(turn, move, &unclear);
    return move_and_tell(turn, &move, &e);
}

static int run_halt(struct turn *turn, enum step_answer *answer, struct err *e)
{
    AUTO_DB struct db *db = NULL;
    struct step_run *run = &turn->run;

    if (db_take(turn->place->options->db, &db, e))
        return e->code;
    run->db = db;
    if (!halt_ensure(run, answer, e))
        *e = (struct err){ 0 };
    run->db = NULL;
    return e->code;
}

/* The same for a release that is to end before its time. */
static bool halt(struct turn *turn)
{
    enum step_answer answer = STEP_WAIT;
    struct err e = { 0 };
    struct move move;

    run_halt(turn, &answer, &e);
    permission_hint(&e);
    move = halt_next_move(&turn->run, answer, &e);
    return move_and_tell(turn, &move, &e);
}

static void follow(struct turn *turn, struct claimed *claimed)
{
    struct step_run *run = &turn->run;
    struct err e = { 0 };
    bool ours = true;

    while (ours) {
        AUTO_ARENA struct arena *mem = arena_new();
        run->mem = mem;
        if (persist(turn, load, claimed, &e)) {
            log_err(LOG_ERROR, "release not read, its lease runs out", &e, log_text("app", claimed->app),
                    log_int("release", claimed->number));
            return;
        }
        if (run->release.lease_token != claimed->token)
            return; /* the lease ran out meanwhile, and the next worker has logged that it took over */
        if (turn->place->stopping) {
            const struct move let_go = { .kind = MOVE_LET_GO };
            move_and_tell(turn, &let_go, &e);
            return;
        }
        run->cleared = false;
        run->waits_for = NULL;
        run->patience_ms = 0;
        if (run->release.claims > CLAIMS_MAX)
            ours = give_up(turn);
        else
            ours = run->release.halt ? halt(turn) : advance(turn);
    }
}

int turn_take(struct turn_place *place, const char *worker_name, bool *taken, struct err *e)
{
    AUTO_ARENA struct arena *mem = arena_new();
    AUTO_ROWS struct db_rows *rows = NULL;
    const struct worker_options *options = place->options;
    struct claimed claimed;
    struct turn turn = {
        .place = place,
        .run = { .settings = options->settings,
                 .aws = options->aws,
                 .github = options->github,
                 .clock = place->clock,
                 .partition = place->partition,
                 .account = place->account,
                 .lease = { .length_ms = place->lease_ms } },
    };

    TEST_POINT("worker", "claim", "before");
    if (db_query_once(options->db, NULL, QUERY_RELEASE_CLAIM, &rows, e, db_text(worker_name), db_int(place->lease_ms)))
        return e->code;
    *taken = db_count(rows) > 0;
    if (!*taken)
        return 0;
    TEST_POINT("worker", "claim", "after");
    claimed = (struct claimed){ .app = db_get_copy(rows, 0, "app_name", mem),
                                .number = (int)db_get_int(rows, 0, "number"),
                                .token = db_get_int(rows, 0, "lease_token") };
    follow(&turn, &claimed);
    return 0;
}
