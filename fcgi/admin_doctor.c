/* /doctor: what the doctor last found. Looking at the page never waits for a run; see doctor_watch.h. */
#include "fcgi/admin.h"
#include "fcgi/admin_lists.h"
#include "fcgi/admin_words.h"
#include "fcgi/doctor_watch.h"
#include "fcgi/when.h"

static struct mark mark_of_verdict(enum doctor_verdict verdict)
{
    static const struct mark marks[DOCTOR_VERDICT_COUNT] = {
        [DOCTOR_OK] = { "mark done", "Well" },
        [DOCTOR_WARNING] = { "mark warning", "Warning" },
        [DOCTOR_FAILED] = { "mark failed", "Failed" },
        [DOCTOR_SKIPPED] = { "mark none", "Not looked at" },
    };

    return marks[verdict];
}

static json_object *check_row(const struct doctor_check *check, struct arena *mem)
{
    struct mark mark = mark_of_verdict(check->verdict);

    return json_build("{s:s, s:s, s:s, s:s, s:o, s:o, s:s}", "id", check->id, "title", check->title, "mark",
                      mark.class_name, "word", mark.word, "told", text_parts(check->told, mem), "hint",
                      text_parts(check->hint, mem), "took",
                      check->verdict == DOCTOR_SKIPPED ? "" : when_length(mem, check->took_ms));
}

/* What needs somebody first; among equals in the doctor's own order. */
static json_object *check_rows(const struct doctor_watch_found *found, struct arena *mem)
{
    static const enum doctor_verdict order[] = { DOCTOR_FAILED, DOCTOR_WARNING, DOCTOR_OK, DOCTOR_SKIPPED };
    json_object *rows = json_new_array();

    for (size_t o = 0; o < sizeof order / sizeof *order; o++)
        for (size_t i = 0; i < found->count; i++)
            if (found->checks[i].verdict == order[o])
                json_append(rows, check_row(&found->checks[i], mem));
    return rows;
}

static json_object *count_rows(const struct doctor_watch_found *found, struct arena *mem)
{
    json_object *rows = json_new_array();

    for (int i = 0; i < DOCTOR_VERDICT_COUNT; i++) {
        struct mark mark = mark_of_verdict((enum doctor_verdict)i);
        if (found->count_of[i] > 0)
            json_append(rows, json_build("{s:s, s:s}", "mark", mark.class_name, "word",
                                         arena_printf(mem, "%s %d", mark.word, found->count_of[i])));
    }
    return rows;
}

static const char *sum_up(const struct doctor_watch_found *found, struct arena *mem)
{
    int bad = found->count_of[DOCTOR_FAILED] + found->count_of[DOCTOR_WARNING];
    int unseen = found->count_of[DOCTOR_SKIPPED];
    const char *rest = unseen ? arena_printf(mem, ", %d not looked at", unseen) : "";

    if (found->count == 0)
        return "";
    if (bad > 0)
        return arena_printf(mem, "%d of %zu checks need%s you%s", bad, found->count, bad == 1 ? "s" : "", rest);
    return unseen ? arena_printf(mem, "nothing wrong found%s", rest) : "all is well";
}

int doctor_model(struct admin *admin, struct db *db, struct request *request, json_object **model, struct err *e)
{
    struct doctor_watch_found found;
    struct arena *mem = request->mem;
    char at[CLOCK_ISO_SIZE];

    (void)db;
    (void)e;
    doctor_watch_look(admin->doctor, mem, &found);
    if (!found.running && (found.at_ms == 0 || found.age_ms > DOCTOR_WATCH_STALE_MS))
        found.running = doctor_watch_start(admin->doctor);
    clock_format_iso(found.at_ms, at);
    *model = json_build("{s:s, s:b, s:b, s:b, s:s, s:s, s:s, s:o, s:o, s:b}", "summary", sum_up(&found, mem), "running",
                        found.running, "waiting", found.running && found.count == 0, "was_run", found.at_ms != 0, "at",
                        at, "ago", found.at_ms ? when_ago(mem, at, clock_now_ms(admin->clock)) : "", "error",
                        text_or_empty(found.error), "counts", count_rows(&found, mem), "checks",
                        check_rows(&found, mem), "has_checks", found.count > 0);
    admin_put_token(admin, request, *model, "check_now");
    return 0;
}

int check_now_change(struct admin *admin, struct request *request, struct form *form, struct admin_answer *answer,
                     struct err *e)
{
    (void)request;
    (void)form;
    (void)e;
    answer->to = "/doctor";
    answer->notice = doctor_watch_start(admin->doctor) ? NOTICE_DOCTOR_BEGUN : NOTICE_DOCTOR_RECENT;
    return 0;
}
