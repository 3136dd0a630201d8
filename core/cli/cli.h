/*
 * cli - what every command of `berth` shares: options, settings, connections, and answers as text or JSON.
 *
 * A command translates: it reads its arguments, calls one operation of core/, and prints. Text is for people and may change; --json is for programs and
 * only grows. Errors go to standard error as "berth: what failed", "hint: what to do"; the exit code says what kind (enum exit_code).
 */
#ifndef BERTH_CLI_CLI_H
#define BERTH_CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>

#include "core/aws/aws.h"
#include "core/db/db.h"
#include "core/deploy/settings.h"

enum exit_code {
    EXIT_OK = 0,
    EXIT_FAILED = 1,      /* berth's own fault, or the release that was waited for failed */
    EXIT_USAGE = 2,       /* the command line, the configuration or a value in them is wrong */
    EXIT_NOT_FOUND = 3,   /* no such app, release or log */
    EXIT_CONFLICT = 4,    /* it exists already, or was changed meanwhile */
    EXIT_DENIED = 5,      /* AWS, GitHub or Postgres refused: a permission is missing */
    EXIT_UNAVAILABLE = 6, /* AWS, GitHub or Postgres is away or throttles: try again */
    EXIT_LIMIT = 7        /* a limit is reached */
};

struct cli {
    bool json;
    const char *config_path; /* --config; NULL: as settings_load finds it */
    struct arena *mem;       /* of the whole run */
    struct loaded_settings loaded;
    struct http_curl *curl; /* made on first use, as are the two below; freed by cli_close */
    struct aws *aws;
    struct db_pool *pool;
    bool hasty; /* a thread is left behind that uses curl: nothing is taken away before the process ends */
};

struct command {
    const char *name;    /* "apps create": two words where it is one of a group */
    const char *usage;   /* its arguments: "NAME --repo OWNER/NAME --webhook POLICY" */
    const char *summary; /* one line */
    int (*run)(struct cli *cli, int argc, char **argv,
               struct err *e); /* argv[0] is the command's name; 0 or an err_code */
};

extern const struct command cli_commands[];
extern const size_t cli_command_count;

/* One option of a command; exactly one of the three targets is set. */
struct cli_option {
    const char *name; /* without the dashes */
    const char **text;
    bool *flag;
    int *number;
    int least, most; /* of number */
};

/*
 * Reads argv[1..] by the table; words that are no options go to operands (at most operand_max, at least operand_min). ERR_INVALID names the wrong word.
 * --json and --config are taken anywhere. An option is written out: its beginning alone is unknown.
 */
int cli_parse(struct cli *cli, int argc, char **argv, const struct cli_option *options, size_t option_count,
              const char **operands, size_t operand_min, size_t operand_max, struct err *e);

int cli_settings(struct cli *cli, const struct settings **out, struct err *e);
/* login: "owner", "worker" or "admin"; one pool a run. */
int cli_pool(struct cli *cli, const char *login, int size, struct db_pool **out, struct err *e);
int cli_aws(struct cli *cli, struct aws **out, struct err *e);
void cli_close(struct cli *cli);

/* Prints value as one line of JSON and drops it. */
void cli_print_json(json_object *value);

/* What others wrote, for a terminal: control characters become spaces. NULL gives NULL. */
const char *cli_plain(struct arena *mem, const char *text);

/* A table as text: columns padded to their widest cell, by what a terminal shows; the last column is not. cells are row by row, NULL is "-"; control
 * characters become spaces. */
void cli_print_table(const char *const *heads, size_t columns, const char *const *cells, size_t rows);

/* One change for the audit log; after may be NULL. The log never holds a secret. */
int cli_audit(struct cli *cli, struct db *db, const char *action, const char *app, struct err *e);

/* "v12" or "12"; ERR_INVALID otherwise. */
int cli_release_number(const char *text, int *out, struct err *e);

int cli_exit_code(const struct err *e);
const char *cli_actor(struct cli *cli); /* for the audit log: the user's name on this host */

#endif
