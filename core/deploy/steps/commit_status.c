#include "core/deploy/steps/commit_status.h"

#include <stdarg.h>
#include <stdio.h>

enum { DESCRIPTION_MAX = 512 }; /* GitHub's own limit is less; see github_set_status */

void commit_status_tell(struct step_run *run, enum github_status status, const char *url, const char *format, ...)
{
    const char *context = arena_printf(run->mem, "berth/%s", run->app.name);
    char description[DESCRIPTION_MAX];
    struct err e = { 0 }, unwritten = { 0 };
    va_list args;

    if (!run->github || !run->github->token)
        return;
    va_start(args, format);
    vsnprintf(description, sizeof description, format, args);
    va_end(args);
    if (!github_set_status(run->github, run->app.repository, run->release.commit_sha, status, context, description, url,
                           &e))
        return;
    log_err(LOG_WARN, "commit status not set", &e, log_text("app", run->app.name),
            log_int("release", run->release.number));
    /* Not under the lease: the status follows the move that gives the lease up. */
    (void)db_query(run->db, run->app.name, QUERY_RELEASE_REMARK, NULL, &unwritten, db_text(run->app.name),
                   db_int(run->release.number), db_text(step_name_text(run->release.step)),
                   db_text(arena_printf(run->mem, "GitHub did not take the commit's status: %s", e.message)));
}
