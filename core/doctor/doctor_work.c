/* What berth's own tables say: room on the load balancers, whether workers work, what hangs. */
#include <string.h>

#include "core/base/buf.h"
#include "core/deploy/pipeline.h"
#include "core/deploy/steps/listener_room.h"
#include "core/doctor/doctor_parts.h"

enum {
    ROOM_WARN_PERCENT = 80,
    OVERDUE_MS = 60000,
    LATE_BY_S = 600, /* after a step's deadline a release is still cleared up for some minutes */
    NAMED_MAX = 5
};

/* "app/berth/0123456789abcdef/fedcba9876543210" of a listener's ARN. */
static const char *short_name(const char *listener)
{
    const char *slash = strstr(listener, "listener/");

    return slash ? slash + strlen("listener/") : listener;
}

static int64_t slots_of(const struct db_rows *rows, const char *listener)
{
    int64_t taken = 0;

    for (size_t i = 0; i < db_count(rows); i++)
        taken += strcmp(db_get(rows, i, "listener_arn"), listener) == 0;
    return taken;
}

static int use_load_balancers(struct look *look, struct db_pool *pool, struct err *e)
{
    const struct config_list *listeners = &doctor_settings(look)->listeners;
    AUTO_ROWS struct db_rows *rows = NULL;
    AUTO_BUF struct buf each = { 0 };
    int64_t taken = 0, room = (int64_t)listeners->count * LISTENER_ROOM;

    if (db_run_once(pool, NULL, QUERY_LISTENER_SLOTS_ALL, NULL, 0, &rows, e))
        return e->code;
    for (size_t i = 0; i < listeners->count; i++) {
        int64_t slots = slots_of(rows, listeners->items[i]);
        buf_printf(&each, "%s%lld of %d slots on %s", i ? ", " : "", (long long)slots, LISTENER_ROOM,
                   short_name(listeners->items[i]));
        taken += slots < LISTENER_ROOM ? slots : LISTENER_ROOM;
    }
    doctor_tell(look,
                taken >= room                             ? DOCTOR_FAILED
                : taken * 100 >= room * ROOM_WARN_PERCENT ? DOCTOR_WARNING
                                                          : DOCTOR_OK,
                "%s: %s.", taken >= room ? "No app more finds a place" : "Taken", buf_text(&each));
    if (look->check.verdict != DOCTOR_OK)
        doctor_advise(look,
                      "Make another load balancer with an HTTPS listener and add the listener's ARN to [platform] "
                      "listeners, then restart the workers; or destroy apps that nobody needs.");
    return 0;
}

void look_load_balancers(struct look *look)
{
    if (doctor_settings(look)->listeners.count == 0)
        doctor_tell(look, DOCTOR_SKIPPED, "[platform] listeners is not set.");
    else
        doctor_with_db(look, "admin", use_load_balancers);
}

static void judge_work(struct look *look, const struct db_rows *rows)
{
    long long overdue = db_get_int(rows, 0, "overdue"), held = db_get_int(rows, 0, "held");
    long long connections = db_get_int(rows, 0, "connections");

    if (overdue > 0 && held == 0) {
        doctor_tell(look, DOCTOR_FAILED, "No worker has taken what is due since %s: %lld wait, the oldest is %s.",
                    db_get(rows, 0, "since"), overdue, db_get(rows, 0, "oldest"));
        doctor_advise(look, connections ? "A worker is connected and takes nothing: look into its log (journalctl -u "
                                          "berth-worker)."
                                        : "Start berth worker (systemctl start berth-worker), and see why it ended: "
                                          "journalctl -u berth-worker.");
    } else if (overdue > 0) {
        doctor_tell(look, DOCTOR_WARNING,
                    "%lld wait for longer than a minute, the oldest (%s) since %s, while workers are at work on %lld.",
                    overdue, db_get(rows, 0, "oldest"), db_get(rows, 0, "since"), held);
        doctor_advise(look, "Raise [worker] threads, or start a worker on another machine.");
    } else if (connections == 0 && held == 0) {
        doctor_tell(look, DOCTOR_WARNING, "No worker is connected to the database; nothing is overdue at the moment.");
        doctor_advise(look, "Start berth worker; where cron runs berth worker --drain, this is as it should be.");
    } else {
        doctor_tell(look, DOCTOR_OK,
                    "Workers hold %lld connections to the database and are at work on %lld; nothing is overdue.",
                    connections, held);
    }
}

static int use_workers(struct look *look, struct db_pool *pool, struct err *e)
{
    AUTO_ROWS struct db_rows *rows = NULL;

    if (db_query_once(pool, NULL, QUERY_DOCTOR_WORK, &rows, e, db_int(OVERDUE_MS)))
        return e->code;
    judge_work(look, rows);
    return 0;
}

void look_workers(struct look *look)
{
    doctor_with_db(look, "admin", use_workers);
}

static int64_t give_up_s(const char *step)
{
    for (size_t i = 0; i < STEP_COUNT; i++)
        if (!strcmp(pipeline[i].name, step))
            return pipeline[i].give_up_s;
    return 0;
}

static int use_releases(struct look *look, struct db_pool *pool, struct err *e)
{
    AUTO_ROWS struct db_rows *rows = NULL;
    AUTO_BUF struct buf late = { 0 };
    int count = 0;

    if (db_run_once(pool, NULL, QUERY_DOCTOR_RUNNING, NULL, 0, &rows, e))
        return e->code;
    for (size_t i = 0; i < db_count(rows); i++) {
        const char *step = db_get(rows, i, "step");
        int64_t age_s = db_get_int(rows, i, "age_s");
        if (age_s <= give_up_s(step) + LATE_BY_S)
            continue;
        if (count++ < NAMED_MAX)
            buf_printf(&late, "%s%s v%lld (in %s for %lld min, given up after %lld)", late.len ? ", " : "",
                       db_get(rows, i, "app_name"), (long long)db_get_int(rows, i, "number"), step,
                       (long long)age_s / 60, (long long)give_up_s(step) / 60);
    }
    if (count == 0) {
        doctor_tell(look, DOCTOR_OK, "None; on their way: %zu.", db_count(rows));
        return 0;
    }
    doctor_tell(look, DOCTOR_FAILED, "%d %s beyond the deadline: %s%s.", count,
                count == 1 ? "release runs" : "releases run", buf_text(&late), count > NAMED_MAX ? ", and others" : "");
    doctor_advise(look,
                  "Workers end a release at its deadline, so none takes it: see that berth worker runs, and what its "
                  "log says of the release; berth cancel NAME ends it.");
    return 0;
}

void look_releases(struct look *look)
{
    doctor_with_db(look, "admin", use_releases);
}

static int use_teardowns(struct look *look, struct db_pool *pool, struct err *e)
{
    AUTO_ROWS struct db_rows *rows = NULL;
    AUTO_BUF struct buf each = { 0 };

    if (db_run_once(pool, NULL, QUERY_DOCTOR_TEARDOWNS, NULL, 0, &rows, e))
        return e->code;
    for (size_t i = 0; i < db_count(rows) && i < NAMED_MAX; i++)
        buf_printf(&each, "%s%s at %s since %s: %s", i ? "; " : "", db_get(rows, i, "app_name"),
                   db_get(rows, i, "step"), db_get(rows, i, "since"),
                   db_get(rows, i, "error") ? db_get(rows, i, "error") : "no reason was noted");
    if (db_count(rows) == 0) {
        doctor_tell(look, DOCTOR_OK, "None.");
        return 0;
    }
    doctor_tell(look, DOCTOR_FAILED, "%zu stopped: %s%s", db_count(rows), buf_text(&each),
                db_count(rows) > NAMED_MAX ? "; and others." : "");
    doctor_advise(look, "Put that right, then berth destroy %s again: it goes on where it stopped.",
                  db_count(rows) == 1 ? db_get(rows, 0, "app_name") : "NAME");
    return 0;
}

void look_teardowns(struct look *look)
{
    doctor_with_db(look, "admin", use_teardowns);
}
