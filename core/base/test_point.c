#include "core/base/test_point.h"

#ifdef BERTH_TEST_POINTS

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/fatal.h"

enum { NAME_MAX_BYTES = 160 };

static bool (*listed)(const char *name);

/* What BERTH_TEST_POINT asks for. */
static struct {
    pthread_once_t once;
    char name[NAME_MAX_BYTES];
    int signal; /* 0: none */
    int nth;
    pthread_mutex_t mutex;
    int reached; /* under mutex */
} wanted = { .once = PTHREAD_ONCE_INIT, .mutex = PTHREAD_MUTEX_INITIALIZER };

void test_point_check(bool (*is_listed)(const char *name))
{
    listed = is_listed;
}

static void read_wanted(void)
{
    const char *given = getenv("BERTH_TEST_POINT");
    char how[8] = "";

    if (!given || !*given)
        return;
    if (sscanf(given, "%159[^:]:%d:%7s", wanted.name, &wanted.nth, how) != 3 || wanted.nth < 1)
        fatal("BERTH_TEST_POINT is not name:nth:kill or name:nth:stop");
    wanted.signal = strcmp(how, "kill") == 0 ? SIGKILL : strcmp(how, "stop") == 0 ? SIGSTOP : 0;
    if (!wanted.signal)
        fatal("BERTH_TEST_POINT ends neither with kill nor with stop");
    if (listed && !listed(wanted.name))
        fatal("BERTH_TEST_POINT names a point that is not listed");
}

static void write_log(const char *name)
{
    const char *path = getenv("BERTH_TEST_POINT_LOG");
    char line[NAME_MAX_BYTES + 1];
    int fd, len;

    if (!path || !*path)
        return;
    fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    len = snprintf(line, sizeof line, "%s\n", name);
    if (fd < 0 || write(fd, line, (size_t)len) != len)
        fatal("BERTH_TEST_POINT_LOG can't be written");
    close(fd);
}

void test_point(const char *scope, const char *action, const char *moment)
{
    char name[NAME_MAX_BYTES];
    bool now;

    pthread_once(&wanted.once, read_wanted);
    snprintf(name, sizeof name, "%s%s%s.%s", scope, action ? "." : "", action ? action : "", moment);
    if (listed && !listed(name)) {
        fprintf(stderr, "test point %s is not in the list\n", name);
        fatal("a test point that is not in the list was reached");
    }
    write_log(name);
    if (!wanted.signal || strcmp(name, wanted.name) != 0)
        return;
    pthread_mutex_lock(&wanted.mutex);
    now = ++wanted.reached == wanted.nth;
    pthread_mutex_unlock(&wanted.mutex);
    /* To this thread, which so goes no instruction further; a signal to the process may stop another thread first. */
    if (now)
        raise(wanted.signal);
}

#else

typedef int test_point_is_nothing_here; /* a file without a declaration is not C */

#endif
