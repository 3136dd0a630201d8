/*
 * admin - the operator's pages: what is shared by their handlers.
 *
 * A page is a view of www/ and a model in JSON; one file a page (admin_<page>.c) reads the rows and builds the model. Whoever asks has been signed in by the web
 * server (REMOTE_USER, over a unix socket only it can reach) and is one of [admin] operators; anyone else gets 403 before any database work.
 */
#ifndef BERTH_FCGI_ADMIN_H
#define BERTH_FCGI_ADMIN_H

#include "core/base/clock.h"
#include "core/db/db.h"
#include "core/deploy/release.h"
#include "core/deploy/settings.h"
#include "core/deploy/summary.h"
#include "fcgi/router.h"
#include "fcgi/view.h"

enum admin_page { PAGE_OVERVIEW, PAGE_APP, PAGE_RELEASE, PAGE_MESSAGE, PAGE_COUNT };

struct admin {
    const struct settings *settings;
    struct db_pool *db;
    struct view *views[PAGE_COUNT];
    const struct clock *clock;
};

/* What a page's file gives: reads rows, fills *model. Texts may be NULL in the database; the model has a member for each binding all the same. */
typedef int admin_model(struct admin *admin, struct db *db, struct request *request, json_object **model,
                        struct err *e);
admin_model overview_model, app_model, release_model;

/* The table, for tests. */
extern const struct route admin_routes[];
extern const size_t admin_route_count;

/* What every page has besides its model: who is signed in, berth's version. */
void admin_add_frame(json_object *model, const struct request *request);

/* Where the app answers, or will; "" when no domain is configured yet. live_host may be NULL. */
const char *admin_host(const struct admin *admin, const char *app, const char *live_host, struct arena *mem);

/* "1.1700000000000000.shop", as the overview's links carry it: rank, microseconds and name of the last row shown. */
bool overview_cursor_parse(const char *text, struct arena *mem, struct summary_page *out);

#endif
