/* LISTEN on a connection of its own. */
#include <errno.h>
#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/text.h"
#include "core/db/internal.h"

enum { CHANNEL_MAX = 63 }; /* Postgres cuts longer names */

int db_listen(struct db *db, const char *channel, struct err *e)
{
    char command[sizeof "LISTEN \"\"" + CHANNEL_MAX];

    /* A channel is an identifier, which can't be a parameter: only what needs no quoting is let through. */
    if (!*channel || strlen(channel) > CHANNEL_MAX ||
        strspn(channel, "abcdefghijklmnopqrstuvwxyz_0123456789") != strlen(channel))
        return err_set(e, ERR_INTERNAL, "a channel of Postgres can't be named \"%s\"", channel);
    snprintf(command, sizeof command, "LISTEN \"%s\"", channel);
    db->listening = true;
    return script_run(db, "listen", command, e);
}

static bool drain(struct db *db)
{
    bool any = false;
    PGnotify *notification = NULL;

    while ((notification = PQnotifies(db->conn))) {
        any = true;
        PQfreemem(notification);
    }
    return any;
}

static int lost(struct db *db, struct err *e)
{
    db->broken = true;
    return classify(db, "wait", NULL, NULL, e);
}

/* One poll: *woken when the wait is over, by a notification, the wake_fd, or the time. */
static int wait_once(struct db *db, int64_t deadline_ms, int wake_fd, bool *woken, struct err *e)
{
    struct pollfd fds[2] = { { .fd = PQsocket(db->conn), .events = POLLIN }, { .fd = wake_fd, .events = POLLIN } };
    int64_t left_ms = deadline_ms - clock_monotonic_ms(&clock_system);
    int ready = poll(fds, 2, left_ms > 0 ? (int)left_ms : 0);

    if (ready < 0 && errno != EINTR)
        return err_set(e, ERR_INTERNAL, "waiting for Postgres: %s", strerror(errno));
    if (ready > 0 && fds[0].revents && (!PQconsumeInput(db->conn) || PQstatus(db->conn) != CONNECTION_OK))
        return lost(db, e);
    *woken = ready == 0 || (ready > 0 && fds[1].revents);
    return 0;
}

int db_wait(struct db *db, int timeout_ms, int wake_fd, bool *notified, struct err *e)
{
    int64_t deadline_ms = clock_monotonic_ms(&clock_system) + timeout_ms;
    bool any = drain(db);
    bool woken = any;

    while (!woken) {
        if (wait_once(db, deadline_ms, wake_fd, &woken, e))
            return e->code;
        any = drain(db);
        woken = woken || any;
    }
    *notified = any;
    return 0;
}
