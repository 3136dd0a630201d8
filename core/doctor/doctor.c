/* The table of checks, and the stages in which they run: each check of a stage has a thread of its own. */
#include "core/doctor/doctor.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/fatal.h"
#include "core/doctor/doctor_parts.h"

/* A stage begins when the one before has ended. Together they stay below DOCTOR_MS. */
enum { STAGES = 3 };
static const int stage_ms[STAGES] = { 1000, 5500, 8000 };

enum need { NOTHING, THE_SETTINGS, THE_ADMIN_LOGIN, AWS };

struct row {
    const char *id, *title;
    int stage;
    enum need need; /* without it the check makes no sense, and is skipped */
    void (*look)(struct look *look);
};

/* clang-format off */
static const struct row rows[DOCTOR_CHECK_COUNT] = {
    [DOCTOR_CONFIGURATION]  = { "configuration", "Configuration", 0, NOTHING, look_configuration },
    [DOCTOR_PAGES]          = { "pages", "Pages", 1, THE_SETTINGS, look_pages },
    [DOCTOR_OPEN_FILES]     = { "open_files", "Limit of open files", 1, THE_SETTINGS, look_open_files },
    [DOCTOR_LOGIN_OWNER]    = { "database_owner", "Database login owner", 1, THE_SETTINGS, look_login_owner },
    [DOCTOR_LOGIN_HOOKS]    = { "database_hooks", "Database login hooks", 1, THE_SETTINGS, look_login_hooks },
    [DOCTOR_LOGIN_WORKER]   = { "database_worker", "Database login worker", 1, THE_SETTINGS, look_login_worker },
    [DOCTOR_LOGIN_ADMIN]    = { "database_admin", "Database login admin", 1, THE_SETTINGS, look_login_admin },
    [DOCTOR_ROW_SECURITY]   = { "row_security", "Row-level security", 2, THE_ADMIN_LOGIN, look_row_security },
    [DOCTOR_MIGRATIONS]     = { "migrations", "Migrations", 2, THE_SETTINGS, look_migrations },
    [DOCTOR_CLOCK_DATABASE] = { "clock_database", "Clock against Postgres", 2, THE_ADMIN_LOGIN, look_clock_database },
    [DOCTOR_AWS_IDENTITY]   = { "aws_identity", "AWS credentials", 1, THE_SETTINGS, look_aws_identity },
    [DOCTOR_CLOCK_AWS]      = { "clock_aws", "Clock against AWS", 2, THE_SETTINGS, look_clock_aws },
    [DOCTOR_PLATFORM]       = { "platform", "What berth stands on", 2, AWS, look_platform },
    [DOCTOR_PERMISSIONS]    = { "permissions", "Permissions to deploy", 2, AWS, look_permissions },
    [DOCTOR_REMOVING]       = { "permissions_removing", "Permissions to remove", 2, AWS, look_removing },
    [DOCTOR_SECRETS]        = { "secrets", "Webhook secrets", 2, AWS, look_secrets },
    [DOCTOR_LOAD_BALANCERS] = { "load_balancers", "Room on the load balancers", 2, THE_ADMIN_LOGIN, look_load_balancers },
    [DOCTOR_DNS]            = { "dns", "Address of the apps", 1, THE_SETTINGS, look_dns },
    [DOCTOR_GITHUB]         = { "github", "GitHub", 2, THE_SETTINGS, look_github },
    [DOCTOR_HOOKS_URL]      = { "hooks_url", "Address for GitHub", 1, THE_SETTINGS, look_hooks_url },
    [DOCTOR_WEB_SERVER]     = { "web_server", "Web server's limits", 2, THE_SETTINGS, look_web_server },
    [DOCTOR_WORKERS]        = { "workers", "Workers", 2, THE_ADMIN_LOGIN, look_workers },
    [DOCTOR_RELEASES]       = { "releases", "Releases that hang", 2, THE_ADMIN_LOGIN, look_releases },
    [DOCTOR_TEARDOWNS]      = { "teardowns", "Teardowns that stopped", 2, THE_ADMIN_LOGIN, look_teardowns },
};
/* clang-format on */

static const char *const verdict_names[DOCTOR_VERDICT_COUNT] = {
    [DOCTOR_OK] = "ok",
    [DOCTOR_WARNING] = "warning",
    [DOCTOR_FAILED] = "failed",
    [DOCTOR_SKIPPED] = "skipped",
};

const char *doctor_verdict_name(enum doctor_verdict verdict)
{
    return verdict_names[verdict];
}

bool doctor_passes(const size_t of[DOCTOR_VERDICT_COUNT], bool strict)
{
    return of[DOCTOR_FAILED] == 0 && !(strict && of[DOCTOR_WARNING] + of[DOCTOR_SKIPPED] > 0);
}

/*
 * A run with its threads. One that hangs beyond its time (a resolver that doesn't answer holds libpq up) is left behind with its copy of what it reads; the last one
 * out frees it.
 */
struct task {
    struct run *run;
    enum doctor_id id;
    struct look look;
    int64_t began_ms;
    bool done;
};

struct run {
    struct doctor doctor;
    struct doctor_check checks[DOCTOR_CHECK_COUNT];
    struct task tasks[DOCTOR_CHECK_COUNT];
    struct arena *mem;
    pthread_mutex_t lock;
    pthread_cond_t one_done;
    int users; /* threads, and doctor_run */
};

static atomic_int looking; /* threads of all runs */

bool doctor_hangs(void)
{
    return atomic_load(&looking) > 0;
}

static void leave(struct run *run)
{
    pthread_mutex_lock(&run->lock);
    bool last = --run->users == 0;
    pthread_mutex_unlock(&run->lock);
    if (!last)
        return;
    for (size_t i = 0; i < DOCTOR_CHECK_COUNT; i++)
        arena_free(run->tasks[i].look.mem);
    arena_free(run->mem);
    pthread_cond_destroy(&run->one_done);
    pthread_mutex_destroy(&run->lock);
    free(run);
}

static void *work(void *context)
{
    struct task *task = context;
    struct run *run = task->run;

    rows[task->id].look(&task->look);
    pthread_mutex_lock(&run->lock);
    task->look.check.took_ms = clock_monotonic_ms(&clock_system) - task->began_ms;
    task->done = true;
    pthread_cond_signal(&run->one_done);
    pthread_mutex_unlock(&run->lock);
    leave(run);
    atomic_fetch_sub(&looking, 1);
    return NULL;
}

/* Why a check can't be made; NULL: it can. */
static const char *lacking(const struct run *run, const struct row *row)
{
    const struct doctor_check *admin = &run->checks[DOCTOR_LOGIN_ADMIN], *aws = &run->checks[DOCTOR_AWS_IDENTITY];

    if (row->need != NOTHING && !run->doctor.loaded.values)
        return "The configuration can't be read.";
    if (row->need == THE_ADMIN_LOGIN && admin->verdict != DOCTOR_OK && admin->verdict != DOCTOR_WARNING)
        return "This needs the database login admin, which does not work here.";
    if (row->need == AWS && aws->verdict != DOCTOR_OK && aws->verdict != DOCTOR_WARNING)
        return "This needs AWS credentials that work.";
    return NULL;
}

static int start(struct run *run, enum doctor_id id, int64_t deadline_ms, struct err *e)
{
    struct task *task = &run->tasks[id];
    pthread_attr_t detached;
    pthread_t thread;

    *task = (struct task){ .run = run, .id = id, .began_ms = clock_monotonic_ms(&clock_system) };
    task->look = (struct look){ .doctor = &run->doctor, .mem = arena_new(), .deadline_ms = deadline_ms };
    task->look.check = run->checks[id];
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    pthread_mutex_lock(&run->lock);
    run->users++;
    pthread_mutex_unlock(&run->lock);
    atomic_fetch_add(&looking, 1);
    int failure = pthread_create(&thread, &detached, work, task);
    pthread_attr_destroy(&detached);
    if (!failure)
        return 0;
    atomic_fetch_sub(&looking, 1);
    leave(run);
    task->done = true;
    return err_set(e, ERR_NO_MEMORY, "no thread for the check %s: %s", rows[id].id, strerror(failure));
}

/* Waits until every task of the stage is done, or its time is over. */
static void await(struct run *run, int stage)
{
    struct timespec until = clock_after_ms(stage_ms[stage]);
    bool over = false;

    pthread_mutex_lock(&run->lock);
    for (size_t i = 0; i < DOCTOR_CHECK_COUNT; i++)
        while (run->tasks[i].run && rows[i].stage == stage && !run->tasks[i].done && !over)
            over = pthread_cond_timedwait(&run->one_done, &run->lock, &until) == ETIMEDOUT;
    pthread_mutex_unlock(&run->lock);
}

static void collect_one(struct run *run, enum doctor_id id)
{
    const struct look *look = &run->tasks[id].look;

    run->checks[id] = look->check;
    if (look->loaded.values)
        run->doctor.loaded = look->loaded;
    if (look->caller)
        run->doctor.caller = look->caller;
    /* Others ask others than AWS. */
    if (id == DOCTOR_AWS_IDENTITY && look->aws_date_seen) {
        run->doctor.aws_date_seen = true;
        run->doctor.aws_ahead_ms = look->aws_ahead_ms;
    }
}

static void collect(struct run *run, int stage)
{
    pthread_mutex_lock(&run->lock);
    for (size_t i = 0; i < DOCTOR_CHECK_COUNT; i++) {
        if (rows[i].stage != stage || !run->tasks[i].run)
            continue;
        if (run->tasks[i].done) {
            collect_one(run, (enum doctor_id)i);
            continue;
        }
        run->checks[i].verdict = DOCTOR_FAILED;
        run->checks[i].told = arena_printf(run->mem, "There was no answer within %.1f s.", stage_ms[stage] / 1000.0);
        run->checks[i].hint =
            "Check that this host's DNS resolver answers, and that a firewall doesn't drop what is asked.";
        run->checks[i].took_ms = stage_ms[stage];
    }
    pthread_mutex_unlock(&run->lock);
}

static int run_stage(struct run *run, int stage, struct err *e)
{
    int64_t deadline_ms = clock_monotonic_ms(&clock_system) + stage_ms[stage] - 500;

    for (size_t i = 0; i < DOCTOR_CHECK_COUNT; i++) {
        if (rows[i].stage != stage)
            continue;
        run->checks[i].told = lacking(run, &rows[i]);
        if (run->checks[i].told)
            run->checks[i].verdict = DOCTOR_SKIPPED;
        else if (start(run, (enum doctor_id)i, deadline_ms, e))
            return e->code;
    }
    await(run, stage);
    collect(run, stage);
    return 0;
}

static struct run *run_new(const struct doctor_options *options)
{
    struct run *run = calloc(1, sizeof *run);
    pthread_condattr_t attributes;

    if (!run)
        fatal_no_memory();
    run->mem = arena_new();
    run->users = 1;
    run->doctor.options = *options;
    run->doctor.options.config_path = arena_copy(run->mem, options->config_path);
    run->doctor.options.principal = arena_copy(run->mem, options->principal);
    run->doctor.clock = options->clock ? options->clock : &clock_system;
    run->doctor.checks = run->checks;
    for (size_t i = 0; i < DOCTOR_CHECK_COUNT; i++)
        run->checks[i] = (struct doctor_check){ .id = rows[i].id, .title = rows[i].title };
    pthread_mutex_init(&run->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&run->one_done, &attributes);
    pthread_condattr_destroy(&attributes);
    return run;
}

int doctor_run(const struct doctor_options *options, struct arena *mem, struct doctor_check **out, size_t *count,
               struct err *e)
{
    struct run *run = run_new(options);
    int failure = 0;

    for (int stage = 0; stage < STAGES && !failure; stage++)
        failure = run_stage(run, stage, e);
    if (!failure) {
        struct doctor_check *all = arena_array(mem, DOCTOR_CHECK_COUNT, sizeof *all);
        for (size_t i = 0; i < DOCTOR_CHECK_COUNT; i++) {
            all[i] = run->checks[i];
            all[i].told = arena_copy(mem, all[i].told);
            all[i].hint = arena_copy(mem, all[i].hint);
        }
        *out = all;
        *count = DOCTOR_CHECK_COUNT;
    }
    leave(run);
    return failure;
}
