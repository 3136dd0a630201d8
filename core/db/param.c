/* A statement's parameters, as libpq takes them. */
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>

#include "core/db/internal.h"

struct db_param db_text(const char *text)
{
    return (struct db_param){ .type = text ? DB_TEXT : DB_NULL, .bytes = text };
}

struct db_param db_int(int64_t number)
{
    return (struct db_param){ .type = DB_INT, .number = number };
}

struct db_param db_bool(bool truth)
{
    return (struct db_param){ .type = DB_BOOL, .number = truth };
}

struct db_param db_bytes(const void *bytes, size_t len)
{
    return (struct db_param){ .type = bytes ? DB_BYTES : DB_NULL, .bytes = bytes, .len = len };
}

struct db_param db_null(void)
{
    return (struct db_param){ .type = DB_NULL };
}

static void bound_put(struct bound *bound, int i, const struct db_param *param)
{
    bound->lengths[i] = 0;
    bound->formats[i] = 0;
    switch (param->type) {
    case DB_NULL:
        bound->values[i] = NULL;
        break;
    case DB_TEXT:
        bound->values[i] = param->bytes;
        break;
    case DB_INT:
        snprintf(bound->numbers[i], sizeof bound->numbers[i], "%" PRId64, param->number);
        bound->values[i] = bound->numbers[i];
        break;
    case DB_BOOL:
        bound->values[i] = param->number ? "t" : "f";
        break;
    case DB_BYTES:
        bound->values[i] = param->bytes;
        bound->lengths[i] = (int)param->len;
        bound->formats[i] = 1;
        break;
    }
}

int bound_set(struct bound *bound, const struct db_param *params, size_t count, struct err *e)
{
    if (count > DB_PARAMS_MAX)
        return err_set(e, ERR_INTERNAL, "a statement has %zu parameters; at most %d are sent", count, DB_PARAMS_MAX);
    for (size_t i = 0; i < count; i++) {
        if (params[i].type == DB_BYTES && params[i].len > INT_MAX)
            return err_set(e, ERR_INVALID, "parameter %zu has %zu bytes; at most %d fit", i + 1, params[i].len,
                           INT_MAX);
        bound_put(bound, (int)i, &params[i]);
    }
    bound->count = (int)count;
    return 0;
}
