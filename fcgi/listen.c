/* The socket that the web server speaks to us through: our own, or the one it gave us. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "fcgi/server.h"

enum { INHERITED_FD = 0 };

static void close_keeping_errno(int fd)
{
    int kept = errno;

    close(fd);
    errno = kept;
}

/* Whether somebody accepts at the address. */
static bool is_answered(const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return false;

    /* EAGAIN: somebody does, and is busy. */
    bool answered = connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 || errno == EAGAIN;
    close(fd);
    return answered;
}

static int make_way(const struct sockaddr_un *address, struct err *e)
{
    struct stat there;

    if (lstat(address->sun_path, &there) != 0)
        return 0;
    if (!S_ISSOCK(there.st_mode)) {
        err_set(e, ERR_INVALID, "cannot listen at %s: there is a file that is no socket", address->sun_path);
        return err_hint(e, "Choose another path for --socket.");
    }
    if (is_answered(address)) {
        err_set(e, ERR_CONFLICT, "cannot listen at %s: another process does", address->sun_path);
        return err_hint(e, "Stop that one first, or choose another path for --socket.");
    }
    if (unlink(address->sun_path) != 0)
        return err_set(e, ERR_DENIED, "cannot remove the stale socket %s: %s", address->sun_path, strerror(errno));
    return 0;
}

static int bind_socket(const struct sockaddr_un *address, int backlog)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;

    mode_t before = umask(0117); /* 0660 from the first moment; no other thread runs yet */
    int failed = bind(fd, (const struct sockaddr *)address, sizeof(*address));
    umask(before);
    if (failed || listen(fd, backlog) != 0) {
        close_keeping_errno(fd);
        return -1;
    }
    return fd;
}

int server_listen(const char *path, int backlog, int *fd, struct err *e)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };

    if (strlen(path) >= sizeof(address.sun_path)) {
        err_set(e, ERR_INVALID, "the socket's path is %zu bytes long; a unix socket's is at most %zu", strlen(path),
                sizeof(address.sun_path) - 1);
        return err_hint(e, "Choose a shorter path for --socket.");
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    if (make_way(&address, e))
        return e->code;

    int made = bind_socket(&address, backlog);
    if (made < 0) {
        err_set(e, ERR_DENIED, "cannot listen at %s: %s", path, strerror(errno));
        return err_hint(e, "The folder must exist and be writable for this user.");
    }
    *fd = made;
    return 0;
}

int server_inherit(int backlog, int *fd, struct err *e)
{
    int accepts = 0;
    socklen_t len = sizeof(accepts);

    if (getsockopt(INHERITED_FD, SOL_SOCKET, SO_ACCEPTCONN, &accepts, &len) != 0 || !accepts) {
        err_set(e, ERR_INVALID, "standard input is no FastCGI socket");
        return err_hint(e, "Give --socket PATH, or let lighttpd or spawn-fcgi start this program.");
    }
    /* Whoever made it may have chosen a shorter queue; asking again changes it. */
    if (listen(INHERITED_FD, backlog) != 0)
        return err_set(e, ERR_INTERNAL, "cannot set the backlog of the FastCGI socket: %s", strerror(errno));
    *fd = INHERITED_FD;
    return 0;
}
