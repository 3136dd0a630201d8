#include "core/deploy/estate/ownership.h"

#include <string.h>

#include "core/tenant/names.h"

json_object *item_find(const json_object *array, const char *pointer, const char *text)
{
    AUTO_ARENA struct arena *mem = arena_new();

    for (size_t i = 0; i < json_length(array); i++) {
        const char *found = json_find_text(json_item(array, i), pointer, mem);
        if (found && strcmp(found, text) == 0)
            return json_item(array, i);
    }
    return NULL;
}

const char *tag_find(const json_object *tags, const char *key, struct arena *mem)
{
    const char *value;

    for (struct json_member tag = json_first(tags); tag.name; tag = json_next(tag))
        if (strcmp(tag.name, key) == 0)
            return json_find_text(tag.value, "", mem);
    value = json_find_text(item_find(tags, "/Key", key), "/Value", mem);
    return value ? value : json_find_text(item_find(tags, "/key", key), "/value", mem);
}

int ownership_require(const json_object *tags, const char *what, const char *app, struct err *e)
{
    AUTO_ARENA struct arena *mem = arena_new();
    const char *owner = tag_find(tags, NAMES_TAG_APP, mem);

    if (owner && strcmp(owner, app) == 0)
        return 0;
    if (owner) {
        err_set(e, ERR_INVALID, "The %s exists, but it is tagged %s=%s, not %s=%s, so berth leaves it alone", what,
                NAMES_TAG_APP, owner, NAMES_TAG_APP, app);
    } else {
        err_set(e, ERR_INVALID, "The %s exists, but it is not tagged %s=%s, so berth leaves it alone", what,
                NAMES_TAG_APP, app);
        err_detail(e, OWNERSHIP_UNTAGGED);
    }
    return err_hint(e, "Remove it if nothing needs it, or tag it %s=%s to hand it over to berth; then push again.",
                    NAMES_TAG_APP, app);
}

json_object *ownership_tags(const char *app)
{
    return json_build("[{s:s, s:s}]", "Key", NAMES_TAG_APP, "Value", app);
}

json_object *ownership_tags_lower(const char *app)
{
    return json_build("[{s:s, s:s}]", "key", NAMES_TAG_APP, "value", app);
}

json_object *ownership_tags_map(const char *app)
{
    return json_build("{s:s}", NAMES_TAG_APP, app);
}
