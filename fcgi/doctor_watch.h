/*
 * doctor_watch - the doctor for pages: it runs on a thread of its own, and what it last found is kept.
 *
 * A run asks AWS, GitHub and Postgres for seconds, so no request waits for one: a page starts it, at most once in DOCTOR_WATCH_EVERY_MS in this process, and
 * shows what the last one found, with its age.
 */
#ifndef BERTH_FCGI_DOCTOR_WATCH_H
#define BERTH_FCGI_DOCTOR_WATCH_H

#include "core/doctor/doctor.h"

enum { DOCTOR_WATCH_EVERY_MS = 60 * 1000, DOCTOR_WATCH_STALE_MS = 10 * 60 * 1000 };

typedef int doctor_watch_run(const struct doctor_options *options, struct arena *mem, struct doctor_check **out,
                             size_t *count, struct err *e);

struct doctor_watch;

/* run: doctor_run, or a test's. options.config_path is copied; the transport must outlive the process's threads. */
struct doctor_watch *doctor_watch_new(const struct doctor_options *options, doctor_watch_run *run);

/* Whether no thread of a run is left; one that just ends is waited for a moment. False: the process should end without tidying up. */
bool doctor_watch_is_idle(struct doctor_watch *watch);
void doctor_watch_free(struct doctor_watch *watch); /* waits for a run that is under way; NULL is fine */

/* False: one is under way, or began less than DOCTOR_WATCH_EVERY_MS ago. */
bool doctor_watch_start(struct doctor_watch *watch);

struct doctor_watch_found {
    struct doctor_check *checks; /* copies, in mem */
    size_t count;                /* 0: none has ended yet */
    int64_t at_ms;               /* wall clock, when the last one ended; 0: none */
    int64_t age_ms;
    bool running;
    const char *error; /* the last run could not be begun; NULL: it could */
    int count_of[DOCTOR_VERDICT_COUNT];
};
void doctor_watch_look(struct doctor_watch *watch, struct arena *mem, struct doctor_watch_found *out);

#endif
