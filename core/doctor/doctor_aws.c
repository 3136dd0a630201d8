/* What AWS says: who we are, its clock, what berth stands on, webhook secrets. */
#include <string.h>

#include "core/base/buf.h"
#include "core/deploy/worker.h"
#include "core/doctor/doctor_parts.h"
#include "core/tenant/names.h"

enum { NAMED_MAX = 5 };

static int identify(struct look *look, struct aws *aws, struct err *e)
{
    AUTO_JSON json_object *reply = NULL;

    if (aws_call(aws, &STS, "GetCallerIdentity", NULL, &reply, e) ||
        json_read_text(reply, "/Arn", look->mem, &look->caller, e))
        return e->code;
    doctor_tell(look, DOCTOR_OK, "%s, region %s; the keys are from the environment (AWS_ACCESS_KEY_ID).", look->caller,
                aws_region(aws));
    return 0;
}

/* A pair of keys that AWS turns away is wrong or gone, not short of a permission: this call needs none. */
static bool is_bad_key(const struct err *e)
{
    return err_is(e, "InvalidClientTokenId") || err_is(e, "SignatureDoesNotMatch") || err_is(e, "ExpiredToken");
}

void look_aws_identity(struct look *look)
{
    struct aws *aws = NULL;
    struct err e = { 0 };

    if (doctor_aws(look, &aws, &e)) {
        doctor_tell_err(look, look->doctor->options.aws_optional ? DOCTOR_SKIPPED : DOCTOR_FAILED, &e);
    } else if (identify(look, aws, &e)) {
        doctor_tell_err(look, DOCTOR_FAILED, &e);
        if (is_bad_key(&e))
            doctor_advise(look, "Check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN: the key may be "
                                "deleted, inactive, expired or mistyped.");
    }
    aws_free(aws);
}

/* Of the replies to GetCallerIdentity, refusals too. */
void look_clock_aws(struct look *look)
{
    if (look->doctor->aws_date_seen)
        doctor_tell_clock(look, "AWS's", look->doctor->aws_ahead_ms);
    else
        doctor_tell(look, DOCTOR_SKIPPED, "AWS did not answer, so its clock is not known.");
}

void look_platform(struct look *look)
{
    const struct settings *settings = doctor_settings(look);
    struct aws *aws = NULL;
    struct err e = { 0 };

    if (settings_require_platform(settings, &e))
        doctor_tell(look, DOCTOR_SKIPPED, "The section [platform] is not complete.");
    else if (doctor_aws(look, &aws, &e) || platform_check(aws, settings, &e))
        doctor_tell_err(look, DOCTOR_FAILED, &e);
    else
        doctor_tell(
            look, DOCTOR_OK,
            "ECS cluster %s, bucket %s (versioned), %s with %zu subnets, %zu listeners, %s and the boundary are "
            "there.",
            settings->cluster, settings->bucket, settings->vpc, settings->subnets.count, settings->listeners.count,
            settings->security_group);
    aws_free(aws);
}

/* The names of all webhook secrets that are not on their way out; ERR_DENIED: we may not list. */
static int list_secrets(struct look *look, json_object **all, struct err *e)
{
    AUTO_JSON json_object *ask = json_build("{s:[{s:s, s:[s]}]}", "Filters", "Key", "name", "Values", "berth/hooks/");
    struct aws *aws = NULL;
    int failure = doctor_aws(look, &aws, e);

    if (!failure)
        failure =
            aws_call_paged(aws, &SECRETSMANAGER, "ListSecrets", ask, "SecretList", "NextToken", "NextToken", all, e);
    aws_free(aws);
    return failure;
}

static bool has_secret(struct look *look, const json_object *all, const char *app)
{
    const char *wanted = name_hook_secret(look->mem, app);

    for (size_t i = 0; i < json_length(all); i++) {
        const char *name = json_find_text(json_item(all, i), "/Name", look->mem);
        if (name && !strcmp(name, wanted) && !json_at(json_item(all, i), "/DeletedDate"))
            return true;
    }
    return false;
}

static void judge_secrets(struct look *look, const struct db_rows *apps, const json_object *all)
{
    AUTO_BUF struct buf lacking = { 0 };
    size_t lacks = 0, living = 0;
    const char *first = NULL;

    for (size_t i = 0; i < db_count(apps); i++) {
        const char *app = db_get(apps, i, "app_name"), *state = db_get(apps, i, "state");
        if (!strcmp(state, "deleted") || !strcmp(state, "deleting"))
            continue;
        living++;
        if (has_secret(look, all, app))
            continue;
        if (lacks++ < NAMED_MAX)
            buf_printf(&lacking, "%s%s", lacking.len ? ", " : "", app);
        if (!first)
            first = app;
    }
    if (lacks == 0) {
        doctor_tell(look, DOCTOR_OK, "Each of %zu apps has its webhook secret in Secrets Manager.", living);
        return;
    }
    doctor_tell(look, DOCTOR_FAILED,
                "%zu of %zu apps have no webhook secret in Secrets Manager (berth/hooks/...), so their pushes are "
                "refused: %s%s.",
                lacks, living, buf_text(&lacking), lacks > NAMED_MAX ? ", and others" : "");
    doctor_advise(
        look,
        "berth apps secret %s makes one; paste it into the webhook on GitHub. If it was deleted a moment ago: "
        "aws secretsmanager restore-secret --secret-id berth/hooks/%s.",
        first, first);
}

static int use_secrets(struct look *look, struct db_pool *pool, struct err *e)
{
    AUTO_ROWS struct db_rows *apps = NULL;
    AUTO_JSON json_object *all = NULL;

    if (db_run_once(pool, NULL, QUERY_APP_LIST, NULL, 0, &apps, e))
        return e->code;
    if (list_secrets(look, &all, e)) {
        if (e->code != ERR_DENIED)
            return e->code;
        doctor_tell(look, DOCTOR_SKIPPED, "These credentials may not list secrets.");
        doctor_advise(look, "To have this checked, allow secretsmanager:ListSecrets: the statement CompareByTag of "
                            "docs/aws-permissions.md.");
        return 0;
    }
    judge_secrets(look, apps, all);
    return 0;
}

void look_secrets(struct look *look)
{
    if (doctor_is_well(look, DOCTOR_LOGIN_ADMIN))
        doctor_with_db(look, "admin", use_secrets);
    else
        doctor_tell(look, DOCTOR_SKIPPED, "This needs the database login admin too, which does not work here.");
}
