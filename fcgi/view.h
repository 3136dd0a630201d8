/*
 * view - a natural template: a whole, well-formed HTML page from www/, filled from a model in JSON.
 *
 * The page is parsed once, as XML, and never changed; rendering walks it beside the model and writes HTML, so text is escaped by construction and there is no way to
 * write raw markup. Bindings are attributes, and their values are JSON pointers without the first slash, looked up in the scope of the nearest data-each; with the slash, in the whole model:
 *   data-text="commit"        the element's content is this text or number
 *   data-attr-href="url"      the attribute is this text; true: present without value; false: absent
 *   data-if="failed"          the element is kept when this is true, a number but 0, a text but "", a list with items, or an object
 *   data-unless="failed"      the opposite
 *   data-each="releases"      the element is written once for each item of the list; the item is the scope inside, this element's other bindings included
 * A form shows what was typed by the same: value, checked, selected and disabled as attributes, a textarea's content by data-text.
 * A binding that the model has no member for is ERR_INTERNAL. URL attributes take http, https, mailto and references within the site; anything else is
 * written as "#". Refused at load, with file and line: what isn't HTML in lower case; inline script and style, the attributes style, srcdoc, srcset and
 * on*; elements that frame, embed or hold raw text; a binding in a script, of an attribute that data has no business with, or of an unknown kind; a DTD.
 */
#ifndef BERTH_FCGI_VIEW_H
#define BERTH_FCGI_VIEW_H

#include "core/base/buf.h"
#include "core/base/json.h"

enum { VIEW_PAGE_MAX = 256 * 1024, VIEW_OUT_MAX = 4 * 1024 * 1024 };

struct view;

/* Once a process, before any thread. */
void view_library_init(void);

int view_load(const char *path, struct view **out, struct err *e);
void view_free(struct view *view); /* NULL is fine */

/*
 * Safe from any thread at the same time. out holds a part of the page after a failure. used (may be NULL): an object that gets a member for each
 * pointer that was looked up, with a star for the place in a list; for tests that no data goes unshown.
 */
int view_render(const struct view *view, const json_object *model, struct buf *out, json_object *used, struct err *e);

#endif
