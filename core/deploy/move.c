#include "core/deploy/move.h"

#include "core/base/text.h"

#define HELD(release) db_text((release)->app), db_int((release)->number), db_int((release)->lease_token)

/* What Postgres takes as text, whatever an outside service put into an error. */
struct clean {
    char text[ERR_TEXT_MAX];
};

static const char *clean(const char *text, struct clean *out)
{
    if (!text || !*text)
        return NULL;
    text_excerpt(text, out->text, sizeof out->text);
    return out->text;
}

int move_release(struct db *db, const struct release *release, const struct move *move, bool *held, struct err *e)
{
    AUTO_ROWS struct db_rows *rows = NULL;
    const char *app = release->app;
    struct clean message_room, hint_room;
    const char *message = clean(move->message, &message_room);
    const char *hint = clean(move->hint, &hint_room);
    int code = 0;

    switch (move->kind) {
    case MOVE_NEXT:
        code = db_query(db, app, QUERY_RELEASE_NEXT_STEP, &rows, e, HELD(release), db_text(step_name_text(move->next)),
                        db_int(move->lease_ms), db_text(step_name_text(release->step)), db_text(message));
        break;
    case MOVE_WAIT:
        code = db_query(db, app, QUERY_RELEASE_WAIT, &rows, e, HELD(release), db_int(move->delay_ms));
        break;
    case MOVE_RETRY:
        code = db_query(db, app, QUERY_RELEASE_RETRY, &rows, e, HELD(release), db_int(move->delay_ms), db_text(message),
                        db_text(hint));
        break;
    case MOVE_FAIL:
        code = db_query(db, app, QUERY_RELEASE_FAIL, &rows, e, HELD(release), db_text(message), db_text(hint));
        break;
    case MOVE_LET_GO:
        code = db_query(db, app, QUERY_RELEASE_LET_GO, &rows, e, HELD(release));
        break;
    case MOVE_KIND_COUNT:
        return err_set(e, ERR_INTERNAL, "no such move of a release");
    }
    if (!code)
        *held = db_count(rows) > 0;
    return code;
}
