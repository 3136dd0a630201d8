#include "core/tenant/app.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/json.h"
#include "core/base/text.h"
#include "core/tenant/path_filter.h"

enum {
    OWNER_MAX = 39, /* a GitHub login */
    REPOSITORY_NAME_MAX = 100,
    PORT_MAX = 65535,
    TASKS_MAX = 1000
};

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

static const char *const policy_names[WEBHOOK_POLICY_COUNT] = {
    [WEBHOOK_GITHUB] = "github", [WEBHOOK_SIGNED] = "signed"
};

const char *webhook_policy_name(enum webhook_policy policy)
{
    return policy_names[policy];
}

bool webhook_policy_parse(const char *name, enum webhook_policy *out)
{
    for (int i = 0; i < WEBHOOK_POLICY_COUNT; i++) {
        if (strcmp(name, policy_names[i]) == 0) {
            *out = (enum webhook_policy)i;
            return true;
        }
    }
    return false;
}

/* A stranger's text in a message: short, and without what would garble a terminal. */
struct shown {
    char text[80];
};

static struct shown shown(const char *text)
{
    struct shown out;

    text_excerpt(text, out.text, sizeof out.text);
    return out;
}

int app_check_name(const char *name, struct err *e)
{
    static const char *const reserved[] = { "www", "admin", "berth", "hooks" };
    static const char rule[] = "1 to 22 characters of a-z, 0-9 and single hyphens, beginning with a letter and not "
                               "ending with a hyphen";
    size_t len = strlen(name);

    if (len == 0 || len > APP_NAME_MAX || strspn(name, LOWER DIGITS "-") != len || !strchr(LOWER, name[0]) ||
        name[len - 1] == '-' || strstr(name, "--")) {
        err_set(e, ERR_INVALID, "\"%s\" can't be an app's name: it must be %s", shown(name).text, rule);
        return err_hint(e,
                        "The name becomes part of the app's host name and of its AWS resources' names, the "
                        "shortest of which leaves %d characters.",
                        APP_NAME_MAX);
    }
    for (size_t i = 0; i < sizeof reserved / sizeof *reserved; i++)
        if (strcmp(name, reserved[i]) == 0)
            return err_set(e, ERR_INVALID, "\"%s\" is reserved: it would pass for a host of berth itself", name);
    return 0;
}

static bool is_owner(const char *text, size_t len)
{
    return len > 0 && len <= OWNER_MAX && strspn(text, LOWER UPPER DIGITS "-") >= len && text[0] != '-' &&
           text[len - 1] != '-';
}

static bool is_repository_name(const char *text)
{
    size_t len = strlen(text);

    return len > 0 && len <= REPOSITORY_NAME_MAX && strspn(text, LOWER UPPER DIGITS "._-") == len &&
           strcmp(text, ".") != 0 && strcmp(text, "..") != 0 && !text_ends(text, ".git");
}

int app_check_repository(const char *repository, struct err *e)
{
    const char *slash = strchr(repository, '/');

    if (slash && is_owner(repository, (size_t)(slash - repository)) && is_repository_name(slash + 1))
        return 0;
    err_set(e, ERR_INVALID, "\"%s\" is not a GitHub repository's name", shown(repository).text);
    return err_hint(e, "Give owner/name, like acme/shop: not its URL, and without .git at the end.");
}

/* One part of a ref between slashes. */
static bool is_ref_part(const char *part, size_t len)
{
    return len > 0 && part[0] != '.' && !(len >= 5 && memcmp(part + len - 5, ".lock", 5) == 0);
}

static bool is_branch(const char *branch)
{
    size_t len = strlen(branch);

    if (len == 0 || len > APP_BRANCH_MAX || !text_is_utf8(branch, len) || text_has_control(branch, len) ||
        strpbrk(branch, " ~^:?*[\\") || strstr(branch, "..") || strstr(branch, "@{") || branch[0] == '-' ||
        branch[len - 1] == '.' || strcmp(branch, "@") == 0 || strcmp(branch, "HEAD") == 0)
        return false;
    for (const char *part = branch;;) {
        size_t part_len = strcspn(part, "/");
        if (!is_ref_part(part, part_len))
            return false;
        if (part[part_len] == '\0')
            return true;
        part += part_len + 1;
    }
}

int app_check_branch(const char *branch, struct err *e)
{
    if (is_branch(branch))
        return 0;
    err_set(e, ERR_INVALID, "\"%s\" is not a branch's name as git allows it (at most %d bytes)", shown(branch).text,
            APP_BRANCH_MAX);
    return err_hint(e, "Give the branch alone, like main, without refs/heads/; see git-check-ref-format(1).");
}

/* "Task size" in the ECS Developer Guide: each vCPU count, and its memory from..to in steps. */
static const struct size {
    int cpu_units, memory_from, memory_to, memory_step;
} sizes[] = {
    { 256, 1024, 2048, 1024 },      { 512, 1024, 4096, 1024 },   { 1024, 2048, 8192, 1024 },
    { 2048, 4096, 16384, 1024 },    { 4096, 8192, 30720, 1024 }, { 8192, 16384, 61440, 4096 },
    { 16384, 32768, 122880, 8192 },
};
enum { SIZES = sizeof sizes / sizeof *sizes, SMALLEST_CPU = 256, SMALLEST_MEMORY = 512 };

static int nearest_memory(const struct size *size, int memory_mib)
{
    int steps;

    if (size->cpu_units == SMALLEST_CPU && memory_mib < (SMALLEST_MEMORY + size->memory_from) / 2)
        return SMALLEST_MEMORY;
    if (memory_mib <= size->memory_from)
        return size->memory_from;
    if (memory_mib >= size->memory_to)
        return size->memory_to;
    steps = (memory_mib - size->memory_from + size->memory_step / 2) / size->memory_step;
    return size->memory_from + steps * size->memory_step;
}

static int least_memory(const struct size *size)
{
    return size->cpu_units == SMALLEST_CPU ? SMALLEST_MEMORY : size->memory_from;
}

/* More memory than goes with so many CPU units goes with more of them, and less with fewer. NULL: with none. */
static const struct size *size_for_memory(const struct size *size, int memory_mib)
{
    int step = memory_mib > size->memory_to ? 1 : -1;

    if (memory_mib >= least_memory(size) && memory_mib <= size->memory_to)
        return NULL;
    for (const struct size *other = size + step; other >= sizes && other < sizes + SIZES; other += step)
        if (memory_mib >= least_memory(other) && memory_mib <= other->memory_to)
            return other;
    return NULL;
}

/* Of so many CPU units: what memory goes with them, the nearest, and the nearest size with the memory that was meant. */
static int hint_memory(const struct size *size, int memory_mib, struct err *e)
{
    const struct size *other = size_for_memory(size, memory_mib);
    char or_other[64] = "";

    if (other)
        snprintf(or_other, sizeof or_other, ", or %d CPU units with %d MiB", other->cpu_units,
                 nearest_memory(other, memory_mib));
    return err_hint(e, "%d CPU units go with %s%d to %d MiB in steps of %d; the nearest is %d MiB%s.", size->cpu_units,
                    size->cpu_units == SMALLEST_CPU ? "512 MiB or " : "", size->memory_from, size->memory_to,
                    size->memory_step, nearest_memory(size, memory_mib), or_other);
}

int app_check_size(int cpu_units, int memory_mib, struct err *e)
{
    const struct size *near = &sizes[0];
    int memory;

    for (int i = 1; i < SIZES; i++)
        if (llabs((long long)sizes[i].cpu_units - cpu_units) < llabs((long long)near->cpu_units - cpu_units))
            near = &sizes[i];
    memory = nearest_memory(near, memory_mib);
    if (near->cpu_units == cpu_units && memory == memory_mib)
        return 0;
    err_set(e, ERR_INVALID, "Fargate has no task of %d CPU units with %d MiB of memory", cpu_units, memory_mib);
    if (near->cpu_units != cpu_units)
        return err_hint(e,
                        "CPU units are 256, 512, 1024, 2048, 4096, 8192 or 16384; the nearest size is %d with %d MiB.",
                        near->cpu_units, memory);
    return hint_memory(near, memory_mib, e);
}

size_t app_sizes(struct arena *mem, const struct app_size **out)
{
    size_t count = 1;
    struct app_size *all;

    for (int i = 0; i < SIZES; i++)
        count += (size_t)((sizes[i].memory_to - sizes[i].memory_from) / sizes[i].memory_step + 1);
    all = arena_array(mem, count, sizeof *all);
    *out = all;
    *all++ = (struct app_size){ SMALLEST_CPU, SMALLEST_MEMORY };
    for (int i = 0; i < SIZES; i++)
        for (int memory = sizes[i].memory_from; memory <= sizes[i].memory_to; memory += sizes[i].memory_step)
            *all++ = (struct app_size){ sizes[i].cpu_units, memory };
    return count;
}

int app_check_health_path(const char *path, struct err *e)
{
    size_t len = strlen(path);

    if (path[0] == '/' && len <= APP_HEALTH_PATH_MAX && !text_has_control(path, len) && !strchr(path, ' ') &&
        text_is_utf8(path, len))
        return 0;
    err_set(
        e, ERR_INVALID,
        "\"%s\" is not a path for the health check: it begins with a slash, has no spaces, and has at most %d bytes",
        shown(path).text, APP_HEALTH_PATH_MAX);
    return err_hint(e, "Write a path, like /healthz.");
}

int app_check(const struct app *app, struct err *e)
{
    if (app_check_name(app->name, e) || app_check_repository(app->repository, e) || app_check_branch(app->branch, e) ||
        app_check_health_path(app->health_check_path, e) || app_check_size(app->cpu_units, app->memory_mib, e) ||
        (app->path_filter && path_filter_check(app->path_filter, e)))
        return e->code;
    if (app->port < 1 || app->port > PORT_MAX)
        return err_set(e, ERR_INVALID, "%d is not a port: it is 1 to %d", app->port, PORT_MAX);
    if (app->tasks < 0 || app->tasks > TASKS_MAX)
        return err_set(e, ERR_INVALID, "%d tasks can't be run: it is 0 to %d", app->tasks, TASKS_MAX);
    return 0;
}

static int insert(struct db *db, const struct app *app, struct err *e)
{
    AUTO_ARENA struct arena *mem = arena_new();
    const char *paths = path_filter_tidy(app->path_filter ? app->path_filter : "", mem);
    AUTO_ROWS struct db_rows *made = NULL;

    if (db_query(db, app->name, QUERY_APP_ADD, &made, e, db_text(app->name), db_text(app->repository),
                 db_text(app->branch), db_text(webhook_policy_name(app->policy)), db_text(app->health_check_path),
                 db_int(app->port), db_int(app->cpu_units), db_int(app->memory_mib), db_int(app->tasks),
                 db_text(paths)))
        return e->code;
    if (db_count(made) == 0)
        return err_set(e, ERR_CONFLICT, "there is an app named %s already", app->name);
    return 0;
}

static int audit(struct db *db, const struct app *app, const char *actor, struct err *e)
{
    AUTO_ARENA struct arena *mem = arena_new();
    AUTO_JSON json_object *after =
        json_build("{s:s, s:s, s:s, s:s, s:i, s:i, s:i, s:i, s:s}", "repository", app->repository, "branch",
                   app->branch, "webhook_policy", webhook_policy_name(app->policy), "health_check_path",
                   app->health_check_path, "port", app->port, "cpu_units", app->cpu_units, "memory_mib",
                   app->memory_mib, "tasks", app->tasks, "path_filter", app->path_filter);

    return db_query(db, app->name, QUERY_AUDIT_ADD, NULL, e, db_text(actor), db_text("app.create"), db_text(app->name),
                    db_null(), db_text(json_to_text(after, mem)));
}

int app_create(struct db_pool *admin, const struct app *app, const char *actor, struct err *e)
{
    AUTO_DB struct db *db = NULL;

    if (app_check(app, e) || db_take(admin, &db, e) || db_begin(db, app->name, e))
        return e->code;
    if (insert(db, app, e) || audit(db, app, actor, e)) {
        db_rollback(db);
        return e->code;
    }
    return db_commit(db, e);
}

static int read_app(const struct db_rows *rows, size_t row, struct arena *mem, struct app *out, struct err *e)
{
    struct app app = {
        .name = db_get_copy(rows, row, "app_name", mem),
        .repository = db_get_copy(rows, row, "repository", mem),
        .repository_id = db_get_int(rows, row, "repository_id"),
        .branch = db_get_copy(rows, row, "branch", mem),
        .health_check_path = db_get_copy(rows, row, "health_check_path", mem),
        .port = (int)db_get_int(rows, row, "port"),
        .cpu_units = (int)db_get_int(rows, row, "cpu_units"),
        .memory_mib = (int)db_get_int(rows, row, "memory_mib"),
        .tasks = (int)db_get_int(rows, row, "tasks"),
        .path_filter = db_get_copy(rows, row, "path_filter", mem),
        .state = db_get_copy(rows, row, "state", mem),
    };

    if (!webhook_policy_parse(db_get(rows, row, "webhook_policy"), &app.policy))
        return err_set(e, ERR_INTERNAL, "app %s has a webhook policy that this berth doesn't know", app.name);
    *out = app;
    return 0;
}

int app_get(struct db *db, const char *name, struct arena *mem, struct app *out, struct err *e)
{
    AUTO_ROWS struct db_rows *rows = NULL;

    if (db_query(db, name, QUERY_APP_FIND, &rows, e, db_text(name)))
        return e->code;
    if (db_count(rows) == 0) {
        err_set(e, ERR_NOT_FOUND, "there is no app named \"%s\"", shown(name).text);
        return err_hint(e, "`berth apps list` shows the apps there are.");
    }
    return read_app(rows, 0, mem, out, e);
}

int app_list(struct db *db, struct arena *mem, struct app **out, size_t *count, struct err *e)
{
    AUTO_ROWS struct db_rows *rows = NULL;
    struct app *apps;

    if (db_run(db, NULL, QUERY_APP_LIST, NULL, 0, &rows, e))
        return e->code;
    apps = arena_array(mem, db_count(rows) + 1, sizeof *apps);
    for (size_t i = 0; i < db_count(rows); i++)
        if (read_app(rows, i, mem, &apps[i], e))
            return e->code;
    *out = apps;
    *count = db_count(rows);
    return 0;
}
