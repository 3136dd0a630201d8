/*
 * github_access - GitHub as the configuration names it, with the token from Secrets Manager when there is one.
 */
#ifndef BERTH_CLI_GITHUB_ACCESS_H
#define BERTH_CLI_GITHUB_ACCESS_H

#include "core/cli/cli.h"
#include "core/github/rest.h"

/* token is what out holds of it: the caller frees it after its last call. It is read once: a new one takes a restart. */
int cli_github(struct cli *cli, struct github *out, struct secret **token, struct err *e);

#endif
