/*
 * AWS's published header-signing cases, each stage: the folder that BERTH_SIGV4_VECTORS names, one folder a case (request.txt, context.json,
 * header-*.txt). Without that folder the test says so and is skipped.
 */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/aws/sigv4.h"
#include "core/base/json.h"

enum { HEADERS_MAX = 16, FILE_BYTES_MAX = 16 * 1024, PUBLISHED_CASES = 38 };

struct vector {
    struct http_header headers[HEADERS_MAX];
    struct sigv4_request request;
    struct sigv4_scope scope;
    struct sigv4_style style;
    struct secret *secret;
};

static char *read_file(const char *folder, const char *name, struct arena *mem)
{
    FILE *file = fopen(arena_printf(mem, "%s/%s", folder, name), "r");
    char *text = arena_alloc(mem, FILE_BYTES_MAX);

    if (!file)
        return NULL;
    text[fread(text, 1, FILE_BYTES_MAX - 1, file)] = '\0';
    fclose(file);
    return text;
}

static char *read_trimmed(const char *folder, const char *name, struct arena *mem)
{
    char *text = read_file(folder, name, mem);

    assert_non_null(text);
    while (*text && text[strlen(text) - 1] == '\n')
        text[strlen(text) - 1] = '\0';
    return text;
}

static void add(struct vector *v, const char *name, const char *value)
{
    assert_true(v->request.header_count < HEADERS_MAX);
    v->headers[v->request.header_count++] = (struct http_header){ name, value };
}

/* A line that begins with a space continues the header above it. */
static void read_headers(struct vector *v, char *line, struct arena *mem)
{
    while (line && *line && *line != '\n') {
        char *end = strchr(line, '\n');

        while (end && (end[1] == ' ' || end[1] == '\t'))
            end = strchr(end + 1, '\n');
        size_t name_len = strcspn(line, ":");
        size_t len = end ? (size_t)(end - line) : strlen(line);
        add(v, arena_copy_n(mem, line, name_len), arena_copy_n(mem, line + name_len + 1, len - name_len - 1));
        line = end ? end + 1 : NULL;
    }
}

/* "GET /example space/?a=b HTTP/1.1": the path may hold spaces. */
static void read_request(struct vector *v, char *text, struct arena *mem)
{
    char *path = strchr(text, ' ') + 1;
    char *end = strstr(path, " HTTP/1.1");
    char *headers = strchr(end, '\n');
    char *query = memchr(path, '?', (size_t)(end - path));
    char *body = strstr(end, "\n\n");
    uint8_t digest[HASH_SIZE];
    char *hex = arena_alloc(mem, HASH_HEX_SIZE);

    v->request.method = arena_copy_n(mem, text, (size_t)(path - 1 - text));
    v->request.path = arena_copy_n(mem, path, (size_t)((query ? query : end) - path));
    v->request.query = query ? arena_copy_n(mem, query + 1, (size_t)(end - query - 1)) : "";
    body = body ? body + 2 : text + strlen(text);
    hash_sha256(body, strlen(body), digest);
    hash_hex(digest, sizeof digest, hex);
    v->request.payload_hash = hex;
    v->request.headers = v->headers;
    read_headers(v, headers ? headers + 1 : NULL, mem);
}

/* "2015-08-30T12:36:00Z" as "20150830T123600Z" */
static void compact_date(const char *iso, char out[CLOCK_AMZ_SIZE])
{
    size_t len = 0;

    for (; *iso && len < CLOCK_AMZ_SIZE - 1; iso++)
        if (*iso != '-' && *iso != ':')
            out[len++] = *iso;
    out[len] = '\0';
}

static void read_context(struct vector *v, const char *text, struct arena *mem)
{
    AUTO_JSON json_object *context = NULL;
    struct err e;

    assert_int_equal(json_parse(text, strlen(text), &context, &e), 0);
    v->style = (struct sigv4_style){ json_find_bool(context, "/normalize", true), true };
    v->secret = secret_from_text(json_find_text(context, "/credentials/secret_access_key", mem));
    v->scope.region = json_find_text(context, "/region", mem);
    v->scope.service = json_find_text(context, "/service", mem);
    compact_date(json_find_text(context, "/timestamp", mem), v->scope.amz_date);
    add(v, "X-Amz-Date", v->scope.amz_date);
    const char *token = json_find_text(context, "/credentials/token", mem);
    if (token && !json_find_bool(context, "/omit_session_token", false))
        add(v, "X-Amz-Security-Token", token);
    if (json_find_bool(context, "/sign_body", false))
        add(v, "X-Amz-Content-Sha256", v->request.payload_hash);
}

static void check_vector(const char *folder, struct arena *mem)
{
    struct vector v = { 0 };
    char signature[HASH_HEX_SIZE];

    read_request(&v, read_file(folder, "request.txt", mem), mem);
    read_context(&v, read_file(folder, "context.json", mem), mem);

    char *canonical = sigv4_canonical_request(mem, &v.request, v.style);
    char *to_sign = sigv4_string_to_sign(mem, canonical, &v.scope);
    sigv4_signature(v.secret, &v.scope, to_sign, signature);
    char *authorization = sigv4_authorization(mem, &v.request, v.style, &v.scope, "AKIDEXAMPLE", v.secret);

    assert_string_equal(canonical, read_trimmed(folder, "header-canonical-request.txt", mem));
    assert_string_equal(to_sign, read_trimmed(folder, "header-string-to-sign.txt", mem));
    assert_string_equal(signature, read_trimmed(folder, "header-signature.txt", mem));
    assert_non_null(strstr(read_file(folder, "header-signed-request.txt", mem), authorization));
    secret_free(v.secret);
}

static void each_of_awss_published_cases_is_signed_as_published(void **state)
{
    const char *root = getenv("BERTH_SIGV4_VECTORS");
    int cases = 0;
    (void)state;

    if (!root || !*root) {
        print_message("skipped: BERTH_SIGV4_VECTORS names no folder with AWS's published signing cases\n");
        skip(); /* does not return */
        return;
    }
    AUTO_ARENA struct arena *mem = arena_new();
    DIR *folder = opendir(root);
    assert_non_null(folder);
    for (struct dirent *entry; (entry = readdir(folder));) {
        char *path = arena_printf(mem, "%s/%s", root, entry->d_name);
        if (*entry->d_name == '.' || !read_file(path, "request.txt", mem))
            continue;
        print_message("case %s\n", entry->d_name);
        check_vector(path, mem);
        cases++;
    }
    closedir(folder);
    print_message("%d of %d published cases\n", cases, PUBLISHED_CASES);
    assert_int_equal(cases, PUBLISHED_CASES);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(each_of_awss_published_cases_is_signed_as_published) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
