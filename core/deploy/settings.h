/*
 * settings - what the operator says of this installation: one table (see config.h) of every option.
 *
 * File: --config, else BERTH_CONFIG, else /etc/berth/berth.conf if it is there. Each option has an environment name BERTH_<SECTION>_<KEY>, which wins;
 * AWS's own variables (AWS_REGION, keys, endpoints) are read by the AWS client. `berth config` prints the table.
 */
#ifndef BERTH_DEPLOY_SETTINGS_H
#define BERTH_DEPLOY_SETTINGS_H

#include "core/base/config.h"
#include "core/base/log.h"

struct settings {
    /* [database] libpq connection strings of the four logins (see sql/bootstrap.sql) */
    const char *database_owner, *database_hooks, *database_worker, *database_admin;
    int64_t database_connections; /* per process */
    /* [aws] */
    const char *aws_region; /* NULL: AWS_REGION */
    /* [platform] what berth stands on; it is named, never made, and checked at start */
    const char *domain;  /* apps.example.com: an app answers at {app}.{domain} */
    const char *cluster; /* ECS cluster's name */
    const char *bucket;  /* of source archives; versioned */
    const char *vpc;     /* of subnets, load balancers and tasks */
    struct config_list subnets;
    const char *security_group;       /* of all tenants' tasks: in only from the load balancers */
    struct config_list listeners;     /* HTTPS listeners' ARNs, in the order they are filled */
    const char *permissions_boundary; /* ARN of the managed policy every tenant's role is bound by */
    const char *build_image;          /* CodeBuild's: "aws/codebuild/amazonlinux-x86_64-standard:5.0" */
    const char *build_compute;        /* "BUILD_GENERAL1_SMALL" */
    bool assign_public_ip;            /* tasks in public subnets without NAT */
    int64_t log_retention_days;
    /* [github] */
    const char *github_api_url;
    const char *github_token_secret; /* name of a secret in Secrets Manager; NULL: public repositories only */
    /* [hooks] */
    int64_t hooks_threads;
    int64_t hooks_body_max;     /* bytes; GitHub's cap is 25 MiB */
    int64_t delivery_body_days; /* what GitHub sent is kept so long */
    int64_t delivery_days;      /* and what came of it so long */
    const char *hooks_url; /* https://berth.example.com: what to paste into GitHub; NULL: a placeholder is printed */
    /* [admin] */
    int64_t admin_threads;
    struct config_list admin_operators; /* names as the web server signs them in; none: nobody gets in */
    const char *www;                    /* folder of pages */
    /* [worker] */
    int64_t worker_threads;
    int64_t worker_lease_s;
    int64_t role_settle_s; /* how old a tenant's roles are at least before its first tasks start */
    /* [log] */
    int log_level, log_format;
    /* None of the table: the file that was read; NULL: none */
    const char *config_path;
};

extern const struct config_option settings_table[];
extern const size_t settings_count;

struct loaded_settings {
    struct settings settings;
    struct config_value *values; /* settings_count of them */
    const char *path;            /* of the file read; NULL: none */
};

int settings_load(const char *path, struct arena *mem, struct loaded_settings *out, struct err *e);

/* ERR_INVALID naming every [platform] option that is missing for a worker. */
int settings_require_platform(const struct settings *settings, struct err *e);

#endif
