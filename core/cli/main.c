/* berth, the command: finds the command in the table, runs it, and tells its error and exit code. */
#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/text.h"
#include "core/cli/cli.h"

static void print_help(FILE *out)
{
    fprintf(out, "berth " BERTH_VERSION " - a git push to a running, isolated app on your own AWS account\n\n"
                 "usage: berth COMMAND [ARGUMENTS] [--config FILE] [--json]\n\n");
    for (size_t i = 0; i < cli_command_count; i++)
        fprintf(out, "  %-14s %s\n", cli_commands[i].name, cli_commands[i].summary);
    fprintf(out, "\n"
                 "  berth COMMAND --help tells a command's arguments.\n"
                 "\n"
                 "exit codes: 0 done, 1 failed, 2 usage or configuration, 3 not found, 4 conflict, 5 denied,\n"
                 "            6 a service is away (try again), 7 a limit is reached\n");
}

/* How many words of argv name the command; 0 when they don't. */
static int matches(const struct command *command, int argc, char **argv)
{
    const char *rest = command->name;
    int words = 0;

    while (rest && words + 1 < argc) {
        size_t len = strcspn(rest, " ");
        if (strlen(argv[words + 1]) != len || strncmp(argv[words + 1], rest, len) != 0)
            return 0;
        words++;
        rest = rest[len] ? rest + len + 1 : NULL;
    }
    return rest ? 0 : words;
}

static const struct command *find_command(int argc, char **argv, int *words)
{
    for (size_t i = 0; i < cli_command_count; i++) {
        *words = matches(&cli_commands[i], argc, argv);
        if (*words)
            return &cli_commands[i];
    }
    return NULL;
}

static bool is_in_group(const struct command *command, const char *group)
{
    size_t len = strlen(group);

    return len > 0 && !strncmp(command->name, group, len) && command->name[len] == ' ';
}

static bool print_group(FILE *out, const char *group)
{
    bool found = false;

    for (size_t i = 0; i < cli_command_count; i++)
        if (is_in_group(&cli_commands[i], group)) {
            fprintf(out, "  berth %s %s\n", cli_commands[i].name, cli_commands[i].usage);
            found = true;
        }
    return found;
}

static void print_error(const struct cli *cli, const struct err *e)
{
    if (cli->json)
        cli_print_json(json_build("{s:{s:s,s:s,s:s,s:s}}", "error", "code", err_code_name(e->code), "message",
                                  e->message, "hint", *e->hint ? e->hint : NULL, "detail",
                                  *e->detail ? e->detail : NULL));
    fprintf(stderr, "berth: %s\n", e->message);
    if (*e->hint)
        fprintf(stderr, "hint: %s\n", e->hint);
}

/* "berth apps": the group's commands are the best answer. */
static int refuse_command(const struct cli *cli, int argc, char **argv)
{
    struct err e = { 0 };
    char shown[80];
    bool group = false;

    for (size_t i = 0; i < cli_command_count; i++)
        group = group || is_in_group(&cli_commands[i], argv[1]);
    text_excerpt(group && argc > 2 ? argv[2] : argv[1], shown, sizeof shown);
    if (group && argc == 2)
        err_set(&e, ERR_INVALID, "berth %s: a word is missing", shown);
    else
        err_set(&e, ERR_INVALID, "there is no command \"%s%s%s\"", group ? argv[1] : "", group ? " " : "", shown);
    err_hint(&e, "berth %s%s--help lists them", group ? argv[1] : "", group ? " " : "");
    print_error(cli, &e);
    print_group(stderr, argv[1]);
    return EXIT_USAGE;
}

/* The answer that nobody could read is no success: a full disk, a closed pipe. */
static int finish(int code)
{
    if (!fflush(stdout) && !ferror(stdout))
        return code;
    fprintf(stderr,
            "berth: the answer could not be written to standard output: %s\n"
            "hint: what was asked for may be done all the same; a webhook secret that was lost is replaced by: berth "
            "apps secret NAME\n",
            strerror(errno));
    return EXIT_FAILED;
}

static int run(const struct command *command, struct cli *cli, int argc, char **argv)
{
    struct err e = { 0 };

    int failed = command->run(cli, argc, argv, &e);
    if (failed && *e.message)
        print_error(cli, &e);
    cli_close(cli);
    return failed ? cli_exit_code(&e) : EXIT_OK;
}

static bool has_word(int argc, char **argv, const char *word)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (!strcmp(argv[i], word))
            return true;
    return false;
}

static int answer(struct cli *cli, int argc, char **argv)
{
    bool help = has_word(argc, argv, "--help");
    int words = 0;
    const struct command *command = find_command(argc, argv, &words);

    if (command && help) {
        printf("usage: berth %s %s [--config FILE] [--json]\n\n%s\n", command->name, command->usage, command->summary);
        return EXIT_OK;
    }
    if (command) {
        /* A command of two words is one to its own eyes. */
        argv[words] = arena_copy(cli->mem, command->name);
        return run(command, cli, argc - words, argv + words);
    }
    if (argc < 2 || help || !strcmp(argv[1], "help")) {
        if (argc < 2 || !print_group(stdout, argv[1]))
            print_help(argc < 2 ? stderr : stdout);
        return argc < 2 ? EXIT_USAGE : EXIT_OK;
    }
    if (!strcmp(argv[1], "--version")) {
        puts("berth " BERTH_VERSION);
        return EXIT_OK;
    }
    return refuse_command(cli, argc, argv);
}

int main(int argc, char **argv)
{
    AUTO_ARENA struct arena *mem = arena_new();
    struct cli cli = { .mem = mem, .json = has_word(argc, argv, "--json") };

    setlocale(LC_CTYPE, "C.UTF-8"); /* for the width of characters alone */
    int code = finish(answer(&cli, argc, argv));
    if (cli.hasty)
        _exit(code);
    return code;
}
