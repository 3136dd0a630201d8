#include "fcgi/view.h"

#include <errno.h>
#include <inttypes.h>
#include <libxml/parser.h>
#include <libxml/tree.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fcgi/html.h"

struct view {
    xmlDoc *doc;
    char *path;
};

/* One rendering. A pointer that begins with a slash is looked up in root, any other in scope. */
struct rendering {
    const struct view *view;
    const json_object *root;
    const json_object *scope;
    const char *scope_path; /* of scope in root, as note_used tells it */
    json_object *used;
    struct arena *mem;
    struct buf *out;
};

#define ATTRIBUTE_BINDING "data-attr-"

static const char *const void_elements[] = { "area",  "base", "br",   "col",    "embed", "hr",  "img",
                                             "input", "link", "meta", "source", "track", "wbr", NULL };
/* They hold something else than escaped text, load something, or change what addresses mean. */
static const char *const refused_elements[] = { "style",     "base",   "iframe", "frame",    "object",
                                                "embed",     "applet", "xmp",    "noembed",  "noframes",
                                                "plaintext", "svg",    "math",   "noscript", NULL };
static const char *const url_attributes[] = { "href", "src", "action", "formaction", "cite", NULL };
static const char *const bindings[] = { "data-text", "data-if", "data-unless", "data-each", NULL };
/* What data may set; "aria-..." besides. */
static const char *const bindable_attributes[] = {
    "href",     "src",         "action",    "formaction", "cite",     "title",    "class",     "id",
    "for",      "name",        "value",     "checked",    "selected", "disabled", "hidden",    "datetime",
    "alt",      "lang",        "min",       "max",        "low",      "high",     "optimum",   "open",
    "required", "placeholder", "minlength", "maxlength",  "step",     "rows",     "autofocus", "readonly",
    "list",     "form",        "label",     "colspan",    NULL
};
/* HTML's parser drops a line end that begins their content. */
static const char *const drop_line_end[] = { "textarea", "pre", NULL };
/* Their content is text: an element inside would be shown as its source, or dropped. */
static const char *const text_elements[] = { "textarea", "title", "option", NULL };

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

static void write_attribute(struct buf *out, const char *name, const char *value)
{
    buf_add_char(out, ' ');
    buf_add_text(out, name);
    buf_add_text(out, "=\"");
    html_escape(out, is_in(name, url_attributes) && !html_is_safe_url(value) ? "#" : value);
    buf_add_char(out, '"');
}

/* ---- Looking up ---- */

/* Tells a test that the pointer was asked for: its items' places as stars, "/apps/X/url" with a star for X. */
static void note_used(const struct rendering *r, const char *name)
{
    if (!r->used)
        return;
    if (*name == '/')
        json_put(r->used, name, json_number(1));
    else if (!strcmp(name, "."))
        json_put(r->used, r->scope_path, json_number(1));
    else
        json_put(r->used, arena_printf(r->mem, "%s/%s", r->scope_path, name), json_number(1));
}

static int look_up(const struct rendering *r, const char *name, json_object **out, struct err *e)
{
    const json_object *from = *name == '/' ? r->root : r->scope;
    char pointer[256];

    if (snprintf(pointer, sizeof pointer, "/%s", *name == '/' ? name + 1 : name) >= (int)sizeof pointer)
        return err_set(e, ERR_INTERNAL, "%s: the binding \"%.40s...\" is too long", r->view->path, name);
    *out = strcmp(name, ".") ? json_at(from, pointer) : json_at(from, "");
    if (!*out)
        return err_set(e, ERR_INTERNAL, "%s: the model has nothing for \"%s\" in \"%s\"", r->view->path, name,
                       r->scope_path);
    note_used(r, name);
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
    json_object *value = NULL;

    if (look_up(r, name, &value, e))
        return e->code;
    const char *text = shown(value, r->mem);
    if (!text)
        return err_set(e, ERR_INTERNAL, "%s: \"%s\" is neither text nor number", r->view->path, name);
    html_escape(r->out, text);
    return 0;
}

static int write_bound_attribute(const struct rendering *r, const char *attribute, const char *name, struct err *e)
{
    json_object *value = NULL;

    if (look_up(r, name, &value, e))
        return e->code;
    if (json_is_bool(value)) {
        if (is_true(value, r->mem)) {
            buf_add_char(r->out, ' ');
            buf_add_text(r->out, attribute);
        }
        return 0;
    }
    const char *text = shown(value, r->mem);
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
    if (text && is_in(name, drop_line_end))
        buf_add_char(r->out, '\n');
    if (text ? write_binding_text(r, text, e) : write_children(r, node, e))
        return e->code;
    buf_add_text(r->out, "</");
    buf_add_text(r->out, name);
    buf_add_char(r->out, '>');
    return 0;
}

static int is_kept(const struct rendering *r, const xmlNode *node, bool *kept, struct err *e)
{
    const char *wanted = binding(node, "data-if");
    const char *unwanted = binding(node, "data-unless");
    json_object *value = NULL;

    *kept = true;
    if (wanted && look_up(r, wanted, &value, e))
        return e->code;
    if (wanted && !is_true(value, r->mem))
        *kept = false;
    if (unwanted && look_up(r, unwanted, &value, e))
        return e->code;
    if (unwanted && is_true(value, r->mem))
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

    inner.scope_path =
        arena_printf(r->mem, "%s/%s/*", *name == '/' ? "" : r->scope_path, *name == '/' ? name + 1 : name);
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
        html_escape(r->out, text_of(node->content));
    if (node->type != XML_ELEMENT_NODE)
        return 0;
    const char *each = binding(node, "data-each");
    return each ? write_each(r, node, each, e) : write_kept(r, node, e);
}

int view_render(const struct view *view, const json_object *model, struct buf *out, json_object *used, struct err *e)
{
    AUTO_ARENA struct arena *mem = arena_new();
    struct rendering r = {
        .view = view, .root = model, .scope = model, .scope_path = "", .used = used, .mem = mem, .out = out
    };

    buf_add_text(out, "<!DOCTYPE html>\n");
    if (write_node(&r, xmlDocGetRootElement(view->doc), e))
        return e->code;
    buf_add_char(out, '\n');
    if (out->failed)
        return err_set(e, ERR_NO_MEMORY, "%s: the page is larger than %zu bytes", view->path, out->max);
    return 0;
}

/* ---- Loading ---- */

/* The page's author is told where. */
static int refuse(const struct view *view, const xmlNode *node, struct err *e, const char *why, const char *name)
{
    err_set(e, ERR_INVALID, "%s:%ld: <%s>: ", view->path, xmlGetLineNo((xmlNode *)(uintptr_t)node),
            text_of(node->name));
    return err_set(e, ERR_INVALID, "%s%s%s%s", e->message, why, *name ? ": " : "", name);
}

static bool is_lower_case(const char *name)
{
    return strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(name);
}

static bool is_binding(const char *name)
{
    return starts(name, "data-");
}

static int check_attribute(const struct view *view, const xmlNode *node, const xmlAttr *a, struct err *e)
{
    const char *name = text_of(a->name);
    bool bound = starts(name, ATTRIBUTE_BINDING);
    const char *target = bound ? name + strlen(ATTRIBUTE_BINDING) : name;

    if (a->ns || !is_lower_case(name))
        return refuse(view, node, e, "attributes are in lower case and without a prefix", name);
    if (starts(target, "on") || !strcmp(target, "style") || !strcmp(target, "srcdoc") || !strcmp(target, "srcset"))
        return refuse(view, node, e, "this attribute is not allowed in a page", name);
    if (bound && !is_in(target, bindable_attributes) && !starts(target, "aria-"))
        return refuse(view, node, e, "data may not set this attribute", target);
    if (is_binding(name) && !bound && !is_in(name, bindings))
        return refuse(view, node, e, "there is no such binding", name);
    if (is_binding(name) && !strcmp(text_of(node->name), "script"))
        return refuse(view, node, e, "no binding in a script", name);
    if (is_binding(name) && !*attribute_value(a))
        return refuse(view, node, e, "the binding names nothing", name);
    if (a->children && a->children->next)
        return refuse(view, node, e, "this attribute holds an entity", name);
    return 0;
}

static int check_element(const struct view *view, const xmlNode *node, struct err *e)
{
    const char *name = text_of(node->name);
    bool is_void = is_in(name, void_elements);

    if ((node->ns && (node->ns->prefix || strcmp(text_of(node->ns->href), "http://www.w3.org/1999/xhtml") != 0)) ||
        !is_lower_case(name))
        return refuse(view, node, e, "only HTML's elements, in lower case", "");
    if (is_in(name, refused_elements))
        return refuse(view, node, e, "this element is not allowed in a page", "");
    if (!strcmp(name, "script") && node->children)
        return refuse(view, node, e, "a script is a file of its own", "");
    if (is_void && (node->children || binding(node, "data-text")))
        return refuse(view, node, e, "this element has no content", "");
    if (is_in(name, text_elements) && xmlChildElementCount((xmlNode *)(uintptr_t)node) > 0)
        return refuse(view, node, e, "this element holds text alone", "");
    for (const xmlAttr *a = node->properties; a; a = a->next)
        if (check_attribute(view, node, a, e))
            return e->code;
    return 0;
}

static int check_node(const struct view *view, const xmlNode *node, struct err *e)
{
    if (node->type != XML_ELEMENT_NODE)
        return 0;
    if (check_element(view, node, e))
        return e->code;
    for (const xmlNode *child = node->children; child; child = child->next)
        if (check_node(view, child, e))
            return e->code;
    return 0;
}

/* <!DOCTYPE html> and no more: a DTD could declare entities and attributes that the page doesn't show. */
static int check_document(const struct view *view, struct err *e)
{
    const xmlDtd *type = view->doc->intSubset;

    if (type && (type->children || type->ExternalID || type->SystemID))
        return err_set(e, ERR_INVALID, "%s: only <!DOCTYPE html> is allowed in a page", view->path);
    return check_node(view, xmlDocGetRootElement(view->doc), e);
}

/* By ourselves: libxml2 would take the path for a URL. */
static int read_file(const char *path, struct buf *out, struct err *e)
{
    char piece[4096];
    size_t got = 1;
    FILE *file = fopen(path, "re");

    if (!file)
        return err_set(e, ERR_INVALID, "%s: the page can't be read: %s", path, strerror(errno));
    out->max = VIEW_PAGE_MAX;
    while (got > 0) {
        got = fread(piece, 1, sizeof piece, file);
        buf_add(out, piece, got);
    }
    bool whole = !ferror(file);
    fclose(file);
    if (!whole || out->failed)
        return err_set(e, ERR_INVALID, "%s: the page can't be read, or has more than %d bytes", path, VIEW_PAGE_MAX);
    return 0;
}

static int parse(struct view *view, struct err *e)
{
    const int options =
        XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING | XML_PARSE_NODICT | XML_PARSE_NOCDATA;
    AUTO_BUF struct buf text = { 0 };

    if (read_file(view->path, &text, e))
        return e->code;
    xmlParserCtxt *parser = xmlNewParserCtxt();
    if (!parser)
        return err_set(e, ERR_NO_MEMORY, "%s: no memory to read it", view->path);
    view->doc = xmlCtxtReadMemory(parser, buf_text(&text), (int)text.len, NULL, "UTF-8", options);
    if (!view->doc) {
        const xmlError *why = xmlCtxtGetLastError(parser);
        err_set(e, ERR_INVALID, "%s:%d: the page can't be read: %s", view->path, why ? why->line : 0,
                why && why->message ? why->message : "unknown");
        err_hint(e, "A page must be well-formed XML: every element closed, every attribute quoted.");
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
    struct view *view = calloc(1, sizeof *view);

    if (!view || !(view->path = strdup(path))) {
        free(view);
        return err_set(e, ERR_NO_MEMORY, "%s: no memory to keep it", path);
    }
    if (parse(view, e) || check_document(view, e)) {
        view_free(view);
        return e->code;
    }
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
