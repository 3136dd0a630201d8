#include "core/base/config.h"

#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/secret.h"
#include "core/base/text.h"

struct loading {
    const struct config_option *table;
    size_t count;
    const char *path;
    struct config_value *values;
    struct arena *mem;
    struct err *e;
    FILE *file;
    int line;       /* of the file, 1 for the first */
    int wrong_line; /* 0: nothing refused so far; then e is set */
    bool indented;
    const struct config_option *last; /* what an indented line goes on with */
};

const char *config_source_name(enum config_source source)
{
    static const char *const names[CONFIG_SOURCE_COUNT] = { "default", "file", "environment" };

    return (unsigned)source < CONFIG_SOURCE_COUNT ? names[source] : "unknown";
}

/* --- the file --- */

/* The first refusal counts: a wrong line often makes those after it wrong. */
static int refuse_line(struct loading *l, const char *why, const char *name)
{
    if (l->wrong_line == 0) {
        err_set(l->e, ERR_INVALID, "%s:%d: %s%s%s", l->path, l->line, why, name ? ": " : "", name ? name : "");
        l->wrong_line = l->line;
    }
    return 0;
}

static char *read_line(char *line, int room, void *context)
{
    struct loading *l = context;

    if (!fgets(line, room, l->file))
        return NULL;
    l->line++;
    l->indented = isspace((unsigned char)line[0]) != 0;
    if (line[strspn(line, " \t")] == '[')
        l->last = NULL;
    /* The library would read the rest of a long line as a line of its own. */
    if (!strchr(line, '\n') && !feof(l->file)) {
        char most[48];

        snprintf(most, sizeof(most), "at most %d bytes are read", room - 2);
        refuse_line(l, "the line is too long or has a NUL in it", most);
        for (int c = getc(l->file); c != EOF && c != '\n';)
            c = getc(l->file);
    }
    return line;
}

static const struct config_option *option_of(const struct loading *l, const char *section, const char *key)
{
    for (size_t i = 0; i < l->count; i++) {
        if (strcmp(l->table[i].section, section) == 0 && strcmp(l->table[i].key, key) == 0)
            return &l->table[i];
    }
    return NULL;
}

static int refuse_unknown(struct loading *l, const char *section, const char *key)
{
    AUTO_BUF struct buf known = { 0 };
    bool first = l->wrong_line == 0;

    for (size_t i = 0; i < l->count; i++) {
        if (strcmp(l->table[i].section, section) == 0)
            buf_printf(&known, "%s%s", known.len ? ", " : "", l->table[i].key);
    }
    if (known.len == 0)
        return refuse_line(l, "unknown section", *section ? section : "(a key before the first [section])");
    refuse_line(l, "unknown key", key);
    if (first)
        err_hint(l->e, "[%s] knows: %s", section, buf_text(&known));
    return 0;
}

/* An indented key below another one reads as its continuation: only a list has any, and none of its items is `a = b`. */
static int take_continuation(struct loading *l, const char *text)
{
    struct config_value *value = &l->values[l->last - l->table];

    if (l->last->type != CONFIG_LIST || strstr(text, " = "))
        return refuse_line(l, "an indented line goes on with the one above, which is no list; remove the indent", NULL);

    bool separate = *value->text == '\0' || text_ends(value->text, ",");
    value->text = arena_printf(l->mem, "%s%s%s", value->text, separate ? "" : ",", text);
    return 1;
}

static int take_line(void *context, const char *section, const char *key, const char *text)
{
    struct loading *l = context;

    if (l->indented && l->last)
        return take_continuation(l, text);

    const struct config_option *option = option_of(l, section, key);
    if (!option)
        return refuse_unknown(l, section, key);

    struct config_value *value = &l->values[option - l->table];
    if (value->text)
        return refuse_line(l, "the key was set before, and is set again", key);
    value->text = arena_copy(l->mem, text);
    value->source = CONFIG_FROM_FILE;
    value->line = l->line;
    l->last = option;
    return 1;
}

static int refuse_file(const char *path, int why, struct err *e)
{
    enum err_code code = why == ENOENT ? ERR_NOT_FOUND : why == EACCES ? ERR_DENIED : ERR_INVALID;

    err_set(e, code, "the configuration file %s cannot be read: %s", path, strerror(why));
    return err_hint(e, "Check that the path is right and that this user may read it.");
}

static int read_file(struct loading *l)
{
    l->file = fopen(l->path, "re");
    if (!l->file)
        return refuse_file(l->path, errno, l->e);

    int first_wrong = ini_parse_stream(read_line, l, take_line, l);
    int io = ferror(l->file) ? EIO : 0;
    fclose(l->file);
    if (io)
        return refuse_file(l->path, io, l->e);
    if (first_wrong > 0 && (l->wrong_line == 0 || first_wrong < l->wrong_line)) {
        l->line = first_wrong;
        l->wrong_line = 0;
        refuse_line(l, "neither a [section] nor a `key = value`", NULL);
    }
    return l->wrong_line > 0 ? (int)l->e->code : ERR_NONE;
}

/* --- the values --- */

static int refuse_value(const struct loading *l, const struct config_value *value, const char *why)
{
    const struct config_option *option = value->option;

    if (value->source == CONFIG_FROM_ENVIRONMENT)
        err_set(l->e, ERR_INVALID, "the environment variable %s: %s", option->environment, why);
    else if (value->source == CONFIG_FROM_FILE)
        err_set(l->e, ERR_INVALID, "%s:%d: [%s] %s: %s", l->path, value->line, option->section, option->key, why);
    else
        err_set(l->e, ERR_INTERNAL, "the default of [%s] %s: %s", option->section, option->key, why);
    return option->help ? err_hint(l->e, "%s is: %s", option->key, option->help) : (int)l->e->code;
}

static int set_int(const struct loading *l, const struct config_value *value, int64_t *out)
{
    const struct config_option *option = value->option;

    if (text_parse_int(value->text, option->least, option->most, out))
        return ERR_NONE;
    return refuse_value(l, value,
                        arena_printf(l->mem, "\"%s\" is no whole number from %lld to %lld", value->text,
                                     (long long)option->least, (long long)option->most));
}

static int set_bool(const struct loading *l, const struct config_value *value, bool *out)
{
    static const char *const words[] = { "false", "true", "no", "yes", "off", "on", "0", "1" };

    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
        if (strcmp(words[i], value->text) == 0) {
            *out = i % 2 == 1;
            return ERR_NONE;
        }
    }
    return refuse_value(l, value,
                        arena_printf(l->mem, "\"%s\" is none of true, false, yes, no, on, off, 1, 0", value->text));
}

static int set_enum(const struct loading *l, const struct config_value *value, int *out)
{
    AUTO_BUF struct buf choices = { 0 };

    for (int i = 0; value->option->choices[i]; i++) {
        if (strcmp(value->option->choices[i], value->text) == 0) {
            *out = i;
            return ERR_NONE;
        }
        buf_printf(&choices, "%s%s", i ? ", " : "", value->option->choices[i]);
    }
    return refuse_value(l, value, arena_printf(l->mem, "\"%s\" is none of %s", value->text, buf_text(&choices)));
}

static char *trimmed(struct arena *mem, const char *from, size_t len)
{
    while (len > 0 && isspace((unsigned char)*from)) {
        from++;
        len--;
    }
    while (len > 0 && isspace((unsigned char)from[len - 1]))
        len--;
    return arena_copy_n(mem, from, len);
}

static int set_list(const struct loading *l, const struct config_value *value, struct config_list *out)
{
    struct config_list list = { 0 };
    const char *at = value->text;
    size_t most = 1;

    for (const char *c = at; *c; c++)
        most += *c == ',';
    list.items = arena_array(l->mem, most, sizeof(*list.items));
    while (*at) {
        size_t len = strcspn(at, ",");
        const char *item = trimmed(l->mem, at, len);
        bool last = at[len] == '\0' || at[len + 1] == '\0';

        if (*item == '\0' || (last && at[len] == ','))
            return refuse_value(l, value, arena_printf(l->mem, "\"%s\" has an empty item", value->text));
        list.items[list.count++] = item;
        at += len + (at[len] == ',');
    }
    *out = list;
    return ERR_NONE;
}

static int set_field(const struct loading *l, const struct config_value *value, void *field)
{
    if (text_has_control(value->text, strlen(value->text)) || !text_is_utf8(value->text, strlen(value->text)))
        return refuse_value(l, value, "control characters or malformed UTF-8");
    switch (value->option->type) {
    case CONFIG_TEXT:
    case CONFIG_SECRET:
        *(const char **)field = value->text;
        return ERR_NONE;
    case CONFIG_INT:
        return set_int(l, value, field);
    case CONFIG_BOOL:
        return set_bool(l, value, field);
    case CONFIG_LIST:
        return set_list(l, value, field);
    case CONFIG_ENUM:
        return set_enum(l, value, field);
    case CONFIG_TYPE_COUNT:
        break;
    }
    return err_set(l->e, ERR_INTERNAL, "[%s] %s has no type", value->option->section, value->option->key);
}

/* Environment before file before default. */
static void choose_source(const struct loading *l, struct config_value *value)
{
    const char *environment = value->option->environment ? getenv(value->option->environment) : NULL;

    if (environment && *environment) {
        value->text = arena_copy(l->mem, environment);
        value->source = CONFIG_FROM_ENVIRONMENT;
        value->line = 0;
    } else if (!value->text) {
        value->text = value->option->fallback;
        value->source = CONFIG_FROM_DEFAULT;
    }
}

static int refuse_missing(const struct loading *l, const struct config_option *option)
{
    const char *help = option->help ? option->help : "";

    err_set(l->e, ERR_INVALID, "%s%s[%s] %s is required and not set", l->path ? l->path : "", l->path ? ": " : "",
            option->section, option->key);
    if (option->environment)
        return err_hint(l->e, "set it in the file or as %s: %s", option->environment, help);
    return err_hint(l->e, "set it in the file: %s", help);
}

int config_load(const struct config_option *table, size_t count, const char *path, void *target,
                struct config_value *values, struct arena *mem, struct err *e)
{
    struct loading l = { .table = table, .count = count, .path = path, .values = values, .mem = mem, .e = e };

    for (size_t i = 0; i < count; i++)
        values[i] = (struct config_value){ .option = &table[i] };
    if (path && read_file(&l))
        return (int)e->code;
    for (size_t i = 0; i < count; i++) {
        choose_source(&l, &values[i]);
        if (!values[i].text && table[i].required)
            return refuse_missing(&l, &table[i]);
        if (values[i].text && set_field(&l, &values[i], (char *)target + table[i].offset))
            return (int)e->code;
        if (values[i].text && table[i].type == CONFIG_SECRET)
            values[i].text = SECRET_SHOWN;
    }
    return ERR_NONE;
}
