/* /apps/{app}: what is on its way, the releases, use and limits, settings, what it has on AWS, and its end. */
#include <string.h>

#include "core/base/text.h"
#include "core/deploy/release_story.h"
#include "fcgi/admin_app.h"
#include "fcgi/admin_strip.h"
#include "fcgi/admin_use.h"
#include "fcgi/admin_words.h"
#include "fcgi/when.h"

static const char *ago(struct admin *admin, const char *at, struct arena *mem)
{
    return when_ago(mem, at, clock_now_ms(admin->clock));
}

static bool is_under_way(const struct release *r)
{
    return r->number && (r->state == RELEASE_RUNNING || r->state == RELEASE_QUEUED);
}

/* ---- Reading ---- */

/* The one that runs is before one that waits behind it. */
static int read_told(struct db *db, const char *name, struct arena *mem, struct app_page *out, struct err *e)
{
    AUTO_ROWS struct db_rows *rows = NULL;
    struct release r = { 0 };
    int number = out->standing.last_release;

    if (db_query(db, name, QUERY_RELEASE_UNDER_WAY, &rows, e, db_text(name)))
        return e->code;
    for (size_t i = 0; i < db_count(rows); i++)
        if ((int)db_get_int(rows, i, "number") < number)
            number = (int)db_get_int(rows, i, "number");
    if (number <= out->standing.before)
        return 0;
    if (release_get(db, name, number, mem, &r, e))
        return e->code;
    if (is_under_way(&r) || r.state == RELEASE_FAILED)
        out->told = r;
    return 0;
}

static int read_page(struct db *db, const char *name, int before, struct arena *mem, struct app_page *out,
                     struct err *e)
{
    if (app_get(db, name, mem, &out->app, e) || app_standing(db, name, mem, &out->standing, e) ||
        teardown_find(db, name, mem, &out->teardown, e) || deployment_find(db, name, mem, &out->live, e) ||
        read_told(db, name, mem, out, e) || operation_under_way(db, name, mem, &out->cancels, e) ||
        release_list_before(db, name, before, APP_RELEASES + 1, mem, &out->releases, &out->count, e) ||
        app_quotas(db, name, mem, &out->quotas, &out->quota_count, e))
        return e->code;
    out->can_change = !text_starts(out->app.state, "delet");
    return app_resources(db, name, mem, &out->resources, &out->resource_count, e);
}

/* ---- Where it is: as the overview has it ---- */

static enum app_condition condition_of(const struct app_page *page)
{
    const char *owed = page->standing.owed;

    if (strcmp(page->app.state, "active") != 0)
        return APP_PAUSED;
    if (owed && !strcmp(owed, "over_quota"))
        return APP_OVER_QUOTA;
    if (page->told.number)
        return page->told.state == RELEASE_RUNNING  ? APP_MOVING
               : page->told.state == RELEASE_FAILED ? APP_FAILED
                                                    : APP_QUEUED;
    for (size_t i = 0; i < page->quota_count; i++)
        if (page->quotas[i].used > page->quotas[i].limit &&
            (!strcmp(page->quotas[i].name, "cpu_units") || !strcmp(page->quotas[i].name, "memory_mib")))
            return APP_OVER_QUOTA;
    return page->live.release ? APP_LIVE : APP_NONE;
}

static const char *condition_word(const struct app_page *page, struct arena *mem)
{
    enum app_condition condition = condition_of(page);

    if (strcmp(page->app.state, "deleting") == 0)
        return "Going away";
    if (strcmp(page->app.state, "deleted") == 0)
        return "Destroyed";
    if (condition == APP_MOVING)
        return arena_printf(mem, "%s v%d", moving_word(page->told.step), page->told.number);
    if (condition == APP_LIVE)
        return arena_printf(mem, "Live, v%d", page->live.release);
    return mark_of_condition(condition).word;
}

/* ---- The release that is told of ---- */

static const char *told_phrase(const struct release *r)
{
    if (r->state == RELEASE_QUEUED)
        return "waits for its turn";
    if (r->state == RELEASE_FAILED)
        return "failed";
    if (r->halt == HALT_CANCEL)
        return "is being cancelled";
    return r->halt == HALT_SUPERSEDE ? "gives way to a newer release" : moving_phrase(r->step);
}

/* The newest thing that was told of it: "1 of 2 new tasks are healthy." */
static const char *newest_event(const struct release *r, const struct release_event *events, size_t count)
{
    return r->state == RELEASE_RUNNING && count ? events[count - 1].message : "";
}

/* A list of one, or of none. */
static int told_rows(struct admin *admin, struct db *db, const struct app_page *page, struct arena *mem,
                     json_object *rows, struct err *e)
{
    const struct release *r = &page->told;
    struct release_event *events = NULL;
    size_t count = 0;

    if (!r->number || !page->can_change)
        return 0;
    if (release_events(db, r->app, r->number, mem, &events, &count, e))
        return e->code;
    bool failed = r->state == RELEASE_FAILED;
    json_append(rows,
                json_build("{s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:s, s:o, s:b, s:s, s:s, s:s, s:s, s:s, s:s, s:s}",
                           "box", failed ? "failure" : "box", "number", arena_printf(mem, "v%d", r->number), "url",
                           arena_printf(mem, "/apps/%s/releases/%d", r->app, r->number), "phrase", told_phrase(r),
                           "error", text_or_empty(r->error), "newest", newest_event(r, events, count), "hint",
                           text_parts(r->hint, mem), "visitors", visitors_see(r, page->live.release, mem), "strip",
                           strip_of(r, events, count, clock_now_ms(admin->clock), mem), "can_cancel",
                           release_numbers_have(&page->cancels, r->number), "cancels",
                           release_numbers_list(&page->cancels, mem), "cancel_label", cancel_label(&page->cancels, mem),
                           "commit", short_commit(r->commit_sha, mem), "commit_title", text_or_empty(r->commit_title),
                           "by", text_or_empty(r->pushed_by), "at", text_or_empty(r->created_at), "ago",
                           ago(admin, r->created_at, mem)));
    return 0;
}

/* ---- What is owed ---- */

static const char *refused_phrase(const struct app_standing *s, struct arena *mem)
{
    return s->refusal ? arena_printf(mem, "was refused: %s", s->refusal) : "was refused by a quota";
}

/* When the branch is looked at again, and what that waits for; "" when nothing is owed. */
static const char *owed_text(struct admin *admin, const struct app_page *page, struct arena *mem)
{
    const struct app_standing *s = &page->standing;
    const char *came, *branch = page->app.branch;
    int64_t wait_ms = when_parse(s->due_at) - clock_now_ms(admin->clock);

    if (!s->owed || !page->can_change)
        return "";
    came = arena_printf(mem, "The newest push came %s and %s.", ago(admin, s->owed_at, mem),
                        !strcmp(s->owed, "limited")      ? "was turned away by the rate limit"
                        : !strcmp(s->owed, "over_quota") ? refused_phrase(s, mem)
                        : !strcmp(s->owed, "paused")     ? "was kept back, since the app is paused"
                                                         : "is not deployed yet");
    if (s->due_at)
        return arena_printf(mem, "%s The branch %s is looked at again %s.", came, branch,
                            wait_ms > 0 ? arena_printf(mem, "in %s", when_length(mem, wait_ms)) : "now");
    return arena_printf(mem, "%s The branch %s is looked at again when %s.", came, branch,
                        strcmp(s->owed, "paused") ? "an operator raises the quota" : "the app is resumed");
}

static const char *paused_text(struct admin *admin, const struct app_page *page, struct arena *mem)
{
    const struct app_standing *s = &page->standing;

    if (strcmp(page->app.state, "paused") != 0)
        return "";
    return s->paused_by ? arena_printf(mem, "Paused by @%s, %s. Pushes are kept and judged when it is resumed.",
                                       s->paused_by, ago(admin, s->paused_at, mem))
                        : "Paused. Pushes are kept and judged when it is resumed.";
}

/* ---- Its end ---- */

static const char *gone_text(struct admin *admin, const struct app_page *page, struct arena *mem)
{
    const struct teardown *t = &page->teardown;

    if (page->can_change)
        return "";
    if (strcmp(page->app.state, "deleted") == 0)
        return arena_printf(mem, "Destroyed by @%s, %s. Its history stays; its name is free for a new app.",
                            text_or_empty(t->started_by), ago(admin, t->finished_at, mem));
    if (t->state == TEARDOWN_FAILED)
        return arena_printf(mem, "Its teardown, begun by @%s, stopped at %s. `berth destroy %s` goes on with it.",
                            text_or_empty(t->started_by), text_or_empty(t->step), page->app.name);
    return arena_printf(mem, "Being destroyed: begun by @%s, %s; now at %s. It takes no pushes.",
                        text_or_empty(t->started_by), ago(admin, t->started_at, mem), text_or_empty(t->step));
}

static json_object *gone_rows(struct admin *admin, const struct app_page *page, struct arena *mem)
{
    json_object *rows = json_new_array();

    if (!page->can_change)
        json_append(rows,
                    json_build("{s:o, s:s, s:o}", "text", text_parts(gone_text(admin, page, mem), mem), "error",
                               text_or_empty(page->teardown.error), "hint", text_parts(page->teardown.hint, mem)));
    return rows;
}

/* ---- Use, resources, facts ---- */

/* The first bar says what the dots of all of them mean. */
static const char *use_note(const struct app_page *page, const struct app_quota *q, struct arena *mem)
{
    return q->rolling > 0 && q == page->quotas
               ? arena_printf(mem, "the dotted part is v%d's, until it is live", page->told.number)
               : "";
}

static json_object *use_rows(const struct app_page *page, struct arena *mem)
{
    json_object *rows = json_new_array();

    for (size_t i = 0; i < page->quota_count; i++) {
        const struct app_quota *q = &page->quotas[i];
        const struct use use = { .title = q->title, .used = q->used, .limit = q->limit, .rolling = q->rolling };
        json_object *one = use_model(&use, mem);
        json_put(one, "note", json_text(use_note(page, q, mem)));
        json_append(rows, one);
    }
    return rows;
}

/* "target_group" as "Target group". */
static const char *kind_word(const char *kind, struct arena *mem)
{
    char *word = arena_copy(mem, kind);

    for (char *c = word; *c; c++)
        if (*c == '_')
            *c = ' ';
    if (*word >= 'a' && *word <= 'z')
        *word = (char)(*word - 'a' + 'A');
    return word;
}

static json_object *resource_rows(const struct app_page *page, struct arena *mem)
{
    json_object *rows = json_new_array();

    for (size_t i = 0; i < page->resource_count; i++) {
        const struct resource_row *r = &page->resources[i];
        json_append(rows, json_build("{s:s, s:s, s:s, s:s, s:s}", "kind", kind_word(r->kind, mem), "name", r->name,
                                     "arn", r->arn, "console", console_url(r, mem), "label",
                                     arena_printf(mem, "Console: %s", kind_word(r->kind, mem))));
    }
    return rows;
}

static json_object *fact_model(struct admin *admin, const struct app_page *page, struct arena *mem)
{
    const struct app *app = &page->app;
    const char *host = admin_host(admin, app->name, page->live.host, mem);

    return json_build(
        "{s:s, s:s, s:b, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "host", host, "address",
        arena_printf(mem, "https://%s/", host), "is_live", page->live.release > 0, "repository", app->repository,
        "repository_url", arena_printf(mem, "https://github.com/%s", app->repository), "branch", app->branch, "proof",
        app->policy == WEBHOOK_GITHUB ? "GitHub's signature" : "GitHub's signature and AWS IAM", "created_at",
        text_or_empty(page->standing.created_at), "created_ago", ago(admin, page->standing.created_at, mem),
        "created_by", text_or_empty(page->standing.created_by), "hook_url",
        arena_printf(mem, "%s/hooks/github/%s",
                     admin->settings->hooks_url ? admin->settings->hooks_url : "https://YOUR-BERTH-HOST", app->name));
}

/* The form's action of each button, and the texts on them. */
static json_object *button_model(const struct app_page *page, struct arena *mem)
{
    const char *name = page->app.name;
    bool paused = strcmp(page->app.state, "paused") == 0;

    return json_build(
        "{s:b, s:b, s:b, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "can_change", page->can_change,
        "can_pause", page->can_change && !paused, "can_resume", paused, "redeploy",
        page->live.release ? arena_printf(mem, "Redeploy v%d", page->live.release)
                           : arena_printf(mem, "Deploy %s", page->app.branch),
        "commit", text_or_empty(page->live.commit_sha), "rollback_to", arena_printf(mem, "/apps/%s/rollback", name),
        "deploy_to", arena_printf(mem, "/apps/%s/deploy", name), "cancel_to",
        arena_printf(mem, "/apps/%s/cancel", name), "pause_to", arena_printf(mem, "/apps/%s/pause", name), "resume_to",
        arena_printf(mem, "/apps/%s/resume", name), "settings_to", arena_printf(mem, "/apps/%s/settings", name),
        "destroy_to", arena_printf(mem, "/apps/%s/destroy", name), "limits",
        arena_printf(mem, "/apps/%s/limits", name));
}

/* What goes with the app besides what the table above the button lists. */
static const char *goes_text(const struct app_page *page, struct arena *mem)
{
    const char *listed = page->resource_count ? arena_printf(mem, "the %zu resource%s above", page->resource_count,
                                                             page->resource_count == 1 ? "" : "s")
                                              : "what it has on AWS";

    return arena_printf(
        mem,
        "Ends the service, then deletes %s, its images, task definitions and source archives, and the "
        "secrets berth/hooks/%s and berth/apps/%s/config.%s The release history and the audit log stay.",
        listed, page->app.name, page->app.name,
        page->live.release ? " The address stops answering within a minute." : "");
}

static json_object *destroy_model(const struct app_page *page, const struct form *form, struct arena *mem)
{
    const char *error = form_error(form, "confirm");
    json_object *destroy = json_build("{s:s, s:s, s:s}", "goes", goes_text(page, mem), "confirm",
                                      form_value(form, "confirm", ""), "error", error);

    json_put(destroy, "invalid", *error ? json_text("true") : json_build("b", 0));
    json_put(destroy, "focus", json_build("b", *error != '\0'));
    return destroy;
}

/* ---- Together ---- */

static void put_tokens(struct admin *admin, const struct request *request, json_object *model)
{
    static const char *const forms[] = { "rollback", "deploy", "cancel", "destroy", "settings", "pause", "resume" };

    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
        admin_put_token(admin, request, model, forms[i]);
}

/* The router has checked it. */
static int before_of(struct request *request)
{
    const char *text = request_query(request, "before");
    int64_t number = 0;

    return text && text_parse_int(text, 1, INT32_MAX, &number) ? (int)number : 0;
}

static json_object *model_of(struct admin *admin, const struct app_page *page, int before, struct arena *mem)
{
    const char *name = page->app.name;
    struct mark mark = mark_of_condition(condition_of(page));
    bool more = page->count > APP_RELEASES;
    int last = page->count ? page->releases[more ? APP_RELEASES - 1 : page->count - 1].number : 0;

    return json_build(
        "{s:s, s:s, s:s, s:s, s:o, s:o, s:s, s:s, s:o, s:b, s:b, s:b, s:s, s:s, s:o, s:b, s:o, s:o, s:b, s:s, s:s}",
        "title", arena_printf(mem, "%s - berth", name), "app", name, "mark", mark.class_name, "word",
        condition_word(page, mem), "facts", fact_model(admin, page, mem), "buttons", button_model(page, mem), "owed",
        owed_text(admin, page, mem), "paused", paused_text(admin, page, mem), "gone", gone_rows(admin, page, mem),
        "empty", page->count == 0, "more", more, "later", before > 0, "older",
        arena_printf(mem, "/apps/%s?before=%d#releases", name, last), "first",
        arena_printf(mem, "/apps/%s#releases", name), "releases", app_release_rows(admin, page, mem), "moving",
        is_under_way(&page->told) || page->teardown.state == TEARDOWN_RUNNING, "use", use_rows(page, mem), "resources",
        resource_rows(page, mem), "has_resources", page->resource_count > 0, "count",
        page->standing.last_release ? arena_printf(mem, "%d so far", page->standing.last_release) : "", "url",
        arena_printf(mem, "/apps/%s", name));
}

int app_version(struct admin *admin, struct db *db, struct request *request, const char **version, struct err *e)
{
    (void)admin;
    return page_version_app(db, request_value(request, "app"), before_of(request), APP_RELEASES + 1, request->mem,
                            version, e);
}

int app_model(struct admin *admin, struct db *db, struct request *request, json_object **model, struct err *e)
{
    AUTO_JSON json_object *told = json_new_array();
    AUTO_JSON json_object *settings = NULL;
    const char *name = request_value(request, "app");
    struct arena *mem = request->mem;
    struct app_page page = { 0 };
    int before = before_of(request);

    if (read_page(db, name, before, mem, &page, e) || told_rows(admin, db, &page, mem, told, e) ||
        app_settings_model(admin, db, &page, request->form, mem, &settings, e))
        return e->code;
    *model = model_of(admin, &page, before, mem);
    json_put(*model, "told", json_hold(told));
    json_put(*model, "settings", json_hold(settings));
    json_put(*model, "destroy", destroy_model(&page, request->form, mem));
    put_tokens(admin, request, *model);
    return 0;
}
