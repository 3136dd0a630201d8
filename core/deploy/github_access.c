#include "core/deploy/github_access.h"

#include <string.h>

#include "core/tenant/app.h"

static int read_token(struct aws *aws, const struct settings *settings, struct secret **out, struct err *e)
{
    AUTO_JSON json_object *ask = NULL;
    AUTO_JSON json_object *reply = NULL;
    AUTO_ARENA struct arena *mem = arena_new();
    const char *text = NULL;

    if (!settings->github_token_secret)
        return 0;
    ask = json_build("{s:s}", "SecretId", settings->github_token_secret);
    if (aws_call(aws, &SECRETSMANAGER, "GetSecretValue", ask, &reply, e) ||
        json_read_text(reply, "/SecretString", mem, &text, e))
        return err_context(e, "reading the GitHub token");
    *out = secret_from_text(text);
    return 0;
}

int github_access(const struct settings *settings, struct aws *aws, struct http transport, struct github *out,
                  struct secret **token, struct err *e)
{
    if (read_token(aws, settings, token, e))
        return e->code;
    *out = (struct github){ .transport = transport, .api_url = settings->github_api_url, .token = *token };
    return 0;
}

int github_check_commit(const char *name, struct err *e)
{
    size_t len = strlen(name);

    if (len >= COMMIT_NAME_LEAST && len <= COMMIT_NAME_MOST && strspn(name, "0123456789abcdef") == len)
        return 0;
    err_set(e, ERR_INVALID, "the commit is \"%.80s\": write a commit's hexadecimal name, or its first %d to %d digits",
            name, COMMIT_NAME_LEAST, COMMIT_NAME_MOST);
    return err_hint(e, "`git rev-parse HEAD` prints one; without a commit the branch's head is deployed.");
}

static int find_app(struct db_pool *admin, const char *name, struct arena *mem, struct app *out, struct err *e)
{
    AUTO_DB struct db *db = NULL;

    return db_take(admin, &db, e) || app_get(db, name, mem, out, e) ? (int)e->code : 0;
}

int github_app_commit(const struct commit_ask *ask, struct arena *mem, struct github_commit *out, struct err *e)
{
    AUTO_SECRET struct secret *token = NULL;
    struct github github = { 0 };
    struct app app = { 0 };

    if ((ask->commit && github_check_commit(ask->commit, e)) || find_app(ask->admin, ask->app, mem, &app, e) ||
        github_access(ask->settings, ask->aws, ask->transport, &github, &token, e))
        return e->code;
    if (ask->commit)
        return github_commit_find(&github, app.repository, ask->commit, mem, out, e);
    return github_branch_head(&github, app.repository, app.branch, mem, out, e);
}
