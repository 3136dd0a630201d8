/*
 * event - what a webhook delivery says, of any event, and of a push in particular.
 *
 * Fields as in "Webhook events and payloads", GitHub Docs. Parsed only after the delivery was proven genuine, but still from outside: each text has a limit
 * (a longer one is ERR_INVALID, the commit's title is cut), and types are checked.
 */
#ifndef BERTH_GITHUB_EVENT_H
#define BERTH_GITHUB_EVENT_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/arena.h"
#include "core/base/err.h"
#include "core/base/json.h"

enum {
    GITHUB_REPOSITORY_MAX = 140, /* owner (39) / name (100) */
    GITHUB_REF_MAX = 255,
    GITHUB_LOGIN_MAX = 100,
    GITHUB_TITLE_MAX = 200,
    GITHUB_COMMITS_MAX = 2048,       /* in one push: "Webhook events and payloads", push */
    GITHUB_COMMIT_FILES_MAX = 3000,  /* of one commit: the same */
    GITHUB_PATH_BYTES_MAX = 2097152, /* of all paths together that are judged; ours */
};

struct github_event {
    const char *name;       /* X-GitHub-Event: "push" */
    const char *repository; /* "acme/shop"; NULL when the event has none */
    int64_t repository_id;  /* 0 when the event has none */
    /* A push that could make a release has these; otherwise ignored says why, in words for a person. */
    const char *ignored; /* NULL, "a ping", "event issues", "a tag", "branch x was deleted" */
    const char *branch;
    const char *commit_sha;
    const char *commit_title; /* first line, cut */
    const char *pushed_by;
};

/* body is the parsed delivery; ERR_INVALID names the member that is missing or of the wrong type. */
int github_event_read(const char *name, const json_object *body, struct arena *mem, struct github_event *out,
                      struct err *e);

/*
 * Whether a push touches a file that is wanted: asks about each path that its commits add, change or remove, until one is. True as well when its payload can't tell: a new
 * branch, a forced push, no commits listed, or lists that have reached GitHub's limits or ours. body as was read before without an error; holds the paths of one commit at a time.
 */
bool github_push_may_touch(const json_object *body, bool (*is_wanted)(void *context, const char *path), void *context);

#endif
