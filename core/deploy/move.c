#include "core/deploy/move.h"

#include "core/base/test_point.h"
#include "core/base/text.h"
#include "core/deploy/release_state.h"

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

static int check(const struct release *release, const struct move *move, struct err *e)
{
    const struct release_place from = { release->state, release->step };
    struct release_place to = from;

    if (move->kind == MOVE_NEXT)
        to.step = move->next;
    if (move->kind == MOVE_FAIL)
        to.state = RELEASE_FAILED;
    if (move->kind == MOVE_SUPERSEDE)
        to.state = RELEASE_SUPERSEDED;
    if (move->kind == MOVE_CANCEL)
        to.state = RELEASE_CANCELLED;
    if (release_may_move(from, to) || (move->kind != MOVE_NEXT && to.state == from.state))
        return 0;
    return err_set(e, ERR_INTERNAL, "v%d of %s can't go from %s in step %s to %s in step %s", release->number,
                   release->app, release_state_name(from.state), step_name_text(from.step),
                   release_state_name(to.state), step_name_text(to.step));
}

static int end_as(struct db *db, const struct release *release, enum release_state state, const char *message,
                  struct db_rows **rows, struct err *e)
{
    return db_query(db, release->app, QUERY_RELEASE_END, rows, e, HELD(release), db_text(release_state_name(state)),
                    db_text(message));
}

int move_release(struct db *db, const struct release *release, const struct move *move, bool *held, struct err *e)
{
    AUTO_ROWS struct db_rows *rows = NULL;
    const char *app = release->app;
    struct clean message_room, hint_room;
    const char *message = clean(move->message, &message_room);
    const char *hint = clean(move->hint, &hint_room);
    struct db_param halt = db_text(release_halt_name(release->halt));
    int code = 0;

    if (check(release, move, e))
        return e->code;
    TEST_POINT(step_name_text(release->step), "move", "before");
    switch (move->kind) {
    case MOVE_NEXT:
        code = db_query(db, app, QUERY_RELEASE_NEXT_STEP, &rows, e, HELD(release), db_text(step_name_text(move->next)),
                        db_int(move->lease_ms), db_text(step_name_text(release->step)), db_text(message));
        break;
    case MOVE_WAIT:
        code = db_query(db, app, QUERY_RELEASE_WAIT, &rows, e, HELD(release), db_int(move->delay_ms), halt,
                        db_text(move->waits_for), db_int(move->at_most_ms));
        break;
    case MOVE_RETRY:
        code = db_query(db, app, QUERY_RELEASE_RETRY, &rows, e, HELD(release), db_int(move->delay_ms), db_text(message),
                        db_text(hint), halt);
        break;
    case MOVE_FAIL:
        code = db_query(db, app, QUERY_RELEASE_FAIL, &rows, e, HELD(release), db_text(message), db_text(hint));
        break;
    case MOVE_SUPERSEDE:
        code = end_as(db, release, RELEASE_SUPERSEDED, message, &rows, e);
        break;
    case MOVE_CANCEL:
        code = end_as(db, release, RELEASE_CANCELLED, message, &rows, e);
        break;
    case MOVE_LET_GO:
        code = db_query(db, app, QUERY_RELEASE_LET_GO, &rows, e, HELD(release));
        break;
    case MOVE_KIND_COUNT:
        return err_set(e, ERR_INTERNAL, "no such move of a release");
    }
    if (code)
        return code;
    TEST_POINT(step_name_text(release->step), "move", "after");
    *held = db_count(rows) > 0;
    return 0;
}
