/* /apps/{app}/deliveries/{id}: everything that is known of one delivery, with what GitHub sent; and running it again. */
#include <string.h>

#include "core/base/hash.h"
#include "core/base/text.h"
#include "core/deploy/steps/log_mask.h"
#include "fcgi/admin.h"
#include "fcgi/admin_delivery_words.h"
#include "fcgi/admin_lists.h"
#include "fcgi/when.h"

enum {
    BODY_READ_MAX = 1024 * 1024, /* larger ones are shown as they came */
    BODY_SHOWN_MAX = 64 * 1024,  /* bytes of text */
    BODY_PAGE_MAX = 44 * 1024,   /* of the same, as it is written into the page: the page stays below 60 KB */
    ESCAPED_MAX = 6              /* "&quot;" */
};

/* ---- What GitHub sent, for people to read ---- */

static void indent(struct buf *out, int depth)
{
    buf_add_char(out, '\n');
    for (int i = 0; i < depth; i++)
        buf_add_text(out, "  ");
}

static void write_pretty(const json_object *value, int depth, struct arena *mem, struct buf *out)
{
    size_t count = 0;

    if (json_is_object(value)) {
        buf_add_char(out, '{');
        for (struct json_member m = json_first(value); m.name; m = json_next(m)) {
            AUTO_JSON json_object *name = json_text(m.name);
            buf_add_text(out, count++ ? "," : "");
            indent(out, depth + 1);
            buf_printf(out, "%s: ", json_to_text(name, mem));
            write_pretty(m.value, depth + 1, mem, out);
        }
        if (count)
            indent(out, depth);
        buf_add_char(out, '}');
    } else if (json_is_array(value)) {
        buf_add_char(out, '[');
        for (; count < json_length(value); count++) {
            buf_add_text(out, count ? "," : "");
            indent(out, depth + 1);
            write_pretty(json_item(value, count), depth + 1, mem, out);
        }
        if (count)
            indent(out, depth);
        buf_add_char(out, ']');
    } else {
        buf_add_text(out, value ? json_to_text(value, mem) : "null");
    }
}

static size_t page_size(const char *line)
{
    size_t size = 1;

    for (const char *c = line; *c; c++)
        size += strchr("&<>\"'", *c) ? ESCAPED_MAX : 1;
    return size;
}

/* Line by line, with what looks like a credential masked, until the page would be too long. */
static const char *mask_and_cut(const char *text, struct arena *mem, bool *cut)
{
    AUTO_BUF struct buf out = { 0 };
    size_t in_page = 0;

    while (*text) {
        size_t len = strcspn(text, "\n");
        const char *line = log_mask(mem, arena_copy_n(mem, text, len));
        if (len >= LOG_LINE_MAX) { /* more than log_mask shows */
            line = arena_printf(mem, "%s\xe2\x80\xa6", line);
            *cut = true;
        }
        in_page += page_size(line);
        if (in_page > BODY_PAGE_MAX || out.len + strlen(line) > BODY_SHOWN_MAX) {
            *cut = true;
            break;
        }
        buf_add_text(&out, line);
        buf_add_char(&out, '\n');
        text += len + (text[len] == '\n');
    }
    return arena_copy(mem, buf_text(&out));
}

static const char *readable(const char *hex, int64_t size, struct arena *mem, bool *cut)
{
    size_t len = strlen(hex) / 2;
    uint8_t *bytes = arena_alloc(mem, len + 1);
    AUTO_JSON json_object *value = NULL;
    AUTO_BUF struct buf pretty = { 0 };
    struct err e = { 0 };

    if (!hash_from_hex(hex, len * 2, bytes))
        return "";
    *cut = (int64_t)len < size;
    if (*cut || json_parse((const char *)bytes, len, &value, &e))
        return mask_and_cut((const char *)bytes, mem, cut);
    write_pretty(value, 0, mem, &pretty);
    return mask_and_cut(buf_text(&pretty), mem, cut);
}

static int put_body(struct db *db, const struct delivery_entry *entry, struct arena *mem, json_object *model,
                    struct err *e)
{
    AUTO_ROWS struct db_rows *rows = NULL;
    bool cut = false;

    if (db_query(db, NULL, QUERY_DELIVERY_BODY, &rows, e, db_text(entry->app), db_text(entry->id),
                 db_int(BODY_READ_MAX)))
        return e->code;
    const char *hex = db_get(rows, 0, "hex");
    int64_t size = db_get_int(rows, 0, "size");
    json_put(model, "body", json_text(hex ? readable(hex, size, mem, &cut) : ""));
    json_put(model, "cut", json_build("b", cut));
    json_put(model, "size", json_text(hex ? arena_printf(mem, "%s bytes", list_number(mem, size)) : ""));
    json_put(model, "sha256", json_text(text_or_empty(db_get(rows, 0, "sha256"))));
    return 0;
}

/* ---- Facts ---- */

static json_object *fact_rows(const struct delivery_entry *entry)
{
    json_object *rows = json_new_array();
    const struct {
        const char *name, *value, *class_name;
    } facts[] = {
        { "Delivery", entry->id, "made" },    { "Event", entry->event, "made" },
        { "Branch", entry->branch, "" },      { "Commit", entry->commit_sha, "made" },
        { "Title", entry->commit_title, "" }, { "Pushed by", entry->pushed_by, "" },
        { "Reason", entry->reason, "" },
    };

    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++)
        if (facts[i].value && *facts[i].value)
            json_append(rows, json_build("{s:s, s:s, s:s}", "name", facts[i].name, "value", facts[i].value, "class",
                                         facts[i].class_name));
    return rows;
}

static void put_facts(struct admin *admin, const struct delivery_context *context, const struct delivery_entry *entry,
                      struct arena *mem, json_object *model)
{
    bool again = delivery_may_differ(context, entry);

    json_put(model, "title",
             json_text(arena_printf(mem, "Delivery %s of %s - berth", short_delivery(entry->id, mem), entry->app)));
    json_put(model, "app", json_text(entry->app));
    json_put(model, "app_url", json_text(arena_printf(mem, "/apps/%s", entry->app)));
    json_put(
        model, "list_url",
        json_text(list_url(mem, "/deliveries", (const struct list_part[]){ { "app", entry->app }, { NULL, NULL } })));
    json_put(model, "id", json_text(short_delivery(entry->id, mem)));
    json_put(model, "at", json_text(text_or_empty(entry->received_at)));
    json_put(model, "ago", json_text(when_ago(mem, entry->received_at, clock_now_ms(admin->clock))));
    json_put(model, "told", delivery_told(context, entry, mem));
    json_put(model, "answer", json_number(delivery_answered(entry->outcome)));
    json_put(model, "answer_word", json_text(response_reason(delivery_answered(entry->outcome))));
    json_put(model, "run",
             json_text(again ? arena_printf(mem, "%s/run-again", delivery_url(entry->app, entry->id, mem)) : ""));
    json_put(model, "run_note",
             json_text(!again ? "Running it again could not end differently, so there is no button for it."
                       : entry->has_body
                           ? "The same push, judged by today's settings, rate limit and quotas."
                           : "What GitHub sent is no longer kept: the branch's head is looked at instead."));
    json_put(model, "facts", fact_rows(entry));
}

int delivery_model(struct admin *admin, struct db *db, struct request *request, json_object **model, struct err *e)
{
    AUTO_JSON json_object *made = json_new_object();
    struct delivery_context *context = NULL;
    struct delivery_entry entry = { 0 };
    struct arena *mem = request->mem;

    if (delivery_get(db, request_value(request, "app"), request_value(request, "delivery"), mem, &entry, e) ||
        delivery_context_read(db, &entry, 1, mem, &context, e) || put_body(db, &entry, mem, made, e))
        return e->code;
    put_facts(admin, context, &entry, mem, made);
    admin_put_token(admin, request, made, "run_again");
    *model = json_hold(made);
    return 0;
}

/* ---- Running it again ---- */

int run_again_change(struct admin *admin, struct request *request, struct form *form, struct admin_answer *answer,
                     struct err *e)
{
    const char *app = request_value(request, "app"), *id = request_value(request, "delivery");
    struct delivery_rerun rerun = { 0 };

    (void)form;
    if (delivery_run_again(admin->db, app, id, request->remote_user, request->mem, &rerun, e))
        return e->code;
    answer->to = delivery_url(app, id, request->mem);
    answer->values = (struct notice_values){ .release = rerun.release, .app = app };
    answer->notice = rerun.looked                         ? NOTICE_RUN_LOOKED
                     : rerun.outcome == DELIVERY_ACCEPTED ? NOTICE_RUN_ACCEPTED
                                                          : NOTICE_RUN_JUDGED;
    return 0;
}
