/*
 * log_follow - builds' logs for those who watch them on a page: read once, however many watch.
 *
 * One thread reads what was asked for within the last FOLLOW_WANTED_MS, each log at most once every FOLLOW_PAUSE_MS (faster while it is behind). So 200 viewers of one build cost what one
 * does, and none of them waits for AWS. GetLogEvents allows 25 requests a second for an account and region ("CloudWatch Logs quotas"), which the pages share with everything else.
 * Of a log the newest FOLLOW_LINES_MAX lines are kept, or as many as fit FOLLOW_BYTES_MAX, of FOLLOW_LOGS_MAX logs the ones asked for last. Lines are masked (log_mask.h).
 */
#ifndef BERTH_FCGI_LOG_FOLLOW_H
#define BERTH_FCGI_LOG_FOLLOW_H

#include "core/base/clock.h"
#include "core/deploy/steps/build_log.h"

enum {
    FOLLOW_LOGS_MAX = 16,
    FOLLOW_LINES_MAX = 50000,
    FOLLOW_BYTES_MAX = 4 * 1024 * 1024,
    FOLLOW_PAUSE_MS = 1000,
    FOLLOW_WANTED_MS = 10000,
    FOLLOW_SETTLE_MS = 15000 /* lines come late: so long after a build's end its log is read on */
};

/* As build_log_read; called by one thread at a time. */
struct log_source {
    int (*read)(void *context, const char *app, const char *build_id, const char *from, struct arena *mem,
                struct log_page *out, struct err *e);
    void *context;
};

struct log_follow;
int log_follow_new(const struct log_source *source, const struct clock *clock, struct log_follow **out, struct err *e);
void log_follow_free(struct log_follow *follow); /* nobody may be in log_follow_view; NULL is fine */

struct log_wish {
    const char *app, *build_id;
    int64_t ended_ms; /* when the build had ended at the latest, since 1970; 0: it goes on */
    int64_t from;     /* number of the first line wanted, the log's first is 1; 0: the last `limit` lines */
    size_t limit;
    size_t bytes; /* about so many of text at most, but for one line; 0: any */
    int wait_ms; /* how long to wait, at the most, for a log that nobody has asked for lately, or that is still being read to its end */
};

struct followed_line {
    int64_t number, at_ms;
    const char *text;
};

struct log_view {
    struct followed_line *lines; /* in the caller's arena */
    size_t count;
    int64_t first, next; /* numbers of the oldest line kept, and of the one that comes after those given */
    int64_t newest;      /* number of the last line read; 0: none */
    bool looked;         /* false: nothing was read yet */
    bool complete;       /* the build has ended, and this is all of its log */
    const char *trouble; /* why it can't be read at the moment, for a person; NULL: it can */
};

void log_follow_view(struct log_follow *follow, const struct log_wish *wish, struct arena *mem, struct log_view *out);

#endif
