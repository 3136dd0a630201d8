/*
 * support_server - a scripted TCP server on 127.0.0.1: reads a request, then sends what the script says, byte for byte.
 *
 * Each request, on whatever connection, takes the next step; past the end the last step is played again. One thread a connection.
 */
#ifndef BERTH_TESTS_SUPPORT_SERVER_H
#define BERTH_TESTS_SUPPORT_SERVER_H

#include <stddef.h>

enum server_after { SERVER_KEEP, SERVER_CLOSE, SERVER_RESET, SERVER_SILENT };

struct server_step {
    const char *send; /* NULL: nothing */
    size_t fill;      /* then so many times 'x' */
    enum server_after
        after; /* then: read the next request, close, reset the connection, or stay silent until the test ends */
};

struct server;

struct server *server_new(const struct server_step *steps, size_t count); /* the texts must outlive it */
void server_free(struct server *server);
const char *server_url(const struct server *server); /* "http://127.0.0.1:PORT" */
size_t server_connections(struct server *server);
size_t server_requests(struct server *server);
const char *server_request(struct server *server, size_t index); /* as it came, body too; "" past the last */

#endif
