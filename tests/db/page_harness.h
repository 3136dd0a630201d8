/* The operator's pages over a real database, asked as the web server asks: for the tests of the pages that list things. */
#ifndef BERTH_TESTS_PAGE_HARNESS_H
#define BERTH_TESTS_PAGE_HARNESS_H

#include "fcgi/admin.h"
#include "fcgi/application.h"
#include "tests/db/harness.h"

#define LISTENER "arn:aws:elasticloadbalancing:eu-central-1:111122223333:listener/app/"
#define FIRST LISTENER "berth-1/50dc6c495c0c9188/f2f7dc8efc522ab2"
#define SECOND LISTENER "berth-2/60dc6c495c0c9188/a2f7dc8efc522ab2"
#define OTHER LISTENER "berth-0/70dc6c495c0c9188/b2f7dc8efc522ab2"

struct page_harness {
    struct harness_database *database;
    struct db_pool *super;
    struct settings settings;
    struct application application;
    struct arena *mem;
    struct page_log *log;
};

/* As CMocka's set-up and tear-down: *state is the struct page_harness. Apps shop, slow (one push an hour), small (128 CPU units) and rest (paused), each with
 * deliveries as intake stores them; three listeners' slots; three rows of the audit log. The doctor asks nobody, see page_doctor_runs. */
int page_setup(void **state);
int page_teardown(void **state);

#define EACH(test) cmocka_unit_test_setup_teardown(test, page_setup, page_teardown)

/* GET as the operator; the caller frees the response. */
struct response page_ask(struct page_harness *f, const char *target);

/* The same by a browser that has that version of it (ETag; NULL: none). */
struct response page_ask_again(struct page_harness *f, const char *target, const char *seen);

/* The same, failing the test unless the answer has that status (200). */
const char *page_body(struct page_harness *f, const char *target, int status);
const char *page_of(struct page_harness *f, const char *target);

/* As the button of that action does it, with the token that the page carries. */
struct response page_press(struct page_harness *f, const char *page, const char *action);

/* The address of the link of that text, unescaped; NULL: there is none. */
const char *page_link(struct page_harness *f, const char *page, const char *text);

/* "" when there is none. */
const char *page_header(const struct response *response, const char *name);

void page_sql(struct page_harness *f, const char *text);

void assert_shows(const char *page, const char *text);
void assert_hides(const char *page, const char *text);
size_t occurrences(const char *text, const char *of);

/* The logs of all builds are this one from now on, and AWS is not asked; a line is masked as AWS's are. */
void page_log_begin(struct page_harness *f);
void page_log_add(struct page_harness *f, const char *line);
void page_log_fail(struct page_harness *f, const char *message); /* NULL: it can be read again */

/* How often the doctor's checks were begun since set-up; the second time they fail. */
extern int page_doctor_runs;

#endif
