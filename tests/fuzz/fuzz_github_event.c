/* github_event_read on any JSON under any of the names that matter: what it gives keeps the limits its header promises. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/text.h"
#include "core/github/event.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void check_text(const char *text, size_t max)
{
    if (text && (strlen(text) > max || text_has_control(text, strlen(text))))
        abort();
}

static void check(const struct github_event *event)
{
    check_text(event->repository, GITHUB_REPOSITORY_MAX);
    check_text(event->branch, GITHUB_REF_MAX);
    check_text(event->commit_title, GITHUB_TITLE_MAX);
    check_text(event->pushed_by, GITHUB_LOGIN_MAX);
    if ((event->repository == NULL) != (event->repository_id == 0))
        abort();
    /* A push that isn't ignored can make a release. */
    if (!event->ignored && (!event->repository || !event->branch || !event->commit_sha || !event->pushed_by))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static const char *const names[] = { "push", "ping", "issues" };
    AUTO_ARENA struct arena *mem = arena_new();
    AUTO_JSON json_object *body = NULL;
    struct err e = { 0 };

    if (len == 0 || json_parse((const char *)bytes + 1, len - 1, &body, &e))
        return 0;

    const char *name = names[bytes[0] % 3];
    struct github_event event = { 0 };
    int code = github_event_read(name, body, mem, &event, &e);
    if (code == 0)
        check(&event);
    else if (code != ERR_INVALID || event.name)
        abort();
    return 0;
}
