/*
 * release_story - what a release's page tells besides the release: where it came from, what can be done with it, and how it differs from the last one that went well.
 */
#ifndef BERTH_DEPLOY_RELEASE_STORY_H
#define BERTH_DEPLOY_RELEASE_STORY_H

#include "core/deploy/release.h"

/* What a release runs with. */
struct release_size {
    int cpu_units, memory_mib, tasks, port;
    const char *health_check_path;
};

struct release_story {
    const char *repository, *branch, *app_state;
    const char *delivery_id;   /* NULL: it came by none */
    const char *build_project; /* ARN; NULL: there is none */
    bool is_own;               /* false: it is of an app of the same name, which was destroyed */
    int live, live_rollback_to;
    struct release_size size;
    int good; /* the last release before it that went live; 0: none */
    const char *good_commit;
    struct release_size good_size;
};
int release_story(struct db *db, const char *app, int number, struct arena *mem, struct release_story *out,
                  struct err *e);

/* Short texts that are others whenever the page would be, but for the time that passes: cheaper to ask than to make the page. NULL: it is not there. */
int page_version_overview(struct db *db, struct arena *mem, const char **out, struct err *e);
int page_version_app(struct db *db, const char *app, int before, int limit, struct arena *mem, const char **out,
                     struct err *e);
int page_version_release(struct db *db, const char *app, int number, struct arena *mem, const char **out,
                         struct err *e);

#endif
