/*
 * admin - the operator's pages: what is shared by their handlers.
 *
 * A page is a view of www/ and a model in JSON; one file a page (admin_<page>.c) reads the rows and builds the model. A change is a form of such a page, and a function that
 * takes it. Whoever asks has been signed in by the web server (REMOTE_USER, over a unix socket only it can reach) and is one of [admin] operators; anyone else gets 403
 * before any database work.
 *
 * To add a page: a name in enum admin_page and in admin.c's page_files, its model here, a PAGE row in admin_routes.c, and its frame as in www/message.html.
 * To add a change: its function here, a CHANGE row in admin_routes.c, in its page <form method="post" ...> with
 *   <input type="hidden" name="csrf" value="sample" data-attr-value="/csrf/rollback"/>
 * and in the page's model admin_put_token(admin, request, model, "rollback"). Its success is told by a notice (notice.h). No handler checks who asks or the
 * token: every row goes through admin_show, admin_send or admin_take, which do it before anything else.
 */
#ifndef BERTH_FCGI_ADMIN_H
#define BERTH_FCGI_ADMIN_H

#include <pthread.h>

#include "core/aws/aws.h"
#include "core/base/clock.h"
#include "core/base/secret.h"
#include "core/db/db.h"
#include "core/deploy/release.h"
#include "core/deploy/settings.h"
#include "core/deploy/summary.h"
#include "core/net/http.h"
#include "fcgi/form.h"
#include "fcgi/notice.h"
#include "fcgi/router.h"
#include "fcgi/view.h"

enum admin_page {
    PAGE_OVERVIEW,
    PAGE_APP,
    PAGE_RELEASE,
    PAGE_LOG,
    PAGE_MESSAGE,
    PAGE_DELIVERIES,
    PAGE_DELIVERY,
    PAGE_AUDIT,
    PAGE_LIMITS,
    PAGE_APP_LIMITS,
    PAGE_BALANCERS,
    PAGE_DOCTOR,
    PAGE_COUNT
};

struct admin {
    const struct settings *settings;
    struct db_pool *db;
    struct view *views[PAGE_COUNT];
    const struct clock *clock;
    pthread_mutex_t lock; /* of what comes with its first use: */
    struct secret *key;   /* of forms' tokens */
    struct http_curl *curl;
    struct aws *aws;
    struct log_follow *follow; /* see log_follow.h */
    struct doctor_watch *doctor;
};

/* ---- Pages: GET ---- */

/*
 * What a page's file gives: reads rows, fills *model. Texts may be NULL in the database; the model has a member for each binding all the same. After a form was refused the
 * same model is asked for again, with request->form: fields show form_value(request->form, "tasks", stored) and form_error(request->form, "tasks").
 */
typedef int admin_model(struct admin *admin, struct db *db, struct request *request, json_object **model,
                        struct err *e);
admin_model overview_model, app_model, release_model, deliveries_model, delivery_model, balancers_model, audit_model,
    doctor_model;
admin_model limits_model, app_limits_model;

/*
 * For a page that is polled: a short text that is another one whenever the page would be ("running.build.17"; what depends on the time alone may be left out). It is
 * asked before the model; when the browser has that version already (If-None-Match) the answer is 304 and no model is read. NULL: the page is not there, and the model
 * says so.
 */
typedef int admin_version(struct admin *admin, struct db *db, struct request *request, const char **version,
                          struct err *e);

admin_version overview_version, app_version, release_version;

struct admin_page_route {
    enum admin_page page;
    admin_model *model;
    admin_version *version; /* NULL: always made anew */
};

/* What isn't a page (CSV, JSON, a part of a log): fills the response by itself, its content_type too. The framework has set the headers that keep it safe. */
typedef int admin_reply(struct admin *admin, struct db *db, struct request *request, struct response *response,
                        struct err *e);

admin_reply audit_csv_reply;

struct admin_reply_route {
    admin_reply *reply;
};

/* ---- Changes: POST ---- */

/* Where a change that was made leads: 303 to a path of this site, which then tells the notice. */
struct admin_answer {
    const char *to; /* "/apps/shop" */
    enum notice notice;
    struct notice_values values;
    bool preview; /* without to: nothing was changed, and the page shows what the form would do */
};

/*
 * Takes a form that this site's page has sent for this operator. Returns 0 with answer->to when the change is made; with answer->preview when its effect is to be shown. Otherwise the form's page is shown again, with all
 * that was typed: 0 after form_refuse (422, errors beside their fields); an error of the operation itself as it is, its message and hint on top: ERR_INVALID 422,
 * ERR_CONFLICT and ERR_QUOTA 409, ERR_NOT_FOUND 404, ERR_DENIED 502, ERR_TRANSIENT and ERR_THROTTLED 503, else 500.
 * No connection is held: operations take their own from admin->db. The actor is request->remote_user.
 */
typedef int admin_change(struct admin *admin, struct request *request, struct form *form, struct admin_answer *answer,
                         struct err *e);
admin_change settings_change, app_limits_change, default_limits_change, pause_change, resume_change;
admin_change rollback_change, deploy_change, cancel_change, destroy_change, run_again_change, check_now_change;

/* What "Save and redeploy" does once the settings are saved: what is live by then, anew; its branch's head where nothing is. See operation_redeploy. */
int redeploy_live(struct admin *admin, struct request *request, struct admin_answer *answer, struct err *e);

struct admin_change_route {
    const char *form; /* its name, for the token */
    admin_change *change;
    const char *const *fields; /* see form.h; ended by NULL */
    enum admin_page page;      /* that has the form: shown again when it is refused */
    admin_model *model;
};

/* ---- The table: admin_routes.c ---- */

extern const struct route admin_routes[];
extern const size_t admin_route_count;

/* The only handlers in the table; the rest is in the route's detail, one of the structs above. */
void admin_show(void *context, struct request *request, struct response *response);
void admin_send(void *context, struct request *request, struct response *response);
void admin_take(void *context, struct request *request, struct response *response);

/* Who may ask, and a request that no handler sees: see struct application. */
bool admin_let_in(void *context, struct request *request, struct response *response);
void admin_refuse(void *context, struct request *request, struct response *response, int status, const char *message);

/* ---- For models and changes ---- */

/* The key of forms' tokens, once a process; the framework does it before it asks for a model. */
int admin_load_key(struct admin *admin, struct db *db, struct err *e);

/* model.csrf.<form>: the token that the form of that name carries. */
void admin_put_token(struct admin *admin, const struct request *request, json_object *model, const char *form);

/*
 * What every page has besides its model, and its frame shows: user, version, notice ("" for none), and problem: false, or what is wrong with the form that was sent, as
 * {message, hint: text_parts}.
 */
void admin_add_frame(json_object *model, struct request *request);

/* Sets ETag; true: the browser has this version, and the answer is 304 without a body. For replies; pages have admin_version. */
bool admin_not_modified(struct request *request, struct response *response, const char *version);

/* The AWS client, made with its first use: pages that need none show without credentials. Borrowed. */
int admin_aws(struct admin *admin, struct aws **out, struct err *e);

/* Where the app answers, or will; "" when no domain is configured yet. live_host may be NULL. */
const char *admin_host(const struct admin *admin, const char *app, const char *live_host, struct arena *mem);

/* "1.1700000000000000.shop", as the overview's links carry it: rank, microseconds and name of the last row shown. */
bool overview_cursor_parse(const char *text, struct arena *mem, struct summary_page *out);

/* Of routes' fields; each takes "" too, which a form sends for what is left open. */
bool deliveries_is_outcome(const char *text);
bool balancers_is_listener(const char *text);
bool audit_is_actor(const char *text);
bool audit_is_action(const char *text);
bool audit_is_day(const char *text);

#endif
