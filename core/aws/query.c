/* The form body of Query and EC2 calls: JSON flattened to names with dots ("AWS Query protocol", "EC2 Query protocol" of Smithy). */
#include <string.h>

#include "core/aws/client.h"

enum { FORM_BYTES_MAX = 1024 * 1024, FORM_DEPTH_MAX = JSON_DEPTH_MAX };

struct form {
    struct buf body;
    struct arena *mem;
    bool ec2;
    bool too_deep;
};

static void add_field(struct form *form, const char *name, const char *value)
{
    if (form->body.len > 0)
        buf_add_char(&form->body, '&');
    buf_add_text(&form->body, http_encode(form->mem, name, false));
    buf_add_char(&form->body, '=');
    buf_add_text(&form->body, http_encode(form->mem, value, false));
}

static const char *scalar(const json_object *value, struct arena *mem)
{
    const char *text = json_find_text(value, "", mem);

    return text ? text : json_to_text(value, mem);
}

static void add_value(struct form *form, const char *name, const json_object *value, int depth);

/* Query numbers a list's items below "member", EC2 below the list's own name. Query says that a list is empty, EC2 leaves it out. */
static void add_list(struct form *form, const char *name, const json_object *list, int depth)
{
    if (json_length(list) == 0 && !form->ec2)
        add_field(form, name, "");
    for (size_t i = 0; i < json_length(list); i++)
        add_value(form, arena_printf(form->mem, form->ec2 ? "%s.%zu" : "%s.member.%zu", name, i + 1),
                  json_item(list, i), depth + 1);
}

static void add_members(struct form *form, const char *name, const json_object *object, int depth)
{
    for (struct json_member m = json_first(object); m.name; m = json_next(m)) {
        char *member = arena_printf(form->mem, "%s%s%s", name, *name ? "." : "", m.name);
        char *first = member + strlen(name) + (*name != '\0');
        if (form->ec2 && *first >= 'a' && *first <= 'z')
            *first = (char)(*first - ('a' - 'A'));
        add_value(form, member, m.value, depth + 1);
    }
}

static void add_value(struct form *form, const char *name, const json_object *value, int depth)
{
    if (depth > FORM_DEPTH_MAX) {
        form->too_deep = true;
        return;
    }
    if (!value)
        return;
    if (json_is_array(value))
        add_list(form, name, value, depth);
    else if (json_is_object(value))
        add_members(form, name, value, depth);
    else
        add_field(form, name, scalar(value, form->mem));
}

int aws_query_body(const struct aws_service *service, const char *operation, const json_object *ask, struct arena *mem,
                   const char **out, struct err *e)
{
    struct form form = { .body.max = FORM_BYTES_MAX, .mem = mem, .ec2 = service->protocol == AWS_EC2 };
    int failure = 0;

    add_field(&form, "Action", operation);
    add_field(&form, "Version", service->version);
    if (ask)
        add_members(&form, "", ask, 0);
    if (form.body.failed || form.too_deep)
        failure = err_set(e, ERR_INVALID, "%s %s: the parameters are larger than %d bytes or deeper than %d",
                          service->signing_name, operation, FORM_BYTES_MAX, FORM_DEPTH_MAX);
    else
        *out = arena_copy_n(mem, buf_text(&form.body), form.body.len);
    buf_free(&form.body);
    return failure;
}
