/* The real transport. A handle is lent to one exchange at a time; the handle used last is lent first, so that its connections stay warm. */
#include <curl/curl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/text.h"
#include "core/net/http.h"

enum { HANDLES_KEPT_MAX = 64, SILENCE_BYTES_PER_S = 1 };

struct http_curl {
    char *user_agent;
    pthread_mutex_t lock;
    CURL *idle[HANDLES_KEPT_MAX]; /* a stack */
    size_t idle_count;
};

/* One exchange under way. */
struct exchange {
    const struct http_request *request;
    struct arena *mem;
    struct err *e;
    struct http_header *headers;
    size_t header_count;
    size_t header_bytes; /* of all header blocks, so that endless 1xx replies are bounded too */
    int status;
    struct buf body;
    int failure; /* an err_code set in e by a callback; 0: none */
    char curl_says[CURL_ERROR_SIZE];
};

static void curl_init_once(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

int http_curl_new(const char *user_agent, struct http_curl **out, struct err *e)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct http_curl *curl = calloc(1, sizeof *curl);

    pthread_once(&once, curl_init_once);
    if (!curl || !(curl->user_agent = strdup(user_agent))) {
        free(curl);
        return err_set(e, ERR_NO_MEMORY, "no memory for the HTTP transport");
    }
    pthread_mutex_init(&curl->lock, NULL);
    *out = curl;
    return 0;
}

void http_curl_free(struct http_curl *curl)
{
    if (!curl)
        return;
    while (curl->idle_count > 0)
        curl_easy_cleanup(curl->idle[--curl->idle_count]);
    pthread_mutex_destroy(&curl->lock);
    free(curl->user_agent);
    free(curl);
}

static CURL *borrow_handle(struct http_curl *curl)
{
    CURL *handle = NULL;

    pthread_mutex_lock(&curl->lock);
    if (curl->idle_count > 0)
        handle = curl->idle[--curl->idle_count];
    pthread_mutex_unlock(&curl->lock);
    return handle ? handle : curl_easy_init();
}

static void return_handle(struct http_curl *curl, CURL *handle)
{
    curl_easy_reset(handle); /* forgets the request, keeps connections */
    pthread_mutex_lock(&curl->lock);
    if (curl->idle_count < HANDLES_KEPT_MAX) {
        curl->idle[curl->idle_count++] = handle;
        handle = NULL;
    }
    pthread_mutex_unlock(&curl->lock);
    if (handle)
        curl_easy_cleanup(handle);
}

/* "HTTP/1.1 200 OK" begins a header block; what an earlier 1xx reply said is forgotten. */
static void begin_reply(struct exchange *x, const char *line, size_t len)
{
    const char *space = memchr(line, ' ', len);

    x->header_count = 0;
    x->status = space ? atoi(space + 1) : 0;
}

/* False when there are more than allowed. A line without a name is the block's end. */
static bool keep_header(struct exchange *x, const char *line, size_t len)
{
    const char *colon = memchr(line, ':', len);
    const char *value, *end = line + len;
    char *name;

    if (!colon || colon == line)
        return true;
    if (x->header_count == HTTP_HEADERS_MAX)
        return false;
    name = arena_copy_n(x->mem, line, (size_t)(colon - line));
    for (char *c = name; *c; c++)
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c + ('a' - 'A'));
    for (value = colon + 1; value < end && (*value == ' ' || *value == '\t');)
        value++;
    while (end > value && (end[-1] == '\r' || end[-1] == '\n' || end[-1] == ' ' || end[-1] == '\t'))
        end--;
    x->headers[x->header_count++] = (struct http_header){ name, arena_copy_n(x->mem, value, (size_t)(end - value)) };
    return true;
}

static size_t on_header(char *line, size_t size, size_t count, void *context)
{
    struct exchange *x = context;
    size_t len = size * count;
    bool fits;

    x->header_bytes += len;
    fits = x->header_bytes <= HTTP_HEADER_BYTES_MAX;
    if (fits && len >= 5 && memcmp(line, "HTTP/", 5) == 0)
        begin_reply(x, line, len);
    else if (fits)
        fits = keep_header(x, line, len);
    if (fits)
        return len;
    x->failure = err_set(x->e, ERR_QUOTA, "the reply has more than %d headers or %d bytes of them", HTTP_HEADERS_MAX,
                         HTTP_HEADER_BYTES_MAX);
    return 0;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *context)
{
    struct exchange *x = context;
    size_t len = size * count;

    if (x->request->sink && x->status >= 200 && x->status < 300) {
        x->failure = x->request->sink(x->request->sink_context, bytes, len, x->e);
        return x->failure ? 0 : len;
    }
    if (len > x->body.max - x->body.len) {
        x->failure = err_set(x->e, ERR_QUOTA, "the reply is larger than the %zu bytes allowed", x->body.max);
        return 0;
    }
    buf_add(&x->body, bytes, len);
    if (x->body.failed) {
        x->failure = err_set(x->e, ERR_NO_MEMORY, "no memory for the reply");
        return 0;
    }
    return len;
}

/* curl's list form: "Name: value", "Name;" for an empty value, "Name:" to suppress one of its own. */
static bool add_line(struct curl_slist **list, const char *line)
{
    struct curl_slist *longer = curl_slist_append(*list, line);

    if (longer)
        *list = longer;
    return longer != NULL;
}

static bool has_header(const struct http_request *request, const char *name)
{
    for (size_t i = 0; i < request->header_count; i++)
        if (curl_strequal(request->headers[i].name, name))
            return true;
    return false;
}

static int check_headers(const struct http_request *request, struct err *e)
{
    for (size_t i = 0; i < request->header_count; i++) {
        const struct http_header *header = &request->headers[i];

        if (!*header->name || header->name[strcspn(header->name, ": \t")] ||
            text_has_control(header->name, strlen(header->name)) ||
            text_has_control(header->value, strlen(header->value)))
            return err_set(e, ERR_INVALID, "header %zu of the request has a character that HTTP does not allow", i + 1);
    }
    return 0;
}

static int build_headers(const struct http_request *request, struct arena *mem, struct curl_slist **out, struct err *e)
{
    static const char *const unasked[] = { "Accept", "Content-Type", "Expect" };
    struct curl_slist *list = NULL;
    bool ok = true;

    if (check_headers(request, e))
        return e->code;
    for (size_t i = 0; ok && i < request->header_count; i++) {
        const struct http_header *header = &request->headers[i];
        ok = add_line(&list, *header->value ? arena_printf(mem, "%s: %s", header->name, header->value)
                                            : arena_printf(mem, "%s;", header->name));
    }
    for (size_t i = 0; ok && i < sizeof unasked / sizeof *unasked; i++)
        if (!has_header(request, unasked[i]))
            ok = add_line(&list, arena_printf(mem, "%s:", unasked[i]));
    if (!ok) {
        curl_slist_free_all(list);
        return err_set(e, ERR_NO_MEMORY, "no memory for the request's headers");
    }
    *out = list;
    return 0;
}

static void set_method(CURL *handle, const struct http_request *request)
{
    bool get = strcmp(request->method, "GET") == 0;
    bool head = strcmp(request->method, "HEAD") == 0;
    bool takes_body = strcmp(request->method, "POST") == 0 || strcmp(request->method, "PUT") == 0;

    if (request->body || takes_body) {
        curl_easy_setopt(handle, CURLOPT_POSTFIELDS, request->body ? request->body : "");
        curl_easy_setopt(handle, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)(request->body ? request->body_len : 0));
    }
    if (head)
        curl_easy_setopt(handle, CURLOPT_NOBODY, 1L);
    else if (!get || request->body)
        curl_easy_setopt(handle, CURLOPT_CUSTOMREQUEST, request->method);
}

static void set_limits(CURL *handle, const struct http_request *request)
{
    long timeout_ms = request->timeout_ms > 0 ? request->timeout_ms : HTTP_TIMEOUT_MS;
    long silence_s = ((request->sink ? timeout_ms : HTTP_SILENCE_MS) + 999) / 1000;

    if (!request->sink)
        curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, timeout_ms);
    curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT_MS, (long)HTTP_CONNECT_TIMEOUT_MS);
    curl_easy_setopt(handle, CURLOPT_LOW_SPEED_LIMIT, (long)SILENCE_BYTES_PER_S);
    curl_easy_setopt(handle, CURLOPT_LOW_SPEED_TIME, silence_s);
}

static void set_request(CURL *handle, const struct http_curl *curl, struct exchange *x, struct curl_slist *headers)
{
    curl_easy_setopt(handle, CURLOPT_URL, x->request->url);
    curl_easy_setopt(handle, CURLOPT_PATH_AS_IS, 1L); /* what is signed is what is sent */
    curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(handle, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(handle, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(handle, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(handle, CURLOPT_SSL_VERIFYHOST, 2L);
    curl_easy_setopt(handle, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(handle, CURLOPT_FRESH_CONNECT, x->request->once ? 1L : 0L);
    curl_easy_setopt(handle, CURLOPT_USERAGENT, curl->user_agent);
    curl_easy_setopt(handle, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(handle, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(handle, CURLOPT_HEADERDATA, x);
    curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(handle, CURLOPT_WRITEDATA, x);
    curl_easy_setopt(handle, CURLOPT_ERRORBUFFER, x->curl_says);
    set_method(handle, x->request);
    set_limits(handle, x->request);
}

/* What the caller should do about each of curl's results; all others are ERR_TRANSIENT. own_words: curl's longer text may hold a secret. */
static const struct {
    CURLcode result;
    enum err_code code;
    const char *name;
    bool own_words;
    const char *hint;
} results[] = {
    { CURLE_UNSUPPORTED_PROTOCOL, ERR_INVALID, "CURLE_UNSUPPORTED_PROTOCOL", false,
      "Give the http or https address of a web server." },
    { CURLE_URL_MALFORMAT, ERR_INVALID, "CURLE_URL_MALFORMAT", true, "Correct the address." },
    { CURLE_COULDNT_RESOLVE_PROXY, ERR_TRANSIENT, "CURLE_COULDNT_RESOLVE_PROXY", true,
      "Check https_proxy and no_proxy in the environment." },
    { CURLE_COULDNT_RESOLVE_HOST, ERR_TRANSIENT, "CURLE_COULDNT_RESOLVE_HOST", false,
      "Check the region or address, and that this machine's DNS works." },
    { CURLE_COULDNT_CONNECT, ERR_TRANSIENT, "CURLE_COULDNT_CONNECT", false, "Check that this machine may reach it." },
    { CURLE_OUT_OF_MEMORY, ERR_NO_MEMORY, "CURLE_OUT_OF_MEMORY", false, NULL },
    { CURLE_OPERATION_TIMEDOUT, ERR_TRANSIENT, "CURLE_OPERATION_TIMEDOUT", false, NULL },
    { CURLE_SSL_CONNECT_ERROR, ERR_TRANSIENT, "CURLE_SSL_CONNECT_ERROR", false, NULL },
    { CURLE_PEER_FAILED_VERIFICATION, ERR_INVALID, "CURLE_PEER_FAILED_VERIFICATION", false,
      "The certificate isn't trusted here: check the address, the clock, and the system's CA certificates." },
    { CURLE_SSL_CACERT_BADFILE, ERR_INVALID, "CURLE_SSL_CACERT_BADFILE", false,
      "Install the system's CA certificates (package ca-certificates)." },
    { CURLE_GOT_NOTHING, ERR_TRANSIENT, "CURLE_GOT_NOTHING", false, NULL },
    { CURLE_SEND_ERROR, ERR_TRANSIENT, "CURLE_SEND_ERROR", false, NULL },
    { CURLE_RECV_ERROR, ERR_TRANSIENT, "CURLE_RECV_ERROR", false, NULL },
    { CURLE_PARTIAL_FILE, ERR_TRANSIENT, "CURLE_PARTIAL_FILE", false, NULL },
    { CURLE_WEIRD_SERVER_REPLY, ERR_TRANSIENT, "CURLE_WEIRD_SERVER_REPLY", false, NULL },
    { CURLE_PROXY, ERR_TRANSIENT, "CURLE_PROXY", true, "Check https_proxy and no_proxy in the environment." },
};

static int explain(const struct exchange *x, CURLcode result)
{
    const char *url = http_url_shown(x->mem, x->request->url);
    size_t row = 0;
    char number[32];

    while (row < sizeof results / sizeof *results && results[row].result != result)
        row++;
    if (row == sizeof results / sizeof *results) {
        err_set(x->e, ERR_TRANSIENT, "%s %s: %s", x->request->method, url, curl_easy_strerror(result));
        snprintf(number, sizeof number, "CURLE_%d", (int)result);
        return err_detail(x->e, number);
    }
    err_set(x->e, results[row].code, "%s %s: %s", x->request->method, url,
            x->curl_says[0] && !results[row].own_words ? x->curl_says : curl_easy_strerror(result));
    if (results[row].hint)
        err_hint(x->e, "%s", results[row].hint);
    return err_detail(x->e, results[row].name);
}

static int run(struct http_curl *curl, struct exchange *x, struct curl_slist *headers)
{
    CURL *handle = borrow_handle(curl);
    CURLcode result;

    if (!handle)
        return err_set(x->e, ERR_NO_MEMORY, "no memory for an HTTP connection");
    set_request(handle, curl, x, headers);
    result = curl_easy_perform(handle);
    return_handle(curl, handle);
    if (x->failure)
        return x->request->sink
                   ? x->failure
                   : err_context(x->e, "%s %s", x->request->method, http_url_shown(x->mem, x->request->url));
    return result == CURLE_OK ? 0 : explain(x, result);
}

static int curl_send(void *context, const struct http_request *request, struct arena *mem, struct http_reply *reply,
                     struct err *e)
{
    struct exchange x = { .request = request, .mem = mem, .e = e };
    struct curl_slist *headers = NULL;
    int failure;

    if (build_headers(request, mem, &headers, e))
        return e->code;
    x.headers = arena_array(mem, HTTP_HEADERS_MAX, sizeof *x.headers);
    x.body.max = request->reply_max ? request->reply_max : (size_t)HTTP_REPLY_MAX;
    failure = run(context, &x, headers);
    curl_slist_free_all(headers);
    if (!failure)
        *reply = (struct http_reply){ .status = x.status,
                                      .headers = x.headers,
                                      .header_count = x.header_count,
                                      .body = arena_copy_n(mem, buf_text(&x.body), x.body.len),
                                      .body_len = x.body.len };
    buf_free(&x.body);
    return failure;
}

struct http http_curl_transport(struct http_curl *curl)
{
    return (struct http){ .send = curl_send, .context = curl };
}
