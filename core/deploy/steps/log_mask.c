#include "core/deploy/steps/log_mask.h"

#include <pthread.h>
#include <regex.h>
#include <stdbool.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/fatal.h"
#include "core/base/secret.h"
#include "core/base/text.h"

/* What group 1 matches stays before the mask; the rest of the match goes. Extended regular expressions, letter case ignored where the row says so. */
static const struct {
    const char *pattern;
    int flags;
} rows[] = {
    /* IAM identifiers: "Unique identifiers" in the IAM User Guide */
    { "()(AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}", 0 },
    /* GitHub: "GitHub's token formats"; npm, Slack, Stripe: their documented prefixes */
    { "()(gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|npm_[A-Za-z0-9]{30,}|xox[abeoprs]-[A-Za-z0-9-]{10,}"
      "|[sr]k_(live|test)_[A-Za-z0-9]{10,})",
      0 },
    { "()eyJ[A-Za-z0-9_-]{8,}\\.[A-Za-z0-9_-]{8,}\\.[A-Za-z0-9_-]*", 0 },
    { "(://[^/:@ ]*:)[^/@ ]+@", 0 },
    { "(authorization[\"']?[:=] *[\"']?(basic|bearer|token)? *)[^ \"',;]+", REG_ICASE },
    { "((password|passwd|pwd|secret|token|api_?key|access_?key|_auth)[a-z_]*[\"']? *[:=] *[\"']?)[^ \"',;]+",
      REG_ICASE },
};

enum { ROWS = sizeof rows / sizeof *rows };

static regex_t compiled[ROWS];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void compile_rows(void)
{
    for (size_t i = 0; i < ROWS; i++)
        if (regcomp(&compiled[i], rows[i].pattern, REG_EXTENDED | rows[i].flags) != 0)
            fatal("log_mask: a pattern is wrong");
}

static const char *mask_one(struct arena *mem, const regex_t *row, const char *line)
{
    struct buf AUTO_BUF out = { 0 };
    regmatch_t found[2];

    if (regexec(row, line, 2, found, 0) != 0)
        return line;
    do {
        buf_add(&out, line, (size_t)found[1].rm_eo);
        buf_add_text(&out, SECRET_SHOWN);
        /* The @ of a URL's password belongs to what follows. */
        line += found[0].rm_eo - (line[found[0].rm_eo - 1] == '@');
    } while (*line && regexec(row, line, 2, found, REG_NOTBOL) == 0);
    buf_add_text(&out, line);
    return arena_copy(mem, buf_text(&out));
}

/* Drops terminal colours ("CSI ... m"), so that what they part is seen whole. */
static void drop_colours(char *line)
{
    char *out = line;

    while (*line) {
        if (line[0] == '\033' && line[1] == '[') {
            line += 2 + strspn(line + 2, "0123456789;?");
            line += *line != '\0';
        } else {
            *out++ = *line++;
        }
    }
    *out = '\0';
}

const char *log_mask(struct arena *mem, const char *line)
{
    char *whole = arena_copy(mem, line);
    char *shown = arena_alloc(mem, LOG_LINE_MAX);
    const char *masked;
    size_t len;

    pthread_once(&once, compile_rows);
    drop_colours(whole);
    masked = whole;
    for (size_t i = 0; i < ROWS; i++)
        masked = mask_one(mem, &compiled[i], masked);
    text_excerpt(masked, shown, LOG_LINE_MAX);
    for (len = strlen(shown); len > 0 && shown[len - 1] == ' '; len--)
        shown[len - 1] = '\0';
    return shown;
}
