#include "fcgi/admin_use.h"

#include "fcgi/admin_lists.h"

enum { NEAR_PERCENT = 80 };

static const char *word_of(const struct use *use, struct arena *mem)
{
    if (use->used > use->limit)
        return "over";
    if (use->used == use->limit)
        return "full";
    return arena_printf(mem, "%d%%", (int)(use->used * 100 / use->limit));
}

/* A limit of 0 that nothing is used of isn't worth a word: the app just may not have any. */
json_object *use_model(const struct use *use, struct arena *mem)
{
    bool full = use->used >= use->limit && use->used > 0;
    bool near = !full && use->used > 0 && use->used * 100 >= use->limit * NEAR_PERCENT;
    bool drawn = use->limit > 0;

    return json_build("{s:s, s:s, s:I, s:I, s:s, s:s, s:s, s:b, s:I}", "class",
                      full   ? "use full"
                      : near ? "use near"
                             : "use",
                      "title", use->title, "value", drawn ? use->used : (int64_t)full, "max",
                      drawn ? use->limit : (int64_t)1, "figures",
                      arena_printf(mem, "%s / %s", list_number(mem, use->used), list_number(mem, use->limit)), "mark",
                      full ? "level mark failed" : "level mark warning", "word", full || near ? word_of(use, mem) : "",
                      "rolling", use->rolling > 0 && drawn, "staying", use->used - use->rolling);
}
