#include "fcgi/admin_edits.h"

#include <string.h>

#include "fcgi/admin_words.h"
#include "fcgi/when.h"

const char *edit_was_name(const char *name, struct arena *mem)
{
    return arena_printf(mem, "was.%s", name);
}

const char *edit_was(const struct form *form, const char *name, struct arena *mem)
{
    return form_value(form, edit_was_name(name, mem), NULL);
}

static const char *trimmed(const char *text, struct arena *mem)
{
    size_t len;

    text += strspn(text, " \n");
    len = strlen(text);
    while (len > 0 && strchr(" \n", text[len - 1]))
        len--;
    return arena_copy_n(mem, text, len);
}

const char *edit_text(const struct form *form, const char *name, struct arena *mem)
{
    const char *sent = form_value(form, name, NULL), *was = edit_was(form, name, mem);
    const char *text = sent ? trimmed(sent, mem) : NULL;

    return text && was && strcmp(text, was) == 0 ? NULL : text;
}

const char *edit_shown(const struct form *form, const char *name, const char *now, struct arena *mem)
{
    return edit_text(form, name, mem) ? form_value(form, name, now) : now;
}

json_object *edit_change_row(const struct edit_change *change, int64_t now_ms, struct arena *mem)
{
    return json_build("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "to", arena_printf(mem, "#%s", change->name), "title",
                      change->title, "was", change->was, "now", change->now, "by", text_or_empty(change->by), "at",
                      text_or_empty(change->at), "ago", change->at ? when_ago(mem, change->at, now_ms) : "", "yours",
                      text_or_empty(change->yours));
}
