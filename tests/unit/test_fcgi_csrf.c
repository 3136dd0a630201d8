/* A form's token: whose, of which form, until when; and where the request came from. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fcgi/csrf.h"

#define NOW INT64_C(1800000000000)

static struct secret *key_of(char fill)
{
    char bytes[CSRF_KEY_SIZE];

    memset(bytes, fill, sizeof bytes);
    return secret_new(bytes, sizeof bytes);
}

static void a_token_is_valid_for_twelve_hours_and_then_expired(void **state)
{
    AUTO_ARENA struct arena *mem = arena_new();
    AUTO_SECRET struct secret *key = key_of('k');
    const char *token = csrf_token(key, "mara", "limits", NOW, mem);
    (void)state;

    assert_int_equal(csrf_check(key, "mara", "limits", token, NOW), CSRF_VALID);
    assert_int_equal(csrf_check(key, "mara", "limits", token, NOW + CSRF_LIFE_MS - 1), CSRF_VALID);
    assert_int_equal(csrf_check(key, "mara", "limits", token, NOW + CSRF_LIFE_MS), CSRF_EXPIRED);
    assert_int_equal(csrf_check(key, "mara", "limits", token, NOW + CSRF_LIFE_MS * INT64_C(1000)), CSRF_EXPIRED);
}

static void a_token_of_another_user_form_or_installation_is_wrong(void **state)
{
    AUTO_ARENA struct arena *mem = arena_new();
    AUTO_SECRET struct secret *key = key_of('k'), *other = key_of('o');
    const char *token = csrf_token(key, "mara", "limits", NOW, mem);
    (void)state;

    assert_int_equal(csrf_check(key, "teo", "limits", token, NOW), CSRF_WRONG);
    assert_int_equal(csrf_check(key, "mara", "limit", token, NOW), CSRF_WRONG);
    assert_int_equal(csrf_check(other, "mara", "limits", token, NOW), CSRF_WRONG);
    /* Where one part ends and the next begins counts too. */
    assert_int_equal(csrf_check(key, "mara 6:limits", "", csrf_token(key, "mara", "limits ", NOW, mem), NOW),
                     CSRF_WRONG);
    assert_int_equal(csrf_check(key, "maral", "imits", token, NOW), CSRF_WRONG);
}

static void a_token_that_was_touched_anywhere_is_wrong(void **state)
{
    AUTO_ARENA struct arena *mem = arena_new();
    AUTO_SECRET struct secret *key = key_of('k');
    const char *token = csrf_token(key, "mara", "limits", NOW, mem);
    (void)state;

    for (size_t i = 0; token[i]; i++) {
        char *touched = arena_copy(mem, token);
        touched[i] = touched[i] == '1' ? '2' : '1';
        assert_int_equal(csrf_check(key, "mara", "limits", touched, NOW), CSRF_WRONG);
        assert_int_equal(csrf_check(key, "mara", "limits", arena_copy_n(mem, token, i), NOW), CSRF_WRONG);
    }
    assert_int_equal(csrf_check(key, "mara", "limits", NULL, NOW), CSRF_WRONG);
    assert_int_equal(csrf_check(key, "mara", "limits", ".", NOW), CSRF_WRONG);
    assert_int_equal(csrf_check(key, "mara", "limits", arena_printf(mem, "%s1", token), NOW), CSRF_WRONG);
    assert_int_equal(csrf_check(key, "mara", "limits", arena_printf(mem, " %s", token), NOW), CSRF_WRONG);
}

/* ---- Where from ---- */

struct from {
    const char *site, *origin, *host;
};

static const char *param(void *source, const char *name)
{
    const struct from *from = source;

    if (strcmp(name, "HTTP_SEC_FETCH_SITE") == 0)
        return from->site;
    return strcmp(name, "HTTP_ORIGIN") == 0 ? from->origin : strcmp(name, "HTTP_HOST") == 0 ? from->host : NULL;
}

static bool is_ours(struct from from)
{
    AUTO_ARENA struct arena *mem = arena_new();
    struct request request = { .mem = mem, .param = param, .source = &from };

    return csrf_is_same_origin(&request);
}

static void the_browsers_own_word_decides_where_it_gives_one(void **state)
{
    (void)state;
    assert_true(is_ours((struct from){ "same-origin", NULL, "h" }));
    assert_true(is_ours((struct from){ "same-origin", "https://h", "h" }));
    assert_false(is_ours((struct from){ "same-site", "https://h", "h" }));
    assert_false(is_ours((struct from){ "cross-site", "https://h", "h" }));
    assert_false(is_ours((struct from){ "none", NULL, "h" }));
    assert_false(is_ours((struct from){ "", NULL, "h" }));
}

static void else_the_origin_has_to_be_the_host_that_was_asked(void **state)
{
    (void)state;
    assert_true(is_ours((struct from){ NULL, NULL, "h" }));
    assert_true(is_ours((struct from){ NULL, "https://h:8443", "H:8443" }));
    assert_true(is_ours((struct from){ NULL, "http://h", "h" }));
    assert_false(is_ours((struct from){ NULL, "https://h", "h:8443" }));
    assert_false(is_ours((struct from){ NULL, "https://h.evil.example", "h" }));
    assert_false(is_ours((struct from){ NULL, "https://evil.example//h", "h" }));
    assert_false(is_ours((struct from){ NULL, "h", "h" }));
    assert_false(is_ours((struct from){ NULL, "null", "null" }));
    assert_false(is_ours((struct from){ NULL, "", "" }));
    assert_false(is_ours((struct from){ NULL, "https://", NULL }));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_is_valid_for_twelve_hours_and_then_expired),
        cmocka_unit_test(a_token_of_another_user_form_or_installation_is_wrong),
        cmocka_unit_test(a_token_that_was_touched_anywhere_is_wrong),
        cmocka_unit_test(the_browsers_own_word_decides_where_it_gives_one),
        cmocka_unit_test(else_the_origin_has_to_be_the_host_that_was_asked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
