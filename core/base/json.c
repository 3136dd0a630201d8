#include "core/base/json.h"

#include <json-c/json.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>

#include "core/base/fatal.h"
#include "core/base/json_scan.h"
#include "core/base/text.h"

/* json-c's readers change nothing that a reader of ours could see, but do not say const. */
static json_object *thaw(const json_object *value)
{
    union {
        const json_object *shown;
        json_object *held;
    } both = { .shown = value };

    return both.held;
}

static json_object *made(json_object *value)
{
    if (!value)
        fatal_no_memory();
    return value;
}

json_object *json_hold(json_object *value)
{
    return json_object_get(value);
}

void json_drop(json_object *value)
{
    json_object_put(value);
}

void json_cleanup(json_object **value)
{
    json_object_put(*value);
}

/* --- parsing --- */

/* json-c keeps the last of two members of one name. The scan counted the members; a tree with fewer has lost some. */
static size_t count_members(const json_object *value)
{
    size_t count = 0;

    if (json_is_object(value)) {
        for (struct json_member m = json_first(value); m.name; m = json_next(m))
            count += 1 + count_members(m.value);
    }
    for (size_t i = 0; i < json_length(value); i++)
        count += count_members(json_item(value, i));
    return count;
}

/* False when json-c refuses; NULL is JSON's null. */
static bool tokenize(const char *bytes, size_t len, json_object **out)
{
    /* json-c counts a scalar inside as one level more. */
    json_tokener *tokener = json_tokener_new_ex(JSON_DEPTH_MAX + 2);
    if (!tokener)
        fatal_no_memory();
    json_tokener_set_flags(tokener, JSON_TOKENER_STRICT);

    json_object *value = json_tokener_parse_ex(tokener, bytes, (int)len);
    if (json_tokener_get_error(tokener) == json_tokener_continue)
        value = json_tokener_parse_ex(tokener, "", 1); /* a bare number could have gone on */
    bool fine = json_tokener_get_error(tokener) == json_tokener_success;
    json_tokener_free(tokener);
    if (fine)
        *out = value;
    return fine;
}

struct seen {
    const char *bytes;
    json_object *names; /* "object:name" of each member so far */
    struct err *e;
};

static int check_name(void *context, size_t object, size_t at, size_t token_len)
{
    struct seen *seen = context;
    AUTO_JSON json_object *name = NULL;
    AUTO_BUF struct buf key = { 0 };

    if (!tokenize(seen->bytes + at, token_len, &name))
        return err_set(seen->e, ERR_INTERNAL, "json-c refused a valid member's name at byte %zu", at);
    buf_printf(&key, "%zu:%s", object, json_object_get_string(name));
    if (key.failed)
        fatal_no_memory();
    if (json_object_object_get_ex(seen->names, key.data, NULL))
        return err_set(seen->e, ERR_INVALID, "not valid JSON: an object has two members \"%s\", the second at byte %zu",
                       json_object_get_string(name), at);
    json_put(seen->names, key.data, NULL);
    return ERR_NONE;
}

/* Only for texts already known to be wrong: names the member. */
static int refuse_twin(const char *bytes, size_t len, struct err *e)
{
    AUTO_JSON json_object *names = json_new_object();
    struct seen seen = { bytes, names, e };
    struct json_scan_names each = { check_name, &seen };
    size_t members = 0;

    if (json_scan(bytes, len, &each, &members, e))
        return (int)e->code;
    return err_set(e, ERR_INTERNAL, "json-c lost a member of a valid JSON text");
}

int json_parse(const char *bytes, size_t len, json_object **out, struct err *e)
{
    size_t members = 0;

    if (len > INT_MAX - 1)
        return err_set(e, ERR_INVALID, "not valid JSON: longer than %d bytes", INT_MAX - 1);
    if (json_scan(bytes, len, NULL, &members, e))
        return (int)e->code;

    json_object *value = NULL;
    if (!tokenize(bytes, len, &value))
        return err_set(e, ERR_INTERNAL, "json-c refused a valid JSON text of %zu bytes", len);
    if (count_members(value) != members) {
        json_object_put(value);
        return refuse_twin(bytes, len, e);
    }
    *out = value;
    return ERR_NONE;
}

/* --- building --- */

/* What we write is valid JSON whatever a stranger's text was: malformed bytes become U+FFFD. */
json_object *json_text(const char *text)
{
    AUTO_BUF struct buf clean = { 0 };
    size_t len = text ? strlen(text) : 0;

    if (!text)
        return NULL;
    if (len > INT_MAX)
        fatal("a JSON text of more than 2 GiB was to be made");
    if (text_is_utf8(text, len))
        return made(json_object_new_string_len(text, (int)len));
    while (len > 0) {
        uint32_t code = 0;
        size_t size = text_utf8_char(text, len, &code);

        if (size > 0)
            buf_add(&clean, text, size);
        else
            buf_add_text(&clean, "\xef\xbf\xbd");
        text += size > 0 ? size : 1;
        len -= size > 0 ? size : 1;
    }
    if (clean.failed)
        fatal_no_memory();
    return made(json_object_new_string_len(clean.data, (int)clean.len));
}

json_object *json_number(int64_t number)
{
    return made(json_object_new_int64(number));
}

json_object *json_new_object(void)
{
    return made(json_object_new_object());
}

json_object *json_new_array(void)
{
    return made(json_object_new_array());
}

void json_put(json_object *object, const char *name, json_object *value)
{
    if (!json_is_object(object))
        fatal("json_put was given what is no object");
    if (json_object_object_add(object, name, value) != 0)
        fatal_no_memory();
}

void json_append(json_object *array, json_object *value)
{
    if (!json_is_array(array))
        fatal("json_append was given what is no array");
    if (json_object_array_add(array, value) != 0)
        fatal_no_memory();
}

struct template
{
    const char *at;
    va_list args;
};

static _Noreturn void wrong_template(void)
{
    fatal("json_build was given a wrong template");
}

static char next_letter(struct template *t)
{
    while (*t->at == ' ')
        t->at++;
    return *t->at;
}

static void expect(struct template *t, char letter)
{
    if (next_letter(t) != letter)
        wrong_template();
    t->at++;
}

static json_object *build_value(struct template *t);

static json_object *build_array(struct template *t)
{
    json_object *array = json_new_array();

    while (next_letter(t) != ']') {
        json_object *item = build_value(t);

        if (item)
            json_append(array, item);
        if (next_letter(t) != ']')
            expect(t, ',');
    }
    t->at++;
    return array;
}

static json_object *build_object(struct template *t)
{
    json_object *object = json_new_object();

    while (next_letter(t) != '}') {
        expect(t, 's');
        const char *name = va_arg(t->args, const char *);
        expect(t, ':');
        json_object *value = build_value(t);

        if (!name)
            wrong_template();
        if (value)
            json_put(object, name, value);
        if (next_letter(t) != '}')
            expect(t, ',');
    }
    t->at++;
    return object;
}

static json_object *build_double(double number)
{
    if (!isfinite(number))
        fatal("json_build was given a number that JSON has no text for");
    return made(json_object_new_double(number));
}

/* NULL: to be left out. */
static json_object *build_value(struct template *t)
{
    char letter = next_letter(t);

    if (letter != '\0')
        t->at++;
    switch (letter) {
    case '{':
        return build_object(t);
    case '[':
        return build_array(t);
    case 's':
        return json_text(va_arg(t->args, const char *));
    case 'i':
        return json_number(va_arg(t->args, int));
    case 'I':
        return json_number(va_arg(t->args, int64_t));
    case 'b':
        return made(json_object_new_boolean(va_arg(t->args, int) != 0));
    case 'd':
        return build_double(va_arg(t->args, double));
    case 'o':
        return va_arg(t->args, json_object *);
    case 'O':
        return json_hold(va_arg(t->args, json_object *));
    default:
        wrong_template();
    }
}

json_object *json_build(const char *format, ...)
{
    struct template t = { .at = format };

    va_start(t.args, format);
    json_object *value = build_value(&t);
    va_end(t.args);
    if (!value || next_letter(&t) != '\0')
        wrong_template();
    return value;
}

/* --- reading --- */

json_object *json_at(const json_object *value, const char *pointer)
{
    json_object *found = NULL;

    if (!value || json_pointer_get(thaw(value), pointer, &found) != 0)
        return NULL;
    return found;
}

static const char *type_name(const json_object *value)
{
    static const char *const names[] = {
        [json_type_null] = "nothing",  [json_type_boolean] = "a boolean", [json_type_double] = "a fraction",
        [json_type_int] = "a number",  [json_type_object] = "an object",  [json_type_array] = "a list",
        [json_type_string] = "a text",
    };

    return names[json_object_get_type(value)];
}

static int refuse_type(const json_object *found, const char *pointer, const char *wanted, struct err *e)
{
    return err_set(e, ERR_INVALID, "at %s in the JSON there is %s, not %s", *pointer ? pointer : "the top",
                   type_name(found), wanted);
}

int json_read_text(const json_object *value, const char *pointer, struct arena *mem, const char **out, struct err *e)
{
    const char *text = json_find_text(value, pointer, mem);

    if (!text)
        return refuse_type(json_at(value, pointer), pointer, "a text", e);
    *out = text;
    return ERR_NONE;
}

int json_read_int(const json_object *value, const char *pointer, int64_t *out, struct err *e)
{
    const json_object *found = json_at(value, pointer);

    if (!json_is_int(found))
        return refuse_type(found, pointer, "a whole number", e);
    *out = json_object_get_int64(found);
    return ERR_NONE;
}

int json_read_bool(const json_object *value, const char *pointer, bool *out, struct err *e)
{
    const json_object *found = json_at(value, pointer);

    if (!json_is_bool(found))
        return refuse_type(found, pointer, "a boolean", e);
    *out = json_object_get_boolean(found) != 0;
    return ERR_NONE;
}

const char *json_find_text(const json_object *value, const char *pointer, struct arena *mem)
{
    json_object *found = json_at(value, pointer);

    if (!json_is_text(found))
        return NULL;
    return arena_copy_n(mem, json_object_get_string(found), (size_t)json_object_get_string_len(found));
}

int64_t json_find_int(const json_object *value, const char *pointer, int64_t fallback)
{
    const json_object *found = json_at(value, pointer);

    return json_is_int(found) ? json_object_get_int64(found) : fallback;
}

bool json_find_bool(const json_object *value, const char *pointer, bool fallback)
{
    const json_object *found = json_at(value, pointer);

    return json_is_bool(found) ? json_object_get_boolean(found) != 0 : fallback;
}

size_t json_length(const json_object *array)
{
    return json_is_array(array) ? json_object_array_length(array) : 0;
}

json_object *json_get(const json_object *object, const char *name)
{
    json_object *found = NULL;

    if (json_is_object(object))
        json_object_object_get_ex(object, name, &found);
    return found;
}

json_object *json_item(const json_object *array, size_t index)
{
    return index < json_length(array) ? json_object_array_get_idx(array, index) : NULL;
}

bool json_is_object(const json_object *value)
{
    return json_object_is_type(value, json_type_object) != 0;
}

bool json_is_array(const json_object *value)
{
    return json_object_is_type(value, json_type_array) != 0;
}

bool json_is_text(const json_object *value)
{
    return json_object_is_type(value, json_type_string) != 0;
}

bool json_is_int(const json_object *value)
{
    return json_object_is_type(value, json_type_int) != 0;
}

bool json_is_bool(const json_object *value)
{
    return json_object_is_type(value, json_type_boolean) != 0;
}

static struct json_member member_of(struct lh_entry *entry)
{
    if (!entry)
        return (struct json_member){ 0 };
    return (struct json_member){ lh_entry_k(entry), lh_entry_v(entry), lh_entry_next(entry) };
}

struct json_member json_first(const json_object *object)
{
    if (!json_is_object(object))
        return (struct json_member){ 0 };
    return member_of(lh_table_head(json_object_get_object(object)));
}

struct json_member json_next(struct json_member member)
{
    return member_of(member.next);
}

/* --- writing --- */

static const char *written(const json_object *value, size_t *len)
{
    const char *text =
        json_object_to_json_string_length(thaw(value), JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, len);

    if (!text)
        fatal_no_memory();
    return text;
}

void json_write(const json_object *value, struct buf *out)
{
    size_t len = 0;
    const char *text = written(value, &len);

    buf_add(out, text, len);
}

char *json_to_text(const json_object *value, struct arena *mem)
{
    size_t len = 0;
    const char *text = written(value, &len);

    return arena_copy_n(mem, text, len);
}
