#include "fcgi/html.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "core/base/text.h"

static const char *reference_of(char c)
{
    switch (c) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#39;";
    default:
        return NULL;
    }
}

/* NULL: the character stays as it is. *taken: its bytes. */
static const char *replacement(const char *text, size_t left, size_t *taken)
{
    uint32_t code = 0;

    *taken = text_utf8_char(text, left, &code);
    if (*taken == 0) {
        *taken = 1;
        return "\xef\xbf\xbd";
    }
    if ((code < 0x20 && code != '\n' && code != '\t') || (code >= 0x7f && code <= 0x9f))
        return "\xef\xbf\xbd";
    return *taken == 1 ? reference_of(*text) : NULL;
}

void html_escape(struct buf *out, const char *text)
{
    const char *end = text + strlen(text);
    const char *pending = text; /* what stays as it is, is added in runs */
    size_t taken = 0;

    for (const char *c = text; c < end; c += taken) {
        const char *instead = replacement(c, (size_t)(end - c), &taken);
        if (!instead)
            continue;
        buf_add(out, pending, (size_t)(c - pending));
        buf_add_text(out, instead);
        pending = c + taken;
    }
    buf_add(out, pending, (size_t)(end - pending));
}

/*
 * Browsers skip blanks before a scheme and tabs and line ends inside of one, and take a backslash for a slash: such an address is refused
 * as a whole, wherever the odd byte is. Of relative ones, "//host" is another site's.
 */
bool html_is_safe_url(const char *url)
{
    static const char *const schemes[] = { "https", "http", "mailto" };
    size_t scheme = strcspn(url, ":/?#");

    for (const char *c = url; *c; c++)
        if ((unsigned char)*c <= 0x20 || *c == 0x7f || *c == '\\')
            return false;
    if (url[0] == '/' && url[1] == '/')
        return false;
    if (url[scheme] != ':')
        return true;
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++)
        if (strlen(schemes[i]) == scheme && !strncasecmp(url, schemes[i], scheme))
            return true;
    return false;
}
