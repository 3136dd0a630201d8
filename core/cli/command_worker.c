/* worker: runs core/deploy/worker.c until a signal says stop. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "core/base/log.h"
#include "core/base/test_point.h"
#include "core/cli/commands.h"
#include "core/cli/github_access.h"
#include "core/deploy/test_points.h"
#include "core/deploy/worker.h"

/* SIGTERM and SIGINT become readable on a descriptor; blocked before any thread starts, so that none is interrupted. */
static int stop_descriptor(struct err *e)
{
    sigset_t stop;

    sigemptyset(&stop);
    sigaddset(&stop, SIGTERM);
    sigaddset(&stop, SIGINT);
    signal(SIGPIPE, SIG_IGN);
    if (sigprocmask(SIG_BLOCK, &stop, NULL))
        return err_set(e, ERR_INTERNAL, "cannot block signals: %s", strerror(errno)), -1;
    int fd = signalfd(-1, &stop, SFD_CLOEXEC);
    if (fd < 0)
        err_set(e, ERR_INTERNAL, "cannot receive signals: %s", strerror(errno));
    return fd;
}

/* options is a copy: what it comes to point at here lives no longer than the run. */
static int run(struct cli *cli, const struct settings *settings, struct worker_options options, int stop_fd,
               struct err *e)
{
    AUTO_SECRET struct secret *token = NULL;
    struct github github = { 0 };

    if (cli_pool(cli, "worker", options.threads + 2, &options.db, e) || cli_aws(cli, &options.aws, e) ||
        platform_check(options.aws, settings, e) || cli_github(cli, &github, &token, e))
        return e->code;
    options.github = &github;
    log_event(LOG_INFO, "worker is ready", log_int("threads", options.threads), log_int("drain", options.drain));
    return worker_run(&options, stop_fd, e);
}

int command_worker(struct cli *cli, int argc, char **argv, struct err *e)
{
    struct worker_options options = { 0 };
    const struct settings *settings = NULL;
#ifdef BERTH_TEST_POINTS
    bool list_points = false;
#endif
    const struct cli_option table[] = {
        { .name = "drain", .flag = &options.drain },
        { .name = "threads", .number = &options.threads, .least = 1, .most = 64 },
#ifdef BERTH_TEST_POINTS
        { .name = "list-test-points", .flag = &list_points },
#endif
    };

    if (cli_parse(cli, argc, argv, table, sizeof table / sizeof *table, NULL, 0, 0, e))
        return e->code;
#ifdef BERTH_TEST_POINTS
    if (list_points) {
        test_points_print();
        return 0;
    }
    test_point_check(test_points_list_has);
#endif
    if (cli_settings(cli, &settings, e) || settings_require_platform(settings, e))
        return e->code;
    options.settings = settings;
    if (options.threads == 0)
        options.threads = (int)settings->worker_threads;

    int stop_fd = stop_descriptor(e);
    if (stop_fd < 0)
        return e->code;
    run(cli, settings, options, stop_fd, e);
    close(stop_fd);
    return e->code;
}
