/* The table of the commands: names, words, help, functions. */
#include "core/cli/commands.h"

const struct command cli_commands[] = {
    { "migrate", "[up|status|verify]", "brings the database's schema up to this berth's; or shows, or checks it",
      command_migrate },
    { "worker", "[--drain] [--threads N]", "takes releases through the pipeline; --drain: what is due, then ends",
      command_worker },
    { "config", "", "every option with its value and where it came from", command_config },
    { "apps create",
      "NAME --repo OWNER/NAME --webhook github [--branch main] [--port 8080]\n"
      "       [--health-check /] [--cpu 256] [--memory 512] [--tasks 1]",
      "a new app, and what to paste into GitHub", command_apps_create },
    { "apps secret", "NAME", "a fresh webhook secret; the old one holds until GitHub uses the new",
      command_apps_secret },
    { "apps list", "[--all]", "every app: state, what is live, the newest release; --all: destroyed ones too",
      command_apps_list },
    { "apps show", "NAME", "an app's settings, address and resources on AWS", command_apps_show },
    { "destroy", "NAME [--dry-run] [--yes] [--wait] [--timeout SECONDS]",
      "removes an app and all it has on AWS; --dry-run only lists it", command_destroy },
    { "reconcile", "[NAME] [--fix]", "compares what berth thinks with what AWS has; --fix puts it right",
      command_reconcile },
    { "releases", "NAME [vN] [--limit 20]", "an app's releases, newest first; with vN that release's timeline",
      command_releases },
    { "status", "NAME [vN] [--wait] [--timeout SECONDS]", "where an app's newest release is; --wait until it has ended",
      command_status },
    { "rollback", "NAME [vN] [--wait] [--timeout SECONDS]",
      "runs an earlier release's image and configuration again, as a new release (the one that was live before)",
      command_rollback },
    { "deploy", "NAME [--commit SHA] [--wait] [--timeout SECONDS]",
      "builds and deploys the branch's head, or that commit", command_deploy },
    { "cancel", "NAME [--wait] [--timeout SECONDS]", "ends what is under way; what was live stays live",
      command_cancel },
    { "logs", "NAME [vN]", "the build's log of a release (the newest one that was built)", command_logs },
};
const size_t cli_command_count = sizeof cli_commands / sizeof *cli_commands;
