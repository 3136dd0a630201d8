/*
 * path_filter - which files of a repository an app is built from: a push that touches none of them makes no release.
 *
 * Patterns separated by spaces, written as in a GitHub Actions workflow's `paths`: "*" stands for any characters within one folder, "**" for any across folders, and
 * nothing else is special; a pattern has to fit the whole path from the repository's top. One that ends in "/" means everything in that folder, one that begins with
 * "!" takes out what it fits; of several that fit, the last counts. No pattern at all: every push counts.
 */
#ifndef BERTH_TENANT_PATH_FILTER_H
#define BERTH_TENANT_PATH_FILTER_H

#include <stdbool.h>

#include "core/github/event.h"

enum { PATH_FILTER_MAX = 1000, PATH_PATTERNS_MAX = 64 };

/* ERR_INVALID names the pattern that can't be, and what to write. */
int path_filter_check(const char *filter, struct err *e);

/* Without what surplus space there is; how it is stored. */
const char *path_filter_tidy(const char *filter, struct arena *mem);

bool path_filter_matches(const char *filter, const char *path);

/* Sets the reason to ignore a push that surely touches nothing of the filter; an event that is ignored already stays as it is. */
void path_filter_judge(const char *filter, const json_object *push, struct arena *mem, struct github_event *event);

#endif
