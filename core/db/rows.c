/* Reading what a statement returned. */
#include "core/db/db.h"

#include <libpq-fe.h>
#include <stdlib.h>

#include "core/base/fatal.h"
#include "core/base/log.h"
#include "core/db/internal.h"

struct db_rows {
    PGresult *result;
    const char *query;
};

struct db_rows *rows_new(struct pg_result *result, const char *query)
{
    struct db_rows *rows = malloc(sizeof *rows);

    if (!rows)
        fatal_no_memory();
    *rows = (struct db_rows){ result, query };
    return rows;
}

void db_rows_cleanup(struct db_rows **rows)
{
    if (!*rows)
        return;
    PQclear((*rows)->result);
    free(*rows);
    *rows = NULL;
}

size_t db_count(const struct db_rows *rows)
{
    return rows ? (size_t)PQntuples(rows->result) : 0;
}

/* A wrong column or row is a bug of the caller's; going on would read another value than the one meant. */
static int column_number(const struct db_rows *rows, size_t row, const char *column)
{
    int number = PQfnumber(rows->result, column);

    if (number < 0 || row >= db_count(rows)) {
        log_event(LOG_ERROR, "a statement has no such row or column", log_text("query", rows->query),
                  log_text("column", column), log_int("row", (int64_t)row));
        fatal("a statement has no such row or column");
    }
    return number;
}

const char *db_get(const struct db_rows *rows, size_t row, const char *column)
{
    int number = column_number(rows, row, column);

    if (PQgetisnull(rows->result, (int)row, number))
        return NULL;
    return PQgetvalue(rows->result, (int)row, number);
}

int64_t db_get_int(const struct db_rows *rows, size_t row, const char *column)
{
    const char *text = db_get(rows, row, column);

    return text ? strtoll(text, NULL, 10) : 0;
}

bool db_get_bool(const struct db_rows *rows, size_t row, const char *column)
{
    const char *text = db_get(rows, row, column);

    return text && *text == 't';
}

char *db_get_copy(const struct db_rows *rows, size_t row, const char *column, struct arena *mem)
{
    return arena_copy(mem, db_get(rows, row, column));
}

int64_t db_affected(const struct db_rows *rows)
{
    return strtoll(PQcmdTuples(rows->result), NULL, 10);
}
