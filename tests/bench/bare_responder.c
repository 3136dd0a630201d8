/*
 * bare_responder - the least that a libfcgi responder has to do for a delivery: read its body, HMAC it, answer. What it reaches is the transport's limit.
 *
 *   bare_responder SOCKET THREADS
 *
 * Same library, threads, backlog and pieces as berth-fcgi; no headers are looked at, nothing is compared, parsed or stored.
 */
#include <fcgiapp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "core/base/hash.h"

enum { PIECE = 65536, BACKLOG = 1024, THREADS_MAX = 1024, STACK_BYTES = 256 * 1024 };

static int listening;

static void answer(FCGX_Request *request, char *piece)
{
    static const char key[] = "5f3c0b1d9a7e42868f0c1d2e3b4a59687766554433221100ffeeddccbbaa9988";
    AUTO_HASH struct hash *hmac = hash_hmac_new(key, sizeof(key) - 1);
    uint8_t mac[HASH_SIZE];
    char hex[HASH_HEX_SIZE];
    int got = 0;

    while ((got = FCGX_GetStr(piece, PIECE, request->in)) > 0)
        hash_add(hmac, piece, (size_t)got);
    hash_end(hmac, mac);
    hash_hex(mac, sizeof(mac), hex);
    FCGX_FPrintF(request->out, "Status: 202 Accepted\r\nContent-Type: text/plain\r\nContent-Length: 64\r\n\r\n%s", hex);
    FCGX_Finish_r(request);
}

static void *serve(void *context)
{
    char *piece = malloc(PIECE);
    FCGX_Request request;

    FCGX_InitRequest(&request, listening, 0);
    while (piece && FCGX_Accept_r(&request) == 0)
        answer(&request, piece);
    free(piece);
    return context;
}

int main(int argc, char **argv)
{
    int threads = argc == 3 ? atoi(argv[2]) : 0;
    pthread_attr_t attributes;
    pthread_t thread;

    if (threads < 1 || threads > THREADS_MAX || FCGX_Init() != 0) {
        fprintf(stderr, "usage: bare_responder SOCKET THREADS\n");
        return 2;
    }
    umask(0117);
    listening = FCGX_OpenSocket(argv[1], BACKLOG);
    if (listening < 0)
        return 1;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    for (int i = 1; i < threads; i++) {
        if (pthread_create(&thread, &attributes, serve, NULL) != 0)
            return 1;
    }
    serve(NULL);
    return 1;
}
