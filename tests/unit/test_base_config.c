/* Configuration: strict, and every refusal names where the value came from. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/config.h"
#include "core/base/secret.h"

struct sample {
    const char *name;
    const char *password;
    int64_t threads;
    bool enabled;
    struct config_list hosts;
    int size;
    const char *optional;
};

static const char *const sizes[] = { "small", "large", NULL };

/* clang-format off */
static const struct config_option table[] = {
    { "server", "name", "TEST_NAME", CONFIG_TEXT, offsetof(struct sample, name), "unnamed", 0, 0, NULL, "what it is called", false },
    { "server", "password", "TEST_PASSWORD", CONFIG_SECRET, offsetof(struct sample, password), NULL, 0, 0, NULL, "its password", false },
    { "server", "enabled", "TEST_ENABLED", CONFIG_BOOL, offsetof(struct sample, enabled), "no", 0, 0, NULL, "whether it runs", false },
    { "worker", "threads", "TEST_THREADS", CONFIG_INT, offsetof(struct sample, threads), "4", 1, 64, NULL, "how many threads", false },
    { "worker", "hosts", "TEST_HOSTS", CONFIG_LIST, offsetof(struct sample, hosts), NULL, 0, 0, NULL, "host names", false },
    { "worker", "size", "TEST_SIZE", CONFIG_ENUM, offsetof(struct sample, size), "large", 0, 0, sizes, "how large", false },
    { "worker", "optional", NULL, CONFIG_TEXT, offsetof(struct sample, optional), NULL, 0, 0, NULL, "may be absent", false },
};
/* clang-format on */
enum { COUNT = sizeof(table) / sizeof(*table) };

static const struct config_option required_table[] = {
    { "server", "name", "TEST_NAME", CONFIG_TEXT, offsetof(struct sample, name), NULL, 0, 0, NULL, "what it is called",
      true },
};

struct fixture {
    struct arena *mem;
    char path[64];
    struct sample got;
    struct config_value values[COUNT];
    struct err e;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    for (int i = 0; i < COUNT; i++) {
        if (table[i].environment)
            unsetenv(table[i].environment);
    }
    f->mem = arena_new();
    strcpy(f->path, "/tmp/berth-config-XXXXXX");
    int fd = mkstemp(f->path);
    if (fd < 0)
        return -1;
    close(fd);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    unlink(f->path);
    arena_free(f->mem);
    free(f);
    return 0;
}

static int load_bytes(struct fixture *f, const char *bytes, size_t len)
{
    FILE *file = fopen(f->path, "w");

    assert_non_null(file);
    fwrite(bytes, 1, len, file);
    fclose(file);
    f->got = (struct sample){ 0 };
    return config_load(table, COUNT, f->path, &f->got, f->values, f->mem, &f->e);
}

static int load(struct fixture *f, const char *text)
{
    return load_bytes(f, text, strlen(text));
}

struct wrong {
    const char *text;
    const char *says;
};

/* clang-format off */
static const struct wrong wrong_files[] = {
    { "[worker]\nthread = 4\n", ":2: unknown key: thread" },
    { "[workers]\nthreads = 4\n", ":2: unknown section: workers" },
    { "threads = 4\n", ":1: unknown section: (a key before" },
    { "[worker]\n# fine\n\nthreads\n", ":4: neither a [section] nor" },
    { "[worker\nthreads = 4\n", ":1: neither a [section] nor" },
    { "[worker]\nthreads = 4\nthreads = 5\n", ":3: the key was set before" },
    { "[worker]\nthreads = 0\n", ":2: [worker] threads: \"0\" is no whole number from 1 to 64" },
    { "[worker]\nthreads = 65\n", "\"65\" is no whole number" },
    { "[worker]\nthreads = 4 threads\n", "is no whole number" },
    { "[worker]\nthreads = 0x4\n", "is no whole number" },
    { "[worker]\nthreads = +4\n", "is no whole number" },
    { "[worker]\nthreads =\n", "\"\" is no whole number" },
    { "[worker]\nthreads = 99999999999999999999\n", "is no whole number" },
    { "[server]\nenabled = maybe\n", ":2: [server] enabled: \"maybe\" is none of true, false" },
    { "[server]\nenabled = TRUE\n", "is none of true" },
    { "[worker]\nsize = huge\n", ":2: [worker] size: \"huge\" is none of small, large" },
    { "[worker]\nhosts = a,,b\n", "\"a,,b\" has an empty item" },
    { "[worker]\nhosts = a, b,\n", "has an empty item" },
    { "[worker]\nhosts = ,\n", "has an empty item" },
    { "[worker]\nthreads = 4\n  hosts = a\n", ":3: an indented line goes on" },
    { "[worker]\nhosts = a\n  threads = 4\n", ":3: an indented line goes on" },
    { "[server]\nname = caf\xe9\n", "malformed UTF-8" },
    { "[server]\nname = a\x01z\n", "control characters" },
};
/* clang-format on */

static void every_wrong_line_is_refused_by_file_line_and_key(void **state)
{
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(wrong_files) / sizeof(*wrong_files); i++) {
        if (load(f, wrong_files[i].text) != ERR_INVALID)
            fail_msg("accepted: %s", wrong_files[i].text);
        if (!strstr(f->e.message, wrong_files[i].says) || strncmp(f->e.message, f->path, strlen(f->path)) != 0)
            fail_msg("\"%s\" does not begin with the file and say \"%s\"", f->e.message, wrong_files[i].says);
    }
}

static void an_unknown_key_is_answered_with_those_that_are_known(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(load(f, "[worker]\nthread = 4\n"), ERR_INVALID);

    assert_string_equal(f->e.hint, "[worker] knows: threads, hosts, size, optional");
}

static void the_first_of_several_wrong_lines_is_named(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(load(f, "[worker]\nnonsense\nthread = 4\n"), ERR_INVALID);
    assert_non_null(strstr(f->e.message, ":2: neither"));
    assert_int_equal(load(f, "[worker]\nthread = 4\nnonsense\n"), ERR_INVALID);
    assert_non_null(strstr(f->e.message, ":2: unknown key"));
}

static void a_line_too_long_is_refused_instead_of_split(void **state)
{
    struct fixture *f = *state;
    AUTO_ARENA struct arena *mem = arena_new();
    char *filler = arena_alloc(mem, 401);
    memset(filler, 'x', 400);

    assert_int_equal(load(f, arena_printf(mem, "[server]\nname = %s\n[worker]\nthreads = 2\n", filler)), ERR_INVALID);

    assert_non_null(strstr(f->e.message, ":2: the line is too long"));
}

static void a_nul_in_the_file_is_refused(void **state)
{
    struct fixture *f = *state;
    static const char text[] = "[server]\nname = a\0b\n";

    assert_int_equal(load_bytes(f, text, sizeof(text) - 1), ERR_INVALID);

    assert_non_null(strstr(f->e.message, ":2: the line is too long or has a NUL"));
}

static void a_missing_file_is_not_found_and_says_so(void **state)
{
    struct fixture *f = *state;

    int code = config_load(table, COUNT, "/nonexistent/berth.ini", &f->got, f->values, f->mem, &f->e);

    assert_int_equal(code, ERR_NOT_FOUND);
    assert_string_equal(f->e.message,
                        "the configuration file /nonexistent/berth.ini cannot be read: No such file or directory");
}

static void a_folder_as_file_is_refused(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(config_load(table, COUNT, "/tmp", &f->got, f->values, f->mem, &f->e), ERR_INVALID);

    assert_non_null(strstr(f->e.message, "/tmp cannot be read"));
}

static void a_wrong_environment_variable_is_named(void **state)
{
    struct fixture *f = *state;
    setenv("TEST_THREADS", "many", 1);

    assert_int_equal(load(f, "[worker]\nthreads = 4\n"), ERR_INVALID);

    assert_string_equal(f->e.message,
                        "the environment variable TEST_THREADS: \"many\" is no whole number from 1 to 64");
    assert_string_equal(f->e.hint, "threads is: how many threads");
}

static void a_required_value_that_is_missing_is_refused(void **state)
{
    struct fixture *f = *state;

    int code = config_load(required_table, 1, NULL, &f->got, f->values, f->mem, &f->e);

    assert_int_equal(code, ERR_INVALID);
    assert_string_equal(f->e.message, "[server] name is required and not set");
    assert_string_equal(f->e.hint, "set it in the file or as TEST_NAME: what it is called");
}

static void a_secret_is_never_shown(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(load(f, "[server]\npassword = hunter2\n"), 0);
    assert_string_equal(f->got.password, "hunter2");
    assert_string_equal(f->values[1].text, SECRET_SHOWN);

    assert_int_equal(load(f, "[server]\npassword = hunter2\x01\n"), ERR_INVALID);
    assert_null(strstr(f->e.message, "hunter2"));
    assert_int_equal(load(f, "[server]\npassword = hunter2\n  hunter3\n"), ERR_INVALID);
    assert_null(strstr(f->e.message, "hunter"));
}

static void without_anything_the_defaults_count(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(config_load(table, COUNT, NULL, &f->got, f->values, f->mem, &f->e), 0);

    assert_string_equal(f->got.name, "unnamed");
    assert_int_equal(f->got.threads, 4);
    assert_false(f->got.enabled);
    assert_int_equal(f->got.size, 1);
    assert_null(f->got.password);
    assert_null(f->got.optional);
    assert_int_equal(f->got.hosts.count, 0);
    assert_int_equal(f->values[3].source, CONFIG_FROM_DEFAULT);
    assert_string_equal(f->values[3].text, "4");
    assert_null(f->values[1].text);
}

static void the_file_goes_before_the_default_and_the_environment_before_both(void **state)
{
    struct fixture *f = *state;
    setenv("TEST_THREADS", "9", 1);
    setenv("TEST_NAME", "", 1); /* empty is absent */

    assert_int_equal(load(f, "; comment\n[server]\nname = shop # 1 ; comment\nenabled=on\n[worker]\nthreads = 2\n"), 0);

    assert_string_equal(f->got.name, "shop # 1");
    assert_true(f->got.enabled);
    assert_int_equal(f->got.threads, 9);
    assert_int_equal(f->values[0].source, CONFIG_FROM_FILE);
    assert_int_equal(f->values[0].line, 3);
    assert_int_equal(f->values[3].source, CONFIG_FROM_ENVIRONMENT);
    assert_string_equal(f->values[3].text, "9");
    assert_int_equal(f->values[3].line, 0);
}

static void a_list_is_trimmed_and_may_go_on_in_indented_lines(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(load(f, "[worker]\nhosts =  a , b\n  c,\n  d\nthreads = 3\n"), 0);

    assert_int_equal(f->got.hosts.count, 4);
    assert_string_equal(f->got.hosts.items[0], "a");
    assert_string_equal(f->got.hosts.items[1], "b");
    assert_string_equal(f->got.hosts.items[2], "c");
    assert_string_equal(f->got.hosts.items[3], "d");
    assert_int_equal(f->got.threads, 3);
}

static void an_indented_key_right_below_its_section_is_a_key(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(load(f, "[worker]\nhosts = a\n[server]\n  name = shop\n"), 0);

    assert_string_equal(f->got.name, "shop");
    assert_int_equal(f->got.hosts.count, 1);
}

static void the_last_line_needs_no_line_break(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(load(f, "[worker]\nthreads = 3"), 0);

    assert_int_equal(f->got.threads, 3);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(every_wrong_line_is_refused_by_file_line_and_key),
        CASE(an_unknown_key_is_answered_with_those_that_are_known),
        CASE(the_first_of_several_wrong_lines_is_named),
        CASE(a_line_too_long_is_refused_instead_of_split),
        CASE(a_nul_in_the_file_is_refused),
        CASE(a_missing_file_is_not_found_and_says_so),
        CASE(a_folder_as_file_is_refused),
        CASE(a_wrong_environment_variable_is_named),
        CASE(a_required_value_that_is_missing_is_refused),
        CASE(a_secret_is_never_shown),
        CASE(without_anything_the_defaults_count),
        CASE(the_file_goes_before_the_default_and_the_environment_before_both),
        CASE(a_list_is_trimmed_and_may_go_on_in_indented_lines),
        CASE(an_indented_key_right_below_its_section_is_a_key),
        CASE(the_last_line_needs_no_line_break),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
