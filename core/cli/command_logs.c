/* logs: the build's log of a release, page by page. */
#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/cli/commands.h"
#include "core/deploy/release.h"
#include "core/deploy/steps/build_log.h"
#include "core/deploy/steps/build_reason.h"
#include "core/tenant/app.h"

enum { LOGS_LOOK_BACK = 100, LOGS_PAGES_MAX = 10000 };

/* The release asked for, or the newest one that had a build. */
static int find_build(struct cli *cli, struct db *db, const char *app, int number, struct release *out, struct err *e)
{
    struct release *all = NULL;
    size_t count = 0;

    if (number)
        return release_get(db, app, number, cli->mem, out, e);
    if (release_list(db, app, LOGS_LOOK_BACK, cli->mem, &all, &count, e))
        return e->code;
    for (size_t i = 0; i < count; i++)
        if (all[i].build_id) {
            *out = all[i];
            return 0;
        }
    return err_set(e, ERR_NOT_FOUND, "%s has no release yet that was built", app);
}

static void print_page(struct cli *cli, const struct log_page *page, struct arena *mem)
{
    char at[CLOCK_ISO_SIZE];

    for (size_t i = 0; i < page->count; i++) {
        clock_format_iso(page->lines[i].at_ms, at);
        if (cli->json)
            cli_print_json(json_build("{s:s, s:s}", "at", at, "line", page->lines[i].text));
        else
            printf("%s  %s\n", at, cli_plain(mem, page->lines[i].text));
    }
}

static int print_log(struct cli *cli, struct aws *aws, const struct release *release, size_t *lines, struct err *e)
{
    const char *from = NULL;

    for (int i = 0; i < LOGS_PAGES_MAX; i++) {
        AUTO_ARENA struct arena *mem = arena_new();
        struct log_page page = { 0 };
        if (build_log_read(aws, release->app, release->build_id, from, mem, &page, e))
            return e->code;
        print_page(cli, &page, mem);
        *lines += page.count;
        if (!page.next || (from && !strcmp(page.next, from)))
            return 0;
        from = arena_copy(cli->mem, page.next);
    }
    return 0;
}

/* Lines come late: of a build that goes on, or has just ended, nothing may be there yet. */
static int tell_no_line(const struct release *release, struct err *e)
{
    if (!release_build_is_over(release))
        return 0;
    err_set(e, ERR_NOT_FOUND, BUILD_LOG_GONE);
    return err_hint(e, "Lines come with a delay of some seconds. `berth releases %s v%d` tells what came of the build.",
                    release->app, release->number);
}

int command_logs(struct cli *cli, int argc, char **argv, struct err *e)
{
    const char *words[2] = { 0 };
    AUTO_DB struct db *db = NULL;
    struct db_pool *admin = NULL;
    struct aws *aws = NULL;
    struct release release = { 0 };
    size_t lines = 0;
    int number = 0;
    struct app app = { 0 };

    if (cli_parse(cli, argc, argv, NULL, 0, words, 1, 2, e) || (words[1] && cli_release_number(words[1], &number, e)) ||
        cli_pool(cli, "admin", 1, &admin, e) || db_take(admin, &db, e) || app_get(db, words[0], cli->mem, &app, e) ||
        find_build(cli, db, words[0], number, &release, e))
        return e->code;
    if (!release.build_id) {
        err_set(e, ERR_NOT_FOUND, "%s v%d has no build: it is %s in step %s", words[0], release.number,
                release_state_name(release.state), step_name_text(release.step));
        return err_hint(e, "`berth releases %s v%d` tells how far it came.", words[0], release.number);
    }
    if (cli_aws(cli, &aws, e) || print_log(cli, aws, &release, &lines, e))
        return e->code;
    return lines > 0 ? 0 : tell_no_line(&release, e);
}
