/* /load-balancers: how full each listener is, what to do before it is, and which app has which priority. Nothing is asked of AWS. */
#include <string.h>

#include "core/base/text.h"
#include "core/deploy/steps/listener_room.h"
#include "core/tenant/names.h"
#include "fcgi/admin.h"
#include "fcgi/admin_lists.h"
#include "fcgi/admin_words.h"
#include "fcgi/link.h"
#include "fcgi/when.h"

enum { WARN_PERCENT = 80, LISTENER_ARN_MAX = 200 };

/* A listener as the page sees it: of the configuration, of the slots, or of both. */
struct listener {
    struct listener_room room;
    bool is_configured;
};

struct balancers {
    struct listener *all; /* the configured ones first, in the order in which they are filled */
    size_t count, configured;
    size_t next; /* the one that the next app gets a slot of; count: none has room */
    int taken, room;
};

bool balancers_is_listener(const char *text)
{
    return !*text || (text_starts(text, "arn:") && strlen(text) <= LISTENER_ARN_MAX &&
                      text_is_utf8(text, strlen(text)) && !text_has_control(text, strlen(text)));
}

/* "berth-1" of ".../listener/app/berth-1/50dc6c495c0c9188/f2f7dc8efc522ab2"; another text as it is. */
static const char *balancer_name(const char *arn, struct arena *mem)
{
    const char *at = strstr(arn, ":listener/app/");

    if (!at)
        return arn;
    at += strlen(":listener/app/");
    return arena_copy_n(mem, at, strcspn(at, "/"));
}

/* What two listeners of one load balancer have in common: all but the last part. */
static bool is_same_balancer(const char *one, const char *other)
{
    const char *end = strrchr(one, '/');

    return end ? strncmp(one, other, (size_t)(end - one) + 1) == 0 : strcmp(one, other) == 0;
}

/* ---- Reading ---- */

static struct listener *find(const struct balancers *b, const char *arn)
{
    for (size_t i = 0; i < b->count; i++)
        if (strcmp(b->all[i].room.arn, arn) == 0)
            return &b->all[i];
    return NULL;
}

static void add_up(struct balancers *b)
{
    b->next = b->count;
    for (size_t i = 0; i < b->configured; i++) {
        b->taken += b->all[i].room.taken;
        b->room += LISTENER_ROOM;
        if (b->next == b->count && b->all[i].room.taken < LISTENER_ROOM)
            b->next = i;
    }
}

static int read_balancers(const struct config_list *configured, struct db *db, struct arena *mem, struct balancers *out,
                          struct err *e)
{
    struct listener_room *rooms = NULL;
    size_t count = 0;

    if (listener_rooms(db, mem, &rooms, &count, e))
        return e->code;
    out->all = arena_array(mem, configured->count + count, sizeof *out->all);
    for (size_t i = 0; i < configured->count; i++)
        if (!find(out, configured->items[i]))
            out->all[out->count++] =
                (struct listener){ .room = { .arn = configured->items[i] }, .is_configured = true };
    out->configured = out->count;
    for (size_t i = 0; i < count; i++) {
        struct listener *known = find(out, rooms[i].arn);
        if (known)
            known->room = rooms[i];
        else
            out->all[out->count++] = (struct listener){ .room = rooms[i] };
    }
    add_up(out);
    return 0;
}

/* ---- Telling ---- */

static struct mark mark_of_listener(const struct balancers *b, size_t i)
{
    int taken = b->all[i].room.taken;

    if (!b->all[i].is_configured)
        return (struct mark){ "mark dropped", "Not filled any more" };
    if (taken >= LISTENER_ROOM)
        return (struct mark){ "mark failed", "Full" };
    if (taken * 100 >= WARN_PERCENT * LISTENER_ROOM)
        return (struct mark){ "mark warning", "Nearly full" };
    return i == b->next ? (struct mark){ "mark live", "Takes the next app" }
                        : (struct mark){ "mark queued", "Waits its turn" };
}

static const char *shares_with(const struct balancers *b, size_t of, struct arena *mem)
{
    for (size_t i = 0; i < b->count; i++)
        if (i != of && is_same_balancer(b->all[of].room.arn, b->all[i].room.arn))
            return arena_printf(mem,
                                "Another listener of this load balancer is used too: AWS counts %d rules and %d target "
                                "groups for both together.",
                                LISTENER_LIMIT, LISTENER_LIMIT);
    return "";
}

static const char *note_of(const struct balancers *b, size_t i, struct arena *mem)
{
    if (b->all[i].is_configured)
        return shares_with(b, i, mem);
    return "Not in [platform] listeners: the apps here stay, and no new one is put here.";
}

static json_object *listener_row(const struct balancers *b, size_t i, struct arena *mem)
{
    const struct listener_room *room = &b->all[i].room;
    struct mark mark = mark_of_listener(b, i);
    int foreign = room->taken - room->apps;
    bool is_warned = room->taken * 100 >= WARN_PERCENT * LISTENER_ROOM;

    return json_build(
        "{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:i, s:i, s:s, s:s}", "name", balancer_name(room->arn, mem),
        "arn", room->arn, "url",
        list_url(mem, "/load-balancers", (const struct list_part[]){ { "listener", room->arn }, { NULL, NULL } }),
        "mark", mark.class_name, "word", mark.word, "note", note_of(b, i, mem), "use",
        arena_printf(mem, "%d of %d", room->taken, LISTENER_ROOM), "percent",
        is_warned ? arena_printf(mem, "%d%%", room->taken * 100 / LISTENER_ROOM) : "", "percent_mark",
        room->taken >= LISTENER_ROOM ? "level mark failed" : "level mark warning", "meter_class",
        room->taken >= LISTENER_ROOM ? "use full"
        : is_warned                  ? "use near"
                                     : "use",
        "value", room->taken < LISTENER_ROOM ? room->taken : LISTENER_ROOM, "room", LISTENER_ROOM, "apps",
        arena_printf(mem, "%d", room->apps), "foreign", foreign ? arena_printf(mem, "%d", foreign) : "0");
}

static json_object *listener_rows(const struct balancers *b, struct arena *mem)
{
    json_object *rows = json_new_array();

    for (size_t i = 0; i < b->count; i++)
        json_append(rows, listener_row(b, i, mem));
    return rows;
}

/* "72 of 90 slots taken, on 1 listener" */
static const char *sum_up(const struct balancers *b, struct arena *mem)
{
    if (b->configured == 0)
        return "no listener is configured";
    return arena_printf(mem, "%s of %s slots taken, on %zu listener%s", list_number(mem, b->taken),
                        list_number(mem, b->room), b->configured, b->configured == 1 ? "" : "s");
}

/* What a person has to do now; "" for nothing. */
static const char *warn_of(const struct balancers *b, struct arena *mem)
{
    int left = b->room - b->taken;

    if (b->configured == 0 || b->taken * 100 < WARN_PERCENT * b->room)
        return "";
    if (b->next == b->count)
        return "Every listener is full: the next new app waits at its step route until there is room. Apps that are "
               "live are not touched by that.";
    return arena_printf(mem, "Room for %d more app%s, then new ones wait at their step route.", left,
                        left == 1 ? "" : "s");
}

/* ---- Which app has which priority ---- */

static const char *word_of_slot(const struct listener_slot *slot)
{
    if (!slot->app)
        return "Not berth's: another rule has this priority";
    if (slot->state && strcmp(slot->state, "deleting") == 0)
        return "Going away";
    if (slot->state && strcmp(slot->state, "deleted") == 0)
        return "Destroyed; berth reconcile frees it";
    return "";
}

/* How many priorities in a row, beginning with the first, are not berth's: they are told as one. */
static size_t foreign_run(const struct listener_slot *slots, size_t count)
{
    size_t run = 0;

    while (run < count && !slots[run].app && !strcmp(slots[run].listener_arn, slots[0].listener_arn) &&
           slots[run].priority == slots[0].priority + (int)run)
        run++;
    return run;
}

static const char *priorities_text(const struct listener_slot *slot, size_t run, struct arena *mem)
{
    return run > 1 ? arena_printf(mem, "%d to %d", slot->priority, slot->priority + (int)run - 1)
                   : arena_printf(mem, "%d", slot->priority);
}

static json_object *slot_row(struct admin *admin, const struct balancers *b, const struct listener_slot *slot,
                             size_t run, struct arena *mem)
{
    bool is_first = b->configured > 0 && is_same_balancer(b->all[0].room.arn, slot->listener_arn);
    const char *app = text_or_empty(slot->app);

    return json_build("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "priority", priorities_text(slot, run, mem),
                      "app", app, "url", slot->app ? arena_printf(mem, "/apps/%s", app) : "", "word",
                      run > 1 ? "Not berth's: other rules have these priorities" : word_of_slot(slot), "host",
                      slot->app ? admin_host(admin, app, slot->host, mem) : "", "balancer",
                      balancer_name(slot->listener_arn, mem), "dns",
                      slot->app && !is_first ? "needs a DNS alias of its own" : "", "at", text_or_empty(slot->taken_at),
                      "ago", when_ago(mem, slot->taken_at, clock_now_ms(admin->clock)));
}

static struct listener_slot_page page_wanted(struct request *request)
{
    struct listener_slot_page page = { .only_listener = list_asked(request, "listener"),
                                       .only_app = list_asked(request, "app"),
                                       .limit = LIST_PAGE + 1 };
    const char *after = request_query(request, "after");
    struct link_cursor cursor;

    if (after && link_cursor_parse(after, request->mem, &cursor)) {
        page.after_listener = cursor.name;
        page.after_priority = cursor.number > INT32_MAX ? INT32_MAX : (int)cursor.number;
    }
    return page;
}

static const char *page_url(const struct listener_slot_page *page, const char *after, struct arena *mem)
{
    return list_url(
        mem, "/load-balancers",
        (const struct list_part[]){
            { "listener", page->only_listener }, { "app", page->only_app }, { "after", after }, { NULL, NULL } });
}

static const char *next_url(const struct listener_slot_page *page, const struct listener_slot *last, struct arena *mem)
{
    const struct list_part parts[] = { { "listener", page->only_listener }, { "app", page->only_app }, { NULL, NULL } };
    const struct link_cursor cursor = { .number = last->priority, .name = last->listener_arn };
    const char *url = list_url(mem, "/load-balancers", parts);

    return arena_printf(mem, "%s%cafter=%s", url, strchr(url, '?') ? '&' : '?', link_cursor_text(&cursor, mem));
}

static int put_slots(struct admin *admin, struct db *db, const struct balancers *b, struct request *request,
                     json_object *model, struct err *e)
{
    struct listener_slot_page page = page_wanted(request);
    json_object *rows = json_new_array();
    struct listener_slot *slots = NULL;
    struct arena *mem = request->mem;
    size_t count = 0;

    json_put(model, "slots", rows);
    if (listener_slots(db, &page, mem, &slots, &count, e))
        return e->code;
    bool more = count > LIST_PAGE;
    for (size_t i = 0, run, shown = more ? LIST_PAGE : count; i < shown; i += run ? run : 1) {
        run = foreign_run(&slots[i], shown - i);
        json_append(rows, slot_row(admin, b, &slots[i], run, mem));
    }
    json_put(model, "only", json_text(page.only_listener ? balancer_name(page.only_listener, mem) : ""));
    json_put(model, "listener", json_text(text_or_empty(page.only_listener)));
    json_put(model, "app", json_text(text_or_empty(page.only_app)));
    json_put(model, "none_here",
             json_build("b", count == 0 && (page.only_listener || page.only_app || page.after_listener)));
    json_put(model, "first", json_text(page.after_listener ? page_url(&page, NULL, mem) : ""));
    json_put(model, "next", json_text(more ? next_url(&page, &slots[LIST_PAGE - 1], mem) : ""));
    return 0;
}

int balancers_model(struct admin *admin, struct db *db, struct request *request, json_object **model, struct err *e)
{
    AUTO_JSON json_object *made = json_new_object();
    const char *domain = admin->settings->domain;
    struct arena *mem = request->mem;
    struct balancers b = { 0 };

    if (read_balancers(&admin->settings->listeners, db, mem, &b, e) || put_slots(admin, db, &b, request, made, e))
        return e->code;
    json_put(made, "summary", json_text(sum_up(&b, mem)));
    json_put(made, "warning", json_text(warn_of(&b, mem)));
    json_put(made, "is_full", json_text(b.configured && b.next == b.count ? "failure" : "box"));
    json_put(made, "warning_mark", json_text(b.next == b.count ? "mark failed" : "mark warning"));
    json_put(made, "empty", json_build("b", b.configured == 0));
    json_put(made, "listeners", listener_rows(&b, mem));
    json_put(made, "has_listeners", json_build("b", b.count > 0));
    json_put(made, "wildcard", json_text(domain ? arena_printf(mem, "*.%s", domain) : "*.{domain}"));
    json_put(made, "first_balancer",
             json_text(b.configured ? balancer_name(b.all[0].room.arn, mem) : "the first load balancer"));
    json_put(made, "room", json_number(LISTENER_ROOM));
    json_put(made, "limit", json_number(LISTENER_LIMIT));
    *model = json_hold(made);
    return 0;
}
