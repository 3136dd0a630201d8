#include <stdio.h>
#include <string.h>

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

/* "berth apps": the group's commands are the best answer. */
static int print_unknown(const char *word)
{
    fprintf(stderr, "berth: there is no command \"%s\"\n", word);
    for (size_t i = 0; i < cli_command_count; i++)
        if (!strncmp(cli_commands[i].name, word, strlen(word)) && cli_commands[i].name[strlen(word)] == ' ')
            fprintf(stderr, "  berth %s %s\n", cli_commands[i].name, cli_commands[i].usage);
    fprintf(stderr, "hint: berth --help lists them\n");
    return EXIT_USAGE;
}

static void print_error(const struct cli *cli, const struct err *e)
{
    if (cli->json)
        cli_print_json(json_build("{s:{s:s,s:s,s:s,s:s}}", "error", "code", err_code_name(e->code), "message", e->message,
                                  "hint", *e->hint ? e->hint : NULL, "detail", *e->detail ? e->detail : NULL));
    fprintf(stderr, "berth: %s\n", e->message);
    if (*e->hint)
        fprintf(stderr, "hint: %s\n", e->hint);
}

static int run(const struct command *command, int words, int argc, char **argv)
{
    AUTO_ARENA struct arena *mem = arena_new();
    struct cli cli = { .mem = mem };
    struct err e = { 0 };

    command->run(&cli, argc - words, argv + words, &e);
    if (e.code && *e.message)
        print_error(&cli, &e);
    cli_close(&cli);
    return cli_exit_code(&e);
}

int main(int argc, char **argv)
{
    int words = 0;

    if (argc < 2 || !strcmp(argv[1], "--help") || !strcmp(argv[1], "help")) {
        print_help(argc < 2 ? stderr : stdout);
        return argc < 2 ? EXIT_USAGE : EXIT_OK;
    }
    if (!strcmp(argv[1], "--version")) {
        puts("berth " BERTH_VERSION);
        return EXIT_OK;
    }

    const struct command *command = find_command(argc, argv, &words);
    if (!command)
        return print_unknown(argv[1]);
    if (argc > words + 1 && !strcmp(argv[words + 1], "--help")) {
        printf("usage: berth %s %s [--config FILE] [--json]\n\n%s\n", command->name, command->usage, command->summary);
        return EXIT_OK;
    }
    return run(command, words, argc, argv);
}
