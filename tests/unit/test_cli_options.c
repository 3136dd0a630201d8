/* How a command's words are read, and what its exit code says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/cli/cli.h"

struct given {
    struct cli cli;
    const char *text, *operands[3];
    bool flag;
    int number;
    struct err e;
};

/* Parses "command" and the words; up to two operands, at least one. */
static int parse(struct given *given, const char *const *words)
{
    const struct cli_option options[] = {
        { .name = "repo", .text = &given->text },
        { .name = "wait", .flag = &given->flag },
        { .name = "limit", .number = &given->number, .least = 1, .most = 10 },
    };
    char copies[8][32], *argv[9] = { copies[0] };
    int argc = 1;

    strcpy(copies[0], "command");
    for (; words[argc - 1]; argc++) {
        strcpy(copies[argc], words[argc - 1]);
        argv[argc] = copies[argc];
    }
    argv[argc] = NULL;
    *given = (struct given){ 0 };
    int code = cli_parse(&given->cli, argc, argv, options, 3, given->operands, 1, 2, &given->e);
    /* The texts live in argv: keep what the test looks at. */
    static char kept[3][32];
    for (int i = 0; i < 2; i++)
        given->operands[i] = given->operands[i] ? strcpy(kept[i], given->operands[i]) : NULL;
    given->text = given->text ? strcpy(kept[2], given->text) : NULL;
    return code;
}

#define WORDS(...) ((const char *const[]){ __VA_ARGS__, NULL })

static void options_and_words_come_in_any_order(void **state)
{
    struct given given;
    (void)state;

    assert_int_equal(parse(&given, WORDS("shop", "--limit", "3", "v1", "--wait", "--repo=a/b", "--json")), 0);

    assert_string_equal(given.operands[0], "shop");
    assert_string_equal(given.operands[1], "v1");
    assert_string_equal(given.text, "a/b");
    assert_int_equal(given.number, 3);
    assert_true(given.flag);
    assert_true(given.cli.json);
}

static void after_two_dashes_all_are_words(void **state)
{
    struct given given;
    (void)state;

    assert_int_equal(parse(&given, WORDS("--", "--wait")), 0);

    assert_string_equal(given.operands[0], "--wait");
    assert_false(given.flag);
}

static void a_wrong_word_is_named_with_where_help_is(void **state)
{
    static const struct {
        const char *word, *value, *said;
    } wrong[] = {
        { "--nosuch", NULL, "unknown option \"--nosuch\"" },
        { "-x", NULL, "unknown option \"-x\"" },
        { "-xy", NULL, "unknown option \"-xy\"" },
        { "--repo", NULL, "option \"--repo\" lacks its value" },
        { "--rep", "a/b", "write --repo" },
        { "--wai", NULL, "write --wait" },
        { "--wait=yes", NULL, "--wait=yes" },
        { "two", "three", "one word too many: \"three\"" },
    };
    struct given given;
    (void)state;

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(parse(&given, WORDS("one", wrong[i].word, wrong[i].value)), ERR_INVALID);
        if (!strstr(given.e.message, wrong[i].said))
            fail_msg("%s: %s", wrong[i].word, given.e.message);
        assert_string_equal(strstr(given.e.hint, "berth command --help") ? "told" : given.e.hint, "told");
    }
}

static void a_number_out_of_its_limits_is_refused_with_them(void **state)
{
    static const char *const wrong[] = { "0", "11", "-1", "", "1.5", "0x3", "99999999999999999999", " 3" };
    struct given given;
    (void)state;

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(parse(&given, WORDS("one", "--limit", wrong[i])), ERR_INVALID);
        assert_non_null(strstr(given.e.message, "from 1 to 10"));
    }
}

static void a_missing_word_is_refused(void **state)
{
    struct given given;
    (void)state;

    assert_int_equal(parse(&given, WORDS("--wait")), ERR_INVALID);
    assert_non_null(strstr(given.e.message, "a word is missing"));
}

static void a_release_is_written_with_or_without_its_v(void **state)
{
    static const char *const wrong[] = { "", "v", "vv1", "v0", "0", "-1", "v-1", "1x", "99999999999", "first" };
    struct err e = { 0 };
    int number = 0;
    (void)state;

    assert_int_equal(cli_release_number("v12", &number, &e), 0);
    assert_int_equal(number, 12);
    assert_int_equal(cli_release_number("7", &number, &e), 0);
    assert_int_equal(number, 7);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(cli_release_number(wrong[i], &number, &e), ERR_INVALID);
    assert_int_equal(number, 7);
}

static void each_kind_of_error_has_an_exit_code_of_its_own_but_never_success(void **state)
{
    (void)state;

    for (int code = 1; code < ERR_CODE_COUNT; code++)
        assert_int_not_equal(cli_exit_code(&(struct err){ .code = (enum err_code)code }), EXIT_OK);
    assert_int_equal(cli_exit_code(&(struct err){ .code = ERR_NOT_FOUND }), 3);
    assert_int_equal(cli_exit_code(&(struct err){ .code = ERR_CONFLICT }), 4);
    assert_int_equal(cli_exit_code(&(struct err){ .code = ERR_DENIED }), 5);
    assert_int_equal(cli_exit_code(&(struct err){ .code = ERR_THROTTLED }), 6);
    assert_int_equal(cli_exit_code(&(struct err){ .code = ERR_QUOTA }), 7);
}

static void no_two_commands_share_a_name_and_each_has_its_help(void **state)
{
    (void)state;

    for (size_t i = 0; i < cli_command_count; i++) {
        assert_non_null(cli_commands[i].run);
        assert_non_null(cli_commands[i].usage);
        assert_true(strlen(cli_commands[i].summary) > 10);
        for (size_t other = 0; other < i; other++)
            assert_string_not_equal(cli_commands[i].name, cli_commands[other].name);
    }
}

static void anothers_text_is_plain_on_a_terminal(void **state)
{
    AUTO_ARENA struct arena *mem = arena_new();
    (void)state;

    assert_string_equal(cli_plain(mem, "\x1b[2J a\tb\nc \xc2\x9b \xff"), " [2J a b c   ?");
    assert_null(cli_plain(mem, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_and_words_come_in_any_order),
        cmocka_unit_test(after_two_dashes_all_are_words),
        cmocka_unit_test(a_wrong_word_is_named_with_where_help_is),
        cmocka_unit_test(a_number_out_of_its_limits_is_refused_with_them),
        cmocka_unit_test(a_missing_word_is_refused),
        cmocka_unit_test(a_release_is_written_with_or_without_its_v),
        cmocka_unit_test(each_kind_of_error_has_an_exit_code_of_its_own_but_never_success),
        cmocka_unit_test(no_two_commands_share_a_name_and_each_has_its_help),
        cmocka_unit_test(anothers_text_is_plain_on_a_terminal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
