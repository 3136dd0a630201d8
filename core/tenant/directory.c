#include "core/tenant/directory.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/fatal.h"
#include "core/base/log.h"
#include "core/base/text.h"

enum { RETRY_PAUSE_MS = 1000 };

struct directory {
    struct db_pool *pool;
    pthread_t thread;
    int stop_fd; /* readable: the thread is to end */
    pthread_rwlock_t lock;
    struct directory_entry *entries; /* by name */
    size_t count;
    bool ready;
};

static int by_name(const void *a, const void *b)
{
    const struct directory_entry *one = a;
    const struct directory_entry *other = b;

    return strcmp(one->name, other->name);
}

/* Apps that are being deleted, or were, take no deliveries any more. */
static size_t fill(struct directory_entry *entries, const struct db_rows *rows)
{
    size_t count = 0;

    for (size_t i = 0; i < db_count(rows); i++) {
        const char *name = db_get(rows, i, "app_name");

        if (strlen(name) > APP_NAME_MAX || text_starts(db_get(rows, i, "state"), "delet"))
            continue;
        memcpy(entries[count].name, name, strlen(name) + 1);
        entries[count].policy =
            strcmp(db_get(rows, i, "webhook_policy"), "github") == 0 ? WEBHOOK_GITHUB : WEBHOOK_SIGNED;
        snprintf(entries[count].path_filter, sizeof entries[count].path_filter, "%s", db_get(rows, i, "path_filter"));
        count++;
    }
    /* The database's collation may order otherwise than strcmp does. */
    qsort(entries, count, sizeof(*entries), by_name);
    return count;
}

static int load(struct directory *dir, struct db *db, struct err *e)
{
    AUTO_ROWS struct db_rows *rows = NULL;

    if (db_run(db, NULL, QUERY_APP_DIRECTORY, NULL, 0, &rows, e))
        return e->code;

    struct directory_entry *entries = calloc(db_count(rows) + 1, sizeof(*entries));
    if (!entries)
        fatal_no_memory();
    size_t count = fill(entries, rows);

    pthread_rwlock_wrlock(&dir->lock);
    struct directory_entry *before = dir->entries;
    dir->entries = entries;
    dir->count = count;
    dir->ready = true;
    pthread_rwlock_unlock(&dir->lock);
    free(before);
    return 0;
}

static bool told_to_stop(struct directory *dir)
{
    uint64_t value = 0;

    return read(dir->stop_fd, &value, sizeof(value)) == sizeof(value);
}

/* Follows the apps over one connection until it fails or the thread is to end. Listens before it reads, so no change is missed. */
static int follow(struct directory *dir, bool *stop, struct err *e)
{
    AUTO_DB struct db *db = NULL;
    bool notified = false;

    if (db_take(dir->pool, &db, e) || db_listen(db, "berth_apps", e))
        return e->code;
    for (;;) {
        if (load(dir, db, e))
            return e->code;
        if (db_wait(db, DIRECTORY_REFRESH_MS, dir->stop_fd, &notified, e))
            return e->code;
        if (told_to_stop(dir)) {
            *stop = true;
            return 0;
        }
    }
}

static void *refresh(void *context)
{
    struct directory *dir = context;
    struct err e = { 0 };
    bool stop = false;

    while (!stop) {
        if (follow(dir, &stop, &e) == 0)
            continue;
        log_err(LOG_WARN, "the apps could not be read; those known stay", &e, log_text("channel", "berth_apps"));
        clock_sleep_ms(&clock_system, RETRY_PAUSE_MS);
        stop = told_to_stop(dir);
    }
    return NULL;
}

int directory_new(struct db_pool *hooks, struct directory **out, struct err *e)
{
    struct directory *dir = calloc(1, sizeof(*dir));

    if (!dir)
        fatal_no_memory();
    dir->pool = hooks;
    dir->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (dir->stop_fd < 0) {
        free(dir);
        return err_set(e, ERR_INTERNAL, "cannot make an eventfd: %s", strerror(errno));
    }
    pthread_rwlock_init(&dir->lock, NULL);

    int failure = pthread_create(&dir->thread, NULL, refresh, dir);
    if (failure != 0) {
        close(dir->stop_fd);
        pthread_rwlock_destroy(&dir->lock);
        free(dir);
        return err_set(e, ERR_INTERNAL, "cannot start the directory's thread: %s", strerror(failure));
    }
    *out = dir;
    return 0;
}

void directory_free(struct directory *dir)
{
    const uint64_t one = 1;

    if (!dir)
        return;
    if (write(dir->stop_fd, &one, sizeof(one)) != sizeof(one))
        fatal("an eventfd refused its first write");
    pthread_join(dir->thread, NULL);
    close(dir->stop_fd);
    pthread_rwlock_destroy(&dir->lock);
    free(dir->entries);
    free(dir);
}

bool directory_find(struct directory *dir, const char *app, struct directory_entry *out)
{
    struct directory_entry key = { 0 };

    if (strlen(app) > APP_NAME_MAX)
        return false;
    memcpy(key.name, app, strlen(app) + 1);
    pthread_rwlock_rdlock(&dir->lock);
    const struct directory_entry *found =
        dir->count > 0 ? bsearch(&key, dir->entries, dir->count, sizeof(key), by_name) : NULL;
    if (found)
        *out = *found;
    pthread_rwlock_unlock(&dir->lock);
    return found != NULL;
}

bool directory_ready(struct directory *dir)
{
    pthread_rwlock_rdlock(&dir->lock);
    bool ready = dir->ready;
    pthread_rwlock_unlock(&dir->lock);
    return ready;
}
