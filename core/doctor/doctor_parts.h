/*
 * doctor_parts - what the files of the doctor share: a run, one look, and how a look tells what it found.
 *
 * Private to core/doctor.
 */
#ifndef BERTH_DOCTOR_DOCTOR_PARTS_H
#define BERTH_DOCTOR_DOCTOR_PARTS_H

#include <pthread.h>

#include "core/aws/aws.h"
#include "core/db/db.h"
#include "core/deploy/settings.h"
#include "core/doctor/doctor.h"

/* In the order in which they are told. */
enum doctor_id {
    DOCTOR_CONFIGURATION,
    DOCTOR_PAGES,
    DOCTOR_OPEN_FILES,
    DOCTOR_LOGIN_OWNER,
    DOCTOR_LOGIN_HOOKS,
    DOCTOR_LOGIN_WORKER,
    DOCTOR_LOGIN_ADMIN,
    DOCTOR_ROW_SECURITY,
    DOCTOR_MIGRATIONS,
    DOCTOR_CLOCK_DATABASE,
    DOCTOR_AWS_IDENTITY,
    DOCTOR_CLOCK_AWS,
    DOCTOR_PLATFORM,
    DOCTOR_PERMISSIONS,
    DOCTOR_REMOVING,
    DOCTOR_SECRETS,
    DOCTOR_LOAD_BALANCERS,
    DOCTOR_DNS,
    DOCTOR_GITHUB,
    DOCTOR_HOOKS_URL,
    DOCTOR_WEB_SERVER,
    DOCTOR_WORKERS,
    DOCTOR_RELEASES,
    DOCTOR_TEARDOWNS,
    DOCTOR_CHECK_COUNT
};

/* One run. Looks only read it while they run; what they found is put into it between two stages. */
struct doctor {
    struct doctor_options options;
    const struct clock *clock;
    struct loaded_settings loaded; /* values NULL: the configuration can't be read */
    const char *caller;            /* ARN of who the credentials are; NULL: not known */
    bool aws_date_seen;
    int64_t aws_ahead_ms; /* AWS's clock against ours */
    const struct doctor_check *checks;
};

/* One check at work, on a thread of its own. */
struct look {
    const struct doctor *doctor;
    struct arena *mem;
    struct doctor_check check;
    int64_t deadline_ms; /* monotonic */
    /* What others need of it. */
    struct loaded_settings loaded;
    const char *caller;
    bool aws_date_seen; /* a Date of whoever was asked: AWS's in the look at the identity */
    int64_t aws_ahead_ms;
};

/* What was found. The last word counts. */
void doctor_tell(struct look *look, enum doctor_verdict verdict, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void doctor_advise(struct look *look, const char *format, ...) __attribute__((format(printf, 2, 3)));
void doctor_tell_err(struct look *look, enum doctor_verdict verdict, const struct err *e); /* message and hint */

const struct settings *doctor_settings(const struct look *look);
bool doctor_is_well(const struct look *look, enum doctor_id id); /* that check was OK, or a warning */

/* The look's own transport: no exchange outlasts the look, and the reply's Date is noted. */
struct http doctor_transport(struct look *look);

/* An AWS client for this look; aws_free. */
int doctor_aws(struct look *look, struct aws **out, struct err *e);

/* Runs `use` on a connection of the login ("owner", ...); what fails is told. */
void doctor_with_db(struct look *look, const char *login,
                    int (*use)(struct look *look, struct db_pool *pool, struct err *e));
const char *doctor_conninfo(const struct settings *settings, const char *login); /* NULL: not set */

/* Tells whether this host's clock and another agree; ahead_ms: how far that one is before ours. */
void doctor_tell_clock(struct look *look, const char *whose, int64_t ahead_ms);

/* The role or user behind a caller's ARN, as IAM's simulator wants it; NULL: there is none (the root user, a federated one). */
const char *doctor_principal_of(struct arena *mem, const char *caller);

/* What to do where Postgres lets each user of the host in as its own login only, and this one not as that. */
const char *doctor_peer_advice(const char *login, struct arena *mem);

/* Whether a connection string carries a password. */
bool doctor_has_password(const char *conninfo);

void look_configuration(struct look *look);
void look_pages(struct look *look);
void look_open_files(struct look *look);
void look_login_owner(struct look *look);
void look_login_hooks(struct look *look);
void look_login_worker(struct look *look);
void look_login_admin(struct look *look);
void look_row_security(struct look *look);
void look_migrations(struct look *look);
void look_clock_database(struct look *look);
void look_aws_identity(struct look *look);
void look_clock_aws(struct look *look);
void look_platform(struct look *look);
void look_permissions(struct look *look);
void look_removing(struct look *look);
void look_secrets(struct look *look);
void look_load_balancers(struct look *look);
void look_dns(struct look *look);
void look_github(struct look *look);
void look_hooks_url(struct look *look);
void look_web_server(struct look *look);
void look_workers(struct look *look);
void look_releases(struct look *look);
void look_teardowns(struct look *look);

#endif
