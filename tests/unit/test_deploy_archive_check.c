/* An archive as it streams by: whole and with files, or refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "core/base/buf.h"
#include "core/deploy/steps/archive_check.h"

#define SHA "1a2b3c4d5e6f7081920a1b2c3d4e5f6071829304"

static void add_number(struct buf *out, unsigned number)
{
    buf_add_char(out, (char)(number & 0xff));
    buf_add_char(out, (char)(number >> 8));
}

static void add_zeroes(struct buf *out, size_t count)
{
    while (count--)
        buf_add_char(out, '\0');
}

/* The parts of a zip that are looked at; the rest is zeroes. */
static void make_zip(struct buf *out, const char *first_name, size_t content, unsigned entries, const char *comment)
{
    if (first_name) {
        buf_add(out, "PK\3\4", 4);
        add_zeroes(out, 22);
        add_number(out, (unsigned)strlen(first_name));
        add_number(out, 0);
        buf_add_text(out, first_name);
        add_zeroes(out, content);
    }
    buf_add(out, "PK\5\6", 4);
    add_zeroes(out, 6);
    add_number(out, entries);
    add_zeroes(out, 8);
    add_number(out, (unsigned)strlen(comment));
    buf_add_text(out, comment);
}

static int check_in_pieces(const char *bytes, size_t len, size_t piece, struct err *e)
{
    struct archive_check check = { 0 };

    for (size_t i = 0; i < len; i += piece)
        archive_check_add(&check, bytes + i, len - i < piece ? len - i : piece);
    return archive_check_end(&check, e);
}

static const size_t pieces[] = { 1, 7, 1023, 1024, 1025, 100000 };
enum { PIECES = sizeof pieces / sizeof *pieces };

static void an_archive_cut_anywhere_is_transient(void **state)
{
    AUTO_BUF struct buf zip = { 0 };
    (void)state;
    make_zip(&zip, "shop-1a2b/Dockerfile", 3000, 2, SHA);

    for (size_t len = 0; len < zip.len; len++) {
        struct err e = { 0 };
        assert_int_equal(check_in_pieces(zip.data, len, 1024, &e), ERR_TRANSIENT);
    }
}

static void a_page_instead_of_an_archive_is_refused(void **state)
{
    static const char page[] = "<html><body>GitHub is having a bad day</body></html>";
    struct err e = { 0 };
    (void)state;

    assert_int_equal(check_in_pieces(page, strlen(page), 10, &e), ERR_TRANSIENT);
}

static void an_archive_without_files_is_refused(void **state)
{
    AUTO_BUF struct buf nothing = { 0 };
    AUTO_BUF struct buf folder = { 0 };
    (void)state;
    make_zip(&nothing, NULL, 0, 0, SHA);
    make_zip(&folder, "shop-1a2b3c4d/", 0, 1, SHA);

    for (int i = 0; i < PIECES; i++) {
        struct err e = { 0 };
        assert_int_equal(check_in_pieces(nothing.data, nothing.len, pieces[i], &e), ERR_INVALID);
        assert_int_equal(check_in_pieces(folder.data, folder.len, pieces[i], &e), ERR_INVALID);
        assert_string_equal(e.message, "the commit has no files");
    }
}

static void a_whole_archive_passes_in_any_pieces(void **state)
{
    AUTO_BUF struct buf small = { 0 };
    AUTO_BUF struct buf large = { 0 };
    AUTO_BUF struct buf one_file = { 0 };
    (void)state;
    make_zip(&small, "shop-1a2b/", 10, 2, SHA);
    make_zip(&large, "shop-1a2b/", 70000, 0xffff, ""); /* 65535: Zip64 has the true number */
    make_zip(&one_file, "Dockerfile", 10, 1, "");

    for (int i = 0; i < PIECES; i++) {
        struct err e = { 0 };
        assert_int_equal(check_in_pieces(small.data, small.len, pieces[i], &e), 0);
        assert_int_equal(check_in_pieces(large.data, large.len, pieces[i], &e), 0);
        assert_int_equal(check_in_pieces(one_file.data, one_file.len, pieces[i], &e), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_archive_cut_anywhere_is_transient),
        cmocka_unit_test(a_page_instead_of_an_archive_is_refused),
        cmocka_unit_test(an_archive_without_files_is_refused),
        cmocka_unit_test(a_whole_archive_passes_in_any_pieces),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
