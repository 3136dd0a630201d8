#include "core/deploy/audit.h"

#include <stdio.h>
#include <string.h>

#include "core/base/text.h"

/* ---- Reading ---- */

static bool is_digits(const char *text, const char *pattern)
{
    for (; *pattern; pattern++, text++)
        if (*pattern == '0' ? *text < '0' || *text > '9' : *text != *pattern)
            return false;
    return true;
}

static bool is_day(const char *text)
{
    static const int lengths[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    int year = 0, month = 0, day = 0;

    if (!is_digits(text, "0000-00-00") || sscanf(text, "%4d-%2d-%2d", &year, &month, &day) != 3)
        return false;
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return year > 0 && month >= 1 && month <= 12 && day >= 1 && day <= lengths[month - 1] + (month == 2 && leap);
}

/* Of a clock, with seconds and their parts where they are given: "T23:59:59.5Z" */
static bool is_clock(const char *text)
{
    if (!is_digits(text, "T00:00") || strncmp(text + 1, "23", 2) > 0 || text[4] > '5')
        return false;
    text += strlen("T00:00");
    if (is_digits(text, ":00") && text[1] <= '5') {
        text += strlen(":00");
        if (*text == '.')
            text += 1 + strspn(text + 1, "0123456789");
    }
    return strcmp(text, "Z") == 0;
}

/* "2026-03-01" or "2026-03-01T10:00:00Z", as Postgres takes it; NULL stays so. */
static int read_time(const char *text, struct arena *mem, const char **out, struct err *e)
{
    char shown[40];

    *out = text;
    if (!text || (strlen(text) <= 40 && is_day(text) && is_clock(text + strlen("0000-00-00"))))
        return 0;
    if (is_day(text) && text[strlen("0000-00-00")] == '\0') {
        *out = arena_printf(mem, "%sT00:00:00Z", text);
        return 0;
    }
    text_excerpt(text, shown, sizeof shown);
    err_set(e, ERR_INVALID, "\"%s\" is no time", shown);
    return err_hint(e, "Write a day, 2026-03-01, or a time in UTC, 2026-03-01T10:00:00Z.");
}

int audit_list(struct db *db, const struct audit_page *page, struct arena *mem, struct audit_entry **out, size_t *count,
               bool *more, struct err *e)
{
    AUTO_ROWS struct db_rows *rows = NULL;
    const char *since, *until;

    if (read_time(page->since, mem, &since, e) || read_time(page->until, mem, &until, e) ||
        db_query(db, NULL, QUERY_AUDIT_LIST, &rows, e, db_text(page->app), db_text(page->actor), db_text(page->action),
                 db_text(since), db_text(until), db_int(page->after), db_int(page->limit + 1)))
        return e->code;
    *more = db_count(rows) > (size_t)page->limit;
    *count = *more ? (size_t)page->limit : db_count(rows);
    *out = arena_array(mem, *count, sizeof **out);
    for (size_t i = 0; i < *count; i++)
        (*out)[i] = (struct audit_entry){ .id = db_get_int(rows, i, "id"),
                                          .at = db_get_copy(rows, i, "at", mem),
                                          .actor = db_get_copy(rows, i, "actor", mem),
                                          .action = db_get_copy(rows, i, "action", mem),
                                          .app = db_get_copy(rows, i, "app_name", mem),
                                          .before = db_get_copy(rows, i, "before", mem),
                                          .after = db_get_copy(rows, i, "after", mem) };
    return 0;
}

static int read_names(struct db *db, enum query query, struct arena *mem, const char ***out, size_t *count,
                      struct err *e)
{
    AUTO_ROWS struct db_rows *rows = NULL;

    if (db_query(db, NULL, query, &rows, e, db_int(AUDIT_PAGE_MAX)))
        return e->code;
    *count = db_count(rows);
    *out = arena_array(mem, *count, sizeof **out);
    for (size_t i = 0; i < *count; i++)
        (*out)[i] = db_get_copy(rows, i, "name", mem);
    return 0;
}

int audit_choices(struct db *db, struct arena *mem, const char ***actors, size_t *actor_count, const char ***actions,
                  size_t *action_count, struct err *e)
{
    if (read_names(db, QUERY_AUDIT_ACTORS, mem, actors, actor_count, e))
        return e->code;
    return read_names(db, QUERY_AUDIT_ACTIONS, mem, actions, action_count, e);
}

/* ---- CSV ---- */

/* As OWASP's "CSV Injection" has them; the last four are their full-width twins, which some spreadsheets take for them. */
static bool begins_a_formula(const char *text)
{
    static const char *const beginnings[] = {
        "=", "+", "-", "@", "\t", "\r", "\n", "\xef\xbc\x9d", "\xef\xbc\x8b", "\xef\xbc\x8d", "\xef\xbc\xa0"
    };

    for (size_t i = 0; i < sizeof beginnings / sizeof *beginnings; i++)
        if (text_starts(text, beginnings[i]))
            return true;
    return false;
}

/* RFC 4180: in quotes, each quote doubled. A spreadsheet takes a cell for a formula by its first character, quotes or not: an apostrophe before it makes it a text. */
static void add_cell(struct buf *out, const char *text)
{
    buf_add_char(out, '"');
    if (text && begins_a_formula(text))
        buf_add_char(out, '\'');
    for (; text && *text; text++) {
        if (*text == '"')
            buf_add_char(out, '"');
        buf_add_char(out, *text);
    }
    buf_add_char(out, '"');
}

void audit_csv(const struct audit_entry *entries, size_t count, bool headings, struct buf *out)
{
    if (headings)
        buf_add_text(out, "id,at,actor,action,app,before,after\r\n");
    for (size_t i = 0; i < count; i++) {
        const char *cells[] = { entries[i].at,  entries[i].actor,  entries[i].action,
                                entries[i].app, entries[i].before, entries[i].after };
        buf_printf(out, "%lld", (long long)entries[i].id);
        for (size_t cell = 0; cell < sizeof cells / sizeof *cells; cell++) {
            buf_add_char(out, ',');
            add_cell(out, cells[cell]);
        }
        buf_add_text(out, "\r\n");
    }
}
