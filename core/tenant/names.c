#include "core/tenant/names.h"

const char *name_task_role(struct arena *mem, const char *app)
{
    return arena_printf(mem, "berth-%s-task", app);
}

const char *name_execution_role(struct arena *mem, const char *app)
{
    return arena_printf(mem, "berth-%s-execution", app);
}

const char *name_build_role(struct arena *mem, const char *app)
{
    return arena_printf(mem, "berth-%s-build", app);
}

const char *name_repository(struct arena *mem, const char *app)
{
    return arena_printf(mem, "berth/%s", app);
}

const char *name_image_tag(struct arena *mem, int release, int attempt)
{
    return arena_printf(mem, "v%d-a%d", release, attempt);
}

const char *name_log_group(struct arena *mem, const char *app)
{
    return arena_printf(mem, "/berth/%s", app);
}

const char *name_build_project(struct arena *mem, const char *app)
{
    return arena_printf(mem, "berth-%s", app);
}

/* Generations of up to three digits fit; a number says nothing of its app, so the last hyphen parts the two. */
const char *name_target_group(struct arena *mem, const char *app, int generation)
{
    return arena_printf(mem, "berth-%s-%d", app, generation);
}

const char *name_service(struct arena *mem, const char *app)
{
    return arena_printf(mem, "berth-%s", app);
}

const char *name_task_family(struct arena *mem, const char *app)
{
    return arena_printf(mem, "berth-%s", app);
}

const char *name_source_key(struct arena *mem, const char *app, const char *commit_sha)
{
    return arena_printf(mem, "tenants/%s/%s.zip", app, commit_sha);
}

const char *name_hook_secret(struct arena *mem, const char *app)
{
    return arena_printf(mem, "berth/hooks/%s", app);
}

const char *name_config_secret(struct arena *mem, const char *app)
{
    return arena_printf(mem, "berth/apps/%s/config", app);
}

const char *name_host(struct arena *mem, const char *app, const char *domain)
{
    return arena_printf(mem, "%s.%s", app, domain);
}
