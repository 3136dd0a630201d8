#include "core/cli/github_access.h"

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

int cli_github(struct cli *cli, struct github *out, struct secret **token, struct err *e)
{
    const struct settings *settings = NULL;
    struct aws *aws = NULL;

    if (cli_settings(cli, &settings, e) || cli_aws(cli, &aws, e) || read_token(aws, settings, token, e))
        return e->code;
    *out = (struct github){ .transport = http_curl_transport(cli->curl),
                            .api_url = settings->github_api_url,
                            .token = *token };
    return 0;
}
