#include "tests/db/harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/db/internal.h"

enum { NAME_MAX_LEN = 40, CONNINFO_MAX = 1024 };

struct harness_database {
    char name[NAME_MAX_LEN];
    char conninfo[HARNESS_LOGIN_COUNT][CONNINFO_MAX];
};

static const char *const variables[HARNESS_LOGIN_COUNT] = {
    [HARNESS_SUPERUSER] = "BERTH_DATABASE_SUPERUSER", [HARNESS_OWNER] = "BERTH_DATABASE_OWNER",
    [HARNESS_HOOKS] = "BERTH_DATABASE_HOOKS",         [HARNESS_WORKER] = "BERTH_DATABASE_WORKER",
    [HARNESS_ADMIN] = "BERTH_DATABASE_ADMIN",
};
static const char *const names[HARNESS_LOGIN_COUNT] = {
    [HARNESS_SUPERUSER] = "superuser", [HARNESS_OWNER] = "owner", [HARNESS_HOOKS] = "hooks",
    [HARNESS_WORKER] = "worker",       [HARNESS_ADMIN] = "admin",
};

static _Noreturn void give_up(const char *what, const struct err *e)
{
    fprintf(stderr, "harness: %s: %s %s\n", what, e ? e->message : "", e ? e->hint : "");
    exit(99);
}

static void start_within_a_server(char **argv)
{
    static char self[4096];
    const char *run[64] = { SOURCE_DIR "/script/postgres", "run", "--fast", self };
    size_t n = 4;

    if (readlink("/proc/self/exe", self, sizeof self - 1) < 0)
        give_up("readlink", NULL);
    for (char **arg = argv + 1; *arg && n < 63; arg++)
        run[n++] = *arg;
    execv(run[0], (char *const *)(uintptr_t)run);
    give_up("script/postgres can't be run", NULL);
}

void harness_server(char **argv)
{
    if (!getenv(variables[HARNESS_SUPERUSER]))
        start_within_a_server(argv);
}

void harness_own_server(char **argv)
{
    if (getenv("BERTH_HARNESS_OWN_SERVER"))
        return;
    setenv("BERTH_HARNESS_OWN_SERVER", "1", 1);
    start_within_a_server(argv);
}

void harness_server_restart(void)
{
    pid_t pid = fork();
    int status = 0;

    if (pid == 0) {
        execl(SOURCE_DIR "/script/postgres", "postgres", "restart", getenv("BERTH_POSTGRES_DIR"), (char *)NULL);
        _exit(127);
    }
    if (waitpid(pid, &status, 0) != pid || status != 0)
        give_up("the server didn't restart", NULL);
}

static struct db_pool *pool_of(const char *conninfo, const char *name, int size)
{
    struct db_pool *pool = NULL;
    struct err e = { 0 };

    if (!conninfo)
        give_up(name, NULL);
    if (db_pool_new(&(struct db_pool_options){ conninfo, name, size, 10000, 0 }, &pool, &e))
        give_up("pool", &e);
    return pool;
}

struct db_pool *harness_pool(const struct harness_database *database, enum harness_login login, int size)
{
    return pool_of(database->conninfo[login], names[login], size);
}

const char *harness_conninfo(const struct harness_database *database, enum harness_login login)
{
    return database->conninfo[login];
}

void harness_do(struct db_pool *pool, const char *sql)
{
    AUTO_DB struct db *db = NULL;
    struct err e = { 0 };

    if (db_take(pool, &db, &e) || script_run(db, sql, sql, &e))
        give_up("a test's SQL", &e);
}

int harness_try(struct db_pool *pool, const char *app, const char *sql, struct err *e)
{
    AUTO_DB struct db *db = NULL;
    const struct query_text text = { "of a test", QUERY_SHAPE_MANY, sql };

    if (db_take(pool, &db, e))
        return e->code;
    return statement_run(db, app, &text, NULL, NULL, 0, NULL, e);
}

struct db *harness_take(struct db_pool *pool)
{
    struct db *db = NULL;
    struct err e = { 0 };

    if (db_take(pool, &db, &e))
        give_up("take", &e);
    return db;
}

int harness_run(struct db *db, const char *app, enum query_shape shape, const char *sql, struct err *e)
{
    const struct query_text text = { "of_a_test", shape, sql };

    return statement_run(db, app, &text, NULL, NULL, 0, NULL, e);
}

int64_t harness_backend_pid(struct db *db)
{
    static const struct query_text text = { "backend_pid", QUERY_SHAPE_ONE, "SELECT pg_backend_pid() AS pid" };
    AUTO_ROWS struct db_rows *rows = NULL;
    struct err e = { 0 };

    if (statement_run(db, NULL, &text, NULL, NULL, 0, &rows, &e))
        give_up("backend_pid", &e);
    return db_get_int(rows, 0, "pid");
}

void harness_end_backend(struct db_pool *by, int64_t pid)
{
    static const struct query_text text = { "end_backend", QUERY_SHAPE_ONE,
                                            "SELECT pg_terminate_backend($1::int, 5000)" };
    AUTO_DB struct db *db = harness_take(by);
    const struct db_param param = db_int(pid);
    struct err e = { 0 };

    if (statement_run(db, NULL, &text, NULL, &param, 1, NULL, &e))
        give_up("end_backend", &e);
}

int64_t harness_number(struct db_pool *pool, const char *app, const char *sql)
{
    AUTO_DB struct db *db = NULL;
    AUTO_ROWS struct db_rows *rows = NULL;
    const struct query_text text = { sql, QUERY_SHAPE_ONE, sql };
    struct err e = { 0 };

    if (db_take(pool, &db, &e) || statement_run(db, app, &text, NULL, NULL, 0, &rows, &e))
        give_up("a test's number", &e);
    return db_get_int(rows, 0, "n");
}

static void run_file(struct db_pool *pool, const char *path)
{
    FILE *file = fopen(path, "r");
    AUTO_BUF struct buf text = { 0 };
    char piece[4096];
    size_t len = 0;

    if (!file)
        give_up(path, NULL);
    while ((len = fread(piece, 1, sizeof piece, file)) > 0)
        buf_add(&text, piece, len);
    fclose(file);
    harness_do(pool, buf_text(&text));
}

void harness_database_bootstrap(const struct harness_database *database)
{
    struct db_pool *superuser = harness_pool(database, HARNESS_SUPERUSER, 1);

    run_file(superuser, SOURCE_DIR "/sql/bootstrap.sql");
    db_pool_free(superuser);
}

/* Roles are the whole server's, so one program at a time makes them. */
static struct harness_database *make(bool bootstrapped)
{
    static int made = 0;
    struct harness_database *database = calloc(1, sizeof *database);
    struct db_pool *server = pool_of(getenv(variables[HARNESS_SUPERUSER]), "superuser", 1);
    char command[sizeof "CREATE DATABASE  TEMPLATE template0" + NAME_MAX_LEN];

    if (!database)
        give_up("no memory", NULL);
    snprintf(database->name, sizeof database->name, "test_%d_%d", (int)getpid(), ++made);
    for (int i = 0; i < HARNESS_LOGIN_COUNT; i++)
        snprintf(database->conninfo[i], CONNINFO_MAX, "%s dbname=%s", getenv(variables[i]), database->name);
    harness_do(server, "SELECT pg_advisory_lock(1)");
    snprintf(command, sizeof command, "CREATE DATABASE %s TEMPLATE template0", database->name);
    harness_do(server, command);
    if (bootstrapped)
        harness_database_bootstrap(database);
    db_pool_free(server); /* and with the connection, the lock */
    return database;
}

struct harness_database *harness_database_empty(void)
{
    return make(false);
}

struct harness_database *harness_database_unmigrated(void)
{
    return make(true);
}

struct harness_database *harness_database_new(void)
{
    struct harness_database *database = make(true);
    struct db_pool *owner = harness_pool(database, HARNESS_OWNER, 1);
    struct err e = { 0 };
    int applied = 0;

    if (migrate_up(owner, migrations_embedded, migrations_embedded_count, NULL, NULL, &applied, &e))
        give_up("migrate_up", &e);
    db_pool_free(owner);
    return database;
}

void harness_database_free(struct harness_database *database)
{
    struct db_pool *server = NULL;
    char command[sizeof "DROP DATABASE  WITH (FORCE)" + NAME_MAX_LEN];

    if (!database)
        return;
    server = pool_of(getenv(variables[HARNESS_SUPERUSER]), "superuser", 1);
    snprintf(command, sizeof command, "DROP DATABASE %s WITH (FORCE)", database->name);
    harness_do(server, command);
    db_pool_free(server);
    free(database);
}
