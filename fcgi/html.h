/*
 * html - what a stranger's text has to pass to be inert in a page.
 */
#ifndef BERTH_FCGI_HTML_H
#define BERTH_FCGI_HTML_H

#include <stdbool.h>

#include "core/base/buf.h"

/* For text and for quoted attribute values alike: what could end either is written as a reference, what HTML forbids (controls, C1 ones too, and
 * what is not UTF-8) as U+FFFD. */
void html_escape(struct buf *out, const char *text);

/* http, https and mailto, and references within this site. */
bool html_is_safe_url(const char *url);

#endif
