#include "core/deploy/steps/listener_room.h"

int listener_rooms(struct db *db, struct arena *mem, struct listener_room **out, size_t *count, struct err *e)
{
    struct db_rows AUTO_ROWS *rows = NULL;

    if (db_run(db, NULL, QUERY_LISTENER_ROOMS, NULL, 0, &rows, e))
        return e->code;
    *count = db_count(rows);
    *out = arena_array(mem, *count, sizeof **out);
    for (size_t i = 0; i < *count; i++)
        (*out)[i] = (struct listener_room){
            .arn = db_get_copy(rows, i, "listener_arn", mem),
            .taken = (int)db_get_int(rows, i, "taken"),
            .apps = (int)db_get_int(rows, i, "apps"),
        };
    return 0;
}

int listener_slots(struct db *db, const struct listener_slot_page *page, struct arena *mem, struct listener_slot **out,
                   size_t *count, struct err *e)
{
    struct db_rows AUTO_ROWS *rows = NULL;

    if (db_query(db, NULL, QUERY_LISTENER_SLOTS_PAGE, &rows, e, db_text(page->only_listener), db_text(page->only_app),
                 db_text(page->after_listener), db_int(page->after_priority), db_int(page->limit)))
        return e->code;
    *count = db_count(rows);
    *out = arena_array(mem, *count, sizeof **out);
    for (size_t i = 0; i < *count; i++)
        (*out)[i] = (struct listener_slot){
            .listener_arn = db_get_copy(rows, i, "listener_arn", mem),
            .priority = (int)db_get_int(rows, i, "priority"),
            .app = db_get_copy(rows, i, "app_name", mem),
            .state = db_get_copy(rows, i, "state", mem),
            .host = db_get_copy(rows, i, "host", mem),
            .taken_at = db_get_copy(rows, i, "taken_at", mem),
        };
    return 0;
}
