/* What Postgres says of itself: the logins, row-level security, migrations, its clock. */
#include <string.h>

#include "core/base/buf.h"
#include "core/db/migrate.h"
#include "core/doctor/doctor_parts.h"

enum { SERVER_LEAST = 150000 };

/* The role of sql/bootstrap.sql that each login is, or may become. */
static const struct {
    const char *login, *role;
} logins[] = {
    { "owner", "berth_owner" },
    { "hooks", "berth_hooks" },
    { "worker", "berth_worker" },
    { "admin", "berth_admin" },
};

static const char *role_of(const char *login)
{
    size_t i = 0;

    while (strcmp(logins[i].login, login) != 0)
        i++;
    return logins[i].role;
}

/* Whether a login is more than it should be; tells it. */
static bool tell_too_mighty(struct look *look, const struct db_rows *rows, const char *login, const char *name)
{
    bool superuser = db_get_bool(rows, 0, "superuser");

    if (!superuser && !db_get_bool(rows, 0, "bypasses"))
        return false;
    doctor_tell(look, DOCTOR_FAILED, "The login %s signs in as %s, which %s: row-level security does not hold for it.",
                login, name, superuser ? "is a superuser" : "has BYPASSRLS");
    doctor_advise(look,
                  "Sign in as %s, which sql/bootstrap.sql makes ([database] %s); or: ALTER ROLE %s NOSUPERUSER "
                  "NOBYPASSRLS.",
                  strcmp(login, "owner") ? role_of(login) : "berth_migrate", login, name);
    return true;
}

static void judge_login(struct look *look, const struct db_rows *rows, const char *login)
{
    const char *name = db_get(rows, 0, "login"), *beyond = db_get(rows, 0, "beyond"), *role = role_of(login);

    if (tell_too_mighty(look, rows, login, name))
        return;
    if (!db_get_bool(rows, 0, "is_it")) {
        doctor_tell(look, DOCTOR_FAILED, "The login %s signs in as %s, which is not %s.", login, name, role);
        doctor_advise(look, "Correct the user in [database] %s; sql/bootstrap.sql makes the roles.", login);
    } else if (beyond) {
        doctor_tell(look, DOCTOR_FAILED,
                    "The login %s signs in as %s, which is also a member of %s: it can do more than its program needs.",
                    login, name, beyond);
        doctor_advise(look, "REVOKE %s FROM %s.", beyond, name);
    } else if (db_get_int(rows, 0, "server_number") < SERVER_LEAST) {
        doctor_tell(look, DOCTOR_FAILED, "Postgres is %s; berth needs 15 or newer.", db_get(rows, 0, "server"));
        doctor_advise(look, "Upgrade Postgres; docs/operating.md, \"Backup and restore\", takes the data over.");
    } else {
        doctor_tell(look, DOCTOR_OK, "Signs in as %s; Postgres %s.", name, db_get(rows, 0, "server"));
    }
}

/* Where Postgres maps users of this host to roles, each of berth's users is let in as its own login only. */
static bool is_other_users_login(const struct err *e)
{
    return strstr(e->message, "Peer authentication failed") != NULL;
}

/* The users are those of docs/operating.md; berth migrate is root's there. */
const char *doctor_peer_advice(const char *login, struct arena *mem)
{
    if (!strcmp(login, "owner"))
        return "Run berth doctor as root too, whom pg_ident.conf lets in as berth_migrate (docs/operating.md, \"The "
               "database\").";
    return arena_printf(mem, "Run berth doctor as the user of that program too: runuser -u berth-%s -- berth doctor.",
                        login);
}

static const char *login_of(const struct look *look)
{
    return look->check.id + strlen("database_");
}

static int use_login(struct look *look, struct db_pool *pool, struct err *e)
{
    const char *login = login_of(look);
    AUTO_DB struct db *db = NULL;
    AUTO_ROWS struct db_rows *rows = NULL;

    if (db_take(pool, &db, e)) {
        if (!is_other_users_login(e))
            return e->code;
        doctor_tell(look, DOCTOR_SKIPPED,
                    "Postgres lets this user of the host not in as the login %s (peer authentication).", login);
        doctor_advise(look, "%s", doctor_peer_advice(login, look->mem));
        return 0;
    }
    if (db_query(db, NULL, QUERY_DOCTOR_LOGIN, &rows, e, db_text(role_of(login))))
        return e->code;
    judge_login(look, rows, login);
    return 0;
}

static void look_login(struct look *look)
{
    const char *login = login_of(look);

    if (doctor_conninfo(doctor_settings(look), login)) {
        doctor_with_db(look, login, use_login);
        return;
    }
    doctor_tell(look, DOCTOR_SKIPPED, "[database] %s is not set on this host.", login);
    doctor_advise(look, "Set it where %s.",
                  !strcmp(login, "owner")    ? "berth migrate is run"
                  : !strcmp(login, "hooks")  ? "berth-fcgi --hooks runs"
                  : !strcmp(login, "worker") ? "berth worker runs"
                                             : "the command or berth-fcgi --admin is run");
}

void look_login_owner(struct look *look)
{
    look_login(look);
}

void look_login_hooks(struct look *look)
{
    look_login(look);
}

void look_login_worker(struct look *look)
{
    look_login(look);
}

void look_login_admin(struct look *look)
{
    look_login(look);
}

static int use_row_security(struct look *look, struct db_pool *pool, struct err *e)
{
    AUTO_ROWS struct db_rows *rows = NULL;
    AUTO_BUF struct buf open = { 0 };

    if (db_run_once(pool, NULL, QUERY_DOCTOR_TABLES, NULL, 0, &rows, e))
        return e->code;
    for (size_t i = 0; i < db_count(rows); i++)
        if (!db_get_bool(rows, i, "enabled") || !db_get_bool(rows, i, "forced"))
            buf_printf(&open, "%sberth.%s (%s)", open.len ? ", " : "", db_get(rows, i, "name"),
                       db_get_bool(rows, i, "enabled") ? "not forced" : "not enabled");
    if (open.len > 0) {
        doctor_tell(look, DOCTOR_FAILED, "One app's rows are not kept from another's in %s.", buf_text(&open));
        doctor_advise(look,
                      "As the tables' owner: ALTER TABLE ... ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY. "
                      "berth's migrations do so; find out who took it back.");
    } else if (db_count(rows) == 0) {
        doctor_tell(look, DOCTOR_FAILED, "The schema berth has no tables.");
        doctor_advise(look, "Run `berth migrate`.");
    } else {
        doctor_tell(look, DOCTOR_OK, "Enabled and forced on all %zu tables that hold apps' rows.", db_count(rows));
    }
    return 0;
}

void look_row_security(struct look *look)
{
    doctor_with_db(look, "admin", use_row_security);
}

static int use_migrations(struct look *look, struct db_pool *pool, struct err *e)
{
    if (migrate_verify(pool, migrations_embedded, migrations_embedded_count, e))
        return e->code;
    doctor_tell(look, DOCTOR_OK, "All %zu are applied, unchanged, and no other is.", migrations_embedded_count);
    return 0;
}

/* The responder's login may read which ones there are, as /readyz does. */
void look_migrations(struct look *look)
{
    if (doctor_is_well(look, DOCTOR_LOGIN_OWNER))
        doctor_with_db(look, "owner", use_migrations);
    else if (doctor_is_well(look, DOCTOR_LOGIN_HOOKS))
        doctor_with_db(look, "hooks", use_migrations);
    else
        doctor_tell(look, DOCTOR_SKIPPED,
                    "This needs one of the database logins owner and hooks, and neither works here.");
}

static int use_clock(struct look *look, struct db_pool *pool, struct err *e)
{
    AUTO_ROWS struct db_rows *rows = NULL;
    AUTO_DB struct db *db = NULL;

    if (db_take(pool, &db, e))
        return e->code;
    int64_t asked_ms = clock_now_ms(look->doctor->clock);
    if (db_run(db, NULL, QUERY_DOCTOR_CLOCK, NULL, 0, &rows, e))
        return e->code;
    int64_t ours_ms = (asked_ms + clock_now_ms(look->doctor->clock)) / 2;
    doctor_tell_clock(look, "Postgres's", db_get_int(rows, 0, "now_ms") - ours_ms);
    return 0;
}

void look_clock_database(struct look *look)
{
    doctor_with_db(look, "admin", use_clock);
}
