#include "tests/unit/support_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 64, REQUESTS_KEPT = 64, REQUEST_MAX = 64 * 1024, POLL_MS = 20 };

struct server {
    struct server_step *steps; /* a copy: a thread may still play one when the test's own are gone */
    size_t step_count;
    int listener;
    char url[64];
    pthread_t acceptor;
    pthread_t threads[CONNECTIONS_MAX];
    pthread_mutex_t lock; /* of what follows */
    size_t connections;
    size_t requests;
    char *kept[REQUESTS_KEPT];
    bool stopping;
};

struct connection {
    struct server *server;
    int socket;
};

static bool is_stopping(struct server *server)
{
    bool stopping;

    pthread_mutex_lock(&server->lock);
    stopping = server->stopping;
    pthread_mutex_unlock(&server->lock);
    return stopping;
}

/* Waits until there is something to read; false when the test ends. */
static bool wait_readable(struct server *server, int fd)
{
    struct pollfd ready = { .fd = fd, .events = POLLIN };

    while (!is_stopping(server))
        if (poll(&ready, 1, POLL_MS) > 0)
            return true;
    return false;
}

static bool is_whole(const char *text, size_t len)
{
    const char *end = strstr(text, "\r\n\r\n");
    const char *length = strcasestr(text, "\r\ncontent-length:");
    size_t body = length && end && length < end ? strtoul(length + strlen("\r\ncontent-length:"), NULL, 10) : 0;

    return end && len >= (size_t)(end + 4 - text) + body;
}

/* The request's text, or NULL when the peer has gone or the test ends. */
static char *read_request(struct server *server, int fd)
{
    char *text = calloc(1, REQUEST_MAX);
    size_t len = 0;

    while (text && len < REQUEST_MAX - 1 && wait_readable(server, fd)) {
        ssize_t got = recv(fd, text + len, REQUEST_MAX - 1 - len, 0);
        if (got <= 0)
            break;
        len += (size_t)got;
        if (is_whole(text, len))
            return text;
    }
    free(text);
    return NULL;
}

static const struct server_step *take_step(struct server *server, char *request)
{
    size_t index;

    pthread_mutex_lock(&server->lock);
    index = server->requests++;
    if (index < REQUESTS_KEPT)
        server->kept[index] = request;
    else
        free(request);
    pthread_mutex_unlock(&server->lock);
    return &server->steps[index < server->step_count ? index : server->step_count - 1];
}

/* False when the peer has gone. */
static bool send_all(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t sent = send(fd, bytes, len, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        bytes += sent;
        len -= (size_t)sent;
    }
    return true;
}

static void play(struct server *server, int fd, const struct server_step *step)
{
    char piece[4096];
    struct linger hard = { .l_onoff = 1, .l_linger = 0 };

    memset(piece, 'x', sizeof piece);
    if (step->send)
        send_all(fd, step->send, strlen(step->send));
    for (size_t left = step->fill; left > 0;) {
        size_t now = left < sizeof piece ? left : sizeof piece;
        left = send_all(fd, piece, now) ? left - now : 0;
    }
    if (step->after == SERVER_RESET)
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    while (step->after == SERVER_SILENT && !is_stopping(server))
        usleep(POLL_MS * 1000);
}

static void *serve_connection(void *context)
{
    struct connection connection = *(struct connection *)context;
    const struct server_step *step;
    char *request;

    free(context);
    while ((request = read_request(connection.server, connection.socket))) {
        step = take_step(connection.server, request);
        play(connection.server, connection.socket, step);
        if (step->after != SERVER_KEEP)
            break;
    }
    close(connection.socket);
    return NULL;
}

static void *accept_connections(void *context)
{
    struct server *server = context;

    while (wait_readable(server, server->listener)) {
        struct connection *connection = calloc(1, sizeof *connection);
        if (!connection)
            abort();
        *connection = (struct connection){ server, accept(server->listener, NULL, NULL) };
        pthread_mutex_lock(&server->lock);
        if (connection->socket < 0 || server->connections == CONNECTIONS_MAX)
            abort();
        pthread_create(&server->threads[server->connections++], NULL, serve_connection, connection);
        pthread_mutex_unlock(&server->lock);
    }
    return NULL;
}

struct server *server_new(const struct server_step *steps, size_t count)
{
    struct server *server = calloc(1, sizeof *server);
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof address;

    if (!server || !(server->steps = calloc(count, sizeof *steps)))
        abort();
    memcpy(server->steps, steps, count * sizeof *steps);
    server->step_count = count;
    pthread_mutex_init(&server->lock, NULL);
    server->listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(server->listener, (struct sockaddr *)&address, sizeof address) || listen(server->listener, 64) ||
        getsockname(server->listener, (struct sockaddr *)&address, &len))
        abort();
    snprintf(server->url, sizeof server->url, "http://127.0.0.1:%d", ntohs(address.sin_port));
    pthread_create(&server->acceptor, NULL, accept_connections, server);
    return server;
}

void server_free(struct server *server)
{
    pthread_mutex_lock(&server->lock);
    server->stopping = true;
    pthread_mutex_unlock(&server->lock);
    pthread_join(server->acceptor, NULL);
    for (size_t i = 0; i < server->connections; i++)
        pthread_join(server->threads[i], NULL);
    close(server->listener);
    free(server->steps);
    for (size_t i = 0; i < REQUESTS_KEPT; i++)
        free(server->kept[i]);
    pthread_mutex_destroy(&server->lock);
    free(server);
}

const char *server_url(const struct server *server)
{
    return server->url;
}

static size_t read_count(struct server *server, const size_t *count)
{
    size_t now;

    pthread_mutex_lock(&server->lock);
    now = *count;
    pthread_mutex_unlock(&server->lock);
    return now;
}

size_t server_connections(struct server *server)
{
    return read_count(server, &server->connections);
}

size_t server_requests(struct server *server)
{
    return read_count(server, &server->requests);
}

const char *server_request(struct server *server, size_t index)
{
    const char *request;

    pthread_mutex_lock(&server->lock);
    request = index < REQUESTS_KEPT && server->kept[index] ? server->kept[index] : "";
    pthread_mutex_unlock(&server->lock);
    return request;
}
