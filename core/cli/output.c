/* How the command prints: tables, JSON, and outside text without control characters. */
#include <stdio.h>
#include <string.h>
#include <wchar.h>

#include "core/base/text.h"
#include "core/cli/cli.h"

enum { COLUMNS_MAX = 12, CELL_MAX = 512 };

void cli_print_json(json_object *value)
{
    AUTO_BUF struct buf out = { 0 };

    json_write(value, &out);
    puts(buf_text(&out));
    json_drop(value);
}

const char *cli_plain(struct arena *mem, const char *text)
{
    size_t size = text ? strlen(text) + 1 : 0;
    char *plain = text ? arena_alloc(mem, size) : NULL;

    if (text)
        text_excerpt(text, plain, size);
    return plain;
}

/* Columns on a terminal: an accent takes none, an ideograph two. By the locale's table (see main); in C's own each character is one. */
static size_t width(const char *text)
{
    size_t columns = 0, left = strlen(text), taken;
    uint32_t code = 0;

    for (; left > 0; text += taken, left -= taken) {
        taken = text_utf8_char(text, left, &code);
        int one = taken ? wcwidth((wchar_t)code) : 1;
        columns += one < 0 ? 1 : (size_t)one;
        if (!taken)
            taken = 1;
    }
    return columns;
}

static const char *cell(const char *text, char shown[CELL_MAX])
{
    text_excerpt(text ? text : "-", shown, CELL_MAX);
    return shown;
}

static void print_row(const char *const *cells, size_t columns, const size_t *widths)
{
    char shown[CELL_MAX];

    for (size_t c = 0; c < columns; c++) {
        fputs(cell(cells[c], shown), stdout);
        if (c + 1 < columns)
            printf("%*s", (int)(widths[c] - width(shown) + 2), "");
    }
    putchar('\n');
}

void cli_print_table(const char *const *heads, size_t columns, const char *const *cells, size_t rows)
{
    size_t widths[COLUMNS_MAX] = { 0 };
    char shown[CELL_MAX];

    for (size_t c = 0; c < columns; c++)
        widths[c] = width(heads[c]);
    for (size_t i = 0; i < rows * columns; i++) {
        size_t needed = width(cell(cells[i], shown));
        if (needed > widths[i % columns])
            widths[i % columns] = needed;
    }
    print_row(heads, columns, widths);
    for (size_t r = 0; r < rows; r++)
        print_row(cells + r * columns, columns, widths);
}
