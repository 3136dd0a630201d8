/* /apps/{app}/limits: the quotas and the rate limit of one app, with what is used of them, and changing them. */
#include "fcgi/admin_limit_form.h"
#include "fcgi/admin_lists.h"

static const char *path_of(const char *app, struct arena *mem)
{
    return arena_printf(mem, "/apps/%s/limits", app);
}

int app_limits_model(struct admin *admin, struct db *db, struct request *request, json_object **model, struct err *e)
{
    const char *app = request_value(request, "app");
    struct arena *mem = request->mem;
    AUTO_JSON json_object *made =
        json_build("{s:s, s:s, s:s, s:s, s:s, s:s}", "title", arena_printf(mem, "Limits of %s - berth", app), "heading",
                   arena_printf(mem, "Limits of %s", app), "app", app, "app_url", arena_printf(mem, "/apps/%s", app),
                   "action", path_of(app, mem), "audit",
                   list_url(mem, "/audit",
                            (const struct list_part[]){ { "app", app }, { "action", "limits.set" }, { NULL, NULL } }));

    if (limit_form_put(admin, db, request, app, made, e))
        return e->code;
    admin_put_token(admin, request, made, "limits");
    *model = json_hold(made);
    return 0;
}

int app_limits_change(struct admin *admin, struct request *request, struct form *form, struct admin_answer *answer,
                      struct err *e)
{
    const char *app = request_value(request, "app");

    return limit_form_take(admin, request, form, app, path_of(app, request->mem), answer, e);
}
