/* An app's settings: the form, its saving, and pausing and resuming. */
#include <inttypes.h>
#include <string.h>

#include "core/base/text.h"
#include "core/tenant/path_filter.h"
#include "fcgi/admin_app.h"
#include "fcgi/admin_edits.h"
#include "fcgi/admin_lists.h"
#include "fcgi/admin_words.h"

/* ---- Fields ---- */

/* A size is one choice on the page, and two settings in the database. */
static const struct field {
    const char *name, *title;
    enum app_setting setting;
} fields[] = {
    { "size", "Size of a task", APP_CPU_UNITS },
    { "tasks", "Tasks", APP_TASKS },
    { "port", "Port", APP_PORT },
    { "health_check_path", "Health check path", APP_HEALTH_CHECK_PATH },
    { "branch", "Branch", APP_BRANCH },
    { "path_filter", "Paths", APP_PATH_FILTER },
};
enum { FIELDS = sizeof fields / sizeof *fields, EDITS_MAX = FIELDS + 1, TASKS_MAX = 1000, PORT_MAX = 65535 };

static const char *field_of(enum app_setting setting)
{
    for (size_t i = 0; i < FIELDS; i++)
        if (fields[i].setting == setting)
            return fields[i].name;
    return "size"; /* memory */
}

static const char *size_value(int cpu_units, int memory_mib, struct arena *mem)
{
    return arena_printf(mem, "%d/%d", cpu_units, memory_mib);
}

static bool size_parse(const char *text, struct arena *mem, const char **cpu_units, const char **memory_mib)
{
    const char *slash = text ? strchr(text, '/') : NULL;
    int64_t number = 0;

    if (!slash)
        return false;
    *cpu_units = arena_copy_n(mem, text, (size_t)(slash - text));
    *memory_mib = arena_copy(mem, slash + 1);
    return text_parse_int(*cpu_units, 1, INT32_MAX, &number) && text_parse_int(*memory_mib, 1, INT32_MAX, &number);
}

static const char *stored(const struct app *app, const struct field *field, struct arena *mem)
{
    return strcmp(field->name, "size") == 0 ? size_value(app->cpu_units, app->memory_mib, mem)
                                            : app_setting_text(app, field->setting, mem);
}

/* "512 CPU units, 1,024 MiB" for a size; any other value as it is, and what is empty in words. */
static const char *shown(const struct field *field, const char *value, struct arena *mem)
{
    const char *cpu_units = NULL, *memory_mib = NULL;
    int64_t cpu = 0, memory = 0;

    if (strcmp(field->name, "size") != 0)
        return *value ? value : "(empty)";
    if (!size_parse(value, mem, &cpu_units, &memory_mib) || !text_parse_int(cpu_units, 1, INT32_MAX, &cpu) ||
        !text_parse_int(memory_mib, 1, INT32_MAX, &memory))
        return value;
    return arena_printf(mem, "%s CPU units, %s MiB", list_number(mem, cpu), list_number(mem, memory));
}

/* ---- The form ---- */

static json_object *sizes_of(const char *chosen, struct arena *mem)
{
    json_object *rows = json_new_array();
    const struct app_size *sizes = NULL;
    size_t count = app_sizes(mem, &sizes);

    for (size_t i = 0; i < count; i++) {
        const char *value = size_value(sizes[i].cpu_units, sizes[i].memory_mib, mem);
        json_append(rows, json_build("{s:s, s:s, s:b}", "value", value, "text", shown(&fields[0], value, mem),
                                     "selected", strcmp(value, chosen) == 0));
    }
    return rows;
}

/* The first field that is wrong has the focus; wrong lists them, with where they are. */
static json_object *field_model(const struct app *app, const struct field *field, const struct form *form,
                                struct arena *mem, json_object *wrong)
{
    const char *now = stored(app, field, mem), *error = form_error(form, field->name);
    json_object *one = json_build("{s:s, s:s}", "was", now, "error", error);

    if (strcmp(field->name, "size") != 0) /* its value is the chosen one of the sizes */
        json_put(one, "value", json_text(edit_shown(form, field->name, now, mem)));
    json_put(one, "invalid", *error ? json_text("true") : json_build("b", 0));
    json_put(one, "focus", json_build("b", *error && json_length(wrong) == 0));
    if (*error)
        json_append(wrong, json_build("{s:s, s:s, s:s}", "to", arena_printf(mem, "#%s", field->name), "title",
                                      field->title, "error", error));
    json_put(one, "describedby",
             json_text(arena_printf(mem, *error ? "help-%s error-%s" : "help-%s", field->name, field->name)));
    return one;
}

/* What a rollout of such tasks takes of a quota, beside what stays. */
static const char *needs(const struct app_quota *quota, int64_t more, struct arena *mem)
{
    bool fits = quota->base + more <= quota->limit;

    return arena_printf(mem, "%s of %s%s", list_number(mem, quota->base + more), list_number(mem, quota->limit),
                        fits ? "" : ", which is too much");
}

static const struct app_quota *quota_of(const struct app_page *page, const char *name)
{
    for (size_t i = 0; i < page->quota_count; i++)
        if (strcmp(page->quotas[i].name, name) == 0)
            return &page->quotas[i];
    return NULL;
}

/* What the field of that place shows. */
static const char *shown_of(const struct app *app, const struct field *field, const struct form *form,
                            struct arena *mem)
{
    return edit_shown(form, field->name, stored(app, field, mem), mem);
}

static const char *effect_of(const struct app_page *page, const struct form *form, struct arena *mem)
{
    const struct app_quota *cpu = quota_of(page, "cpu_units"), *memory = quota_of(page, "memory_mib");
    const char *cpu_units = NULL, *memory_mib = NULL;
    int64_t each_cpu = 0, each_memory = 0, tasks = 0;

    if (!cpu || !memory || !size_parse(shown_of(&page->app, &fields[0], form, mem), mem, &cpu_units, &memory_mib) ||
        !text_parse_int(cpu_units, 1, INT32_MAX, &each_cpu) ||
        !text_parse_int(memory_mib, 1, INT32_MAX, &each_memory) ||
        !text_parse_int(shown_of(&page->app, &fields[1], form, mem), 0, TASKS_MAX, &tasks))
        return "";
    return arena_printf(mem, "During a rollout the old tasks and the new ones run: %s CPU units and %s MiB.",
                        needs(cpu, each_cpu * tasks, mem), needs(memory, each_memory * tasks, mem));
}

/* Patterns with other spaces between them are the same. */
static bool is_same(const struct field *field, const char *typed, const char *now, struct arena *mem)
{
    return strcmp(field->setting == APP_PATH_FILTER ? path_filter_tidy(typed, mem) : typed, now) == 0;
}

/* What somebody else changed since this form was opened; what its author wrote there is no news, saved or not. */
static int add_change(struct admin *admin, struct db *db, const struct app *app, const struct field *field,
                      const struct form *form, struct arena *mem, json_object *rows, struct err *e)
{
    AUTO_ROWS struct db_rows *by = NULL;
    const char *now = stored(app, field, mem), *was = edit_was(form, field->name, mem);
    const char *typed = edit_text(form, field->name, mem);

    if (!was || strcmp(was, now) == 0 || (typed && is_same(field, typed, now, mem)))
        return 0;
    if (db_query(db, app->name, QUERY_APP_CHANGED_BY, &by, e, db_text(app->name),
                 db_text(app_setting_name(field->setting)),
                 field->setting == APP_CPU_UNITS ? db_text(app_setting_name(APP_MEMORY_MIB)) : db_null()))
        return e->code;
    struct edit_change change = { .name = field->name,
                                  .title = field->title,
                                  .was = shown(field, was, mem),
                                  .now = shown(field, now, mem),
                                  .yours = typed ? shown(field, typed, mem) : NULL };
    if (db_count(by) > 0) {
        change.by = db_get_copy(by, 0, "actor", mem);
        change.at = db_get_copy(by, 0, "at", mem);
    }
    json_append(rows, edit_change_row(&change, clock_now_ms(admin->clock), mem));
    return 0;
}

int app_settings_model(struct admin *admin, struct db *db, const struct app_page *page, const struct form *form,
                       struct arena *mem, json_object **out, struct err *e)
{
    AUTO_JSON json_object *settings = json_new_object();
    json_object *changes = json_new_array(), *wrong = json_new_array();

    json_put(settings, "meanwhile", changes);
    json_put(settings, "wrong", wrong);
    for (size_t i = 0; i < FIELDS; i++) {
        json_put(settings, fields[i].name, field_model(&page->app, &fields[i], form, mem, wrong));
        if (add_change(admin, db, &page->app, &fields[i], form, mem, changes, e))
            return e->code;
    }
    json_put(settings, "sizes", sizes_of(shown_of(&page->app, &fields[0], form, mem), mem));
    json_put(settings, "effect", json_text(effect_of(page, form, mem)));
    *out = json_hold(settings);
    return 0;
}

/* ---- Saving ---- */

static void refuse_by(struct form *form, const char *field, const struct err *e)
{
    form_refuse(form, field, "%s.%s%s", e->message, *e->hint ? " " : "", e->hint);
}

static void check_text(struct form *form, const char *field, int (*check)(const char *text, struct err *e),
                       struct arena *mem)
{
    const char *text = edit_text(form, field, mem);
    struct err e = { 0 };

    if (text && check(text, &e))
        refuse_by(form, field, &e);
}

/* Each field by itself, so that all that is wrong is said at once; sums are the operation's. */
static void check_fields(struct form *form, struct arena *mem)
{
    int64_t number = 0;

    (void)form_number(form, "tasks", 0, TASKS_MAX, &number);
    (void)form_number(form, "port", 1, PORT_MAX, &number);
    check_text(form, "health_check_path", app_check_health_path, mem);
    check_text(form, "branch", app_check_branch, mem);
    check_text(form, "path_filter", path_filter_check, mem);
}

/* Only what its author changed is an edit: what somebody else changed meanwhile, and this one left alone, stays. */
static size_t edits_of(struct form *form, struct arena *mem, struct app_edit edits[EDITS_MAX])
{
    size_t count = 0;

    for (size_t i = 0; i < FIELDS; i++) {
        const char *to = edit_text(form, fields[i].name, mem), *was = edit_was(form, fields[i].name, mem);
        const char *cpu = NULL, *memory = NULL, *was_cpu = NULL, *was_memory = NULL;

        if (!to)
            continue;
        if (strcmp(fields[i].name, "size") != 0) {
            edits[count++] = (struct app_edit){ fields[i].setting, to, was };
        } else if (!size_parse(to, mem, &cpu, &memory)) {
            form_refuse(form, "size", "Choose one of the sizes: others Fargate doesn't run.");
        } else {
            bool seen = size_parse(was, mem, &was_cpu, &was_memory);
            edits[count++] = (struct app_edit){ APP_CPU_UNITS, cpu, seen ? was_cpu : NULL };
            edits[count++] = (struct app_edit){ APP_MEMORY_MIB, memory, seen ? was_memory : NULL };
        }
    }
    return count;
}

static int save(struct admin *admin, struct request *request, struct form *form, struct app_update *done, struct err *e)
{
    struct app_edit edits[EDITS_MAX];
    size_t count = edits_of(form, request->mem, edits);

    check_fields(form, request->mem);
    if (form->errors)
        return 0;
    if (!app_update(admin->db, request_value(request, "app"), request->remote_user, edits, count, request->mem, done,
                    e))
        return 0;
    if ((e->code == ERR_INVALID || e->code == ERR_QUOTA) && done->at_fault != APP_SETTING_COUNT)
        refuse_by(form, field_of(done->at_fault), e);
    return e->code == ERR_INVALID && form->errors ? 0 : (int)e->code;
}

int settings_change(struct admin *admin, struct request *request, struct form *form, struct admin_answer *answer,
                    struct err *e)
{
    const char *what = form_text(form, "do");
    struct app_update done = { 0 };

    if (save(admin, request, form, &done, e))
        return e->code;
    if (form->errors)
        return 0;
    if (what && strcmp(what, "redeploy") == 0) {
        if (redeploy_live(admin, request, answer, e))
            return err_context(e, "the settings are saved, but nothing was deployed");
        return 0;
    }
    answer->to = arena_printf(request->mem, "/apps/%s", request_value(request, "app"));
    answer->notice = done.changed ? NOTICE_SETTINGS_SAVED : NOTICE_SETTINGS_SAME;
    return 0;
}

/* ---- Pausing ---- */

int pause_change(struct admin *admin, struct request *request, struct form *form, struct admin_answer *answer,
                 struct err *e)
{
    const char *app = request_value(request, "app");
    bool changed = false;

    (void)form;
    if (app_pause(admin->db, app, request->remote_user, &changed, e))
        return e->code;
    answer->to = arena_printf(request->mem, "/apps/%s", app);
    answer->notice = NOTICE_PAUSED;
    answer->values = (struct notice_values){ .app = app };
    return 0;
}

int resume_change(struct admin *admin, struct request *request, struct form *form, struct admin_answer *answer,
                  struct err *e)
{
    const char *app = request_value(request, "app");
    bool changed = false, look = false;

    (void)form;
    if (app_resume(admin->db, app, request->remote_user, &changed, &look, e))
        return e->code;
    answer->to = arena_printf(request->mem, "/apps/%s", app);
    answer->notice = look ? NOTICE_RESUMED_LOOKS : NOTICE_RESUMED;
    answer->values = (struct notice_values){ .app = app };
    return 0;
}
