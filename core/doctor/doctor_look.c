/* What every look uses: telling, a transport that keeps to the look's time, connections that end with it. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/doctor/doctor_parts.h"

enum {
    TOLD_MAX = 2048,
    EXCHANGE_MS = 4000, /* one call of AWS or GitHub; they answer within a second */
    AWS_TRIES = 2,
    STATEMENT_MS = 3000,
    SKEW_WARN_MS = 30 * 1000,
    SKEW_FAIL_MS = 5 * 60 * 1000 /* "Signature Version 4": a request may be 5 minutes old */
};

static const char *say(struct look *look, const char *format, va_list args) __attribute__((format(printf, 2, 0)));
static const char *say(struct look *look, const char *format, va_list args)
{
    char text[TOLD_MAX];

    vsnprintf(text, sizeof text, format, args);
    return arena_copy(look->mem, text);
}

void doctor_tell(struct look *look, enum doctor_verdict verdict, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    look->check.verdict = verdict;
    look->check.told = say(look, format, args);
    va_end(args);
    look->check.hint = NULL;
}

void doctor_advise(struct look *look, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    look->check.hint = say(look, format, args);
    va_end(args);
}

void doctor_tell_err(struct look *look, enum doctor_verdict verdict, const struct err *e)
{
    doctor_tell(look, verdict, "%s", e->message);
    if (*e->hint)
        doctor_advise(look, "%s", e->hint);
}

const struct settings *doctor_settings(const struct look *look)
{
    return &look->doctor->loaded.settings;
}

bool doctor_is_well(const struct look *look, enum doctor_id id)
{
    enum doctor_verdict verdict = look->doctor->checks[id].verdict;

    return verdict == DOCTOR_OK || verdict == DOCTOR_WARNING;
}

/* A Date has whole seconds: on average half a second is lost. */
static void note_date(struct look *look, const struct http_reply *reply, int64_t sent_ms, int64_t answered_ms)
{
    const char *date = http_reply_header(reply, "date");
    int64_t theirs_ms = 0;

    if (!date || clock_parse_http_date(date, &theirs_ms))
        return;
    look->aws_date_seen = true;
    look->aws_ahead_ms = theirs_ms + 500 - (sent_ms + answered_ms) / 2;
}

static int send_in_time(void *context, const struct http_request *request, struct arena *mem, struct http_reply *reply,
                        struct err *e)
{
    struct look *look = context;
    const struct http *inner = &look->doctor->options.transport;
    struct http_request limited = *request;
    int64_t left_ms = look->deadline_ms - clock_monotonic_ms(&clock_system);
    int64_t sent_ms = clock_now_ms(look->doctor->clock);

    if (left_ms <= 0)
        return err_set(e, ERR_TRANSIENT, "there was no time left to ask; what was asked before took too long");
    if (left_ms > EXCHANGE_MS)
        left_ms = EXCHANGE_MS;
    if (limited.timeout_ms == 0 || limited.timeout_ms > left_ms)
        limited.timeout_ms = (int)left_ms;
    if (inner->send(inner->context, &limited, mem, reply, e))
        return e->code;
    note_date(look, reply, sent_ms, clock_now_ms(look->doctor->clock));
    return 0;
}

struct http doctor_transport(struct look *look)
{
    return (struct http){ .send = send_in_time, .context = look };
}

int doctor_aws(struct look *look, struct aws **out, struct err *e)
{
    struct aws_options options = { .region = doctor_settings(look)->aws_region,
                                   .transport = doctor_transport(look),
                                   .clock = look->doctor->clock,
                                   .tries = AWS_TRIES };

    return aws_new(&options, out, e);
}

const char *doctor_conninfo(const struct settings *settings, const char *login)
{
    const struct {
        const char *login, *conninfo;
    } all[] = { { "owner", settings->database_owner },
                { "hooks", settings->database_hooks },
                { "worker", settings->database_worker },
                { "admin", settings->database_admin } };

    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (!strcmp(all[i].login, login))
            return all[i].conninfo;
    return NULL;
}

void doctor_with_db(struct look *look, const char *login,
                    int (*use)(struct look *look, struct db_pool *pool, struct err *e))
{
    struct db_pool_options options = { .conninfo = doctor_conninfo(doctor_settings(look), login),
                                       .name = login,
                                       .size = 1,
                                       .take_timeout_ms = 1, /* asked once */
                                       .statement_timeout_ms = STATEMENT_MS };
    struct db_pool *pool = NULL;
    struct err e = { 0 };

    if (db_pool_new(&options, &pool, &e) || use(look, pool, &e))
        doctor_tell_err(look, DOCTOR_FAILED, &e);
    db_pool_free(pool);
}

void doctor_tell_clock(struct look *look, const char *whose, int64_t ahead_ms)
{
    long long apart_ms = llabs(ahead_ms);
    enum doctor_verdict verdict = apart_ms >= SKEW_FAIL_MS   ? DOCTOR_FAILED
                                  : apart_ms >= SKEW_WARN_MS ? DOCTOR_WARNING
                                                             : DOCTOR_OK;

    if (verdict == DOCTOR_OK) {
        doctor_tell(look, verdict, "This host's clock and %s agree within %lld s.", whose, apart_ms / 1000 + 1);
        return;
    }
    doctor_tell(look, verdict, "This host's clock is %lld s %s %s%s.", apart_ms / 1000,
                ahead_ms > 0 ? "behind" : "ahead of", whose,
                verdict == DOCTOR_FAILED ? "; AWS refuses requests that are 5 minutes off" : "");
    doctor_advise(look, "Set the clock, and keep it set: systemctl enable --now systemd-timesyncd, or chrony. Then see "
                        "that timedatectl says \"System clock synchronized: yes\".");
}
