/* An XML reply as JSON: what is dangerous is refused, lists are always lists. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <unistd.h>

#include "core/base/xml.h"

struct sample {
    const char *name;
    const char *text;
    const char *says;
};

/* clang-format off */
static const struct sample refused[] = {
    { "nothing", "", "empty" },
    { "only space", "  \n", "Start tag expected" },
    { "plain text", "Service Unavailable", "Start tag expected" },
    { "JSON", "{\"a\":1}", "Start tag expected" },
    { "an HTML page with a doctype", "<!DOCTYPE html>\n<html></html>", "a DOCTYPE" },
    { "an internal entity", "<!DOCTYPE a [<!ENTITY x \"y\">]><a>&x;</a>", "a DOCTYPE" },
    { "a file as entity", "<?xml version=\"1.0\"?>\n<!DOCTYPE a [<!ENTITY x SYSTEM \"file:///etc/passwd\">]>\n<a>&x;</a>", "a DOCTYPE at line 2" },
    { "entities that explode", "<!DOCTYPE a [<!ENTITY x \"yyyyyyyyyy\"><!ENTITY z \"&x;&x;&x;&x;\">]><a>&z;&z;</a>", "a DOCTYPE" },
    { "an external subset", "<!DOCTYPE a SYSTEM \"http://127.0.0.1:9/a.dtd\"><a/>", "a DOCTYPE" },
    { "an undeclared entity", "<a>&nbsp;</a>", "nbsp" },
    { "an open element", "<a><b>1</b>", "Premature end" },
    { "a tag closed by another", "<a><b></a></b>", "mismatch" },
    { "two roots", "<a/><b/>", "Extra content" },
    { "garbage at the end", "<a/>x", "Extra content" },
    { "a raw ampersand", "<a>1 & 2</a>", "line 1" },
    { "malformed UTF-8", "<a>\xff</a>", "line 1" },
    { "an escaped NUL", "<a>&#0;</a>", "line 1" },
    { "an undeclared prefix is no error but a half tag is", "<x:a", "line 1" },
};

static const struct sample accepted[] = {
    { "a text", "<a>1</a>", "{\"a\":\"1\"}" },
    { "an empty element", "<a/>", "{\"a\":\"\"}" },
    { "members", "<a><b>1</b><c>2</c></a>", "{\"a\":{\"b\":\"1\",\"c\":\"2\"}}" },
    { "a repeated element", "<a><b>1</b><b>2</b><c/><b>3</b></a>", "{\"a\":{\"b\":[\"1\",\"2\",\"3\"],\"c\":\"\"}}" },
    { "one list member", "<Rules><member><A>1</A></member></Rules>", "{\"Rules\":[{\"A\":\"1\"}]}" },
    { "two list members", "<R><member>1</member>\n <member>2</member></R>", "{\"R\":[\"1\",\"2\"]}" },
    { "an EC2 list", "<s><subnetSet><item><id>s</id></item></subnetSet></s>", "{\"s\":{\"subnetSet\":[{\"id\":\"s\"}]}}" },
    { "a list of lists", "<a><member><member>1</member></member></a>", "{\"a\":[[\"1\"]]}" },
    { "a repeated element of lists", "<a><b><member>1</member></b><b><member>2</member></b></a>",
      "{\"a\":{\"b\":[[\"1\"],[\"2\"]]}}" },
    { "a list element among others", "<a><member>1</member><b>2</b></a>", "{\"a\":{\"member\":[\"1\"],\"b\":\"2\"}}" },
    { "an empty list", "<a><Rules/></a>", "{\"a\":{\"Rules\":\"\"}}" },
    { "attributes and namespaces", "<x:a xmlns:x='urn:x' k='1'><x:b k='2'>3</x:b></x:a>", "{\"a\":{\"b\":\"3\"}}" },
    { "escapes and CDATA", "<a>&lt;&amp;&#233;<![CDATA[<raw>]]></a>", "{\"a\":\"<&\xc3\xa9<raw>\"}" },
    { "comments and instructions", "<?xml version='1.0' encoding='UTF-8'?><!-- c --><a>1<!-- c -->2<?p i?></a>", "{\"a\":\"12\"}" },
    { "a member named twice as a text of the JSON", "<a><b>\"}</b></a>", "{\"a\":{\"b\":\"\\\"}\"}}" },
    { "an error of the Query protocol",
      "<ErrorResponse xmlns=\"http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/\">\n  <Error>\n    <Type>Sender</Type>\n"
      "    <Code>PriorityInUse</Code>\n    <Message>Priority '1' is currently in use</Message>\n  </Error>\n"
      "  <RequestId>r-1</RequestId>\n</ErrorResponse>\n",
      "{\"ErrorResponse\":{\"Error\":{\"Type\":\"Sender\",\"Code\":\"PriorityInUse\",\"Message\":\"Priority '1' is currently in "
      "use\"},\"RequestId\":\"r-1\"}}" },
};
/* clang-format on */

static void what_is_no_plain_xml_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++) {
        const struct sample *sample = &refused[i];
        json_object *out = NULL;
        struct err e = { 0 };

        int code = xml_to_json(sample->text, strlen(sample->text), &out, &e);

        if (code != ERR_INVALID || out != NULL)
            fail_msg("%s: not refused (%d)", sample->name, code);
        if (!strstr(e.message, sample->says))
            fail_msg("%s: \"%s\" does not say \"%s\"", sample->name, e.message, sample->says);
    }
}

/* What the library wrote to standard error would land among the log's lines. */
static void a_refusal_writes_nothing_to_standard_error(void **state)
{
    (void)state;
    char seen[4096];
    int ends[2];
    int kept = dup(STDERR_FILENO);
    assert_int_equal(pipe(ends), 0);
    dup2(ends[1], STDERR_FILENO);

    for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++) {
        json_object *out = NULL;
        struct err e = { 0 };

        xml_to_json(refused[i].text, strlen(refused[i].text), &out, &e);
    }

    dup2(kept, STDERR_FILENO);
    close(kept);
    close(ends[1]);
    ssize_t got = read(ends[0], seen, sizeof(seen));
    close(ends[0]);
    assert_int_equal(got, 0);
}

static void a_document_over_the_size_limit_is_refused(void **state)
{
    (void)state;
    AUTO_BUF struct buf text = { 0 };
    json_object *out = NULL;
    struct err e = { 0 };
    buf_add_text(&text, "<a>");
    while (text.len <= XML_BYTES_MAX)
        buf_add_text(&text, "0123456789012345678901234567890123456789012345678901234567890123456789");
    buf_add_text(&text, "</a>");

    assert_int_equal(xml_to_json(text.data, text.len, &out, &e), ERR_INVALID);

    assert_non_null(strstr(e.message, "longer than"));
}

static int convert_nested(int depth, struct err *e)
{
    AUTO_BUF struct buf text = { 0 };
    AUTO_JSON json_object *out = NULL;

    for (int i = 0; i < depth; i++)
        buf_add_text(&text, "<a>");
    for (int i = 0; i < depth; i++)
        buf_add_text(&text, "</a>");
    return xml_to_json(text.data, text.len, &out, e);
}

static void elements_nested_deeper_than_the_limit_are_refused(void **state)
{
    (void)state;
    struct err e = { 0 };

    assert_int_equal(convert_nested(XML_DEPTH_MAX, &e), 0);
    assert_int_equal(convert_nested(XML_DEPTH_MAX + 1, &e), ERR_INVALID);
    assert_int_equal(convert_nested(100000, &e), ERR_INVALID);
}

static void no_prefix_of_a_document_is_accepted(void **state)
{
    (void)state;
    static const char text[] = "<?xml version=\"1.0\"?><a><b>1</b><c><member>&amp;</member></c></a>";
    struct err e = { 0 };

    for (size_t len = 0; len < sizeof(text) - 1; len++) {
        json_object *out = NULL;

        if (xml_to_json(text, len, &out, &e) != ERR_INVALID)
            fail_msg("the first %zu bytes were accepted", len);
    }
}

static void a_reply_becomes_the_json_it_means(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(accepted) / sizeof(*accepted); i++) {
        const struct sample *sample = &accepted[i];
        AUTO_ARENA struct arena *mem = arena_new();
        AUTO_JSON json_object *out = NULL;
        struct err e = { 0 };

        if (xml_to_json(sample->text, strlen(sample->text), &out, &e) != 0)
            fail_msg("%s: refused: %s", sample->name, e.message);

        assert_string_equal(json_to_text(out, mem), sample->says);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_plain_xml_is_refused),
        cmocka_unit_test(a_refusal_writes_nothing_to_standard_error),
        cmocka_unit_test(a_document_over_the_size_limit_is_refused),
        cmocka_unit_test(elements_nested_deeper_than_the_limit_are_refused),
        cmocka_unit_test(no_prefix_of_a_document_is_accepted),
        cmocka_unit_test(a_reply_becomes_the_json_it_means),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
