#include "core/github/rest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/base/buf.h"
#include "core/base/json.h"
#include "core/base/text.h"

#define API_VERSION "2022-11-28"

enum { STATUS_DESCRIPTION_MAX = 140, SAID_MAX = 200, REQUEST_ID_MAX = 64, BEARER_MAX = 1024 };

/* One request of ours, wherever redirects take it. */
struct ask {
    const char *method;
    const char *url;
    const char *what; /* for messages: "GitHub's archive of acme/shop at 1a2b..." */
    const char *body; /* JSON text; NULL: none */
    int (*sink)(void *context, const void *bytes, size_t len, struct err *e);
    void *context;
};

/* Where a URL's host and port are. */
struct origin {
    bool https;
    const char *host;
    size_t host_len;
    long port;
};

static bool parse_origin(const char *url, struct origin *out)
{
    size_t len;

    out->https = strncasecmp(url, "https://", 8) == 0;
    if (!out->https && strncasecmp(url, "http://", 7) != 0)
        return false;
    out->host = url + (out->https ? 8 : 7);
    len = strcspn(out->host, "/?#");
    if (memchr(out->host, '@', len))
        return false; /* a user's name and password have no business in a redirect */
    out->host_len = out->host[0] == '[' ? strcspn(out->host, "]") + 1 : strcspn(out->host, ":/?#");
    if (out->host_len == 0 || out->host_len > len)
        return false;
    out->port = out->https ? 443 : 80;
    if (out->host[out->host_len] == ':')
        out->port = strtol(out->host + out->host_len + 1, NULL, 10);
    return true;
}

static bool same_origin(const struct origin *a, const struct origin *b)
{
    return a->https == b->https && a->port == b->port && a->host_len == b->host_len &&
           strncasecmp(a->host, b->host, a->host_len) == 0;
}

/* "Bearer " and the token, wiped when freed. */
static struct secret *bearer(const struct secret *token)
{
    char text[BEARER_MAX];
    int len = snprintf(text, sizeof text, "Bearer %s", secret_bytes(token));
    struct secret *made = len < (int)sizeof text ? secret_new(text, (size_t)len) : NULL;

    secret_wipe(text, sizeof text);
    return made;
}

static int send_once(const struct github *gh, const struct ask *ask, const char *url, bool with_token,
                     struct arena *mem, struct http_reply *reply, struct err *e)
{
    AUTO_SECRET struct secret *authorization = with_token ? bearer(gh->token) : NULL;
    struct http_header headers[4] = {
        { "Accept", "application/vnd.github+json" },
        { "X-GitHub-Api-Version", API_VERSION },
    };
    struct http_request request = {
        .method = ask->method,
        .url = url,
        .headers = headers,
        .header_count = 2,
        .body = ask->body,
        .body_len = ask->body ? strlen(ask->body) : 0,
        .timeout_ms = ask->sink ? GITHUB_SILENCE_MS : GITHUB_TIMEOUT_MS,
        .reply_max = GITHUB_REPLY_MAX,
        .sink = ask->sink,
        .sink_context = ask->context,
    };

    if (with_token && !authorization)
        return err_set(e, ERR_INVALID, "GitHub's token is longer than %d characters", BEARER_MAX);
    if (authorization)
        headers[request.header_count++] = (struct http_header){ "Authorization", secret_bytes(authorization) };
    if (ask->body)
        headers[request.header_count++] = (struct http_header){ "Content-Type", "application/json" };
    return gh->transport.send(gh->transport.context, &request, mem, reply, e);
}

static bool is_redirect(int status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/* Where a redirect leads, absolute. Unencrypted only where GitHub's API is itself (a stand-in for tests). */
static int redirect_target(const struct github *gh, const struct ask *ask, const char *from, const char *location,
                           struct arena *mem, const char **out, struct err *e)
{
    struct origin api, here, there;
    const char *target = location;

    if (location && location[0] == '/' && location[1] != '/' && parse_origin(from, &here))
        target =
            arena_printf(mem, "%.*s%s", (int)(strcspn(here.host, "/?#") + (size_t)(here.host - from)), from, location);
    if (!target || text_has_control(target, strlen(target)) || !parse_origin(gh->api_url, &api) ||
        !parse_origin(target, &there) || (!there.https && api.https))
        return err_set(e, ERR_INVALID, "%s: GitHub redirected to an address that berth doesn't follow: %s", ask->what,
                       target ? http_url_shown(mem, target) : "none");
    *out = target;
    return 0;
}

/* What GitHub says of an error, with its request's id, for a message. */
static const char *said(const struct http_reply *reply, struct arena *mem)
{
    AUTO_JSON json_object *body = NULL;
    struct err unparsed = { 0 };
    char words[SAID_MAX] = "", request_id[REQUEST_ID_MAX] = "";
    const char *id = http_reply_header(reply, "x-github-request-id");
    const char *message =
        json_parse(reply->body, reply->body_len, &body, &unparsed) == 0 ? json_find_text(body, "/message", mem) : NULL;

    if (message)
        text_excerpt(message, words, sizeof words);
    if (id)
        text_excerpt(id, request_id, sizeof request_id);
    return arena_printf(mem, "HTTP %d%s%s%s%s%s", reply->status, words[0] ? ", \"" : "", words, words[0] ? "\"" : "",
                        request_id[0] ? ", request " : "", request_id);
}

static bool is_rate_limit(const struct http_reply *reply)
{
    const char *left = http_reply_header(reply, "x-ratelimit-remaining");

    return reply->status == 429 ||
           (reply->status == 403 && (http_reply_header(reply, "retry-after") || (left && strcmp(left, "0") == 0)));
}

static int rate_limited(const struct github *gh, const struct ask *ask, const char *why, struct err *e)
{
    err_set(e, ERR_THROTTLED, "%s: GitHub's rate limit is used up (%s)", ask->what, why);
    if (!gh->token)
        err_hint(e, "Without a token GitHub allows few requests an hour: store one in Secrets Manager and name it as "
                    "[github] token_secret.");
    return e->code;
}

static int not_found(const struct github *gh, const struct ask *ask, const char *why, struct err *e)
{
    err_set(e, ERR_NOT_FOUND, "%s: GitHub found nothing there (%s)", ask->what, why);
    if (gh->token)
        return err_hint(e, "Either it doesn't exist any more, or the token in [github] token_secret may not see the "
                           "repository: GitHub answers the same to both.");
    return err_hint(e, "Either it doesn't exist any more, or the repository is private: then a token is needed, named "
                       "as [github] token_secret.");
}

static int refusal(const struct github *gh, const struct ask *ask, const struct http_reply *reply, struct arena *mem,
                   struct err *e)
{
    const char *why = said(reply, mem);

    if (is_rate_limit(reply))
        return rate_limited(gh, ask, why, e);
    switch (reply->status) {
    case 401:
    case 403:
        err_set(e, ERR_DENIED, "%s: GitHub refused it (%s)", ask->what, why);
        return err_hint(e, "Check that the token in [github] token_secret is valid, and may read the repository's "
                           "contents and write commit statuses.");
    case 404:
        return not_found(gh, ask, why, e);
    case 409:
        err_set(e, ERR_INVALID, "%s: the repository is empty (%s)", ask->what, why);
        return err_hint(e, "Push a commit with a Dockerfile at its top.");
    case 408:
        return err_set(e, ERR_TRANSIENT, "%s: GitHub gave up waiting (%s)", ask->what, why);
    default:
        return err_set(e, reply->status >= 500 ? ERR_TRANSIENT : ERR_INVALID, "%s: GitHub answered %s", ask->what, why);
    }
}

/* Sends, follows redirects, and turns anything but a 2xx into an error. The token stays with the API's own origin. */
static int ask_github(const struct github *gh, const struct ask *ask, struct arena *mem, struct http_reply *reply,
                      struct err *e)
{
    const char *url = ask->url;
    struct origin api, here;

    if (!parse_origin(gh->api_url, &api))
        return err_set(e, ERR_INVALID, "[github] api_url is not an http or https URL");
    for (int redirects = 0; redirects <= GITHUB_REDIRECTS_MAX; redirects++) {
        bool own = parse_origin(url, &here) && same_origin(&here, &api);
        if (send_once(gh, ask, url, own && gh->token, mem, reply, e))
            return err_context(e, "%s", ask->what);
        if (reply->status >= 200 && reply->status < 300)
            return 0;
        if (!is_redirect(reply->status))
            return refusal(gh, ask, reply, mem, e);
        if (redirect_target(gh, ask, url, http_reply_header(reply, "location"), mem, &url, e))
            return e->code;
    }
    return err_set(e, ERR_INVALID, "%s: GitHub redirected more than %d times", ask->what, GITHUB_REDIRECTS_MAX);
}

struct counted {
    int (*sink)(void *context, const void *bytes, size_t len, struct err *e);
    void *context;
    int64_t bytes;
};

static int count_and_pass(void *context, const void *bytes, size_t len, struct err *e)
{
    struct counted *counted = context;

    counted->bytes += (int64_t)len;
    if (counted->bytes > GITHUB_ARCHIVE_MAX) {
        err_set(e, ERR_INVALID, "the archive is larger than %lld MiB", (long long)(GITHUB_ARCHIVE_MAX / (1024 * 1024)));
        return err_hint(e, "Large files belong into an object store or a registry, not into the repository.");
    }
    return counted->sink(counted->context, bytes, len, e);
}

int github_archive(const struct github *gh, const char *repository, const char *commit_sha,
                   int (*sink)(void *context, const void *bytes, size_t len, struct err *e), void *context,
                   int64_t *bytes, struct err *e)
{
    AUTO_ARENA struct arena *mem = arena_new();
    struct counted counted = { .sink = sink, .context = context };
    struct http_reply reply = { 0 };
    const struct ask ask = {
        .method = "GET",
        .url = arena_printf(mem, "%s/repos/%s/zipball/%s", gh->api_url, repository, commit_sha),
        .what = arena_printf(mem, "the archive of %s at %.12s", repository, commit_sha),
        .sink = count_and_pass,
        .context = &counted,
    };

    if (ask_github(gh, &ask, mem, &reply, e))
        return e->code;
    *bytes = counted.bytes;
    return 0;
}

/* Asks for something that has a commit at this place. */
static int ask_commit(const struct github *gh, const struct ask *ask, const char *at, struct arena *mem,
                      struct github_commit *out, struct err *e)
{
    AUTO_JSON json_object *found = NULL;
    struct http_reply reply = { 0 };
    const char *sha, *message;

    if (ask_github(gh, ask, mem, &reply, e))
        return e->code;
    if (json_parse(reply.body, reply.body_len, &found, e) ||
        json_read_text(found, arena_printf(mem, "%s/sha", at), mem, &sha, e))
        return err_context(e, "%s: GitHub's answer can't be read", ask->what);
    message = json_find_text(found, arena_printf(mem, "%s/commit/message", at), mem);
    *out = (struct github_commit){ .sha = sha };
    if (message && *message)
        out->title = arena_copy_n(mem, message, strcspn(message, "\r\n"));
    return 0;
}

static int ask_repository(const struct github *gh, const char *repository, struct arena *mem, struct err *e)
{
    struct http_reply reply = { 0 };
    const struct ask ask = {
        .method = "GET",
        .url = arena_printf(mem, "%s/repos/%s", gh->api_url, repository),
        .what = arena_printf(mem, "the repository %s", repository),
    };

    return ask_github(gh, &ask, mem, &reply, e);
}

int github_branch_head(const struct github *gh, const char *repository, const char *branch, struct arena *mem,
                       struct github_commit *out, struct err *e)
{
    const struct ask ask = {
        .method = "GET",
        .url = arena_printf(mem, "%s/repos/%s/branches/%s", gh->api_url, repository, http_encode(mem, branch, true)),
        .what = arena_printf(mem, "the head of %s in %s", branch, repository),
    };

    if (ask_commit(gh, &ask, "/commit", mem, out, e) != ERR_NOT_FOUND || ask_repository(gh, repository, mem, e))
        return e->code;
    err_set(e, ERR_NOT_FOUND, "%s has no branch %s", repository, branch);
    err_detail(e, GITHUB_NO_BRANCH);
    return err_hint(e, "Push the branch, or name another commit.");
}

int github_commit_find(const struct github *gh, const char *repository, const char *sha, struct arena *mem,
                       struct github_commit *out, struct err *e)
{
    const struct ask ask = {
        .method = "GET",
        .url = arena_printf(mem, "%s/repos/%s/commits/%s", gh->api_url, repository, http_encode(mem, sha, false)),
        .what = arena_printf(mem, "the commit %s of %s", sha, repository),
    };

    if (ask_commit(gh, &ask, "", mem, out, e) == ERR_INVALID)
        return err_hint(e, "Push the commit to the repository first; if it is there, give all of its digits.");
    return e->code;
}

int github_set_status(const struct github *gh, const char *repository, const char *commit_sha,
                      enum github_status status, const char *context, const char *description, const char *target_url,
                      struct err *e)
{
    static const char *const states[GITHUB_STATUS_COUNT] = {
        [GITHUB_PENDING] = "pending",
        [GITHUB_SUCCESS] = "success",
        [GITHUB_FAILURE] = "failure",
        [GITHUB_ERROR] = "error",
    };
    AUTO_ARENA struct arena *mem = arena_new();
    char cut[STATUS_DESCRIPTION_MAX + 1];
    AUTO_JSON json_object *body = NULL;
    struct http_reply reply = { 0 };
    struct ask ask = {
        .method = "POST",
        .url = arena_printf(mem, "%s/repos/%s/statuses/%s", gh->api_url, repository, commit_sha),
        .what = arena_printf(mem, "the status of %s at %.12s", repository, commit_sha),
    };

    text_excerpt(description, cut, sizeof cut);
    body = json_build("{s:s, s:s, s:s, s:s}", "state", states[status], "context", context, "description", cut,
                      "target_url", target_url);
    ask.body = json_to_text(body, mem);
    return ask_github(gh, &ask, mem, &reply, e);
}

int github_rate_limit(const struct github *gh, struct github_rate *out, struct err *e)
{
    AUTO_ARENA struct arena *mem = arena_new();
    AUTO_JSON json_object *found = NULL;
    struct http_reply reply = { 0 };
    struct github_rate rate = { 0 };
    const struct ask ask = {
        .method = "GET",
        .url = arena_printf(mem, "%s/rate_limit", gh->api_url),
        .what = "GitHub's rate limit",
    };

    if (ask_github(gh, &ask, mem, &reply, e))
        return e->code;
    if (json_parse(reply.body, reply.body_len, &found, e) ||
        json_read_int(found, "/resources/core/limit", &rate.limit, e) ||
        json_read_int(found, "/resources/core/remaining", &rate.left, e))
        return err_context(e, "%s: the answer can't be read", ask.what);
    *out = rate;
    return 0;
}
