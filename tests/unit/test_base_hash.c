/* Hashes against the published vectors, and secrets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/hash.h"
#include "core/base/secret.h"

static void what_is_no_hex_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = { "0", "abc", "0g", "g0", " 0", "0x", "a\xc3", "+1", "-1" };
    uint8_t out[8] = { 7 };

    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        if (hash_from_hex(bad[i], strlen(bad[i]), out))
            fail_msg("\"%s\" was accepted", bad[i]);
    }
    assert_false(hash_from_hex("00\0000", 4, out));
    assert_int_equal(out[0], 7);
}

static void hex_goes_there_and_back(void **state)
{
    (void)state;
    uint8_t out[4] = { 0 };
    char hex[9];

    assert_true(hash_from_hex("00fF1aB2", 8, out));
    hash_hex(out, 4, hex);

    assert_string_equal(hex, "00ff1ab2");
    assert_true(hash_from_hex("", 0, out));
    hash_hex(out, 0, hex);
    assert_string_equal(hex, "");
}

static void sha256_is(const char *text, const char *expected)
{
    uint8_t out[HASH_SIZE];
    char hex[HASH_HEX_SIZE];

    hash_sha256(text, strlen(text), out);
    hash_hex(out, HASH_SIZE, hex);
    assert_string_equal(hex, expected);
}

/* FIPS 180-4's examples. */
static void sha256_gives_the_published_digests(void **state)
{
    (void)state;

    sha256_is("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    sha256_is("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    sha256_is("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
              "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

static void hmac_is(const void *key, size_t key_len, const char *text, const char *expected)
{
    uint8_t out[HASH_SIZE];
    char hex[HASH_HEX_SIZE];

    hash_hmac(key, key_len, text, strlen(text), out);
    hash_hex(out, HASH_SIZE, hex);
    assert_string_equal(hex, expected);
}

/* RFC 4231's cases 1, 2 and 6; the empty key by its definition. */
static void hmac_gives_the_published_codes(void **state)
{
    (void)state;
    char key[131];

    memset(key, 0x0b, 20);
    hmac_is(key, 20, "Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    hmac_is("Jefe", 4, "what do ya want for nothing?",
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    memset(key, 0xaa, sizeof(key));
    hmac_is(key, sizeof(key), "Test Using Larger Than Block-Size Key - Hash Key First",
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    hmac_is(NULL, 0, "", "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

static void a_running_hash_is_the_hash_of_the_whole(void **state)
{
    (void)state;
    static const char text[] = "The quick brown fox jumps over the lazy dog";
    uint8_t whole[HASH_SIZE];
    uint8_t pieces[HASH_SIZE];

    for (size_t cut = 0; cut < sizeof(text); cut++) {
        AUTO_HASH struct hash *sha = hash_sha256_new();
        AUTO_HASH struct hash *mac = hash_hmac_new("key", 3);

        hash_add(sha, text, cut);
        hash_add(sha, text + cut, sizeof(text) - 1 - cut);
        hash_end(sha, pieces);
        hash_sha256(text, sizeof(text) - 1, whole);
        assert_memory_equal(whole, pieces, HASH_SIZE);

        hash_add(mac, text, cut);
        hash_add(mac, text + cut, sizeof(text) - 1 - cut);
        hash_end(mac, pieces);
        hash_hmac("key", 3, text, sizeof(text) - 1, whole);
        assert_memory_equal(whole, pieces, HASH_SIZE);
    }
    hash_free(NULL);
}

struct signer {
    char key;
    uint8_t last[HASH_SIZE];
    bool changed; /* one text gave two codes */
};

static void *sign_many(void *context)
{
    struct signer *signer = context;
    uint8_t again[HASH_SIZE];

    hash_hmac(&signer->key, 1, "text", 4, signer->last);
    for (int i = 0; i < 500; i++) {
        hash_hmac(&signer->key, 1, "text", 4, again);
        signer->changed = signer->changed || memcmp(again, signer->last, HASH_SIZE) != 0;
    }
    return NULL;
}

static void threads_sign_with_their_own_keys(void **state)
{
    (void)state;
    struct signer signers[8] = { 0 };
    pthread_t threads[8];

    for (int i = 0; i < 8; i++) {
        signers[i].key = (char)('a' + i);
        assert_int_equal(pthread_create(&threads[i], NULL, sign_many, &signers[i]), 0);
    }
    for (int i = 0; i < 8; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);

    for (int i = 0; i < 8; i++) {
        uint8_t expected[HASH_SIZE];

        hash_hmac(&signers[i].key, 1, "text", 4, expected);
        assert_memory_equal(signers[i].last, expected, HASH_SIZE);
        assert_false(signers[i].changed);
    }
}

/* RFC 4648's vectors. */
static void base64_gives_the_published_texts(void **state)
{
    (void)state;
    static const char *const pairs[][2] = { { "", "" },
                                            { "f", "Zg==" },
                                            { "fo", "Zm8=" },
                                            { "foo", "Zm9v" },
                                            { "foob", "Zm9vYg==" },
                                            { "fooba", "Zm9vYmE=" },
                                            { "foobar", "Zm9vYmFy" } };
    char out[16];

    for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++) {
        size_t len = hash_base64(pairs[i][0], strlen(pairs[i][0]), out);

        assert_string_equal(out, pairs[i][1]);
        assert_int_equal(len, strlen(out));
    }
}

static void a_long_base64_text_has_padding_only_at_its_end(void **state)
{
    (void)state;
    const size_t len = ((size_t)7 << 20) + 1; /* one = is missing to a multiple of 3 */
    char *zeros = calloc(1, len);
    char *out = malloc(4 * ((len + 2) / 3) + 1);
    assert_non_null(zeros);
    assert_non_null(out);

    size_t written = hash_base64(zeros, len, out);

    assert_int_equal(written, 4 * ((len + 2) / 3));
    assert_int_equal(strspn(out, "A"), written - 1);
    assert_string_equal(out + written - 1, "=");
    free(zeros);
    free(out);
}

static void equal_bytes_are_told_from_others(void **state)
{
    (void)state;
    const uint8_t a[3] = { 1, 2, 3 };
    const uint8_t b[3] = { 1, 2, 4 };

    assert_false(hash_equal(a, b, 3));
    assert_true(hash_equal(a, b, 2));
    assert_true(hash_equal(a, b, 0));
}

static void a_uuid_is_of_version_4_and_never_the_same(void **state)
{
    (void)state;
    char one[37];
    char other[37];

    hash_uuid(one);
    hash_uuid(other);

    assert_string_not_equal(one, other);
    assert_int_equal(strlen(one), 36);
    assert_int_equal(strspn(one, "0123456789abcdef-"), 36);
    assert_int_equal(one[14], '4');
    assert_non_null(strchr("89ab", one[19]));
    assert_true(one[8] == '-' && one[13] == '-' && one[18] == '-' && one[23] == '-');
}

static void secrets_of_other_length_or_content_differ(void **state)
{
    (void)state;
    AUTO_SECRET struct secret *a = secret_from_text("secret");
    AUTO_SECRET struct secret *b = secret_from_text("secreT");
    AUTO_SECRET struct secret *c = secret_from_text("secrets");
    AUTO_SECRET struct secret *same = secret_copy(a);

    assert_false(secret_equal(a, b));
    assert_false(secret_equal(a, c));
    assert_true(secret_equal(a, same));
    assert_null(secret_from_text(NULL));
    assert_null(secret_copy(NULL));
}

static void a_secret_keeps_its_bytes_whole(void **state)
{
    (void)state;
    AUTO_SECRET struct secret *s = secret_new("a\0b", 3);
    AUTO_SECRET struct secret *empty = secret_new(NULL, 0);

    assert_int_equal(secret_len(s), 3);
    assert_memory_equal(secret_bytes(s), "a\0b", 4);
    assert_string_equal(secret_bytes(empty), "");
}

static void a_random_secret_is_hex_of_its_length_and_fresh(void **state)
{
    (void)state;
    AUTO_SECRET struct secret *a = secret_random_hex(32);
    AUTO_SECRET struct secret *b = secret_random_hex(32);

    assert_int_equal(secret_len(a), 64);
    assert_int_equal(strspn(secret_bytes(a), "0123456789abcdef"), 64);
    assert_false(secret_equal(a, b));
    assert_null(secret_random_hex(SIZE_MAX));
}

static void a_wiped_buffer_is_empty(void **state)
{
    (void)state;
    char key[6] = "12345";

    secret_wipe(key, sizeof(key));

    assert_memory_equal(key, "\0\0\0\0\0", 6);
    secret_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_hex_is_refused),
        cmocka_unit_test(equal_bytes_are_told_from_others),
        cmocka_unit_test(secrets_of_other_length_or_content_differ),
        cmocka_unit_test(hex_goes_there_and_back),
        cmocka_unit_test(sha256_gives_the_published_digests),
        cmocka_unit_test(hmac_gives_the_published_codes),
        cmocka_unit_test(a_running_hash_is_the_hash_of_the_whole),
        cmocka_unit_test(threads_sign_with_their_own_keys),
        cmocka_unit_test(base64_gives_the_published_texts),
        cmocka_unit_test(a_long_base64_text_has_padding_only_at_its_end),
        cmocka_unit_test(a_uuid_is_of_version_4_and_never_the_same),
        cmocka_unit_test(a_secret_keeps_its_bytes_whole),
        cmocka_unit_test(a_random_secret_is_hex_of_its_length_and_fresh),
        cmocka_unit_test(a_wiped_buffer_is_empty),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
