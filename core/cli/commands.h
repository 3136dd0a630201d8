/*
 * commands - the functions behind the command table; one file a group (command_<group>.c).
 */
#ifndef BERTH_CLI_COMMANDS_H
#define BERTH_CLI_COMMANDS_H

#include "core/cli/cli.h"
#include "core/deploy/estate/estate.h"

int command_migrate(struct cli *cli, int argc, char **argv, struct err *e);
int command_worker(struct cli *cli, int argc, char **argv, struct err *e);
int command_config(struct cli *cli, int argc, char **argv, struct err *e);
int command_apps_create(struct cli *cli, int argc, char **argv, struct err *e);
int command_apps_secret(struct cli *cli, int argc, char **argv, struct err *e);
int command_apps_list(struct cli *cli, int argc, char **argv, struct err *e);
int command_apps_set(struct cli *cli, int argc, char **argv, struct err *e);
int command_apps_pause(struct cli *cli, int argc, char **argv, struct err *e);
int command_apps_resume(struct cli *cli, int argc, char **argv, struct err *e);
int command_apps_show(struct cli *cli, int argc, char **argv, struct err *e);
int command_destroy(struct cli *cli, int argc, char **argv, struct err *e);
int command_reconcile(struct cli *cli, int argc, char **argv, struct err *e);
int command_releases(struct cli *cli, int argc, char **argv, struct err *e);
int command_status(struct cli *cli, int argc, char **argv, struct err *e);
int command_rollback(struct cli *cli, int argc, char **argv, struct err *e);
int command_deploy(struct cli *cli, int argc, char **argv, struct err *e);
int command_cancel(struct cli *cli, int argc, char **argv, struct err *e);
int command_doctor(struct cli *cli, int argc, char **argv, struct err *e);
int command_quota_show(struct cli *cli, int argc, char **argv, struct err *e);
int command_quota_set(struct cli *cli, int argc, char **argv, struct err *e);
int command_ratelimit_show(struct cli *cli, int argc, char **argv, struct err *e);
int command_ratelimit_set(struct cli *cli, int argc, char **argv, struct err *e);
int command_deliveries(struct cli *cli, int argc, char **argv, struct err *e);
int command_deliveries_run(struct cli *cli, int argc, char **argv, struct err *e);
int command_audit(struct cli *cli, int argc, char **argv, struct err *e);
int command_logs(struct cli *cli, int argc, char **argv, struct err *e);

/* Where commands that look at AWS look; from the settings. */
int cli_estate_place(struct cli *cli, struct estate_place *out, struct err *e);

#endif
