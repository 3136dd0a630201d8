/*
 * support_transport - a scripted HTTP transport: expects a request, then replies.
 *
 * Each expected request is followed by its answer. A request that isn't the next expected one gets ERR_INTERNAL and fails the test at
 * fake_done, as does an expected one that never came.
 *
 *     fake_expect(fake, "POST", "https://ecs.*", "DescribeServices");
 *     fake_reply(fake, 400, "x-amzn-requestid: r-1\n", "{\"__type\":\"ClusterNotFoundException\"}");
 */
#ifndef BERTH_TESTS_SUPPORT_TRANSPORT_H
#define BERTH_TESTS_SUPPORT_TRANSPORT_H

#include "core/net/http.h"

struct fake_transport;

struct fake_transport *fake_new(void);
void fake_free(struct fake_transport *fake); /* NULL is fine */
struct http fake_http(struct fake_transport *fake);

/* url is an fnmatch pattern; NULL: any method, URL or body. body_part must be in the body. */
void fake_expect(struct fake_transport *fake, const char *method, const char *url, const char *body_part);
/* Answers what was expected last. headers: "name: value" lines, or NULL. */
void fake_reply(struct fake_transport *fake, int status, const char *headers, const char *body);
void fake_reply_bytes(struct fake_transport *fake, int status, const char *headers, const void *body, size_t len);
void fake_fail(struct fake_transport *fake, enum err_code code, const char *detail);

/* Fails the test, saying which, when a request was unexpected or is missing. */
void fake_done(struct fake_transport *fake);

/* The requests made, from 0; "" or NULL past the last. */
size_t fake_count(const struct fake_transport *fake);
const char *fake_method(const struct fake_transport *fake, size_t index);
const char *fake_url(const struct fake_transport *fake, size_t index);
const char *fake_header(const struct fake_transport *fake, size_t index, const char *name); /* any case; NULL: absent */
const char *fake_body(const struct fake_transport *fake, size_t index);
size_t fake_body_len(const struct fake_transport *fake, size_t index);

#endif
