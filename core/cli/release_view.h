/*
 * release_view - a release as the command shows it: in JSON, in a word, and with its timeline.
 */
#ifndef BERTH_CLI_RELEASE_VIEW_H
#define BERTH_CLI_RELEASE_VIEW_H

#include "core/cli/cli.h"
#include "core/deploy/release.h"

json_object *release_json(const struct release *release);
/* "running (build)", "superseded by v3"; "live" only of what is live now, which is release number `live`, and "went live" of the others. */
const char *release_word(struct arena *mem, const struct release *release, int live);

/* Reads one release and prints it with its timeline. */
int release_print(struct cli *cli, struct db *db, const char *app, int number, struct err *e);

/* Until the release has ended, or ERR_TRANSIENT when the time is over. */
int release_wait(struct db *db, const char *app, int number, int timeout_s, struct err *e);

/* After --wait the exit code tells whether it went live; the failure itself is printed already, so e has a code and no words. */
int release_verdict(struct cli *cli, struct db *db, const char *app, int number, struct err *e);

#endif
