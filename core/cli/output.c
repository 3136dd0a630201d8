#include <stdio.h>
#include <string.h>

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

/* Characters, not bytes: a continuation byte of UTF-8 takes no column. */
static size_t width(const char *text)
{
    size_t n = 0;

    for (; *text; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

static void print_row(const char *const *cells, size_t columns, const size_t *widths)
{
    char shown[CELL_MAX];

    for (size_t c = 0; c < columns; c++) {
        text_excerpt(cells[c] ? cells[c] : "-", shown, sizeof shown);
        fputs(shown, stdout);
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
        text_excerpt(cells[i] ? cells[i] : "-", shown, sizeof shown);
        if (width(shown) > widths[i % columns])
            widths[i % columns] = width(shown);
    }
    print_row(heads, columns, widths);
    for (size_t r = 0; r < rows; r++)
        print_row(cells + r * columns, columns, widths);
}
