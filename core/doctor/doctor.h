/*
 * doctor - is this installation well? Each check says what it found and, where that isn't well, what to do about it.
 *
 * Checks only look: nothing is changed, on AWS, in Postgres or anywhere. They run beside each other, each with a few seconds to answer, so the whole takes less than
 * DOCTOR_MS though everything is away; one that fails stops no other, but what it makes senseless is skipped and says so. No text of a check holds a secret.
 * What is checked is what this process can see: it reads the configuration anew, and asks AWS with its own credentials.
 */
#ifndef BERTH_DOCTOR_DOCTOR_H
#define BERTH_DOCTOR_DOCTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/arena.h"
#include "core/base/clock.h"
#include "core/net/http.h"

enum { DOCTOR_MS = 15000 };

enum doctor_verdict {
    DOCTOR_OK,
    DOCTOR_WARNING, /* works, but somebody should look */
    DOCTOR_FAILED,  /* something does not work, or soon will not */
    DOCTOR_SKIPPED, /* could not be looked at from here: neither good nor bad */
    DOCTOR_VERDICT_COUNT
};

struct doctor_check {
    const char *id;    /* "load_balancers": for programs, never changes */
    const char *title; /* "Room on the load balancers" */
    enum doctor_verdict verdict;
    const char *told; /* what was found, with ids; one sentence or a few */
    const char *hint; /* what to do; NULL: nothing */
    int64_t took_ms;
};

struct doctor_options {
    const char *config_path;   /* as of settings_load */
    struct http transport;     /* for AWS, GitHub and berth's own address. It must outlive the process's threads */
    const struct clock *clock; /* NULL: clock_system */
    const char *
        principal; /* ARN of the worker's role or user, whose permissions are asked about; NULL: who the credentials are */
    bool
        aws_optional; /* a process that needs no AWS credentials: without any, checks of AWS are skipped and don't fail */
};

/* All checks in their order, in mem. Fails only when no thread can be started. */
int doctor_run(const struct doctor_options *options, struct arena *mem, struct doctor_check **out, size_t *count,
               struct err *e);

/* Whether a look of any run of this process still hangs: it uses the transport, and what the libraries take away at exit. A process that ends meanwhile does so by _exit. */
bool doctor_hangs(void);

/*
 * Whether it passes, by how many checks came to each verdict: nothing failed; strictly, nothing is in doubt either, be it a warning or what was not looked at.
 * Who may not sign in as this or that login can't look at all, so without strict that alone is no failure; what passes is not thereby well.
 */
bool doctor_passes(const size_t of[DOCTOR_VERDICT_COUNT], bool strict);

/* "ok", "warning", "failed", "skipped" */
const char *doctor_verdict_name(enum doctor_verdict verdict);

#endif
