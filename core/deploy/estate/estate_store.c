/* Source archives and secrets: what is stored. Objects carry no tags: their place below tenants/ says whose they are, and the bucket is berth's. */
#include <string.h>

#include "core/aws/s3.h"
#include "core/base/test_point.h"
#include "core/base/text.h"
#include "core/deploy/estate/estate_kinds.h"
#include "core/deploy/estate/ownership.h"
#include "core/tenant/names.h"

enum { RECOVERY_DAYS = 7 }; /* the least that Secrets Manager takes */

static const char tenants[] = "tenants/", upload[] = "upload", folder[] = "folder";

static const struct aws_paging paged_secrets = { "SecretList", "NextToken", "NextToken" };

/* Source archives */

static void add_kept(struct estate_place *place, const char *app, const struct s3_kept *kept, size_t count,
                     const char *state, struct estate *out)
{
    for (size_t i = 0; i < count; i++) {
        const struct estate_thing thing = {
            .kind = ESTATE_SOURCE, .name = kept[i].key, .arn = kept[i].id, .owner = app, .state = state
        };
        estate_add(place, out, &thing);
    }
}

static int folders_list(struct estate_place *place, struct estate *out, struct err *e)
{
    AUTO_JSON json_object *folders = NULL;

    if (s3_list_folders(place->aws, place->settings->bucket, tenants, &folders, e))
        return e->code;
    for (size_t i = 0; i < json_length(folders); i++) {
        const char *name = json_find_text(json_item(folders, i), "", place->mem);
        const struct estate_thing thing = {
            .kind = ESTATE_SOURCE,
            .name = name,
            .arn = arena_printf(place->mem, "arn:%s:s3:::%s/%s", place->partition, place->settings->bucket, name),
            .owner = estate_app_of(place->mem, name, tenants, "/"),
            .state = folder,
        };
        if (thing.owner)
            estate_add(place, out, &thing);
    }
    return 0;
}

int estate_find_sources(struct estate_place *place, const char *app, struct estate *out, struct err *e)
{
    const char *bucket = place->settings->bucket;
    const char *prefix = app ? arena_printf(place->mem, "%s%s/", tenants, app) : NULL;
    struct s3_kept *versions, *uploads;
    size_t version_count, upload_count;
    struct aws_guard room;

    if (!app)
        return folders_list(place, out, e);
    if (s3_list_versions(place->aws, estate_to_look(place, &room), bucket, prefix, place->mem, &versions,
                         &version_count, e) ||
        s3_list_uploads(place->aws, estate_to_look(place, &room), bucket, prefix, place->mem, &uploads, &upload_count,
                        e))
        return e->code;
    add_kept(place, app, versions, version_count, NULL, out);
    add_kept(place, app, uploads, upload_count, upload, out);
    return 0;
}

int estate_remove_source(struct estate_place *place, const struct estate_thing *thing, struct err *e)
{
    const char *bucket = place->settings->bucket;
    bool is_upload = thing->state && strcmp(thing->state, upload) == 0;
    const struct aws_guard *guard;
    struct aws_guard room;
    int code;

    if (estate_to_change(place, &room, &guard, e))
        return e->code;
    TEST_POINT("teardown", is_upload ? "AbortMultipartUpload" : "DeleteObject", "before");
    code = is_upload ? s3_abort_upload(place->aws, guard, bucket, thing->name, thing->arn, e)
                     : s3_delete(place->aws, guard, bucket, thing->name, thing->arn, e);
    TEST_POINT("teardown", is_upload ? "AbortMultipartUpload" : "DeleteObject", "after");
    return code;
}

/* Secrets */

static int secret_find(struct estate_place *place, const char *name, const char *app, struct estate *out, struct err *e)
{
    AUTO_JSON json_object *ask = json_build("{s:s}", "SecretId", name), *reply = NULL;
    struct estate_thing thing = { .kind = ESTATE_SECRET };

    if (estate_read(place, &SECRETSMANAGER, "DescribeSecret", ask, &reply, e))
        return err_is(e, "ResourceNotFoundException") ? 0 : (int)e->code;
    if (json_at(reply, "/DeletedDate")) /* it is on its way out */
        return 0;
    if (json_read_text(reply, "/Name", place->mem, &thing.name, e) ||
        json_read_text(reply, "/ARN", place->mem, &thing.arn, e))
        return e->code;
    thing.owner = tag_find(json_at(reply, "/Tags"), NAMES_TAG_APP, place->mem);
    if (app || thing.owner)
        estate_add(place, out, &thing);
    return 0;
}

static int secrets_list(struct estate_place *place, struct estate *out, struct err *e)
{
    AUTO_JSON json_object *ask = json_build("{s:[{s:s, s:[s]}]}", "Filters", "Key", "name", "Values", "berth/");
    AUTO_JSON json_object *all = NULL;

    if (estate_read_paged(place, &SECRETSMANAGER, "ListSecrets", ask, &paged_secrets, &all, e))
        return e->code;
    for (size_t i = 0; i < json_length(all); i++) {
        json_object *secret = json_item(all, i);
        const struct estate_thing thing = { .kind = ESTATE_SECRET,
                                            .name = json_find_text(secret, "/Name", place->mem),
                                            .arn = json_find_text(secret, "/ARN", place->mem),
                                            .owner = tag_find(json_at(secret, "/Tags"), NAMES_TAG_APP, place->mem) };
        if (thing.name && thing.owner && !json_at(secret, "/DeletedDate") &&
            (text_starts(thing.name, "berth/hooks/") || text_starts(thing.name, "berth/apps/")))
            estate_add(place, out, &thing);
    }
    return 0;
}

int estate_find_secrets(struct estate_place *place, const char *app, struct estate *out, struct err *e)
{
    if (!app)
        return secrets_list(place, out, e);
    if (secret_find(place, name_hook_secret(place->mem, app), app, out, e) ||
        secret_find(place, name_config_secret(place->mem, app), app, out, e))
        return e->code;
    return 0;
}

/* A webhook's secret is worth nothing without its app, and goes at once. The tenant's own values can be brought back for a week: RestoreSecret. */
int estate_remove_secret(struct estate_place *place, const struct estate_thing *thing, struct err *e)
{
    bool hook = text_starts(thing->name, "berth/hooks/");
    AUTO_JSON json_object *ask = json_build("{s:s}", "SecretId", thing->arn);

    if (hook)
        json_put(ask, "ForceDeleteWithoutRecovery", json_build("b", 1));
    else
        json_put(ask, "RecoveryWindowInDays", json_number(RECOVERY_DAYS));
    return estate_ask(place, &SECRETSMANAGER, "DeleteSecret", ask, "ResourceNotFoundException", e);
}
