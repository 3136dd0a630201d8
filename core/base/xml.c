#include "core/base/xml.h"

#include <libxml/parser.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include "core/base/fatal.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;

/* One document on its way; kept as the parser's _private, for the refusal from inside. */
struct reading {
    bool has_doctype;
};

/* Called at `<!DOCTYPE`, before anything in it is read: there an entity could be declared. */
static void refuse_doctype(void *context, const xmlChar *name, const xmlChar *external, const xmlChar *system)
{
    xmlParserCtxtPtr parser = context;
    struct reading *reading = parser->_private;

    (void)name;
    (void)external;
    (void)system;
    reading->has_doctype = true;
    xmlStopParser(parser);
}

static int refuse(struct err *e, const char *why, int line)
{
    int len = (int)strcspn(why, "\n"); /* the library's messages end in one */

    return err_set(e, ERR_INVALID, "not usable XML: %.*s at line %d", len, why, line);
}

static const char *name_of(const xmlNode *node)
{
    return (const char *)node->name;
}

static const xmlNode *element_from(const xmlNode *node)
{
    while (node && node->type != XML_ELEMENT_NODE)
        node = node->next;
    return node;
}

static bool is_item(const xmlNode *node)
{
    return strcmp(name_of(node), "member") == 0 || strcmp(name_of(node), "item") == 0;
}

/* Whether all children of that parent are list elements. */
static bool is_list(const xmlNode *first)
{
    for (const xmlNode *child = first; child; child = element_from(child->next)) {
        if (!is_item(child))
            return false;
    }
    return true;
}

static json_object *text_value(const xmlNode *element)
{
    AUTO_BUF struct buf text = { .max = XML_BYTES_MAX };

    for (const xmlNode *child = element->children; child; child = child->next) {
        if ((child->type == XML_TEXT_NODE || child->type == XML_CDATA_SECTION_NODE) && child->content)
            buf_add_text(&text, (const char *)child->content);
    }
    if (text.failed)
        fatal_no_memory();
    return json_text(buf_text(&text));
}

static int element_value(const xmlNode *element, int depth, json_object **out, struct err *e);

static int list_value(const xmlNode *first, int depth, json_object **out, struct err *e)
{
    AUTO_JSON json_object *array = json_new_array();

    for (const xmlNode *child = first; child; child = element_from(child->next)) {
        json_object *value = NULL;

        if (element_value(child, depth + 1, &value, e))
            return (int)e->code;
        json_append(array, value);
    }
    *out = json_hold(array);
    return ERR_NONE;
}

/* The second of a name makes an array of the two; `repeated` has the names whose value is such an array. */
static void put_member(json_object *object, json_object *repeated, const xmlNode *child, json_object *value)
{
    const char *name = name_of(child);
    json_object *before = json_get(object, name);

    if (before && json_get(repeated, name)) {
        json_append(before, value);
        return;
    }
    if (before || is_item(child)) {
        json_object *array = json_new_array();

        if (before)
            json_append(array, json_hold(before));
        json_append(array, value);
        json_put(object, name, array);
        json_put(repeated, name, json_number(1));
        return;
    }
    json_put(object, name, value);
}

static int object_value(const xmlNode *first, int depth, json_object **out, struct err *e)
{
    AUTO_JSON json_object *object = json_new_object();
    AUTO_JSON json_object *repeated = json_new_object();

    for (const xmlNode *child = first; child; child = element_from(child->next)) {
        json_object *value = NULL;

        if (element_value(child, depth + 1, &value, e))
            return (int)e->code;
        put_member(object, repeated, child, value);
    }
    *out = json_hold(object);
    return ERR_NONE;
}

static int element_value(const xmlNode *element, int depth, json_object **out, struct err *e)
{
    const xmlNode *first = element_from(element->children);

    if (depth > XML_DEPTH_MAX)
        return refuse(e, "elements nested too deep", element->line);
    if (!first) {
        *out = text_value(element);
        return ERR_NONE;
    }
    return is_list(first) ? list_value(first, depth, out, e) : object_value(first, depth, out, e);
}

static int document_value(const xmlNode *root, json_object **out, struct err *e)
{
    json_object *value = NULL;

    if (element_value(root, 1, &value, e))
        return (int)e->code;
    *out = json_new_object();
    json_put(*out, name_of(root), value);
    return ERR_NONE;
}

static int parse(xmlParserCtxtPtr parser, const char *bytes, size_t len, json_object **out, struct err *e)
{
    struct reading reading = { 0 };
    int options = XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING | XML_PARSE_COMPACT;

    parser->sax->internalSubset = refuse_doctype;
    parser->_private = &reading;
    xmlDocPtr document = xmlCtxtReadMemory(parser, bytes, (int)len, NULL, NULL, options);
    const xmlError *why = xmlCtxtGetLastError(parser);
    int code = ERR_NONE;

    if (reading.has_doctype)
        code = refuse(e, "a DOCTYPE", parser->input ? parser->input->line : 1);
    else if (!document || !parser->wellFormed || !xmlDocGetRootElement(document))
        code = refuse(e, why && why->message ? why->message : "no element", why ? why->line : 1);
    else
        code = document_value(xmlDocGetRootElement(document), out, e);
    xmlFreeDoc(document);
    return code;
}

int xml_to_json(const char *bytes, size_t len, json_object **out, struct err *e)
{
    if (len > XML_BYTES_MAX)
        return err_set(e, ERR_INVALID, "not usable XML: longer than %d bytes", XML_BYTES_MAX);
    if (len == 0)
        return err_set(e, ERR_INVALID, "not usable XML: it is empty");

    pthread_once(&once, xmlInitParser);
    xmlParserCtxtPtr parser = xmlNewParserCtxt();
    if (!parser)
        fatal_no_memory();

    int code = parse(parser, bytes, len, out, e);
    xmlFreeParserCtxt(parser);
    return code;
}
