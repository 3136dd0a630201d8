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
    SECRET_RANDOM_BYTES = 32,
    REVIVE_TRIES = 5,
    REVIVE_PAUSE_MS = 1000,
    HOOK_SECRET_RETRY_MS = 5000, /* between calls while there is no secret to use */
    WAIT_MS = 2000,        /* how long others wait for a call, from its beginning; then it hangs, and nobody does */
    CROWDED_WAIT_MS = 250, /* the same, of what did not match, with WAITERS_MAX before it */
    WAITERS_MAX = 48       /* threads that forgers may hold so long while Secrets Manager hangs */
};

/* What is known of one app's secrets; under the cache's lock. */
struct entry {
    const char *app;
    struct secret *current; /* NULL: never read, or gone */
    struct secret *previous;
    int64_t read_ms;    /* of the last success, monotonic */
    int64_t asked_ms;   /* of the last call's end; 0: never asked */
    int64_t renewed_ms; /* of the last call's end that was made though there was a secret; 0: none was */
    bool asking;
    int64_t asking_ms; /* since when */
    int waiters;
    struct err failure; /* of the last call; code 0: it succeeded */
};

struct hook_secrets {
    struct aws *aws;
    const struct clock *clock;
    pthread_mutex_t lock;
    pthread_cond_t answered;
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

/* What one question to Secrets Manager gave. */
struct answer {
    struct secret *current, *previous;
};

/* AWS gives seconds since 1970 as a number that may be "1.7E9". 0: not there. */
static int64_t created_ms(const json_object *reply, struct arena *mem)
{
    json_object *date = json_at(reply, "/CreatedDate");

    return date ? (int64_t)(strtod(json_to_text(date, mem), NULL) * 1000) : 0;
}

/* One version; ERR_NOT_FOUND when there is none at that stage. */
static int read_stage(struct aws *aws, const char *name, const char *stage, struct secret **out, int64_t *made_ms,
                      struct err *e)
{
    AUTO_ARENA struct arena *mem = arena_new();
    AUTO_JSON json_object *ask = json_build("{s:s, s:s}", "SecretId", name, "VersionStage", stage);
    AUTO_JSON json_object *reply = NULL;
    const char *text = NULL;

    if (aws_call(aws, &SECRETSMANAGER, "GetSecretValue", ask, &reply, e))
        return (int)e->code;
    if (json_read_text(reply, "/SecretString", mem, &text, e) || *text == '\0') {
        err_set(e, ERR_INVALID, "the secret %s in Secrets Manager holds no text", name);
        return err_hint(e, "Make a new one by `berth apps secret`, and paste it into GitHub.");
    }
    *out = secret_from_text(text);
    *made_ms = created_ms(reply, mem);
    return 0;
}

/* Secrets Manager keeps AWSPREVIOUS for ever; a secret that was changed for a reason must stop working some day. */
static int ask_aws(struct hook_secrets *cache, const char *app, struct answer *out, struct err *e)
{
    AUTO_ARENA struct arena *mem = arena_new();
    AUTO_SECRET struct secret *current = NULL;
    const char *name = name_hook_secret(mem, app);
    int64_t made_ms = 0;
    int64_t ignored_ms = 0;

    if (read_stage(cache->aws, name, "AWSCURRENT", &current, &made_ms, e))
        return (int)e->code;
    bool rotating = made_ms == 0 || clock_now_ms(cache->clock) - made_ms < HOOK_SECRET_OVERLAP_MS;
    if (rotating && read_stage(cache->aws, name, "AWSPREVIOUS", &out->previous, &ignored_ms, e) &&
        e->code != ERR_NOT_FOUND)
        return (int)e->code;
    out->current = current;
    current = NULL;
    return 0;
}

/* ---- the cache ---- */

static bool is_due(const struct hook_secrets *cache, const struct entry *entry, bool mismatch)
{
    int64_t now = clock_monotonic_ms(cache->clock);
    bool never = entry->asked_ms == 0;

    if (!entry->current)
        return never || now - entry->asked_ms >= HOOK_SECRET_RETRY_MS;
    if (mismatch || now - entry->read_ms >= HOOK_SECRET_TTL_MS)
        return entry->renewed_ms == 0 || now - entry->renewed_ms >= HOOK_SECRET_REFRESH_MS;
    return false;
}

static void entry_set(struct entry *entry, struct secret *current, struct secret *previous)
{
    secret_free(entry->current);
    secret_free(entry->previous);
    entry->current = current;
    entry->previous = previous;
}

/* Called with the lock, which it lets go while AWS is asked. */
static void refresh(struct hook_secrets *cache, struct entry *entry)
{
    struct answer answer = { 0 };
    struct err e = { 0 };

    bool renewal = entry->current != NULL;
    entry->asking = true;
    entry->asking_ms = clock_monotonic_ms(cache->clock);
    pthread_mutex_unlock(&cache->lock);
    int code = ask_aws(cache, entry->app, &answer, &e);
    pthread_mutex_lock(&cache->lock);

    entry->asking = false;
    entry->asked_ms = clock_monotonic_ms(cache->clock);
    if (renewal)
        entry->renewed_ms = entry->asked_ms;
    entry->failure = (struct err){ 0 };
    if (code == 0) {
        entry_set(entry, answer.current, answer.previous);
        entry->read_ms = entry->asked_ms;
    } else {
        entry->failure = e;
        /* Somebody deleted it: what it was counts no more. While AWS is merely away, it does. */
        if (code == ERR_NOT_FOUND)
            entry_set(entry, NULL, NULL);
    }
    pthread_cond_broadcast(&cache->answered);
}

/*
 * Waits for the call that another thread is making. Without a secret there is nothing else to do: a crowd of first pushes gets its answer, and is not sent away.
 * What did not match the one that is known is a forger's, most likely, or it was changed a moment ago.
 */
static void await(struct hook_secrets *cache, struct entry *entry)
{
    int64_t left_ms = entry->asking_ms + WAIT_MS - clock_monotonic_ms(cache->clock);

    if (entry->current && entry->waiters >= WAITERS_MAX && left_ms > CROWDED_WAIT_MS)
        left_ms = CROWDED_WAIT_MS;
    struct timespec until = clock_after_ms(left_ms > 0 ? left_ms : 0);

    entry->waiters++;
    while (entry->asking) {
        if (pthread_cond_timedwait(&cache->answered, &cache->lock, &until) == ETIMEDOUT)
            break;
    }
    entry->waiters--;
}

static int answer_from(const struct entry *entry, struct secret **current, struct secret **previous, struct err *e)
{
    if (!entry->current && entry->failure.code == ERR_NONE)
        return err_set(e, ERR_TRANSIENT, "the webhook secret of app %s is still being read from Secrets Manager",
                       entry->app);
    if (!entry->current) {
        *e = entry->failure;
        return (int)e->code;
    }
    *current = secret_copy(entry->current);
    *previous = secret_copy(entry->previous);
    return 0;
}

int hook_secrets_get(struct hook_secrets *cache, const char *app, bool mismatch, struct secret **current,
                     struct secret **previous, bool *fresh, struct err *e)
{
    pthread_mutex_lock(&cache->lock);
    struct entry *entry = entry_ensure(cache, app);
    int64_t known_ms = entry->read_ms;

    if (entry->asking && (mismatch || !entry->current))
        await(cache, entry);
    else if (!entry->asking && is_due(cache, entry, mismatch))
        refresh(cache, entry);

    int code = answer_from(entry, current, previous, e);
    if (code == 0)
        *fresh = entry->read_ms != known_ms;
    pthread_mutex_unlock(&cache->lock);
    return code;
}

/* ---- making one ---- */

/* There is a secret of that name: only one that carries our tag for this app may be given a new value. */
static int check_ours(struct aws *aws, const char *name, const char *app, struct arena *mem, struct err *e)
{
    AUTO_JSON json_object *ask = json_build("{s:s}", "SecretId", name);
    AUTO_JSON json_object *reply = NULL;

    if (aws_call(aws, &SECRETSMANAGER, "DescribeSecret", ask, &reply, e))
        return (int)e->code;
    json_object *tags = json_at(reply, "/Tags");
    for (size_t i = 0; i < json_length(tags); i++) {
        const char *key = json_find_text(json_item(tags, i), "/Key", mem);
        const char *value = json_find_text(json_item(tags, i), "/Value", mem);

        if (key && value && strcmp(key, NAMES_TAG_APP) == 0 && strcmp(value, app) == 0)
            return 0;
    }
    err_set(e, ERR_CONFLICT, "the secret %s in Secrets Manager is not berth's: it lacks the tag %s=%s", name,
            NAMES_TAG_APP, app);
    return err_hint(e, "Delete or rename it, or give the app another name.");
}

static int replace_value(struct aws *aws, const char *name, const char *app, const struct secret *value, struct err *e)
{
    AUTO_ARENA struct arena *mem = arena_new();
    char token[37];

    if (check_ours(aws, name, app, mem, e))
        return (int)e->code;
    hash_uuid(token);
    AUTO_JSON json_object *ask = json_build("{s:s, s:s, s:s}", "SecretId", name, "ClientRequestToken", token,
                                            "SecretString", secret_bytes(value));
    return aws_call(aws, &SECRETSMANAGER, "PutSecretValue", ask, NULL, e);
}

static int create(struct aws *aws, const char *name, const char *app, const struct secret *value, struct err *e)
{
    char token[37];

    hash_uuid(token);
    AUTO_JSON json_object *ask = json_build(
        "{s:s, s:s, s:s, s:s, s:[{s:s, s:s}]}", "Name", name, "Description", "GitHub webhook secret of a berth app",
        "ClientRequestToken", token, "SecretString", secret_bytes(value), "Tags", "Key", NAMES_TAG_APP, "Value", app);
    return aws_call(aws, &SECRETSMANAGER, "CreateSecret", ask, NULL, e);
}

/* The name is that of a secret which waits for its deletion: that of an app that was destroyed. */
static bool is_being_deleted(const struct err *e)
{
    return err_is(e, "InvalidRequestException") && strstr(e->message, "deletion");
}

/* Its value of then is the one before, from now on. */
static int revive(struct aws *aws, const char *name, const char *app, const struct secret *value, struct err *e)
{
    AUTO_ARENA struct arena *mem = arena_new();
    AUTO_JSON json_object *ask = json_build("{s:s}", "SecretId", name);

    if (check_ours(aws, name, app, mem, e) || aws_call(aws, &SECRETSMANAGER, "RestoreSecret", ask, NULL, e))
        return (int)e->code;
    return replace_value(aws, name, app, value, e);
}

/* It may go for good between two calls: then it can be made, a moment later. */
static int create_or_revive(struct aws *aws, const char *name, const char *app, const struct secret *value,
                            bool *replaced, struct err *e)
{
    int code = create(aws, name, app, value, e);

    *replaced = false;
    for (int i = 0; i < REVIVE_TRIES && code && is_being_deleted(e); i++) {
        *e = (struct err){ 0 };
        code = revive(aws, name, app, value, e);
        if (code != ERR_NOT_FOUND && !is_being_deleted(e)) {
            *replaced = true;
            return code;
        }
        clock_sleep_ms(&clock_system, REVIVE_PAUSE_MS);
        *e = (struct err){ 0 };
        code = create(aws, name, app, value, e);
    }
    return code;
}

int hook_secret_create(struct aws *aws, const struct clock *clock, const char *app, bool replace, struct secret **out,
                       int64_t *old_until_ms, struct err *e)
{
    AUTO_ARENA struct arena *mem = arena_new();
    AUTO_SECRET struct secret *made = secret_random_hex(SECRET_RANDOM_BYTES);
    const char *name = name_hook_secret(mem, app);
    bool replaced = false;

    if (!made)
        return err_set(e, ERR_INTERNAL, "the system's random generator failed");
    int code = create_or_revive(aws, name, app, made, &replaced, e);
    if (code && err_is(e, "ResourceExistsException")) {
        if (!replace) {
            err_set(e, ERR_CONFLICT, "app %s has a webhook secret already: %s in Secrets Manager", app, name);
            return err_hint(e, "`berth apps secret %s` replaces it.", app);
        }
        *e = (struct err){ 0 }; /* that it is there already is no failure here */
        code = replace_value(aws, name, app, made, e);
        replaced = true;
    }
    if (code)
        return code;
    *old_until_ms = replaced ? clock_now_ms(clock) + HOOK_SECRET_OVERLAP_MS : 0;
    *out = made;
    made = NULL;
    return 0;
}
