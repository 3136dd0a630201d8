/* X-Hub-Signature-256: only GitHub's exact shape is a signature. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "core/github/signature.h"

/* The example of "Validating webhook deliveries", GitHub Docs. */
#define EXAMPLE "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
#define HEX64 "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"

static void anything_but_github_s_shape_is_refused(void **state)
{
    static const char *const wrong[] = {
        NULL,
        "",
        "sha256=",
        "sha256",
        HEX64,
        "sha1=" HEX64,
        "SHA256=" HEX64,
        "sha256:" HEX64,
        " " EXAMPLE,
        EXAMPLE " ",
        EXAMPLE "0",
        "sha256= " HEX64,
        "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e1",
        "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e1g",
        "sha256=" HEX64 "," EXAMPLE,
        "sha256="
        "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"
        "\xff\xff\xff\xff\xff"
        "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"
        "\xff\xff\xff\xff\xff",
    };
    uint8_t out[HASH_SIZE] = { 1, 2, 3 };
    (void)state;

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_false(github_signature_parse(wrong[i], out));
        assert_int_equal(out[0], 1); /* written on success only */
    }
}

static void the_documented_example_matches_its_body(void **state)
{
    uint8_t given[HASH_SIZE];
    uint8_t computed[HASH_SIZE];
    (void)state;

    assert_true(github_signature_parse(EXAMPLE, given));

    hash_hmac("It's a Secret to Everybody", 26, "Hello, World!", 13, computed);
    assert_true(hash_equal(given, computed, HASH_SIZE));
}

static void every_bit_of_the_body_changes_the_signature(void **state)
{
    char body[] = "Hello, World!";
    uint8_t given[HASH_SIZE];
    uint8_t computed[HASH_SIZE];
    (void)state;
    assert_true(github_signature_parse(EXAMPLE, given));

    for (size_t bit = 0; bit < 8 * strlen("Hello, World!"); bit++) {
        body[bit / 8] = (char)(body[bit / 8] ^ (1 << bit % 8));
        hash_hmac("It's a Secret to Everybody", 26, body, 13, computed);
        assert_false(hash_equal(given, computed, HASH_SIZE));
        body[bit / 8] = (char)(body[bit / 8] ^ (1 << bit % 8));
    }
}

static void upper_case_digits_are_the_same_signature(void **state)
{
    uint8_t lower[HASH_SIZE];
    uint8_t upper[HASH_SIZE];
    (void)state;

    assert_true(github_signature_parse(EXAMPLE, lower));
    assert_true(
        github_signature_parse("sha256=757107EA0EB2509FC211221CCE984B8A37570B6D7586C22C46F4379C8B043E17", upper));

    assert_memory_equal(lower, upper, HASH_SIZE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(anything_but_github_s_shape_is_refused),
        cmocka_unit_test(the_documented_example_matches_its_body),
        cmocka_unit_test(every_bit_of_the_body_changes_the_signature),
        cmocka_unit_test(upper_case_digits_are_the_same_signature),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
