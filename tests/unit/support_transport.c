#include "tests/unit/support_transport.h"

#include <fnmatch.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <cmocka.h>

enum { STEPS_MAX = 1024, PIECE_BYTES = 7 };

struct step {
    const char *method, *url, *body_part;
    int status; /* 0: fails with code */
    struct http_header *headers;
    size_t header_count;
    const char *body;
    size_t body_len;
    enum err_code code;
    const char *detail;
};

struct made {
    const char *method, *url, *body;
    size_t body_len;
    struct http_header *headers;
    size_t header_count;
};

struct fake_transport {
    struct arena *mem;
    pthread_mutex_t lock;
    struct step steps[STEPS_MAX];
    size_t step_count;
    struct made made[STEPS_MAX];
    size_t made_count;
    char *unexpected; /* the first surprise; NULL: none */
};

struct fake_transport *fake_new(void)
{
    struct fake_transport *fake = calloc(1, sizeof *fake);

    assert_non_null(fake);
    fake->mem = arena_new();
    pthread_mutex_init(&fake->lock, NULL);
    return fake;
}

void fake_free(struct fake_transport *fake)
{
    if (!fake)
        return;
    pthread_mutex_destroy(&fake->lock);
    arena_free(fake->mem);
    free(fake);
}

void fake_expect(struct fake_transport *fake, const char *method, const char *url, const char *body_part)
{
    assert_true(fake->step_count < STEPS_MAX);
    fake->steps[fake->step_count++] = (struct step){ .method = arena_copy(fake->mem, method),
                                                     .url = arena_copy(fake->mem, url),
                                                     .body_part = arena_copy(fake->mem, body_part),
                                                     .body = "",
                                                     .code = ERR_TRANSIENT,
                                                     .detail = "NO_ANSWER_SCRIPTED" };
}

static struct step *last_step(struct fake_transport *fake)
{
    assert_true(fake->step_count > 0);
    return &fake->steps[fake->step_count - 1];
}

static void parse_headers(struct fake_transport *fake, struct step *step, const char *lines)
{
    step->headers = arena_array(fake->mem, HTTP_HEADERS_MAX, sizeof *step->headers);
    while (lines && *lines && step->header_count < HTTP_HEADERS_MAX) {
        size_t len = strcspn(lines, "\n");
        char *line = arena_copy_n(fake->mem, lines, len);
        char *colon = strstr(line, ": ");

        assert_non_null(colon);
        *colon = '\0';
        step->headers[step->header_count++] = (struct http_header){ line, colon + 2 };
        lines += len + (lines[len] == '\n');
    }
}

void fake_reply_bytes(struct fake_transport *fake, int status, const char *headers, const void *body, size_t len)
{
    struct step *step = last_step(fake);

    step->status = status;
    step->body = arena_copy_n(fake->mem, body, len);
    step->body_len = len;
    parse_headers(fake, step, headers);
}

void fake_reply(struct fake_transport *fake, int status, const char *headers, const char *body)
{
    fake_reply_bytes(fake, status, headers, body, strlen(body));
}

void fake_fail(struct fake_transport *fake, enum err_code code, const char *detail)
{
    struct step *step = last_step(fake);

    step->status = 0;
    step->code = code;
    step->detail = arena_copy(fake->mem, detail);
}

static struct made *keep_request(struct fake_transport *fake, const struct http_request *request)
{
    struct made *made = &fake->made[fake->made_count++];

    made->method = arena_copy(fake->mem, request->method);
    made->url = arena_copy(fake->mem, request->url);
    made->body = arena_copy_n(fake->mem, request->body ? request->body : "", request->body ? request->body_len : 0);
    made->body_len = request->body ? request->body_len : 0;
    made->headers = arena_array(fake->mem, request->header_count + 1, sizeof *made->headers);
    made->header_count = request->header_count;
    for (size_t i = 0; i < request->header_count; i++)
        made->headers[i] = (struct http_header){ arena_copy(fake->mem, request->headers[i].name),
                                                 arena_copy(fake->mem, request->headers[i].value) };
    return made;
}

static int is_expected(const struct step *step, const struct made *made)
{
    return (!step->method || strcmp(step->method, made->method) == 0) &&
           (!step->url || fnmatch(step->url, made->url, 0) == 0) &&
           (!step->body_part || memmem(made->body, made->body_len, step->body_part, strlen(step->body_part)));
}

static const struct step *next_step(struct fake_transport *fake, const struct http_request *request)
{
    size_t index = fake->made_count;
    const struct step *step = index < fake->step_count ? &fake->steps[index] : NULL;
    const struct made *made;

    assert_true(index < STEPS_MAX);
    made = keep_request(fake, request);
    if (step && is_expected(step, made))
        return step;
    if (!fake->unexpected)
        fake->unexpected =
            arena_printf(fake->mem, "request %zu was %s %s %.300s; expected %s %s %s", index, made->method, made->url,
                         made->body, step && step->method ? step->method : "-", step && step->url ? step->url : "-",
                         step && step->body_part ? step->body_part : "-");
    return NULL;
}

static int hand_on(const struct step *step, const struct http_request *request, struct err *e)
{
    for (size_t at = 0; at < step->body_len; at += PIECE_BYTES) {
        size_t left = step->body_len - at;
        if (request->sink(request->sink_context, step->body + at, left < PIECE_BYTES ? left : PIECE_BYTES, e))
            return e->code;
    }
    return 0;
}

static int answer(const struct step *step, const struct http_request *request, struct arena *mem,
                  struct http_reply *reply, struct err *e)
{
    size_t most = request->reply_max ? request->reply_max : (size_t)HTTP_REPLY_MAX;
    int sinks = request->sink && step->status >= 200 && step->status < 300;

    if (!step->status) {
        err_set(e, step->code, "scripted failure");
        return err_detail(e, step->detail);
    }
    if (sinks && hand_on(step, request, e))
        return e->code;
    if (!sinks && step->body_len > most)
        return err_set(e, ERR_QUOTA, "the reply is larger than the %zu bytes allowed", most);
    *reply = (struct http_reply){ .status = step->status,
                                  .headers = step->headers,
                                  .header_count = step->header_count,
                                  .body = sinks ? "" : arena_copy_n(mem, step->body, step->body_len),
                                  .body_len = sinks ? 0 : step->body_len };
    return 0;
}

static int fake_send(void *context, const struct http_request *request, struct arena *mem, struct http_reply *reply,
                     struct err *e)
{
    struct fake_transport *fake = context;
    const struct step *step;

    pthread_mutex_lock(&fake->lock);
    step = next_step(fake, request);
    pthread_mutex_unlock(&fake->lock);
    if (!step)
        return err_set(e, ERR_INTERNAL, "unexpected request: %s %s", request->method, request->url);
    return answer(step, request, mem, reply, e);
}

struct http fake_http(struct fake_transport *fake)
{
    return (struct http){ .send = fake_send, .context = fake };
}

void fake_done(struct fake_transport *fake)
{
    if (fake->unexpected)
        fail_msg("%s", fake->unexpected);
    if (fake->made_count < fake->step_count)
        fail_msg("%zu of %zu expected requests came; next would have been %s %s", fake->made_count, fake->step_count,
                 fake->steps[fake->made_count].method ? fake->steps[fake->made_count].method : "any",
                 fake->steps[fake->made_count].url ? fake->steps[fake->made_count].url : "any");
}

static const struct made *made_at(const struct fake_transport *fake, size_t index)
{
    static const struct made none = { .method = "", .url = "", .body = "" };

    return index < fake->made_count ? &fake->made[index] : &none;
}

size_t fake_count(const struct fake_transport *fake)
{
    return fake->made_count;
}

const char *fake_method(const struct fake_transport *fake, size_t index)
{
    return made_at(fake, index)->method;
}

const char *fake_url(const struct fake_transport *fake, size_t index)
{
    return made_at(fake, index)->url;
}

const char *fake_header(const struct fake_transport *fake, size_t index, const char *name)
{
    const struct made *made = made_at(fake, index);

    for (size_t i = 0; i < made->header_count; i++)
        if (strcasecmp(made->headers[i].name, name) == 0)
            return made->headers[i].value;
    return NULL;
}

const char *fake_body(const struct fake_transport *fake, size_t index)
{
    return made_at(fake, index)->body;
}

size_t fake_body_len(const struct fake_transport *fake, size_t index)
{
    return made_at(fake, index)->body_len;
}
