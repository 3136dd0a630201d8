#include "core/tenant/hook_secret.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/fatal.h"
#include "core/base/hash.h"
#include "core/tenant/names.h"

enum {
    WAIT_MS = 2000, /* longest wait for another thread's call */
    WAITERS_MAX = 16 /* threads that wait so at a time: a Secrets Manager that hangs must not hold them all */
};

/* What is known of one app's secrets; under the cache's lock. */
struct entry {
    const char *app;
    struct secret *current; /* NULL: never read, or gone */
    struct secret *previous;
    int64_t read_ms;  /* of the last success, monotonic */
    int64_t asked_ms; /* of the last call's end; 0: never asked */
    bool asking;
    struct err failure; /* of the last call; code 0: it succeeded */
};

struct hook_secrets {
    struct aws *aws;
    const struct clock *clock;
    pthread_mutex_t lock;
    pthread_cond_t answered;
    int waiters;
    struct arena *names;
    struct entry **entries; /* by app's name */
    size_t count, room;
};

struct hook_secrets *hook_secrets_new(struct aws *aws, const struct clock *clock)
{
    struct hook_secrets *cache = calloc(1, sizeof(*cache));
    pthread_condattr_t attributes;

    if (!cache)
        fatal_no_memory();
    cache->aws = aws;
    cache->clock = clock;
    cache->names = arena_new();
    pthread_mutex_init(&cache->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&cache->answered, &attributes);
    pthread_condattr_destroy(&attributes);
    return cache;
}

void hook_secrets_free(struct hook_secrets *cache)
{
    if (!cache)
        return;
    for (size_t i = 0; i < cache->count; i++) {
        secret_free(cache->entries[i]->current);
        secret_free(cache->entries[i]->previous);
        free(cache->entries[i]);
    }
    free(cache->entries);
    arena_free(cache->names);
    pthread_cond_destroy(&cache->answered);
    pthread_mutex_destroy(&cache->lock);
    free(cache);
}

/* ---- the table ---- */

/* Where the app's entry is, or belongs. */
static size_t place_of(const struct hook_secrets *cache, const char *app)
{
    size_t low = 0;
    size_t high = cache->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (strcmp(cache->entries[middle]->app, app) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Callers ask for apps of the directory only, so the table stays as small as that. */
static struct entry *entry_ensure(struct hook_secrets *cache, const char *app)
{
    size_t at = place_of(cache, app);

    if (at < cache->count && strcmp(cache->entries[at]->app, app) == 0)
        return cache->entries[at];
    if (cache->count == cache->room) {
        cache->room = cache->room > 0 ? cache->room * 2 : 16;
        cache->entries = realloc(cache->entries, cache->room * sizeof(struct entry *));
        if (!cache->entries)
            fatal_no_memory();
    }
    struct entry *entry = calloc(1, sizeof(*entry));
    if (!entry)
        fatal_no_memory();
    entry->app = arena_copy(cache->names, app);
    memmove(cache->entries + at + 1, cache->entries + at, (cache->count - at) * sizeof(struct entry *));
    cache->entries[at] = entry;
    cache->count++;
    return entry;
}

/* ---- Secrets Manager ---- */

/* One version; ERR_NOT_FOUND when there is none at that stage. created_s: its date, seconds since 1970. */
static int read_stage(struct aws *aws, const char *name, const char *stage, struct secret **out, int64_t *created_s, struct err *e)
{
    AUTO_ARENA struct arena *mem = arena_new();
    AUTO_JSON json_object *ask = json_build("{s:s, s:s}", "SecretId", name, "VersionStage", stage);
    AUTO_JSON json_object *reply = NULL;
    const char *text = NULL;

    if (aws_call(aws, &SECRETSMANAGER, "GetSecretValue", ask, &reply, e))
        return e->code;
    if (json_read_text(reply, "/SecretString", mem, &text, e))
        return err_context(e, "the secret %s in Secrets Manager", name);

    size_t len = strlen(text);
    struct secret *made = secret_new(text, len);
    secret_wipe(arena_alloc(mem, 1), 0);
    if (len == 0) {
        secret_free(made);
        return err_set(e, ERR_INVALID, "the secret %s in Secrets Manager is empty", name);
    }
    *created_s = json_find_seconds(reply, "/CreatedDate");
    *out = made;
    return 0;
}
