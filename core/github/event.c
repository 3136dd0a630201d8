#include "core/github/event.h"

#include <string.h>

#include "core/base/text.h"

#define HEADS "refs/heads/"
#define TAGS "refs/tags/"

enum { SHA1_HEX = 40, SHA256_HEX = 64 };

/* A text at pointer, not empty, of at most max bytes, without control characters. */
static int read_bounded(const json_object *body, const char *pointer, size_t max, struct arena *mem, const char **out,
                        struct err *e)
{
    const char *text = NULL;

    if (json_read_text(body, pointer, mem, &text, e))
        return e->code;
    if (*text == '\0' || strlen(text) > max)
        return err_set(e, ERR_INVALID, "at %s in the JSON there is a text of %zu bytes, not of 1 to %zu", pointer,
                       strlen(text), max);
    if (text_has_control(text, strlen(text)))
        return err_set(e, ERR_INVALID, "at %s in the JSON there is a text with a control character", pointer);
    *out = text;
    return 0;
}

static int read_repository(const json_object *body, struct arena *mem, struct github_event *event, struct err *e)
{
    if (json_read_int(body, "/repository/id", &event->repository_id, e))
        return e->code;
    if (event->repository_id <= 0)
        return err_set(e, ERR_INVALID, "at /repository/id in the JSON there is %lld, which is no repository's id",
                       (long long)event->repository_id);
    return read_bounded(body, "/repository/full_name", GITHUB_REPOSITORY_MAX, mem, &event->repository, e);
}

static bool is_commit(const char *text)
{
    size_t len = strlen(text);

    return (len == SHA1_HEX || len == SHA256_HEX) && strspn(text, "0123456789abcdef") == len &&
           strspn(text, "0") != len;
}

static int read_commit(const json_object *body, struct arena *mem, struct github_event *event, struct err *e)
{
    if (read_bounded(body, "/after", SHA256_HEX, mem, &event->commit_sha, e))
        return e->code;
    if (!is_commit(event->commit_sha))
        return err_set(e, ERR_INVALID, "at /after in the JSON there is no commit's id");
    return 0;
}

/* The message's first line, for showing. A commit without one, or a head_commit that is null, has no title. */
static int read_title(const json_object *body, struct arena *mem, struct github_event *event, struct err *e)
{
    const char *message = NULL;

    if (!json_at(body, "/head_commit"))
        return 0;
    if (json_read_text(body, "/head_commit/message", mem, &message, e))
        return e->code;

    char *title = arena_alloc(mem, GITHUB_TITLE_MAX + 1);
    text_excerpt(arena_copy_n(mem, message, strcspn(message, "\r\n")), title, GITHUB_TITLE_MAX + 1);
    event->commit_title = *title != '\0' ? title : NULL;
    return 0;
}

static int check_commits(const json_object *body, struct err *e)
{
    const json_object *commits = json_at(body, "/commits");

    if (!json_is_array(commits))
        return err_set(e, ERR_INVALID, "at /commits in the JSON there is no list");
    if (json_length(commits) > GITHUB_COMMITS_MAX)
        return err_set(e, ERR_INVALID, "at /commits in the JSON there are %zu commits; GitHub sends at most %d",
                       json_length(commits), GITHUB_COMMITS_MAX);
    return 0;
}

/* A push that leaves the branch with a head: everything a release needs. */
static int read_head(const json_object *body, struct arena *mem, struct github_event *event, struct err *e)
{
    if (read_commit(body, mem, event, e) || read_title(body, mem, event, e) || check_commits(body, e))
        return e->code;
    return read_bounded(body, "/pusher/name", GITHUB_LOGIN_MAX, mem, &event->pushed_by, e);
}

static int read_push(const json_object *body, struct arena *mem, struct github_event *event, struct err *e)
{
    const char *ref = NULL;
    bool deleted = false;

    if (read_repository(body, mem, event, e))
        return e->code;
    if (read_bounded(body, "/ref", strlen(HEADS) + GITHUB_REF_MAX, mem, &ref, e) ||
        json_read_bool(body, "/deleted", &deleted, e))
        return e->code;
    if (text_starts(ref, TAGS)) {
        event->ignored = arena_printf(mem, "the tag %s", ref + strlen(TAGS));
        return 0;
    }
    if (!text_starts(ref, HEADS) || strlen(ref) == strlen(HEADS)) {
        event->ignored = arena_printf(mem, "%s is no branch", ref);
        return 0;
    }
    event->branch = ref + strlen(HEADS);
    if (deleted) {
        event->ignored = arena_printf(mem, "branch %s was deleted", event->branch);
        return 0;
    }
    return read_head(body, mem, event, e);
}

int github_event_read(const char *name, const json_object *body, struct arena *mem, struct github_event *out,
                      struct err *e)
{
    struct github_event event = { .name = arena_copy(mem, name) };

    if (!json_is_object(body))
        return err_set(e, ERR_INVALID, "the payload is no JSON object");
    if (strcmp(name, "push") == 0) {
        if (read_push(body, mem, &event, e))
            return e->code;
    } else {
        /* Events of an organisation or an installation have no repository. */
        if (json_at(body, "/repository") && read_repository(body, mem, &event, e))
            return e->code;
        event.ignored = strcmp(name, "ping") == 0 ? "a ping" : arena_printf(mem, "event %s", name);
    }
    *out = event;
    return 0;
}

/* ---- Which files a push touches ---- */

struct touch {
    bool (*is_wanted)(void *context, const char *path);
    void *context;
    size_t bytes; /* of paths so far */
};

/* True: one of them is wanted, or not all are told. */
static bool commit_may_touch(struct touch *touch, const json_object *commit, struct arena *mem)
{
    static const char *const lists[] = { "added", "modified", "removed" };
    size_t files = 0;

    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        const json_object *list = json_is_object(commit) ? json_get(commit, lists[i]) : NULL;
        if (!json_is_array(list))
            return true;
        files += json_length(list);
        for (size_t j = 0; j < json_length(list); j++) {
            const char *path = json_find_text(json_item(list, j), "", mem);
            touch->bytes += path ? strlen(path) : 0;
            if (!path || touch->bytes > GITHUB_PATH_BYTES_MAX || touch->is_wanted(touch->context, path))
                return true;
        }
    }
    return files >= GITHUB_COMMIT_FILES_MAX;
}

bool github_push_may_touch(const json_object *body, bool (*is_wanted)(void *context, const char *path), void *context)
{
    AUTO_ARENA struct arena *mem = arena_new();
    struct touch touch = { .is_wanted = is_wanted, .context = context };
    const json_object *commits = json_at(body, "/commits");
    size_t count = json_length(commits);

    if (json_find_bool(body, "/created", true) || json_find_bool(body, "/forced", true) || count == 0 ||
        count >= GITHUB_COMMITS_MAX)
        return true;
    for (size_t i = 0; i < count; i++) {
        if (commit_may_touch(&touch, json_item(commits, i), mem))
            return true;
        arena_reset(mem);
    }
    return false;
}
