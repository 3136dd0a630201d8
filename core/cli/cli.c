#include "core/cli/cli.h"

#include <getopt.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/text.h"

enum { OPTIONS_MAX = 24, CLI_POOL_TIMEOUT_MS = 5000 };

static int take_option(const struct cli_option *option, const char *value, struct err *e)
{
    int64_t number = 0;

    if (option->flag)
        *option->flag = true;
    if (option->text)
        *option->text = value;
    if (option->number) {
        if (!text_parse_int(value, option->least, option->most, &number))
            return err_set(e, ERR_INVALID, "--%s is \"%s\": write a whole number from %d to %d", option->name, value,
                           option->least, option->most);
        *option->number = (int)number;
    }
    return 0;
}

/* getopt's table: ours, so that its indices are getopt's, then the two that every command takes. */
static void to_getopt(const struct cli_option *options, size_t count, struct option *out)
{
    size_t n = 0;

    for (; n < count && n < OPTIONS_MAX - 3; n++)
        out[n] = (struct option){ options[n].name, options[n].flag ? no_argument : required_argument, NULL, 'o' };
    out[n++] = (struct option){ "json", no_argument, NULL, 'j' };
    out[n++] = (struct option){ "config", required_argument, NULL, 'c' };
    out[n] = (struct option){ 0 };
}

static int take_operands(int argc, char **argv, const char **operands, size_t least, size_t most, struct err *e)
{
    size_t count = 0;

    for (int i = optind; i < argc; i++) {
        if (count == most) {
            err_set(e, ERR_INVALID, "berth %s: one word too many: \"%s\"", argv[0], argv[i]);
            return err_hint(e, "berth %s --help tells the command's arguments", argv[0]);
        }
        operands[count++] = argv[i];
    }
    if (count < least) {
        err_set(e, ERR_INVALID, "berth %s: a word is missing", argv[0]);
        return err_hint(e, "berth %s --help tells the command's arguments", argv[0]);
    }
    return 0;
}

/* getopt takes the beginning of an option's name for the option: a script that relies on it breaks with the next option that begins alike. */
static bool is_written_out(const char *word, const struct option *option)
{
    size_t len = strcspn(word, "=");

    return len == strlen(option->name) + 2 && !strncmp(word + 2, option->name, len - 2);
}

/* The word that getopt stopped at: it has gone past it unless the word holds more short options. */
static const char *stopped_at(int argc, char **argv)
{
    return optopt && optopt != 'o' && optopt != 'j' && optopt != 'c' && optind < argc && argv[optind][0] == '-'
               ? argv[optind]
               : argv[optind - 1];
}

static int refuse_option(int letter, int argc, char **argv, struct err *e)
{
    const char *word = stopped_at(argc, argv);

    if (letter == ':')
        err_set(e, ERR_INVALID, "option \"%s\" lacks its value", word);
    else
        err_set(e, ERR_INVALID, "%s \"%s\"",
                strchr(word, '=') && optopt ? "this option takes no value:" : "unknown option", word);
    return err_hint(e, "berth %s --help tells the command's options", argv[0]);
}

int cli_parse(struct cli *cli, int argc, char **argv, const struct cli_option *options, size_t option_count,
              const char **operands, size_t operand_min, size_t operand_max, struct err *e)
{
    struct option table[OPTIONS_MAX];
    int which = 0, letter;

    to_getopt(options, option_count, table);
    opterr = 0;
    optind = 0; /* getopt begins anew, whatever it left behind in the last word */
    while ((letter = getopt_long(argc, argv, ":", table, &which)) != -1) {
        if (letter == '?' || letter == ':')
            return refuse_option(letter, argc, argv, e);
        const char *word = argv[optind - 1] == optarg ? argv[optind - 2] : argv[optind - 1];
        if (!is_written_out(word, &table[which])) {
            err_set(e, ERR_INVALID, "unknown option \"%s\": write --%s", word, table[which].name);
            return err_hint(e, "berth %s --help tells the command's options", argv[0]);
        }
        if (letter == 'j')
            cli->json = true;
        else if (letter == 'c')
            cli->config_path = optarg;
        else if (take_option(&options[which], optarg, e))
            return e->code;
    }
    return take_operands(argc, argv, operands, operand_min, operand_max, e);
}

int cli_settings(struct cli *cli, const struct settings **out, struct err *e)
{
    if (!cli->loaded.values) {
        if (settings_load(cli->config_path, cli->mem, &cli->loaded, e)) {
            if (e->code == ERR_NOT_FOUND)
                e->code = ERR_INVALID; /* a wrong path is the caller's slip; "not found" is said of apps and releases */
            return e->code;
        }
        log_setup((enum log_level)cli->loaded.settings.log_level, (enum log_format)cli->loaded.settings.log_format);
    }
    *out = &cli->loaded.settings;
    return 0;
}

static const char *conninfo_of(const struct settings *settings, const char *login)
{
    if (!strcmp(login, "owner"))
        return settings->database_owner;
    if (!strcmp(login, "worker"))
        return settings->database_worker;
    return settings->database_admin;
}

int cli_pool(struct cli *cli, const char *login, int size, struct db_pool **out, struct err *e)
{
    const struct settings *settings = NULL;

    if (cli_settings(cli, &settings, e))
        return e->code;
    if (!cli->pool) {
        struct db_pool_options options = { .conninfo = conninfo_of(settings, login),
                                           .name = login,
                                           .size = size,
                                           .take_timeout_ms = CLI_POOL_TIMEOUT_MS };
        if (!options.conninfo) {
            err_set(e, ERR_INVALID, "no database connection is configured for the login \"%s\"", login);
            return err_hint(e, "Set %s under [database], or BERTH_DATABASE_%s.", login,
                            !strcmp(login, "owner")    ? "OWNER"
                            : !strcmp(login, "worker") ? "WORKER"
                                                       : "ADMIN");
        }
        if (db_pool_new(&options, &cli->pool, e))
            return e->code;
    }
    *out = cli->pool;
    return 0;
}

int cli_aws(struct cli *cli, struct aws **out, struct err *e)
{
    const struct settings *settings = NULL;

    if (cli_settings(cli, &settings, e))
        return e->code;
    if (!cli->curl && http_curl_new("berth/" BERTH_VERSION, &cli->curl, e))
        return e->code;
    if (!cli->aws) {
        struct aws_options options = { .region = settings->aws_region, .transport = http_curl_transport(cli->curl) };
        if (aws_new(&options, &cli->aws, e))
            return e->code;
    }
    *out = cli->aws;
    return 0;
}

void cli_close(struct cli *cli)
{
    if (cli->hasty)
        return;
    aws_free(cli->aws);
    http_curl_free(cli->curl);
    db_pool_free(cli->pool);
}

int cli_release_number(const char *text, int *out, struct err *e)
{
    int64_t number = 0;

    if (!text_parse_int(*text == 'v' ? text + 1 : text, 1, INT32_MAX, &number))
        return err_set(e, ERR_INVALID, "\"%s\" is no release: write it as v12", text);
    *out = (int)number;
    return 0;
}

int cli_audit(struct cli *cli, struct db *db, const char *action, const char *app, struct err *e)
{
    return db_query(db, app, QUERY_AUDIT_ADD, NULL, e, db_text(cli_actor(cli)), db_text(action), db_text(app),
                    db_null(), db_null());
}

int cli_exit_code(const struct err *e)
{
    static const enum exit_code codes[ERR_CODE_COUNT] = {
        [ERR_NONE] = EXIT_OK,           [ERR_TRANSIENT] = EXIT_UNAVAILABLE, [ERR_THROTTLED] = EXIT_UNAVAILABLE,
        [ERR_CONFLICT] = EXIT_CONFLICT, [ERR_DENIED] = EXIT_DENIED,         [ERR_NOT_FOUND] = EXIT_NOT_FOUND,
        [ERR_INVALID] = EXIT_USAGE,     [ERR_QUOTA] = EXIT_LIMIT,           [ERR_NO_MEMORY] = EXIT_FAILED,
        [ERR_INTERNAL] = EXIT_FAILED,
    };

    return (int)codes[e->code];
}

const char *cli_actor(struct cli *cli)
{
    const struct passwd *user = getpwuid(getuid());

    return user ? arena_copy(cli->mem, user->pw_name) : arena_printf(cli->mem, "uid %u", (unsigned)getuid());
}
