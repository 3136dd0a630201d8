/*
 * rest - the few calls of GitHub's REST API that berth makes.
 *
 * Sent: Accept application/vnd.github+json, X-GitHub-Api-Version, User-Agent, and Authorization when there is a token. The token goes to the API's own
 * host only, never on a redirect to another host. Errors: 404 ERR_NOT_FOUND (GitHub answers so for what a token may not see: the hint says so),
 * 401 and 403 ERR_DENIED, rate limits (403/429 with x-ratelimit-remaining 0 or retry-after) ERR_THROTTLED, 5xx ERR_TRANSIENT.
 */
#ifndef BERTH_GITHUB_REST_H
#define BERTH_GITHUB_REST_H

#include "core/base/secret.h"
#include "core/net/http.h"

enum {
    GITHUB_REDIRECTS_MAX = 5,
    GITHUB_REPLY_MAX = 1024 * 1024,
    /* Less than a worker's lease: whoever asks still holds its release when GitHub has kept it waiting. */
    GITHUB_TIMEOUT_MS = 10000,
    GITHUB_SILENCE_MS = 20000, /* of an archive, before it begins or on its way */
};
#define GITHUB_ARCHIVE_MAX (INT64_C(2) * 1024 * 1024 * 1024) /* bytes; ours, GitHub names none */

struct github {
    struct http transport;
    const char *api_url;        /* "https://api.github.com", or of a GitHub Enterprise Server; no slash at the end */
    const struct secret *token; /* NULL: public repositories only */
};

/*
 * Streams the repository at a commit as a zip with one top folder, in bounded memory. *bytes: how many were handed on. A transfer that is cut off is
 * ERR_TRANSIENT where HTTP tells (a length, chunks); a body that ends with its connection tells nothing, so the archive's own end is the caller's to check.
 */
int github_archive(const struct github *gh, const char *repository, const char *commit_sha,
                   int (*sink)(void *context, const void *bytes, size_t len, struct err *e), void *context,
                   int64_t *bytes, struct err *e);

struct github_commit {
    const char *sha;
    const char *title; /* the first line of its message; NULL: it has none */
};

/* The commit at a branch's head. ERR_NOT_FOUND with the detail GITHUB_NO_BRANCH: the repository is there, the branch isn't. */
#define GITHUB_NO_BRANCH "BranchNotFound"
int github_branch_head(const struct github *gh, const char *repository, const char *branch, struct arena *mem,
                       struct github_commit *out, struct err *e);

/* The commit of this name, or of this beginning of one. */
int github_commit_find(const struct github *gh, const char *repository, const char *sha, struct arena *mem,
                       struct github_commit *out, struct err *e);

/* What is left of the rate limit; asking takes nothing of it. ERR_DENIED: the token is not valid. */
struct github_rate {
    int64_t limit, left; /* requests an hour */
};
int github_rate_limit(const struct github *gh, struct github_rate *out, struct err *e);

enum github_status { GITHUB_PENDING, GITHUB_SUCCESS, GITHUB_FAILURE, GITHUB_ERROR, GITHUB_STATUS_COUNT };

/* Sets the commit's status under the context "berth/{app}"; description is cut to 140 characters (GitHub's limit). */
int github_set_status(const struct github *gh, const char *repository, const char *commit_sha,
                      enum github_status status, const char *context, const char *description, const char *target_url,
                      struct err *e);

#endif
