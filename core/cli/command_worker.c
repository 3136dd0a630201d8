#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "core/base/log.h"
#include "core/cli/commands.h"
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

/* The token is read once: a new one takes a restart. */
static int github_token(struct aws *aws, const struct settings *settings, struct secret **out, struct err *e)
{
    AUTO_JSON json_object *ask = NULL;
    AUTO_JSON json_object *reply = NULL;
    AUTO_ARENA struct arena *mem = arena_new();
    const char *text = NULL;

    if (!settings->github_token_secret)
        return 0;
    ask = json_build("{s:s}", "SecretId", settings->github_token_secret);
    if (aws_call(aws, &SECRETSMANAGER, "GetSecretValue", ask, &reply, e) ||
        json_read_text(reply, "/SecretString", mem, &text, e))
        return err_context(e, "reading the GitHub token");
    *out = secret_from_text(text);
    return 0;
}

static int run(struct cli *cli, const struct settings *settings, struct worker_options *options, int stop_fd,
               struct err *e)
{
    AUTO_SECRET struct secret *token = NULL;

    if (cli_pool(cli, "worker", options->threads + 1, &options->db, e) || cli_aws(cli, &options->aws, e) ||
        platform_check(options->aws, settings, e) || github_token(options->aws, settings, &token, e))
        return e->code;
    struct github github = { .transport = http_curl_transport(cli->curl), .api_url = settings->github_api_url,
                             .token = token };
    options->github = &github;
    log_event(LOG_INFO, "worker is ready", log_int("threads", options->threads), log_int("drain", options->drain));
    return worker_run(options, stop_fd, e);
}

int command_worker(struct cli *cli, int argc, char **argv, struct err *e)
{
    struct worker_options options = { 0 };
    const struct settings *settings = NULL;
    const struct cli_option table[] = {
        { .name = "drain", .flag = &options.drain },
        { .name = "threads", .number = &options.threads, .least = 1, .most = 64 },
    };

    if (cli_parse(cli, argc, argv, table, sizeof table / sizeof *table, NULL, 0, 0, e) ||
        cli_settings(cli, &settings, e) || settings_require_platform(settings, e))
        return e->code;
    options.settings = settings;
    if (options.threads == 0)
        options.threads = (int)settings->worker_threads;

    int stop_fd = stop_descriptor(e);
    if (stop_fd < 0)
        return e->code;
    run(cli, settings, &options, stop_fd, e);
    close(stop_fd);
    return e->code;
}
