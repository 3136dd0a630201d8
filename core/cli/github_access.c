#include "core/cli/github_access.h"

#include "core/deploy/github_access.h"

int cli_github(struct cli *cli, struct github *out, struct secret **token, struct err *e)
{
    const struct settings *settings = NULL;
    struct aws *aws = NULL;

    if (cli_settings(cli, &settings, e) || cli_aws(cli, &aws, e))
        return e->code;
    return github_access(settings, aws, http_curl_transport(cli->curl), out, token, e);
}
