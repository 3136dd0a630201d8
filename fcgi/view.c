#include "fcgi/view.h"

#include <inttypes.h>
#include <libxml/parser.h>
#include <libxml/tree.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct view {
    xmlDoc *doc;
    char *path;
};

/* One rendering. A pointer that begins with a slash is looked up in root, any other in scope. */
struct rendering {
    const struct view *view;
    const json_object *root;
    const json_object *scope;
    json_object *used;
    struct buf *out;
};

#define ATTRIBUTE_BINDING "data-attr-"

static const char *const void_elements[] = { "area",  "base", "br",   "col",   "embed",  "hr",    "img", "input",
                                             "link", "meta", "source", "track", "wbr", NULL };
static const char *const url_attributes[] = { "href", "src", "action", "formaction", "cite", "poster", NULL };

static const char *text_of(const xmlChar *text)
{
    return (const char *)text;
}

static bool is_in(const char *word, const char *const *list)
{
    for (; *list; list++)
        if (!strcmp(word, *list))
            return true;
    return false;
}

static bool starts(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* ---- Escaping ---- */

/* Text and attribute values alike: what could end either is written as a reference, what HTML does not allow as U+FFFD. */
static void write_escaped(struct buf *out, const char *text)
{
    for (const char *c = text; *c; c++) {
        switch (*c) {
        case '&':
            buf_add_text(out, "&amp;");
            break;
        case '<':
            buf_add_text(out, "&lt;");
            break;
        case '>':
            buf_add_text(out, "&gt;");
            break;
        case '"':
            buf_add_text(out, "&quot;");
            break;
        default:
            if (((unsigned char)*c < 0x20 && *c != '\n' && *c != '\t') || *c == 0x7f)
                buf_add_text(out, "\xef\xbf\xbd");
            else
                buf_add_char(out, *c);
        }
    }
}

/* Browsers skip spaces and controls before and inside a scheme, so any such byte before the colon is a refusal. */
static bool is_safe_url(const char *url)
{
    const char *end = url + strcspn(url, ":/?#");

    if (url[0] == '/' && (url[1] == '/' || url[1] == '\\'))
        return false;
    for (const char *c = url; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == '\\')
            return false;
    if (*url == ' ')
        return false;
    return *end != ':' || starts(url, "https:") || starts(url, "http:") || starts(url, "mailto:");
}

static void write_attribute(struct buf *out, const char *name, const char *value)
{
    buf_add_char(out, ' ');
    buf_add_text(out, name);
    buf_add_text(out, "=\"");
    write_escaped(out, is_in(name, url_attributes) && !is_safe_url(value) ? "#" : value);
    buf_add_char(out, '"');
}

/* ---- Looking up ---- */

static int look_up(const struct rendering *r, const char *name, json_object **out, struct err *e)
{
    const json_object *from = *name == '/' ? r->root : r->scope;
    char pointer[256];

    if (snprintf(pointer, sizeof pointer, "/%s", *name == '/' ? name + 1 : name) >= (int)sizeof pointer)
        return err_set(e, ERR_INTERNAL, "%s: the binding \"%.40s...\" is too long", r->view->path, name);
    *out = strcmp(name, ".") ? json_at(from, pointer) : json_at(from, "");
    if (!*out)
        return err_set(e, ERR_INTERNAL, "%s: the model has nothing for \"%s\"", r->view->path, name);
    if (r->used)
        json_put(r->used, name, json_number(1));
    return 0;
}

static bool is_true(const json_object *value, struct arena *mem)
{
    if (json_is_bool(value))
        return json_find_bool(value, "", false);
    if (json_is_int(value))
        return json_find_int(value, "", 0) != 0;
    if (json_is_text(value))
        return *json_find_text(value, "", mem) != '\0';
    return json_is_object(value) || json_length(value) > 0;
}

/* A number with thousands marks has to come as text; this one is plain. */
static const char *shown(const json_object *value, struct arena *mem)
{
    if (json_is_text(value))
        return json_find_text(value, "", mem);
    if (json_is_int(value))
        return arena_printf(mem, "%" PRId64, json_find_int(value, "", 0));
    return NULL;
}

/* ---- Walking ---- */

static int write_node(const struct rendering *r, const xmlNode *node, struct err *e);

static int write_children(const struct rendering *r, const xmlNode *node, struct err *e)
{
    for (const xmlNode *child = node->children; child; child = child->next)
        if (write_node(r, child, e))
            return e->code;
    return 0;
}

static int write_binding_text(const struct rendering *r, const char *name, struct err *e)
{
    AUTO_ARENA struct arena *mem = arena_new();
    json_object *value = NULL;

    if (look_up(r, name, &value, e))
        return e->code;
    const char *text = shown(value, mem);
    if (!text)
        return err_set(e, ERR_INTERNAL, "%s: \"%s\" is neither text nor number", r->view->path, name);
    write_escaped(r->out, text);
    return 0;
}

static int write_bound_attribute(const struct rendering *r, const char *attribute, const char *name, struct err *e)
{
    AUTO_ARENA struct arena *mem = arena_new();
    json_object *value = NULL;

    if (look_up(r, name, &value, e))
        return e->code;
    if (json_is_bool(value)) {
        if (is_true(value, mem)) {
            buf_add_char(r->out, ' ');
            buf_add_text(r->out, attribute);
        }
        return 0;
    }
    const char *text = shown(value, mem);
    if (!text)
        return err_set(e, ERR_INTERNAL, "%s: \"%s\" can't be an attribute", r->view->path, name);
    write_attribute(r->out, attribute, text);
    return 0;
}

/* Whether the element has a binding for this attribute: then its sample value is not written. */
static bool is_bound(const xmlNode *node, const char *attribute)
{
    for (const xmlAttr *a = node->properties; a; a = a->next)
        if (starts(text_of(a->name), ATTRIBUTE_BINDING) &&
            !strcmp(text_of(a->name) + strlen(ATTRIBUTE_BINDING), attribute))
            return true;
    return false;
}

static const char *attribute_value(const xmlAttr *attribute)
{
    return attribute->children ? text_of(attribute->children->content) : "";
}

static const char *binding(const xmlNode *node, const char *name)
{
    const xmlAttr *attribute = xmlHasProp(node, (const xmlChar *)name);

    return attribute ? attribute_value(attribute) : NULL;
}

static int write_attributes(const struct rendering *r, const xmlNode *node, struct err *e)
{
    static const char *const bindings[] = { "data-text", "data-if", "data-unless", "data-each", "xmlns", NULL };

    for (const xmlAttr *a = node->properties; a; a = a->next) {
        const char *name = text_of(a->name);
        if (starts(name, ATTRIBUTE_BINDING)) {
            if (write_bound_attribute(r, name + strlen(ATTRIBUTE_BINDING), attribute_value(a), e))
                return e->code;
        } else if (!is_in(name, bindings) && !is_bound(node, name)) {
            write_attribute(r->out, name, attribute_value(a));
        }
    }
    return 0;
}

static int write_element(const struct rendering *r, const xmlNode *node, struct err *e)
{
    const char *name = text_of(node->name);
    const char *text = binding(node, "data-text");

    buf_add_char(r->out, '<');
    buf_add_text(r->out, name);
    if (write_attributes(r, node, e))
        return e->code;
    buf_add_char(r->out, '>');
    if (is_in(name, void_elements))
        return 0;
    if (text ? write_binding_text(r, text, e) : write_children(r, node, e))
        return e->code;
    buf_add_text(r->out, "</");
    buf_add_text(r->out, name);
    buf_add_char(r->out, '>');
    return 0;
}

static int is_kept(const struct rendering *r, const xmlNode *node, bool *kept, struct err *e)
{
    AUTO_ARENA struct arena *mem = arena_new();
    const char *wanted = binding(node, "data-if");
    const char *unwanted = binding(node, "data-unless");
    json_object *value = NULL;

    *kept = true;
    if (wanted && look_up(r, wanted, &value, e))
        return e->code;
    if (wanted && !is_true(value, mem))
        *kept = false;
    if (unwanted && look_up(r, unwanted, &value, e))
        return e->code;
    if (unwanted && is_true(value, mem))
        *kept = false;
    return 0;
}

static int write_kept(const struct rendering *r, const xmlNode *node, struct err *e)
{
    bool kept = false;

    if (is_kept(r, node, &kept, e))
        return e->code;
    return kept ? write_element(r, node, e) : 0;
}

static int write_each(const struct rendering *r, const xmlNode *node, const char *name, struct err *e)
{
    struct rendering inner = *r;
    json_object *list = NULL;

    if (look_up(r, name, &list, e))
        return e->code;
    if (!json_is_array(list))
        return err_set(e, ERR_INTERNAL, "%s: \"%s\" is no list", r->view->path, name);
    for (size_t i = 0; i < json_length(list); i++) {
        inner.scope = json_item(list, i);
        if (write_kept(&inner, node, e))
            return e->code;
    }
    return 0;
}

static int write_node(const struct rendering *r, const xmlNode *node, struct err *e)
{
    if (node->type == XML_TEXT_NODE)
        write_escaped(r->out, text_of(node->content));
    if (node->type != XML_ELEMENT_NODE)
        return 0;
    const char *each = binding(node, "data-each");
    return each ? write_each(r, node, each, e) : write_kept(r, node, e);
}

int view_render(const struct view *view, const json_object *model, struct buf *out, json_object *used, struct err *e)
{
    struct rendering r = { .view = view, .root = model, .scope = model, .used = used, .out = out };

    buf_add_text(out, "<!DOCTYPE html>\n");
    if (write_node(&r, xmlDocGetRootElement(view->doc), e))
        return e->code;
    buf_add_char(out, '\n');
    if (out->failed)
        return err_set(e, ERR_NO_MEMORY, "%s: the page is larger than %zu bytes", view->path, out->max);
    return 0;
}

/* ---- Loading ---- */

static int check_attributes(const char *path, const xmlNode *node, struct err *e)
{
    bool closed = !strcmp(text_of(node->name), "script") || !strcmp(text_of(node->name), "style");

    for (const xmlAttr *a = node->properties; a; a = a->next) {
        const char *name = text_of(a->name);
        bool bound = starts(name, ATTRIBUTE_BINDING);
        const char *target = bound ? name + strlen(ATTRIBUTE_BINDING) : name;
        if (starts(target, "on") || !strcmp(target, "style") || !strcmp(target, "srcdoc"))
            return err_set(e, ERR_INVALID, "%s:%ld: the attribute %s is not allowed in a page", path,
                           xmlGetLineNo((xmlNode *)(uintptr_t)node), name);
        if (closed && starts(name, "data-"))
            return err_set(e, ERR_INVALID, "%s:%ld: no binding in <%s>", path,
                           xmlGetLineNo((xmlNode *)(uintptr_t)node), text_of(node->name));
        if (a->children && a->children->next)
            return err_set(e, ERR_INVALID, "%s: the attribute %s holds an entity", path, name);
    }
    if (closed && node->children)
        return err_set(e, ERR_INVALID, "%s: <%s> has content; put it in a file of its own", path, text_of(node->name));
    return 0;
}

static int check_node(const char *path, const xmlNode *node, struct err *e)
{
    if (node->type == XML_ELEMENT_NODE && check_attributes(path, node, e))
        return e->code;
    if (node->type == XML_ENTITY_REF_NODE)
        return err_set(e, ERR_INVALID, "%s: write the character itself instead of &%s;", path, text_of(node->name));
    for (const xmlNode *child = node->children; child && node->type == XML_ELEMENT_NODE; child = child->next)
        if (check_node(path, child, e))
            return e->code;
    return 0;
}

static int parse(const char *path, xmlDoc **out, struct err *e)
{
    xmlParserCtxt *parser = xmlNewParserCtxt();

    if (!parser)
        return err_set(e, ERR_NO_MEMORY, "%s: no memory to read it", path);
    *out = xmlCtxtReadFile(parser, path, "UTF-8",
                           XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING | XML_PARSE_NODICT | XML_PARSE_NOCDATA);
    if (!*out) {
        const xmlError *why = xmlCtxtGetLastError(parser);
        err_set(e, ERR_INVALID, "%s:%d: the page can't be read: %s", path, why ? why->line : 0,
                why && why->message ? why->message : "unknown");
        err_hint(e, "a page must be there and be well-formed XML: every element closed, every attribute quoted");
    }
    xmlFreeParserCtxt(parser);
    return e->code;
}

void view_library_init(void)
{
    LIBXML_TEST_VERSION
    xmlInitParser();
}

int view_load(const char *path, struct view **out, struct err *e)
{
    xmlDoc *doc = NULL;

    if (parse(path, &doc, e))
        return e->code;
    if (check_node(path, xmlDocGetRootElement(doc), e)) {
        xmlFreeDoc(doc);
        return e->code;
    }
    struct view *view = calloc(1, sizeof *view);
    if (view)
        view->path = strdup(path);
    if (!view || !view->path) {
        free(view);
        xmlFreeDoc(doc);
        return err_set(e, ERR_NO_MEMORY, "%s: no memory to keep it", path);
    }
    view->doc = doc;
    *out = view;
    return 0;
}

void view_free(struct view *view)
{
    if (!view)
        return;
    xmlFreeDoc(view->doc);
    free(view->path);
    free(view);
}
