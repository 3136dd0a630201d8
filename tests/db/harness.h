/*
 * harness - a real Postgres for a test program: one server for all of them, a fresh database for each that asks.
 *
 * The server is named by the environment (script/postgres writes it). Where it isn't, the program starts itself again within
 * `script/postgres run --fast`, so that ctest alone works. Whatever fails here ends the program with its reason.
 */
#ifndef BERTH_TESTS_DB_HARNESS_H
#define BERTH_TESTS_DB_HARNESS_H

#include <stdbool.h>

#include "core/db/db.h"

enum harness_login {
    HARNESS_SUPERUSER,
    HARNESS_OWNER, /* berth_migrate */
    HARNESS_HOOKS,
    HARNESS_WORKER,
    HARNESS_ADMIN,
    HARNESS_LOGIN_COUNT
};

/* First in main. */
void harness_server(char **argv);
/* The same, but the server is this program's alone: it may be restarted. */
void harness_own_server(char **argv);
void harness_server_restart(void);

struct harness_database;
struct harness_database *harness_database_new(void);        /* bootstrapped and migrated */
struct harness_database *harness_database_unmigrated(void); /* bootstrapped only */
struct harness_database *harness_database_empty(void);
void harness_database_bootstrap(const struct harness_database *database);
void harness_database_free(struct harness_database *database); /* drops it; pools must be freed before */

const char *harness_conninfo(const struct harness_database *database, enum harness_login login);
struct db_pool *harness_pool(const struct harness_database *database, enum harness_login login, int size);

/* What fails ends the program here too. */
struct db *harness_take(struct db_pool *pool);
int64_t harness_backend_pid(struct db *db);
void harness_end_backend(struct db_pool *by, int64_t pid); /* returns when that connection's server process is gone */

int harness_run(struct db *db, const char *app, enum query_shape shape, const char *sql, struct err *e);

/* SQL of a test's own: any number of commands; rows of one statement; or what refused it. */
void harness_do(struct db_pool *pool, const char *sql);
int harness_try(struct db_pool *pool, const char *app, const char *sql, struct err *e);
int64_t harness_number(struct db_pool *pool, const char *app, const char *sql); /* column "n" of its only row */

#endif
