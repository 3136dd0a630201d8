/* berth-fcgi: options, limits of the process, then one of the two applications on a server (server.h). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <unistd.h>

#include "core/base/text.h"
#include "fcgi/application.h"
#include "fcgi/server.h"

enum { EXIT_USAGE = 2, DESCRIPTORS_SPARE = 64, BACKLOG_MAX = 65535 };

static const char help[] =
    "berth-fcgi " BERTH_VERSION " - berth's FastCGI responder, behind lighttpd or Apache\n"
    "\n"
    "usage: berth-fcgi --hooks|--admin [--config FILE] [--socket PATH] [--backlog N]\n"
    "\n"
    "  --hooks         take GitHub's deliveries: POST /hooks/github/{app}, GET /healthz, GET /readyz\n"
    "  --admin         the operator's pages\n"
    "  --config FILE   the configuration; otherwise BERTH_CONFIG, then /etc/berth/berth.conf\n"
    "  --socket PATH   listen at this unix socket (made with mode 0660); otherwise the FastCGI socket is standard\n"
    "                  input, as lighttpd and spawn-fcgi give it\n"
    "  --backlog N     connections that may wait to be accepted (1024)\n"
    "  --help, --version\n"
    "\n"
    "SIGTERM ends it: what is in hand is finished, within 2 seconds.\n"
    "exit codes: 0 stopped by a signal, 1 failed, 2 usage or configuration\n";

struct options {
    bool hooks, admin, help, version;
    const char *config;
    const char *socket;
    int backlog;
};

static int take_value(const char *name, char **argv, int *i, const char **out, struct err *e)
{
    if (!argv[*i + 1] || argv[*i + 1][0] == '\0')
        return err_set(e, ERR_INVALID, "%s needs a value", name);
    *out = argv[++*i];
    return 0;
}

static int take_backlog(char **argv, int *i, struct options *options, struct err *e)
{
    const char *text = NULL;
    int64_t backlog = 0;

    if (take_value("--backlog", argv, i, &text, e))
        return (int)e->code;
    if (!text_parse_int(text, 1, BACKLOG_MAX, &backlog))
        return err_set(e, ERR_INVALID, "--backlog is a number from 1 to %d, not \"%s\"", BACKLOG_MAX, text);
    options->backlog = (int)backlog;
    return 0;
}

static int take_option(char **argv, int *i, struct options *options, struct err *e)
{
    const struct {
        const char *name;
        bool *flag;
    } flags[] = { { "--hooks", &options->hooks },
                  { "--admin", &options->admin },
                  { "--help", &options->help },
                  { "--version", &options->version } };
    const char *name = argv[*i];

    for (size_t f = 0; f < sizeof(flags) / sizeof(*flags); f++) {
        if (strcmp(flags[f].name, name) == 0) {
            *flags[f].flag = true;
            return 0;
        }
    }
    if (strcmp(name, "--config") == 0)
        return take_value(name, argv, i, &options->config, e);
    if (strcmp(name, "--socket") == 0)
        return take_value(name, argv, i, &options->socket, e);
    if (strcmp(name, "--backlog") == 0)
        return take_backlog(argv, i, options, e);
    err_set(e, ERR_INVALID, "there is no option \"%s\"", name);
    return err_hint(e, "berth-fcgi --help lists them.");
}

static int read_options(int argc, char **argv, struct options *options, struct err *e)
{
    for (int i = 1; i < argc; i++) {
        if (take_option(argv, &i, options, e))
            return (int)e->code;
    }
    if (!options->help && !options->version && options->hooks == options->admin) {
        err_set(e, ERR_INVALID,
                options->hooks ? "--hooks and --admin exclude each other" : "it isn't said which application to be");
        return err_hint(e, "Give --hooks or --admin; each is a process of its own. berth-fcgi --help tells more.");
    }
    return 0;
}

/*
 * Each thread holds a descriptor even while it waits in accept, and so does each database connection. request_library_init has lowered the limit to what
 * libfcgi can use.
 */
static int check_descriptors(const struct settings *settings, int threads, struct err *e)
{
    int64_t needed = threads + settings->database_connections + DESCRIPTORS_SPARE;
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return err_set(e, ERR_INTERNAL, "cannot read the limit of open files: %s", strerror(errno));
    if (needed <= (int64_t)limit.rlim_cur)
        return 0;
    err_set(e, ERR_INVALID,
            "%d threads, %lld database connections and %d to spare are more than the %lld files this process may open",
            threads, (long long)settings->database_connections, DESCRIPTORS_SPARE, (long long)limit.rlim_cur);
    return err_hint(
        e,
        "Lower [hooks] threads, [admin] threads or [database] connections, or raise the limit of open files up to %d.",
        FD_SETSIZE);
}

static int get_socket(const struct options *options, int *fd, struct err *e)
{
    if (options->socket)
        return server_listen(options->socket, options->backlog, fd, e);
    return server_inherit(options->backlog, fd, e);
}

/* *finished false: threads are left that use what the application holds. */
static int serve(const struct options *options, const struct settings *settings, bool *finished, struct err *e)
{
    int threads = (int)(options->hooks ? settings->hooks_threads : settings->admin_threads);
    struct application application = { 0 };
    int fd = -1;

    if (check_descriptors(settings, threads, e) || get_socket(options, &fd, e))
        return (int)e->code;
    if ((options->hooks ? hooks_open : admin_open)(settings, &application, e))
        return (int)e->code;
    int code = server_run(&application, fd, threads, finished, e);
    if (options->socket)
        unlink(options->socket);
    if (*finished && application.is_idle && !application.is_idle(application.context))
        *finished = false;
    if (*finished && application.close)
        application.close(application.context);
    return code;
}

/* *exit_code: what a failure means. */
static int run(const struct options *options, bool *finished, int *exit_code, struct err *e)
{
    AUTO_ARENA struct arena *mem = arena_new();
    struct loaded_settings loaded = { 0 };

    *exit_code = EXIT_USAGE;
    if (settings_load(options->config, mem, &loaded, e))
        return (int)e->code;
    *exit_code = EXIT_FAILURE;
    log_setup((enum log_level)loaded.settings.log_level, (enum log_format)loaded.settings.log_format);
    server_block_signals();
    if (request_library_init(e))
        return (int)e->code;
    int code = serve(options, &loaded.settings, finished, e);
    if (code == ERR_INVALID)
        *exit_code = EXIT_USAGE;
    return code;
}

int main(int argc, char **argv)
{
    struct options options = { .backlog = SERVER_BACKLOG };
    struct err e = { 0 };
    bool finished = true;
    int exit_code = EXIT_USAGE;

    int code = read_options(argc, argv, &options, &e);
    if (!code && (options.help || options.version)) {
        fputs(options.help ? help : "berth-fcgi " BERTH_VERSION "\n", stdout);
        return EXIT_SUCCESS;
    }
    if (!code)
        code = run(&options, &finished, &exit_code, &e);
    if (code) {
        fprintf(stderr, "berth-fcgi: %s\n", e.message);
        if (*e.hint != '\0')
            fprintf(stderr, "hint: %s\n", e.hint);
    }
    if (!code)
        exit_code = EXIT_SUCCESS;
    /* Threads that were left behind must not find their memory gone while the process ends. */
    if (!finished)
        _exit(exit_code);
    return exit_code;
}
