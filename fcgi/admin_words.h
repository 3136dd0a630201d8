/*
 * admin_words - how the pages say where an app or a release is: a mark of the stylesheet and a word beside it.
 */
#ifndef BERTH_FCGI_ADMIN_WORDS_H
#define BERTH_FCGI_ADMIN_WORDS_H

#include "core/base/json.h"
#include "core/deploy/release.h"
#include "core/deploy/summary.h"

struct mark {
    const char *class_name; /* "mark failed" */
    const char *word;       /* "failed" */
};

/* Of a release, by the names of its state and kind. live: the release that is live now; 0: none is. */
struct mark mark_of(const char *state, const char *kind, int number, int live);
struct mark mark_of_condition(enum app_condition condition);
struct mark mark_of_event(const char *kind);

/* The step a release is in: "Building"; and as a sentence goes on: "is building". */
const char *moving_word(enum step_name step);
const char *moving_phrase(enum step_name step);
bool step_parse(const char *name, enum step_name *out);

/* "Failed at build", "Building", "Queued", "Live", "Went live", ... */
const char *release_sentence(const struct release *release, int live, struct arena *mem);

/* What visitors notice of a release that failed or is on its way. */
const char *visitors_see(const struct release *release, int live, struct arena *mem);

const char *short_commit(const char *sha, struct arena *mem); /* "" for NULL */
const char *text_or_empty(const char *text);

/* What stands between backticks is code: [{text: "Run ", is_code: false}, {text: "docker build .", is_code: true}, ...]; empty for NULL. */
json_object *text_parts(const char *text, struct arena *mem);

#endif
