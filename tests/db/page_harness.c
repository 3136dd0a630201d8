#include "tests/db/page_harness.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <pthread.h>

#include "core/deploy/steps/log_mask.h"
#include "fcgi/csrf.h"
#include "fcgi/doctor_watch.h"
#include "fcgi/log_follow.h"

enum { PAGE_LOG_MAX = 6000, PAGE_LOG_READ = 1000 };

static const char *operators[] = { "operator", NULL };
static const char *listeners[] = { FIRST, SECOND, NULL };

/* ---- Asking ---- */

static const char *seen_param(void *source, const char *name)
{
    return strcmp(name, "HTTP_IF_NONE_MATCH") ? NULL : source;
}

struct response page_ask(struct page_harness *f, const char *target)
{
    return page_ask_again(f, target, NULL);
}

struct response page_ask_again(struct page_harness *f, const char *target, const char *seen)
{
    struct request request = { .mem = f->mem,
                               .method = "GET",
                               .remote_user = "operator",
                               .query = "",
                               .param = seen_param,
                               .source = (void *)(uintptr_t)seen };
    struct response response;

    response_init(&response);
    request_set_target(&request, target);
    router_answer(&f->application, &request, &response);
    return response;
}

const char *page_body(struct page_harness *f, const char *target, int status)
{
    struct response response = page_ask(f, target);
    const char *body = arena_copy(f->mem, buf_text(&response.body));

    if (response.status != status)
        fail_msg("GET %s: %d\n%s", target, response.status, body);
    response_free(&response);
    return body;
}

const char *page_of(struct page_harness *f, const char *target)
{
    return page_body(f, target, 200);
}

struct sent {
    const char *body;
    size_t read;
};

static const char *param(void *source, const char *name)
{
    (void)source;
    if (!strcmp(name, "CONTENT_TYPE"))
        return "application/x-www-form-urlencoded";
    return strcmp(name, "HTTP_SEC_FETCH_SITE") ? NULL : "same-origin";
}

static int read_body(void *source, void *to, size_t room, size_t *got, struct err *e)
{
    struct sent *sent = source;
    size_t left = strlen(sent->body) - sent->read;

    (void)e;
    *got = left < room ? left : room;
    memcpy(to, sent->body + sent->read, *got);
    sent->read += *got;
    return 0;
}

struct response page_press(struct page_harness *f, const char *page, const char *action)
{
    const char *form = strstr(page, arena_printf(f->mem, "action=\"%s\"", action)); /* or a button's formaction */
    const char *token = form ? strstr(strstr(page, "name=\"csrf\""), "value=\"") + strlen("value=\"") : NULL;
    struct sent sent = { .body = token ? arena_printf(f->mem, "csrf=%.*s", (int)strcspn(token, "\""), token) : "" };
    struct request request = { .mem = f->mem,
                               .method = "POST",
                               .remote_user = "operator",
                               .query = "",
                               .content_length = (int64_t)strlen(sent.body),
                               .param = param,
                               .read = read_body,
                               .source = &sent };
    struct response response;

    assert_non_null(form);
    response_init(&response);
    request_set_target(&request, action);
    router_answer(&f->application, &request, &response);
    return response;
}

/* ---- What was answered ---- */

const char *page_header(const struct response *response, const char *name)
{
    for (size_t i = 0; i < response->header_count; i++)
        if (!strcmp(response->headers[i].name, name))
            return response->headers[i].value;
    return "";
}

void assert_shows(const char *page, const char *text)
{
    if (!strstr(page, text))
        fail_msg("\"%s\" is not in\n%s", text, strstr(page, "<main"));
}

void assert_hides(const char *page, const char *text)
{
    if (strstr(page, text))
        fail_msg("\"%s\" is in\n%s", text, strstr(page, "<main"));
}

size_t occurrences(const char *text, const char *of)
{
    size_t n = 0;

    for (const char *at = strstr(text, of); at; at = strstr(at + 1, of))
        n++;
    return n;
}

const char *page_link(struct page_harness *f, const char *page, const char *text)
{
    const char *at = strstr(page, arena_printf(f->mem, ">%s</a>", text));
    AUTO_BUF struct buf out = { 0 };

    if (!at)
        return NULL;
    while (strncmp(at, "href=\"", 6) != 0)
        at--;
    for (const char *c = at + 6; *c != '"'; c++) {
        buf_add_char(&out, *c);
        if (strncmp(c, "&amp;", 5) == 0)
            c += 4;
    }
    return arena_copy(f->mem, buf_text(&out));
}

/* ---- What is there ---- */

void page_sql(struct page_harness *f, const char *text)
{
    harness_do(f->super, text);
}

static void push(struct page_harness *f, const char *app, const char *id, const char *branch, const char *commit,
                 const char *body)
{
    page_sql(
        f, arena_printf(f->mem,
                        "SELECT berth.take_delivery('%s', '%s', 'push', NULL, sha256('%s'), '%s', 'acme/%s', 1, '%s', "
                        "repeat('%s', 40), 'Title', 'teo', 'new', NULL)",
                        app, id, body, body, app, branch, commit));
}

static void seed_app(struct page_harness *f, const char *app)
{
    page_sql(f,
             arena_printf(f->mem,
                          "INSERT INTO berth.apps (app_name, repository, repository_id, webhook_policy) VALUES ('%s', "
                          "'acme/%s', 1, 'github')",
                          app, app));
}

static void seed(struct page_harness *f)
{
    seed_app(f, "shop");
    seed_app(f, "slow");
    seed_app(f, "small");
    seed_app(f, "rest");
    page_sql(f, "INSERT INTO berth.rate_limits (app_name, pushes_burst, pushes_per_hour) VALUES ('slow', 1, 1);"
                "INSERT INTO berth.quotas (app_name, cpu_units) VALUES ('small', 128);"
                "UPDATE berth.apps SET state = 'paused' WHERE app_name = 'rest'");
    push(f, "shop", "accepted-0001", "main", "a", "1");
    push(f, "shop", "again-0000002", "main", "a", "1");
    push(f, "shop", "commit-000003", "main", "a", "3");
    push(f, "shop", "branch-000004", "wip", "b", "4");
    push(f, "slow", "slow-00000005", "main", "a", "5");
    push(f, "slow", "limited-00006", "main", "b", "6");
    push(f, "small", "quota-0000007", "main", "a", "7");
    push(f, "rest", "paused-000008", "main", "a", "8");
    page_sql(
        f,
        "SELECT berth.take_delivery('shop', 'ping-00000009', 'ping', 'not a push', sha256('9'), '9', 'acme/shop', 1, "
        "NULL, NULL, NULL, NULL, 'new', NULL)");
    page_sql(
        f,
        "INSERT INTO berth.listener_slots (listener_arn, priority, app_name) VALUES ('" FIRST "', 1, 'shop'), ('" FIRST
        "', 2, NULL), ('" SECOND "', 1, 'slow'), ('" OTHER "', 1, 'rest');"
        "INSERT INTO berth.audit_log (actor, action, app_name, before, after) VALUES"
        " ('ines', 'app.create', 'shop', NULL, '{\"branch\": \"main\", \"tasks\": 1}'),"
        " ('mara', 'app.update', 'shop', '{\"cpu_units\": 256, \"tasks\": 1}', '{\"cpu_units\": 512, \"tasks\": 1}'),"
        " ('mara', 'made.up', NULL, NULL, NULL)");
}

/* ---- A log that is read by nobody's AWS ---- */

struct page_log {
    pthread_mutex_t lock;
    struct arena *mem;
    struct log_line lines[PAGE_LOG_MAX];
    size_t count;
    const char *failing;
};

static int read_log(void *context, const char *app, const char *build_id, const char *from, struct arena *mem,
                    struct log_page *out, struct err *e)
{
    struct page_log *log = context;
    size_t begin = from ? (size_t)atoi(from) : 0;

    (void)app;
    (void)build_id;
    pthread_mutex_lock(&log->lock);
    if (log->failing) {
        err_set(e, ERR_DENIED, "%s", log->failing);
    } else {
        out->count = log->count - begin < PAGE_LOG_READ ? log->count - begin : PAGE_LOG_READ;
        out->lines = arena_array(mem, out->count + 1, sizeof *out->lines);
        memcpy(out->lines, log->lines + begin, out->count * sizeof *out->lines);
        out->next = arena_printf(mem, "%zu", begin + out->count);
    }
    pthread_mutex_unlock(&log->lock);
    return (int)e->code;
}

void page_log_begin(struct page_harness *f)
{
    struct admin *admin = f->application.context;
    struct page_log *log = arena_alloc(f->mem, sizeof *log);
    struct err e = { 0 };

    *log = (struct page_log){ .mem = f->mem };
    pthread_mutex_init(&log->lock, NULL);
    f->log = log;
    log_follow_free(admin->follow);
    admin->follow = NULL;
    if (log_follow_new(&(const struct log_source){ .read = read_log, .context = log }, admin->clock, &admin->follow,
                       &e))
        fail_msg("%s", e.message);
}

void page_log_add(struct page_harness *f, const char *line)
{
    pthread_mutex_lock(&f->log->lock);
    assert_true(f->log->count < PAGE_LOG_MAX);
    f->log->lines[f->log->count++] = (struct log_line){ .text = log_mask(f->mem, line) };
    pthread_mutex_unlock(&f->log->lock);
}

void page_log_fail(struct page_harness *f, const char *message)
{
    pthread_mutex_lock(&f->log->lock);
    f->log->failing = message;
    pthread_mutex_unlock(&f->log->lock);
}

/* ---- A doctor that asks nobody ---- */

int page_doctor_runs;

/* The second can't be run, the third finds nothing wrong, and of the fourth nothing is skipped either. */
static int fake_run(const struct doctor_options *options, struct arena *mem, struct doctor_check **out, size_t *count,
                    struct err *e)
{
    static const struct doctor_check found[] = {
        { "clock", "Clock", DOCTOR_OK, "It agrees.", NULL, 3 },
        { "secrets", "Secrets", DOCTOR_SKIPPED, "There are no AWS credentials.", NULL, 0 },
        { "room", "Room", DOCTOR_WARNING, "<b>72</b> of 90.", "Add to `listeners`.", 3 },
        { "github", "GitHub", DOCTOR_FAILED, "No answer.", NULL, 5000 },
    };

    (void)options;
    if (++page_doctor_runs == 2)
        return err_set(e, ERR_NO_MEMORY, "no thread for the check room");
    *count = page_doctor_runs == 3 ? 2 : page_doctor_runs == 4 ? 1 : sizeof found / sizeof *found;
    *out = arena_array(mem, *count, sizeof **out);
    memcpy(*out, found, *count * sizeof *found);
    return 0;
}

/* ---- */

int page_setup(void **state)
{
    static struct page_harness f;
    struct err e = { 0 };

    f = (struct page_harness){ .database = harness_database_new(), .mem = arena_new() };
    f.super = harness_pool(f.database, HARNESS_SUPERUSER, 1);
    f.settings = (struct settings){ .database_admin = harness_conninfo(f.database, HARNESS_ADMIN),
                                    .database_connections = 2,
                                    .www = SOURCE_DIR "/www",
                                    .domain = "apps.example.org",
                                    .hooks_url = "https://berth.example.org",
                                    .listeners = { .items = listeners, .count = 2 },
                                    .admin_operators = { .items = operators, .count = 1 } };
    if (admin_open(&f.settings, &f.application, &e))
        fail_msg("%s", e.message);
    struct admin *admin = f.application.context;
    doctor_watch_free(admin->doctor);
    admin->doctor = doctor_watch_new(&(const struct doctor_options){ .clock = NULL }, fake_run);
    page_doctor_runs = 0;
    seed(&f);
    *state = &f;
    return 0;
}

int page_teardown(void **state)
{
    struct page_harness *f = *state;

    f->application.close(f->application.context);
    db_pool_free(f->super);
    harness_database_free(f->database);
    arena_free(f->mem);
    return 0;
}
