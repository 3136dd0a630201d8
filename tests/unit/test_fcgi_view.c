/* Pages: what is refused at load, what is bound, and how. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "fcgi/view.h"

#define PAGE(body)                                                                                                     \
    "<!DOCTYPE html>\n<html lang=\"en\" xmlns=\"http://www.w3.org/1999/xhtml\"><body>" body "</body></html>"
#define SHOWN(body) "<!DOCTYPE html>\n<html lang=\"en\"><body>" body "</body></html>\n"

/* The page as a file, loaded; NULL when it is refused. */
static struct view *load_bytes(const char *bytes, size_t len, struct err *e)
{
    char path[] = "/tmp/berth-view-XXXXXX";
    struct view *view = NULL;
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, len), len);
    close(fd);
    int code = view_load(path, &view, e);
    unlink(path);
    assert_true((code == 0) == (view != NULL));
    return view;
}

static struct view *load(const char *page)
{
    struct err e = { 0 };
    struct view *view = load_bytes(page, strlen(page), &e);

    if (!view)
        fail_msg("%s", e.message);
    return view;
}

static void assert_refused(const char *page, const char *why)
{
    struct err e = { 0 };
    struct view *view = load_bytes(page, strlen(page), &e);

    if (view || !strstr(e.message, why)) {
        view_free(view);
        fail_msg("%s\nwas refused for: %s", page, e.message);
    }
    assert_int_equal(e.code, ERR_INVALID);
}

static json_object *parsed(const char *model)
{
    json_object *value = NULL;
    struct err e = { 0 };

    assert_int_equal(json_parse(model, strlen(model), &value, &e), 0);
    return value;
}

static void assert_shows(const char *page, const char *model, const char *expected)
{
    AUTO_JSON json_object *value = parsed(model);
    AUTO_BUF struct buf out = { 0 };
    struct view *view = load(page);
    struct err e = { 0 };

    if (view_render(view, value, &out, NULL, &e))
        fail_msg("%s", e.message);
    view_free(view);

    assert_string_equal(buf_text(&out), expected);
}

static void assert_fails(const char *page, const char *model, const char *why)
{
    AUTO_JSON json_object *value = parsed(model);
    AUTO_BUF struct buf out = { 0 };
    struct view *view = load(page);
    struct err e = { 0 };

    assert_int_equal(view_render(view, value, &out, NULL, &e), ERR_INTERNAL);
    view_free(view);

    assert_non_null(strstr(e.message, why));
}

/* ---- At load ---- */

static void a_page_that_is_missing_malformed_or_too_large_is_refused(void **state)
{
    AUTO_BUF struct buf large = { 0 };
    struct view *view = NULL;
    struct err e = { 0 };
    (void)state;

    assert_int_equal(view_load("/nonexistent/page.html", &view, &e), ERR_INVALID);
    assert_non_null(strstr(e.message, "/nonexistent/page.html"));
    assert_refused("<html><body></html>", ":1: the page can't be read");
    assert_refused("", "can't be read");
    buf_add_text(&large, "<html><body>");
    while (large.len <= VIEW_PAGE_MAX)
        buf_add_text(&large, "padding padding padding ");
    buf_add_text(&large, "</body></html>");
    assert_refused(buf_text(&large), "more than");
}

static void a_dtd_is_refused_whatever_it_declares(void **state)
{
    (void)state;
    assert_refused("<!DOCTYPE html [<!ENTITY x \"<b/>\">]><html>&x;</html>", "DOCTYPE");
    assert_refused("<!DOCTYPE html [<!ENTITY x \"y\">]><html><p class=\"&x;\"/></html>", "DOCTYPE");
    assert_refused("<!DOCTYPE html [<!ATTLIST p data-text CDATA \"secret\">]><html><p/></html>", "DOCTYPE");
    assert_refused("<!DOCTYPE html SYSTEM \"file:///etc/passwd\"><html/>", "DOCTYPE");
    assert_refused("<html>&nbsp;</html>", "can't be read");
}

static void script_and_style_of_the_pages_own_are_refused(void **state)
{
    (void)state;
    assert_refused(PAGE("<script>alert(1)</script>"), "file of its own");
    assert_refused(PAGE("<script data-text=\"x\"></script>"), "script");
    assert_refused(PAGE("<script src=\"/x.js\" data-attr-src=\"x\"></script>"), "script");
    assert_refused(PAGE("<style>p{}</style>"), "not allowed");
    assert_refused(PAGE("<p style=\"color:red\"/>"), "not allowed");
    assert_refused(PAGE("<p onclick=\"x()\"/>"), "not allowed");
    assert_refused(PAGE("<p data-attr-onclick=\"x\"/>"), "not allowed");
    assert_refused(PAGE("<p data-attr-style=\"x\"/>"), "not allowed");
    assert_refused(PAGE("<p data-attr-srcdoc=\"x\"/>"), "not allowed");
    assert_refused(PAGE("<img srcset=\"x\"/>"), "not allowed");
}

static void an_attribute_that_data_has_no_business_with_is_refused(void **state)
{
    (void)state;
    assert_refused(PAGE("<p data-attr-data-text=\"x\"/>"), "may not set");
    assert_refused(PAGE("<meta data-attr-content=\"x\"/>"), "may not set");
    assert_refused(PAGE("<meta data-attr-http-equiv=\"x\"/>"), "may not set");
    assert_refused(PAGE("<a data-attr-ping=\"x\"/>"), "may not set");
    assert_refused(PAGE("<a data-attr-target=\"x\"/>"), "may not set");
    assert_refused(PAGE("<p data-attr-=\"x\"/>"), "may not set");
}

static void a_binding_with_a_slip_is_refused(void **state)
{
    (void)state;
    assert_refused(PAGE("<p data-txt=\"x\"/>"), "no such binding");
    assert_refused(PAGE("<p data-text=\"\"/>"), "names nothing");
    assert_refused(PAGE("<br data-text=\"x\"/>"), "no content");
    assert_refused(PAGE("<br>text</br>"), "no content");
}

static void html_that_a_browser_would_read_otherwise_is_refused(void **state)
{
    static const char *const bodies[] = { "<SCRIPT>x</SCRIPT>",
                                          "<P/>",
                                          "<p onClick=\"x\"/>",
                                          "<p STYLE=\"x\"/>",
                                          "<iframe/>",
                                          "<object/>",
                                          "<embed/>",
                                          "<base/>",
                                          "<noscript/>",
                                          "<svg xmlns=\"http://www.w3.org/2000/svg\"/>",
                                          "<math/>",
                                          "<xmp/>",
                                          "<plaintext/>",
                                          "<x:script xmlns:x=\"urn:x\"/>",
                                          "<p xmlns:x=\"urn:x\" x:onclick=\"y\"/>",
                                          "<p xmlns=\"urn:x\"/>" };
    (void)state;

    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        AUTO_BUF struct buf page = { 0 };
        buf_printf(&page, PAGE("%s"), bodies[i]);
        assert_refused(buf_text(&page), ":");
    }
}

static void a_refusal_names_the_line(void **state)
{
    (void)state;
    assert_refused("<html>\n<body>\n<p onclick=\"x\"/></body></html>", ":3: <p>");
}

/* ---- Rendering ---- */

static void a_page_is_written_as_html(void **state)
{
    (void)state;
    assert_shows(
        PAGE("<p class=\"a &amp; &quot;b&quot;\">1 &lt; 2 &amp; <br/><img src=\"/x.svg\" alt=\"\"/><!-- no "
             "--></p><p></p>"),
        "{}", SHOWN("<p class=\"a &amp; &quot;b&quot;\">1 &lt; 2 &amp; <br><img src=\"/x.svg\" alt=\"\"></p><p></p>"));
    assert_shows(PAGE("<![CDATA[<b>]]>"), "{}", SHOWN("&lt;b&gt;"));
}

static void text_takes_the_place_of_the_sample(void **state)
{
    (void)state;
    assert_shows(PAGE("<p data-text=\"a\">sample<b>!</b></p>"), "{\"a\":\"<b>x</b>\"}",
                 SHOWN("<p>&lt;b&gt;x&lt;/b&gt;</p>"));
    assert_shows(PAGE("<p data-text=\"a\"/>"), "{\"a\":-7}", SHOWN("<p>-7</p>"));
    assert_shows(PAGE("<p data-text=\"a/b\"/>"), "{\"a\":{\"b\":\"x\"}}", SHOWN("<p>x</p>"));
    assert_shows(PAGE("<title data-text=\"a\"/>"), "{\"a\":\"</title><script>\"}",
                 SHOWN("<title>&lt;/title&gt;&lt;script&gt;</title>"));
}

static void an_attribute_is_set_or_present_or_absent(void **state)
{
    (void)state;
    assert_shows(PAGE("<a href=\"/sample\" data-attr-href=\"a\">x</a>"), "{\"a\":\"/y?a=1&b=\\\"\"}",
                 SHOWN("<a href=\"/y?a=1&amp;b=&quot;\">x</a>"));
    assert_shows(PAGE("<input checked=\"checked\" data-attr-checked=\"a\"/>"), "{\"a\":true}",
                 SHOWN("<input checked>"));
    assert_shows(PAGE("<input checked=\"checked\" data-attr-checked=\"a\"/>"), "{\"a\":false}", SHOWN("<input>"));
    assert_shows(PAGE("<a data-attr-aria-current=\"a\"/>"), "{\"a\":\"page\"}", SHOWN("<a aria-current=\"page\"></a>"));
}

static void a_form_shows_what_was_typed(void **state)
{
    (void)state;
    assert_shows(PAGE("<input name=\"n\" value=\"s\" data-attr-value=\"v\" data-attr-maxlength=\"m\" "
                      "data-attr-placeholder=\"p\" data-attr-autofocus=\"a\"/>"),
                 "{\"v\":\"\\\"><script>\",\"m\":9,\"p\":\"&\",\"a\":true}",
                 SHOWN("<input name=\"n\" value=\"&quot;&gt;&lt;script&gt;\" maxlength=\"9\" placeholder=\"&amp;\" "
                       "autofocus>"));
    assert_shows(PAGE("<select><option data-each=\"o\" data-attr-value=\"v\" data-attr-selected=\"s\" "
                      "data-text=\"v\">x</option></select>"),
                 "{\"o\":[{\"v\":\"a\",\"s\":false},{\"v\":\"</select><b>\",\"s\":true}]}",
                 SHOWN("<select><option value=\"a\">a</option><option value=\"&lt;/select&gt;&lt;b&gt;\" "
                       "selected>&lt;/select&gt;&lt;b&gt;</option></select>"));
    /* The parser drops the line end that begins the content: ours, so that one that was typed stays. */
    assert_shows(PAGE("<textarea data-text=\"a\">x</textarea>"), "{\"a\":\"\\n</textarea><b>\"}",
                 SHOWN("<textarea>\n\n&lt;/textarea&gt;&lt;b&gt;</textarea>"));
    assert_shows(PAGE("<pre data-text=\"a\">x</pre>"), "{\"a\":\"\\nx\"}", SHOWN("<pre>\n\nx</pre>"));
}

static void an_element_of_text_takes_no_other_element(void **state)
{
    (void)state;
    assert_refused(PAGE("<textarea><b/></textarea>"), "holds text alone");
    assert_refused(PAGE("<title><b/></title>"), "holds text alone");
    assert_refused(PAGE("<select><option><b/></option></select>"), "holds text alone");
}

static void an_unsafe_address_becomes_a_harmless_one(void **state)
{
    (void)state;
    assert_shows(PAGE("<a data-attr-href=\"a\"/>"), "{\"a\":\"javascript:alert(1)\"}", SHOWN("<a href=\"#\"></a>"));
    assert_shows(PAGE("<img data-attr-src=\"a\"/>"), "{\"a\":\"data:image/svg+xml,<svg/>\"}", SHOWN("<img src=\"#\">"));
    assert_shows(PAGE("<form data-attr-action=\"a\"/>"), "{\"a\":\"//evil.example\"}",
                 SHOWN("<form action=\"#\"></form>"));
    assert_shows(PAGE("<a href=\"JAVASCRIPT:x\"/>"), "{}", SHOWN("<a href=\"#\"></a>"));
}

static void a_condition_keeps_or_drops_its_element(void **state)
{
    static const char *const truths[] = { "true", "1", "\"x\"", "[0]", "{}" };
    static const char *const falsehoods[] = { "false", "0", "\"\"", "[]" };
    char model[32];
    (void)state;

    for (size_t i = 0; i < sizeof truths / sizeof *truths; i++) {
        snprintf(model, sizeof model, "{\"a\":%s}", truths[i]);
        assert_shows(PAGE("<b data-if=\"a\"/><i data-unless=\"a\"/>"), model, SHOWN("<b></b>"));
    }
    for (size_t i = 0; i < sizeof falsehoods / sizeof *falsehoods; i++) {
        snprintf(model, sizeof model, "{\"a\":%s}", falsehoods[i]);
        assert_shows(PAGE("<b data-if=\"a\"/><i data-unless=\"a\"/>"), model, SHOWN("<i></i>"));
    }
}

static void an_element_is_repeated_in_the_scope_of_each_item(void **state)
{
    (void)state;
    assert_shows(PAGE("<p data-each=\"a\" data-text=\"b\"/>"), "{\"a\":[{\"b\":1},{\"b\":2}]}",
                 SHOWN("<p>1</p><p>2</p>"));
    assert_shows(PAGE("<p data-each=\"a\" data-if=\"b\">x</p>"), "{\"a\":[{\"b\":true},{\"b\":false}]}",
                 SHOWN("<p>x</p>"));
    assert_shows(PAGE("<p data-each=\"a\" data-text=\".\"/>"), "{\"a\":[\"x\",\"y\"]}", SHOWN("<p>x</p><p>y</p>"));
    assert_shows(PAGE("<p data-each=\"a\"><b data-each=\"b\" data-text=\"/c\"/></p>"),
                 "{\"c\":9,\"a\":[{\"b\":[1,2]},{\"b\":[]}]}", SHOWN("<p><b>9</b><b>9</b></p><p></p>"));
    assert_shows(PAGE("<p data-each=\"a\"/>"), "{\"a\":[]}", SHOWN(""));
}

static void a_binding_without_data_fails(void **state)
{
    (void)state;
    assert_fails(PAGE("<p data-text=\"a\"/>"), "{}", "nothing for \"a\"");
    assert_fails(PAGE("<p data-if=\"a\"/>"), "{\"a\":null}", "nothing for \"a\"");
    assert_fails(PAGE("<p data-each=\"a\" data-text=\"b\"/>"), "{\"b\":1,\"a\":[{}]}", "\"b\" in \"/a/*\"");
    assert_fails(PAGE("<p data-attr-href=\"a\"/>"), "{}", "nothing for \"a\"");
}

static void data_of_the_wrong_type_fails(void **state)
{
    (void)state;
    assert_fails(PAGE("<p data-text=\"a\"/>"), "{\"a\":{}}", "neither text nor number");
    assert_fails(PAGE("<p data-text=\"a\"/>"), "{\"a\":true}", "neither text nor number");
    assert_fails(PAGE("<p data-attr-href=\"a\"/>"), "{\"a\":[]}", "can't be an attribute");
    assert_fails(PAGE("<p data-each=\"a\"/>"), "{\"a\":\"x\"}", "is no list");
    assert_fails(PAGE("<p data-each=\"a\"/>"), "{\"a\":{\"b\":1}}", "is no list");
}

static void what_was_asked_for_is_told_with_its_scope(void **state)
{
    AUTO_JSON json_object *model = parsed("{\"a\":[{\"b\":[{\"c\":1}],\"d\":1}],\"e\":{\"f\":true}}");
    AUTO_JSON json_object *used = json_new_object();
    struct view *view = load(PAGE("<p data-each=\"a\"><b data-each=\"b\" data-text=\"c\"/></p><i data-if=\"e/f\"/>"));
    AUTO_BUF struct buf out = { 0 };
    struct err e = { 0 };
    AUTO_ARENA struct arena *mem = arena_new();
    (void)state;

    assert_int_equal(view_render(view, model, &out, used, &e), 0);
    view_free(view);

    assert_string_equal(json_to_text(used, mem), "{\"/a\":1,\"/a/*/b\":1,\"/a/*/b/*/c\":1,\"/e/f\":1}");
}

static void a_page_larger_than_the_limit_fails(void **state)
{
    AUTO_JSON json_object *model = parsed("{\"a\":\"0123456789\"}");
    struct view *view = load(PAGE("<p data-text=\"a\"/>"));
    AUTO_BUF struct buf out = { .max = 60 };
    struct err e = { 0 };
    (void)state;

    assert_int_equal(view_render(view, model, &out, NULL, &e), ERR_NO_MEMORY);
    view_free(view);
}

/* ---- Threads ---- */

enum { THREADS = 8, ROUNDS = 200 };

static void *render_often(void *view)
{
    size_t wrong = 0;

    for (int i = 0; i < ROUNDS; i++) {
        AUTO_JSON json_object *model = json_build("{s:[{s:i}, {s:i}], s:s}", "a", "b", i, "b", i + 1, "c", "<x>");
        AUTO_BUF struct buf out = { 0 }, expected = { 0 };
        struct err e = { 0 };
        buf_printf(&expected, SHOWN("<p>%d</p><p>%d</p><i title=\"&lt;x&gt;\"></i>"), i, i + 1);
        if (view_render(view, model, &out, NULL, &e) || strcmp(buf_text(&out), buf_text(&expected)) != 0)
            wrong++;
    }
    return wrong ? view : NULL;
}

static void one_view_is_rendered_by_many_threads_at_once(void **state)
{
    struct view *view = load(PAGE("<p data-each=\"a\" data-text=\"b\"/><i data-attr-title=\"c\"/>"));
    pthread_t threads[THREADS];
    void *wrong = NULL;
    (void)state;

    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, render_often, view), 0);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], &wrong);
        assert_null(wrong);
    }
    view_free(view);
}

static int setup(void **state)
{
    (void)state;
    view_library_init();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_page_that_is_missing_malformed_or_too_large_is_refused),
        cmocka_unit_test(a_dtd_is_refused_whatever_it_declares),
        cmocka_unit_test(script_and_style_of_the_pages_own_are_refused),
        cmocka_unit_test(an_attribute_that_data_has_no_business_with_is_refused),
        cmocka_unit_test(a_binding_with_a_slip_is_refused),
        cmocka_unit_test(html_that_a_browser_would_read_otherwise_is_refused),
        cmocka_unit_test(a_refusal_names_the_line),
        cmocka_unit_test(a_page_is_written_as_html),
        cmocka_unit_test(text_takes_the_place_of_the_sample),
        cmocka_unit_test(an_attribute_is_set_or_present_or_absent),
        cmocka_unit_test(a_form_shows_what_was_typed),
        cmocka_unit_test(an_element_of_text_takes_no_other_element),
        cmocka_unit_test(an_unsafe_address_becomes_a_harmless_one),
        cmocka_unit_test(a_condition_keeps_or_drops_its_element),
        cmocka_unit_test(an_element_is_repeated_in_the_scope_of_each_item),
        cmocka_unit_test(a_binding_without_data_fails),
        cmocka_unit_test(data_of_the_wrong_type_fails),
        cmocka_unit_test(what_was_asked_for_is_told_with_its_scope),
        cmocka_unit_test(a_page_larger_than_the_limit_fails),
        cmocka_unit_test(one_view_is_rendered_by_many_threads_at_once),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
