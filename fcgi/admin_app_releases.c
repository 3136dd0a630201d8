/* The releases on an app's page, and what can be done with each. */
#include <string.h>

#include "fcgi/admin_app.h"
#include "fcgi/admin_words.h"
#include "fcgi/when.h"

static const char *took(const struct release *r, struct arena *mem)
{
    int64_t from = when_parse(r->created_at), to = when_parse(r->finished_at);

    return from < 0 || to < from ? "" : when_length(mem, to - from);
}

/* As operation_rollback has it: it went live, its image is there still, and it isn't what runs now. */
static bool may_return_to(const struct release_room *room, const struct release *r)
{
    return r->state == RELEASE_LIVE && r->number != room->live && r->number > room->before && !r->pruned &&
           r->image_digest && r->number != room->live_rollback_to;
}

/* The visible word of a row is how its label begins. */
static const char *cancel_word(const struct release_numbers *cancels)
{
    return cancels->count == 1 ? "Cancel" : cancels->count == 2 ? "Cancel both" : "Cancel all";
}

const char *cancel_label(const struct release_numbers *cancels, struct arena *mem)
{
    return arena_printf(mem, "%s %s", cancel_word(cancels), release_numbers_text(cancels, mem));
}

static struct release_action cancel_action(const struct release_room *room, const struct release *r, struct arena *mem)
{
    if (room->cancels.count == 0 || room->cancels.of[0] != r->number)
        return (struct release_action){ "", "", "", "", "" };
    return (struct release_action){ "form-cancel", "releases", release_numbers_list(&room->cancels, mem),
                                    cancel_word(&room->cancels), cancel_label(&room->cancels, mem) };
}

struct release_action release_action(const struct release_room *room, const struct release *r, struct arena *mem)
{
    bool ended = r->state != RELEASE_RUNNING && r->state != RELEASE_QUEUED;
    struct release_action none = { "", "", "", "", "" };

    if (!room->can_change)
        return none;
    if (!ended)
        return cancel_action(room, r, mem);
    if (may_return_to(room, r))
        return (struct release_action){ "form-rollback", "release", arena_printf(mem, "%d", r->number), "Roll back",
                                        arena_printf(mem, "Roll back to v%d", r->number) };
    if (r->state == RELEASE_FAILED || r->number == room->live)
        return (struct release_action){ "form-deploy", "commit", r->commit_sha, "Redeploy",
                                        arena_printf(mem, "Redeploy v%d", r->number) };
    return none;
}

static json_object *actions_of(const struct release_room *room, const struct release *r, struct arena *mem)
{
    json_object *actions = json_new_array();
    struct release_action action = release_action(room, r, mem);

    if (*action.form)
        json_append(actions, json_build("{s:s, s:s, s:s, s:s, s:s}", "form", action.form, "field", action.field,
                                        "value", action.value, "word", action.word, "label", action.label));
    return actions;
}

static struct release_room room_of(const struct app_page *page)
{
    return (struct release_room){ .can_change = page->can_change,
                                  .live = page->live.release,
                                  .live_rollback_to = page->live.rollback_to,
                                  .before = page->standing.before,
                                  .cancels = page->cancels };
}

static const char *sentence_of(const struct release *r, int live, struct arena *mem)
{
    if (r->rollback_to && (r->state == RELEASE_LIVE || r->state == RELEASE_QUEUED))
        return arena_printf(mem, "%s, as v%d", release_sentence(r, live, mem), r->rollback_to);
    if (r->state == RELEASE_SUPERSEDED && r->halt_by)
        return arena_printf(mem, "Superseded by v%d", r->halt_by);
    return release_sentence(r, live, mem);
}

static json_object *release_row(struct admin *admin, const struct app_page *page, const struct release *r,
                                const struct release_room *room, struct arena *mem)
{
    int live = page->live.release;
    struct mark mark = mark_of(release_state_name(r->state), r->kind, r->number, live);
    const char *at = r->finished_at ? r->finished_at : r->created_at;

    return json_build("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:o}", "number",
                      arena_printf(mem, "v%d", r->number), "url",
                      arena_printf(mem, "/apps/%s/releases/%d", r->app, r->number), "mark", mark.class_name, "word",
                      sentence_of(r, live, mem), "commit", short_commit(r->commit_sha, mem), "title",
                      text_or_empty(r->commit_title), "by", text_or_empty(r->pushed_by), "at", text_or_empty(at), "ago",
                      when_ago(mem, at, clock_now_ms(admin->clock)), "took", took(r, mem), "error",
                      text_or_empty(r->error), "actions", actions_of(room, r, mem));
}

json_object *app_release_rows(struct admin *admin, const struct app_page *page, struct arena *mem)
{
    const struct release_room room = room_of(page);
    json_object *rows = json_new_array();

    for (size_t i = 0; i < page->count && i < APP_RELEASES; i++)
        json_append(rows, release_row(admin, page, &page->releases[i], &room, mem));
    return rows;
}
