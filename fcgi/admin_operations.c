/* What the pages' buttons do with an app: each is one operation of core/deploy, as the command has it, with the signed-in operator as its actor. */
#include <string.h>

#include "core/base/text.h"
#include "core/deploy/estate/teardown.h"
#include "core/deploy/github_access.h"
#include "core/deploy/operation.h"
#include "fcgi/admin.h"
#include "fcgi/admin_words.h"

static const char *app_url(const struct request *request)
{
    return arena_printf(request->mem, "/apps/%s", request_value(request, "app"));
}

/* "v5" or "5"; without one, the release that was live before the one that is. */
static bool take_release(struct form *form, int *out)
{
    const char *text = form_text(form, "release");
    int64_t number = 0;

    if (!text || !*text)
        return true;
    if (!text_parse_int(*text == 'v' ? text + 1 : text, 1, INT32_MAX, &number)) {
        form_refuse(form, "release", "Write a release's number, as v12.");
        return false;
    }
    *out = (int)number;
    return true;
}

int rollback_change(struct admin *admin, struct request *request, struct form *form, struct admin_answer *answer,
                    struct err *e)
{
    int to = 0, made = 0;

    if (!take_release(form, &to))
        return 0;
    if (operation_rollback(admin->db, request_value(request, "app"), request->remote_user, &to, &made, e))
        return e->code;
    answer->to = app_url(request);
    answer->notice = NOTICE_ROLLED_BACK;
    answer->values = (struct notice_values){ .release = made, .to = to };
    return 0;
}

/* commit NULL: the branch's head. */
static int find_commit(struct admin *admin, struct request *request, const char *commit, struct github_commit *out,
                       struct err *e)
{
    struct commit_ask ask = {
        .admin = admin->db, .settings = admin->settings, .app = request_value(request, "app"), .commit = commit
    };

    if (admin->settings->github_token_secret && admin_aws(admin, &ask.aws, e)) /* it is read from Secrets Manager */
        return e->code;
    ask.transport = http_curl_transport(admin->curl);
    return github_app_commit(&ask, request->mem, out, e);
}

static int answer_deployed(struct request *request, enum notice notice, int made, struct admin_answer *answer)
{
    answer->to = app_url(request);
    answer->notice = notice;
    answer->values = (struct notice_values){ .release = made };
    return 0;
}

int deploy_change(struct admin *admin, struct request *request, struct form *form, struct admin_answer *answer,
                  struct err *e)
{
    const char *commit = text_or_empty(form_text(form, "commit"));
    struct github_commit found = { 0 };
    int made = 0;

    if (*commit && github_check_commit(commit, e)) {
        form_refuse(form, "commit", "Write a commit's hexadecimal name, or its first %d to %d digits.",
                    COMMIT_NAME_LEAST, COMMIT_NAME_MOST);
        return 0;
    }
    if (find_commit(admin, request, *commit ? commit : NULL, &found, e) ||
        operation_deploy(admin->db, request_value(request, "app"), request->remote_user, &found, &made, e))
        return e->code;
    return answer_deployed(request, NOTICE_DEPLOYED, made, answer);
}

static int read_live(struct admin *admin, struct request *request, struct deployment *out, struct err *e)
{
    AUTO_DB struct db *db = NULL;

    return db_take(admin->db, &db, e) || deployment_find(db, request_value(request, "app"), request->mem, out, e)
               ? (int)e->code
               : 0;
}

int redeploy_live(struct admin *admin, struct request *request, struct admin_answer *answer, struct err *e)
{
    struct github_commit found = { 0 };
    struct deployment live = { 0 };
    int made = 0;

    if (read_live(admin, request, &live, e) || find_commit(admin, request, live.commit_sha, &found, e) ||
        operation_redeploy(admin->db, request_value(request, "app"), request->remote_user, live.release, &found, &made,
                           e))
        return e->code;
    return answer_deployed(request, NOTICE_SETTINGS_DEPLOYED, made, answer);
}

int cancel_change(struct admin *admin, struct request *request, struct form *form, struct admin_answer *answer,
                  struct err *e)
{
    struct release_numbers named = { 0 };
    struct cancelled cancelled = { 0 };

    /* What the button named; a list that is none names nothing. */
    (void)release_numbers_parse(text_or_empty(form_text(form, "releases")), request->mem, &named);
    if (operation_cancel(admin->db, request_value(request, "app"), request->remote_user, &named, request->mem,
                         &cancelled, e))
        return e->code;
    answer->to = app_url(request);
    answer->notice = cancelled.all.count > 1 ? NOTICE_ALL_CANCELLED : NOTICE_CANCELLED;
    answer->values = (struct notice_values){ .release = cancelled.all.of[0], .all = cancelled.all };
    return 0;
}

/* Only who types the app's name means it. */
int destroy_change(struct admin *admin, struct request *request, struct form *form, struct admin_answer *answer,
                   struct err *e)
{
    const char *app = request_value(request, "app"), *confirm = form_text(form, "confirm");
    AUTO_DB struct db *db = NULL;
    bool begun = false;

    if (!confirm || strcmp(confirm, app) != 0) {
        form_refuse(form, "confirm", "Type %s to confirm: nothing was removed.", app);
        return 0;
    }
    if (db_take(admin->db, &db, e) || teardown_start(db, app, request->remote_user, &begun, e))
        return e->code;
    answer->to = app_url(request);
    answer->notice = begun ? NOTICE_DESTROYING : NOTICE_DESTROY_GOES_ON;
    answer->values = (struct notice_values){ .app = app };
    return 0;
}
