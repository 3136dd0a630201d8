#include "fcgi/flood.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/fatal.h"
#include "core/base/hash.h"

/* What the database answered, with texts of its own. */
struct refusal {
    struct intake_answer answer; /* its texts are not to be read; wait_ms: from at_ms on */
    int64_t at_ms;
    char reason[FLOOD_TEXT_MAX], hint[FLOOD_TEXT_MAX], quota[FLOOD_TEXT_MAX]; /* "": none */
};

/* One app and ref. Two that share a place push each other out: then the database is asked, as without a memory. */
struct entry {
    uint8_t key[HASH_SIZE];
    int refusals;     /* by the database, within the second since since_ms */
    int64_t since_ms; /* all times are monotonic */
    int64_t until_ms; /* refused from memory before that; 0: not */
    struct refusal last;
    uint64_t accepted[FLOOD_ACCEPTED]; /* the beginnings of the bodies' digests, as a ring */
    int accepted_next;
};

struct flood {
    const struct clock *clock;
    pthread_mutex_t lock;
    struct entry entries[FLOOD_ENTRIES];
};

struct flood *flood_new(const struct clock *clock)
{
    struct flood *flood = calloc(1, sizeof(*flood));

    if (!flood)
        fatal_no_memory();
    flood->clock = clock;
    pthread_mutex_init(&flood->lock, NULL);
    return flood;
}

void flood_free(struct flood *flood)
{
    if (!flood)
        return;
    pthread_mutex_destroy(&flood->lock);
    free(flood);
}

static uint64_t beginning(const uint8_t digest[HASH_SIZE])
{
    uint64_t out;

    memcpy(&out, digest, sizeof(out));
    return out;
}

/* Called with the lock. */
static struct entry *find(struct flood *flood, const uint8_t key[HASH_SIZE])
{
    return &flood->entries[beginning(key) % FLOOD_ENTRIES];
}

static bool is_of(const struct entry *entry, const uint8_t key[HASH_SIZE])
{
    return memcmp(entry->key, key, HASH_SIZE) == 0;
}

static bool was_accepted(const struct entry *entry, const struct delivery *delivery)
{
    uint64_t body = beginning(delivery->body_sha256);

    for (int i = 0; i < FLOOD_ACCEPTED; i++)
        if (entry->accepted[i] == body)
            return true;
    return false;
}

/* The app's name and the branch, with the NUL between them that neither has. */
static void key_of(const struct delivery *delivery, uint8_t out[HASH_SIZE])
{
    AUTO_HASH struct hash *hash = hash_sha256_new();

    hash_add(hash, delivery->app, strlen(delivery->app) + 1);
    hash_add(hash, delivery->event->branch, strlen(delivery->event->branch));
    hash_end(hash, out);
}

static bool is_push(const struct delivery *delivery)
{
    return delivery->event->ignored == NULL && delivery->event->branch != NULL;
}

static const char *text_of(const char *kept, struct arena *mem)
{
    return *kept ? arena_copy(mem, kept) : NULL;
}

static void answer_from_memory(const struct refusal *last, int64_t now_ms, struct arena *mem, struct intake_answer *out)
{
    *out = last->answer;
    out->reason = text_of(last->reason, mem);
    out->hint = text_of(last->hint, mem);
    out->quota.name = text_of(last->quota, mem);
    if (out->wait_ms > 0)
        out->wait_ms -= now_ms - last->at_ms;
    /* How many seconds are left is the database's to say in a sentence. */
    if (out->outcome == INTAKE_LIMITED)
        out->hint = "Nothing is lost: the branch is looked at again when there is room.";
}

bool flood_refuses(struct flood *flood, const struct delivery *delivery, struct arena *mem, struct intake_answer *out)
{
    uint8_t key[HASH_SIZE];
    struct entry seen;

    if (!is_push(delivery))
        return false;
    key_of(delivery, key);
    pthread_mutex_lock(&flood->lock);
    seen = *find(flood, key);
    pthread_mutex_unlock(&flood->lock);

    int64_t now_ms = clock_monotonic_ms(flood->clock);
    if (!is_of(&seen, key) || now_ms >= seen.until_ms || was_accepted(&seen, delivery))
        return false;
    answer_from_memory(&seen.last, now_ms, mem, out);
    return true;
}

static bool fits(const char *text)
{
    return !text || strlen(text) < FLOOD_TEXT_MAX;
}

static void keep_text(char kept[FLOOD_TEXT_MAX], const char *text)
{
    snprintf(kept, FLOOD_TEXT_MAX, "%s", text ? text : "");
}

/* Whether the same answer may be given to the next push: it was judged, and there is a time for which it holds. */
static bool may_be_kept(const struct intake_answer *answer)
{
    bool judged = answer->outcome == INTAKE_LIMITED      ? answer->wait_ms > 0
                  : answer->outcome == INTAKE_OVER_QUOTA ? answer->wait_ms != 0 && answer->quota.name
                                                         : false;

    return judged && answer->bucket.burst > 0 && fits(answer->reason) && fits(answer->hint) && fits(answer->quota.name);
}

static void keep(struct refusal *last, int64_t now_ms, const struct intake_answer *answer)
{
    last->answer = *answer;
    last->at_ms = now_ms;
    keep_text(last->reason, answer->reason);
    keep_text(last->hint, answer->hint);
    keep_text(last->quota, answer->quota.name);
}

static void note_refusal(struct entry *entry, int64_t now_ms, const struct intake_answer *answer)
{
    bool ends_sooner = answer->wait_ms > 0 && answer->wait_ms < FLOOD_MS;

    if (now_ms - entry->since_ms >= FLOOD_MS) {
        entry->since_ms = now_ms;
        entry->refusals = 0;
    }
    /* Those that were on their way when it began do not make it longer. */
    if (now_ms < entry->until_ms || ++entry->refusals < FLOOD_REFUSALS)
        return;
    keep(&entry->last, now_ms, answer);
    entry->refusals = 0;
    entry->until_ms = now_ms + (ends_sooner ? answer->wait_ms : FLOOD_MS);
}

void flood_note(struct flood *flood, const struct delivery *delivery, const struct intake_answer *answer)
{
    bool refused = may_be_kept(answer);
    uint8_t key[HASH_SIZE];

    if (!is_push(delivery) || (!refused && answer->outcome != INTAKE_ACCEPTED))
        return;
    key_of(delivery, key);
    pthread_mutex_lock(&flood->lock);
    struct entry *entry = find(flood, key);
    if (!is_of(entry, key)) {
        *entry = (struct entry){ 0 };
        memcpy(entry->key, key, HASH_SIZE);
    }
    if (refused) {
        note_refusal(entry, clock_monotonic_ms(flood->clock), answer);
    } else {
        entry->until_ms = 0; /* there was a token */
        entry->accepted[entry->accepted_next++ % FLOOD_ACCEPTED] = beginning(delivery->body_sha256);
        entry->accepted_next %= FLOOD_ACCEPTED;
    }
    pthread_mutex_unlock(&flood->lock);
}
