/*
 * load - sends signed pushes over N connections for some seconds, and prints one line of JSON.
 *
 *   load --port 8080 --connections 32 --seconds 10 --body FILE --marker SHA --apps FILE [--requests N] [--rate R] [--samples FILE] [--forge]
 *
 * Every request is a delivery of its own: a fresh delivery id, and a fresh commit wherever the body has the marker. --apps: a line "name secret" for each
 * app; they take turns. --rate: so many a second, come what may, each timed from when it was due, so that a server that stalls is not asked less; without it each
 * connection sends as soon as it is answered. --samples: adds each latency to the file, a line of ms. --forge: a wrong signature. One thread and epoll, so that the client takes as little as it can of a small machine.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "core/base/hash.h"

enum {
    CONNECTIONS_MAX = 1024,
    APPS_MAX = 1024,
    MARKS_MAX = 256,
    SHA_LEN = 40,
    HEAD_MAX = 1024,
    ANSWER_MAX = 16384,
    STATUS_MAX = 600,
    QUIET_MS = 20000 /* a server that says nothing for so long is broken */
};

struct app {
    char name[80];
    char secret[160];
};

struct connection {
    int fd;
    double sent_at; /* of the request in hand */
    char answer[ANSWER_MAX];
    size_t len;
    bool asked; /* and not yet answered */
};

struct run {
    int port, count;
    double seconds;
    long requests; /* 0: as many as the seconds allow */
    double rate;   /* 0: as many as there are answers */
    const char *samples;
    bool forge;
    char *body;
    size_t body_len;
    size_t marks[MARKS_MAX];
    size_t mark_count;
    struct app apps[APPS_MAX];
    size_t app_count;
    uint64_t seed, number; /* of the deliveries */
    struct connection connections[CONNECTIONS_MAX];
    struct connection *idle[CONNECTIONS_MAX];
    int idle_count;
    int epoll;
    long sent, done, reconnects;
    long statuses[STATUS_MAX];
    double *latencies; /* ms */
    size_t latencies_room;
};

static void die(const char *what, const char *why)
{
    fprintf(stderr, "load: %s: %s\n", what, why);
    exit(1);
}

static double now_s(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ---- what is sent ---- */

static void read_body(struct run *run, const char *path)
{
    FILE *file = fopen(path, "re");
    size_t room = 32 * 1024 * 1024;

    run->body = malloc(room);
    if (!file || !run->body)
        die(path, strerror(errno));
    run->body_len = fread(run->body, 1, room, file);
    fclose(file);
}

static void find_marks(struct run *run, const char *marker)
{
    char *at = run->body;
    char *end = run->body + run->body_len;

    if (strlen(marker) != SHA_LEN)
        die("--marker", "not 40 characters");
    while ((at = memmem(at, (size_t)(end - at), marker, SHA_LEN)) && run->mark_count < MARKS_MAX) {
        run->marks[run->mark_count++] = (size_t)(at - run->body);
        at += SHA_LEN;
    }
    if (run->mark_count == 0)
        die("--marker", "not in the body");
}

static void read_apps(struct run *run, const char *path)
{
    FILE *file = fopen(path, "re");

    if (!file)
        die(path, strerror(errno));
    while (run->app_count < APPS_MAX) {
        struct app *app = &run->apps[run->app_count];
        if (fscanf(file, "%79s %159s", app->name, app->secret) != 2)
            break;
        run->app_count++;
    }
    fclose(file);
    if (run->app_count == 0)
        die(path, "no line \"name secret\"");
}

static void sign(const struct run *run, const struct app *app, char hex[HASH_HEX_SIZE])
{
    uint8_t mac[HASH_SIZE] = { 0 };

    if (!run->forge)
        hash_hmac(app->secret, strlen(app->secret), run->body, run->body_len, mac);
    hash_hex(mac, sizeof(mac), hex);
}

static void write_all(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t some = send(fd, bytes, len, MSG_NOSIGNAL);
        if (some <= 0)
            die("send", strerror(errno));
        bytes += some;
        len -= (size_t)some;
    }
}

static void send_next(struct run *run, struct connection *c)
{
    static char message[HEAD_MAX + 32 * 1024 * 1024];
    const struct app *app = &run->apps[run->number % run->app_count];
    char sha[SHA_LEN + 1];
    char hex[HASH_HEX_SIZE];

    run->number++;
    snprintf(sha, sizeof(sha), "%016llx%024llx", (unsigned long long)run->seed, (unsigned long long)run->number);
    for (size_t i = 0; i < run->mark_count; i++)
        memcpy(run->body + run->marks[i], sha, SHA_LEN);
    sign(run, app, hex);
    int head = snprintf(
        message, HEAD_MAX,
        "POST /hooks/github/%s HTTP/1.1\r\nHost: berth.example.test\r\nUser-Agent: GitHub-Hookshot/044aadd\r\n"
        "Accept: */*\r\nContent-Type: application/json\r\nX-GitHub-Delivery: %.8s-%.4s-4%.3s-8%.3s-%.12s\r\n"
        "X-GitHub-Event: push\r\nX-GitHub-Hook-ID: 1\r\nX-Hub-Signature-256: sha256=%s\r\nContent-Length: %zu\r\n\r\n",
        app->name, sha, sha + 8, sha + 12, sha + 15, sha + 28, hex, run->body_len);
    memcpy(message + head, run->body, run->body_len);
    c->len = 0;
    c->asked = true;
    c->sent_at = now_s(CLOCK_MONOTONIC);
    run->sent++;
    write_all(c->fd, message, (size_t)head + run->body_len);
}

/* ---- what comes back ---- */

static void open_connection(struct run *run, struct connection *c)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)run->port) };
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = c };
    int on = 1;

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || connect(c->fd, (const struct sockaddr *)&address, sizeof(address)) != 0)
        die("connect", strerror(errno));
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (epoll_ctl(run->epoll, EPOLL_CTL_ADD, c->fd, &event) != 0)
        die("epoll_ctl", strerror(errno));
}

static void reconnect(struct run *run, struct connection *c)
{
    close(c->fd);
    open_connection(run, c);
    run->reconnects++;
}

/* The length of the whole answer once its header is there; 0: not yet. */
static size_t answer_length(struct connection *c)
{
    c->answer[c->len] = '\0';
    const char *end = strstr(c->answer, "\r\n\r\n");
    const char *length = strcasestr(c->answer, "\r\nContent-Length:");

    if (!end)
        return 0;
    if (!length || length > end)
        die("an answer has no Content-Length", c->answer);
    return (size_t)(end + 4 - c->answer) + strtoul(length + 17, NULL, 10);
}

static void note_latency(struct run *run, double ms)
{
    if ((size_t)run->done == run->latencies_room) {
        run->latencies_room = run->latencies_room ? run->latencies_room * 2 : 65536;
        run->latencies = realloc(run->latencies, run->latencies_room * sizeof(*run->latencies));
        if (!run->latencies)
            die("memory", strerror(errno));
    }
    run->latencies[run->done++] = ms;
}

/* True: the answer is whole. */
static bool receive(struct run *run, struct connection *c)
{
    ssize_t got = recv(c->fd, c->answer + c->len, sizeof(c->answer) - 1 - c->len, 0);

    if (got == 0 && !c->asked) { /* it was idle for longer than the server keeps one */
        reconnect(run, c);
        return false;
    }
    if (got <= 0)
        die("the server closed the connection before its answer", got < 0 ? strerror(errno) : "end of file");
    c->len += (size_t)got;
    size_t whole = answer_length(c);
    if (whole == 0 || c->len < whole)
        return false;

    int status = atoi(c->answer + strlen("HTTP/1.1 "));
    run->statuses[status > 0 && status < STATUS_MAX ? status : 0]++;
    note_latency(run, (now_s(CLOCK_MONOTONIC) - c->sent_at) * 1000);
    c->asked = false;
    if (strcasestr(c->answer, "\r\nConnection: close"))
        reconnect(run, c);
    return true;
}

static bool goes_on(const struct run *run, double until)
{
    return run->requests > 0 ? run->sent < run->requests : now_s(CLOCK_MONOTONIC) < until;
}

/* When the next one is due. */
static double due_at(const struct run *run, double start)
{
    return run->rate > 0 ? start + (double)run->sent / run->rate : start;
}

/* Sends what is due, as far as there are idle connections. */
static void send_due(struct run *run, double start, double until)
{
    while (run->idle_count > 0 && goes_on(run, until)) {
        struct connection *c = run->idle[0]; /* idle for longest: none is so long that the server ends it */
        double due = due_at(run, start);
        if (due > now_s(CLOCK_MONOTONIC))
            return;
        memmove(&run->idle[0], &run->idle[1], (size_t)--run->idle_count * sizeof(*run->idle));
        send_next(run, c);
        if (run->rate > 0)
            c->sent_at = due;
    }
}

/* How long nothing is to be sent. */
static int pause_ms(const struct run *run, double start, double until)
{
    double ms = (due_at(run, start) - now_s(CLOCK_MONOTONIC)) * 1000;

    if (run->rate <= 0 || run->idle_count == 0 || !goes_on(run, until))
        return QUIET_MS;
    return ms > 0 ? (int)ms + 1 : 0;
}

static double drive(struct run *run)
{
    struct epoll_event events[CONNECTIONS_MAX];
    double start = now_s(CLOCK_MONOTONIC);
    double until = start + run->seconds;

    run->epoll = epoll_create1(EPOLL_CLOEXEC);
    for (int i = 0; i < run->count; i++) {
        open_connection(run, &run->connections[i]);
        run->idle[run->idle_count++] = &run->connections[i];
    }
    for (send_due(run, start, until); run->done < run->sent || goes_on(run, until); send_due(run, start, until)) {
        int wait_ms = pause_ms(run, start, until);
        int ready = epoll_wait(run->epoll, events, CONNECTIONS_MAX, wait_ms);
        if (ready < 0 || (ready == 0 && wait_ms == QUIET_MS))
            die("no answer", ready < 0 ? strerror(errno) : "the server is silent for 20 s");
        for (int i = 0; i < ready; i++) {
            struct connection *c = events[i].data.ptr;
            if (receive(run, c))
                run->idle[run->idle_count++] = c;
        }
    }
    return now_s(CLOCK_MONOTONIC) - start;
}

/* ---- what is printed ---- */

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;

    return (x > y) - (x < y);
}

static double percentile(const struct run *run, double part)
{
    return run->latencies[(size_t)(part * (double)(run->done - 1))];
}

static void print_result(const struct run *run, double seconds)
{
    qsort(run->latencies, (size_t)run->done, sizeof(*run->latencies), by_size);
    printf("{\"requests\": %ld, \"seconds\": %.3f, \"p50_ms\": %.3f, \"p99_ms\": %.3f, \"max_ms\": %.3f, "
           "\"reconnects\": %ld, "
           "\"client_cpu_s\": %.3f, \"body_bytes\": %zu, \"statuses\": {",
           run->done, seconds, percentile(run, 0.5), percentile(run, 0.99), percentile(run, 1.0), run->reconnects,
           now_s(CLOCK_PROCESS_CPUTIME_ID), run->body_len);
    const char *comma = "";
    for (int i = 0; i < STATUS_MAX; i++) {
        if (run->statuses[i] > 0) {
            printf("%s\"%d\": %ld", comma, i, run->statuses[i]);
            comma = ", ";
        }
    }
    printf("}}\n");
}

static void add_samples(const struct run *run)
{
    FILE *file = fopen(run->samples, "ae");

    if (!file)
        die(run->samples, strerror(errno));
    for (long i = 0; i < run->done; i++)
        fprintf(file, "%.3f\n", run->latencies[i]);
    if (fclose(file) != 0)
        die(run->samples, strerror(errno));
}

static void take_option(struct run *run, const char *name, const char *value, const char **marker)
{
    if (strcmp(name, "--port") == 0)
        run->port = atoi(value);
    else if (strcmp(name, "--connections") == 0)
        run->count = atoi(value);
    else if (strcmp(name, "--seconds") == 0)
        run->seconds = atof(value);
    else if (strcmp(name, "--requests") == 0)
        run->requests = atol(value);
    else if (strcmp(name, "--rate") == 0)
        run->rate = atof(value);
    else if (strcmp(name, "--samples") == 0)
        run->samples = value;
    else if (strcmp(name, "--body") == 0)
        read_body(run, value);
    else if (strcmp(name, "--apps") == 0)
        read_apps(run, value);
    else if (strcmp(name, "--marker") == 0)
        *marker = value;
    else
        die("unknown option", name);
}

int main(int argc, char **argv)
{
    static struct run run = { .seconds = 10 };
    const char *marker = "";

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--forge") == 0) {
            run.forge = true;
            continue;
        }
        if (i + 1 == argc)
            die(argv[i], "needs a value");
        take_option(&run, argv[i], argv[i + 1], &marker);
        i++;
    }
    if (!run.body || run.app_count == 0 || run.port <= 0 || run.count <= 0 || run.count > CONNECTIONS_MAX)
        die("usage", "--port, --connections (at most 1024), --body, --marker and --apps are needed");
    find_marks(&run, marker);
    if (!hash_random(&run.seed, sizeof(run.seed)))
        die("random bytes", strerror(errno));
    print_result(&run, drive(&run));
    if (run.samples)
        add_samples(&run);
    free(run.latencies);
    free(run.body);
    return 0;
}
