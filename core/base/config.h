/*
 * config - one table drives the INI file, the environment, the defaults, and what `berth config` prints.
 *
 * A value comes from, first match: the environment (its name as in the table), the INI file, the default. Parsing is strict: an
 * unknown section or key, a value out of range, or a missing required value is ERR_INVALID naming the file, line and key.
 * An environment variable that is empty counts as absent. In the file, `;` and `#` begin comments, a line has fewer than 200
 * bytes, a key comes once, and only a CONFIG_LIST may go on in indented lines.
 * This file knows no option of berth's; the table is given.
 */
#ifndef BERTH_BASE_CONFIG_H
#define BERTH_BASE_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/arena.h"
#include "core/base/err.h"

enum config_type {
    CONFIG_TEXT,   /* const char * */
    CONFIG_SECRET, /* const char *, shown as *** */
    CONFIG_INT,    /* int64_t within least..most */
    CONFIG_BOOL,   /* bool: true/false/yes/no/on/off/1/0 */
    CONFIG_LIST,   /* struct config_list: comma-separated, trimmed, no empty item */
    CONFIG_ENUM,   /* int: index into `choices` */
    CONFIG_TYPE_COUNT
};

struct config_list {
    const char **items;
    size_t count;
};

enum config_source { CONFIG_FROM_DEFAULT, CONFIG_FROM_FILE, CONFIG_FROM_ENVIRONMENT, CONFIG_SOURCE_COUNT };

struct config_option {
    const char *section;     /* "worker" */
    const char *key;         /* "threads" */
    const char *environment; /* "BERTH_WORKER_THREADS"; NULL: the file only */
    enum config_type type;
    size_t offset;              /* offsetof(struct settings, ...) */
    const char *fallback;       /* text form; NULL: no default */
    int64_t least, most;        /* CONFIG_INT */
    const char *const *choices; /* CONFIG_ENUM: NULL-terminated */
    const char *help;           /* one line: what it is, with its unit */
    bool required;              /* refused when no value comes from anywhere */
};

struct config_value {
    const struct config_option *option;
    const char *text; /* as given or the default; NULL: not set. SECRET_SHOWN for a secret that is set */
    enum config_source source;
    int line; /* in the file; 0 otherwise */
};

/*
 * Fills `target` (a zeroed struct the table's offsets are of) and `values` (one per option, in the table's order).
 * path NULL: no file. Everything lives in mem. An option without value leaves its field zero.
 */
int config_load(const struct config_option *table, size_t count, const char *path, void *target,
                struct config_value *values, struct arena *mem, struct err *e);

const char *config_source_name(enum config_source source); /* "default", "file", "environment" */

#endif
