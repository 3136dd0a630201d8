/* What is asked over the network beside AWS: GitHub, the apps' address, berth's own address and the web server behind it. */
#include <string.h>

#include "core/base/hash.h"
#include "core/deploy/github_access.h"
#include "core/doctor/doctor_parts.h"
#include "core/github/rest.h"

enum { PROBE_MS = 3500, REFUSAL_MS = 2500, REPLY_MAX = 64 * 1024, MADE_UP_BYTES = 4, RATE_WARN_PERCENT = 10 };

static int get(struct look *look, const char *url, struct http_reply *reply, struct err *e)
{
    struct http http = doctor_transport(look);
    const struct http_request request = { .method = "GET", .url = url, .timeout_ms = PROBE_MS, .reply_max = REPLY_MAX };

    return http.send(http.context, &request, look->mem, reply, e);
}

/* The transport resolves within a time of its own, which getaddrinfo has not; and it shows whether the certificate fits. */
void look_dns(struct look *look)
{
    const char *domain = doctor_settings(look)->domain;
    uint8_t bytes[MADE_UP_BYTES] = { 0 };
    char made_up[2 * MADE_UP_BYTES + 1];
    struct http_reply reply = { 0 };
    struct err e = { 0 };

    if (!domain) {
        doctor_tell(look, DOCTOR_SKIPPED, "[platform] domain is not set.");
        return;
    }
    hash_random(bytes, sizeof bytes);
    hash_hex(bytes, sizeof bytes, made_up);
    const char *host = arena_printf(look->mem, "doctor-%s.%s", made_up, domain);
    if (!get(look, arena_printf(look->mem, "https://%s/", host), &reply, &e)) {
        doctor_tell(look, DOCTOR_OK, "Any name below %s resolves and is answered by HTTPS (HTTP %d to a made-up one).",
                    domain, reply.status);
    } else if (err_is(&e, "CURLE_COULDNT_RESOLVE_HOST")) {
        doctor_tell(look, DOCTOR_WARNING, "%s, a made-up name, does not resolve: apps can't be reached by their names.",
                    host);
        doctor_advise(look,
                      "In the DNS zone of %s, make *.%s an alias (or CNAME) of the first load balancer's DNS name.",
                      domain, domain);
    } else if (err_is(&e, "CURLE_PEER_FAILED_VERIFICATION")) {
        doctor_tell(look, DOCTOR_WARNING, "%s resolves, but the certificate there is not for it: %s.", host, e.message);
        doctor_advise(look, "Give the load balancer's HTTPS listener a certificate for *.%s (AWS Certificate Manager).",
                      domain);
    } else {
        doctor_tell(look, DOCTOR_WARNING, "%s could not be asked: %s.", host, e.message);
        doctor_advise(look,
                      "Where only this host can't reach it, that is no harm to the apps; else check the load "
                      "balancer's security group (port 443 open) and *.%s in DNS.",
                      domain);
    }
}

static void judge_rate(struct look *look, const struct github_rate *rate, bool with_token)
{
    doctor_tell(look, rate->left * 100 < rate->limit * RATE_WARN_PERCENT ? DOCTOR_WARNING : DOCTOR_OK,
                "%s answers; %lld of %lld requests an hour are left, %s.", doctor_settings(look)->github_api_url,
                (long long)rate->left, (long long)rate->limit,
                with_token ? "with the token of [github] token_secret"
                           : "without a token: only public repositories can be built");
    if (look->check.verdict != DOCTOR_OK)
        doctor_advise(look, with_token
                                ? "Releases wait when none is left. Give berth a token that nothing else uses."
                                : "Releases wait when none is left. A token has 5000 an hour: [github] token_secret.");
}

static int ask_github(struct look *look, struct err *e)
{
    AUTO_SECRET struct secret *token = NULL;
    const struct settings *settings = doctor_settings(look);
    struct github github = { 0 };
    struct github_rate rate = { 0 };
    struct aws *aws = NULL;
    int failure = settings->github_token_secret ? doctor_aws(look, &aws, e) : 0;

    if (!failure)
        failure = github_access(settings, aws, doctor_transport(look), &github, &token, e);
    if (!failure)
        failure = github_rate_limit(&github, &rate, e);
    if (!failure)
        judge_rate(look, &rate, token != NULL);
    aws_free(aws);
    return failure;
}

void look_github(struct look *look)
{
    struct err e = { 0 };

    if (doctor_settings(look)->github_token_secret && !doctor_is_well(look, DOCTOR_AWS_IDENTITY))
        doctor_tell(look, DOCTOR_SKIPPED,
                    "GitHub's token is in Secrets Manager, and this needs AWS credentials that work.");
    else if (ask_github(look, &e))
        doctor_tell_err(look, DOCTOR_FAILED, &e);
}

/* Whether GET url answers 200; tells why not. */
static bool answers(struct look *look, const char *url)
{
    struct http_reply reply = { 0 };
    struct err e = { 0 };
    AUTO_JSON json_object *body = NULL;

    if (get(look, url, &reply, &e)) {
        doctor_tell(look, DOCTOR_WARNING, "%s.", e.message);
        doctor_advise(look,
                      "GitHub must reach it: check the web server, TLS and DNS. Where only this host can't (a firewall "
                      "in between), that is no harm.");
        return false;
    }
    if (reply.status == 200)
        return true;
    const char *said =
        json_parse(reply.body, reply.body_len, &body, &e) ? NULL : json_find_text(body, "/error/message", look->mem);
    doctor_tell(look, DOCTOR_FAILED, "%s answered HTTP %d%s%.200s", url, reply.status, said ? ": " : ".",
                said ? said : "");
    doctor_advise(look,
                  "Deliveries are refused until it answers 200. Check that berth-fcgi --hooks runs (journalctl -u "
                  "berth-hooks), and that the web server hands /hooks/, /healthz and /readyz to it.");
    return false;
}

void look_hooks_url(struct look *look)
{
    const char *url = doctor_settings(look)->hooks_url;

    if (!url) {
        doctor_tell(look, DOCTOR_WARNING, "[hooks] url is not set, so it is not known where GitHub reaches berth.");
        doctor_advise(look, "Set it to the address before /hooks/github/, for example https://berth.example.com.");
    } else if (answers(look, arena_printf(look->mem, "%s/healthz", url)) &&
               answers(look, arena_printf(look->mem, "%s/readyz", url))) {
        doctor_tell(look, DOCTOR_OK, "%s answers, and is ready to take deliveries.", url);
    }
}

/*
 * A delivery of the largest size is announced and not sent. Whoever in front refuses such a size does so at once; who takes it waits for the body. This asks what is
 * really there, be it lighttpd, Apache or a proxy before them, which reading one's configuration file would not.
 */
static int announce_delivery(struct look *look, const char *url, struct http_reply *reply, struct err *e)
{
    struct http http = doctor_transport(look);
    const char *size = arena_printf(look->mem, "%lld", (long long)doctor_settings(look)->hooks_body_max);
    const struct http_header headers[] = { { "Content-Type", "application/json" }, { "Content-Length", size } };
    const struct http_request request = { .method = "POST",
                                          .url = url,
                                          .headers = headers,
                                          .header_count = 2,
                                          .timeout_ms = REFUSAL_MS,
                                          .reply_max = REPLY_MAX,
                                          .once = true };

    return http.send(http.context, &request, look->mem, reply, e);
}

void look_web_server(struct look *look)
{
    const struct settings *settings = doctor_settings(look);
    long long size = settings->hooks_body_max;
    struct http_reply reply = { 0 };
    struct err e = { 0 };

    if (!settings->hooks_url || !doctor_is_well(look, DOCTOR_HOOKS_URL) ||
        look->doctor->checks[DOCTOR_HOOKS_URL].verdict == DOCTOR_WARNING) {
        doctor_tell(look, DOCTOR_SKIPPED, "berth's address for GitHub does not answer here.");
        return;
    }
    /* No app has such a name. */
    if (!announce_delivery(look, arena_printf(look->mem, "%s/hooks/github/-doctor", settings->hooks_url), &reply, &e)) {
        if (reply.status == 413) {
            doctor_tell(look, DOCTOR_FAILED, "A delivery of %lld bytes is refused before berth sees it (HTTP 413).",
                        size);
            doctor_advise(
                look, "Raise the limit of the web server, and of any proxy before it, just above [hooks] body_max: "
                      "lighttpd server.max-request-size (KiB), Apache LimitRequestBody, nginx client_max_body_size.");
            return;
        }
        doctor_tell(
            look, DOCTOR_WARNING,
            "A request was answered (HTTP %d) before its body was there: the web server hands requests on while "
            "bodies are still on their way, so clients that stall can hold up every delivery.",
            reply.status);
        doctor_advise(look, "lighttpd: server.stream-request-body = 0, as in berth's lighttpd.conf.");
    } else if (err_is(&e, "CURLE_OPERATION_TIMEDOUT")) {
        doctor_tell(look, DOCTOR_OK,
                    "A delivery of %lld bytes is taken, and handed on only when it is there as a whole.", size);
    } else {
        doctor_tell(look, DOCTOR_WARNING, "A large delivery could not be announced: %s.", e.message);
        doctor_advise(look, "See the web server's error log at this moment.");
    }
}
