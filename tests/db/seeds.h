/*
 * seeds - one row for an app in each tenant table, in an order that the foreign keys allow.
 *
 * The isolation test fails when the catalogue has a tenant table that is not here, so that a new one can't be forgotten.
 */
#ifndef BERTH_TESTS_DB_SEEDS_H
#define BERTH_TESTS_DB_SEEDS_H

#include <stddef.h>

struct seed {
    const char *table;
    const char *sql; /* $1: the app */
};

#define SEED_DIGEST "'sha256:' || repeat('0', 64)"

static const struct seed seeds[] = {
    { "apps",
      "INSERT INTO berth.apps (app_name, repository, webhook_policy) VALUES ($1::text, 'acme/' || $1, 'github')" },
    { "releases", "INSERT INTO berth.releases (app_name, number, kind, commit_sha)"
                  " VALUES ($1::text, 1, 'push', repeat('a', 40))" },
    { "release_events", "INSERT INTO berth.release_events (app_name, release, step, kind, message)"
                        " VALUES ($1::text, 1, 'source', 'info', 'Queued.')" },
    { "deployments",
      "INSERT INTO berth.deployments (app_name, release, commit_sha, image_digest, task_definition_arn, host)"
      " VALUES ($1::text, 1, repeat('a', 40), " SEED_DIGEST ", 'arn:task', $1 || '.example.org')" },
    { "deliveries", "INSERT INTO berth.deliveries (app_name, delivery_id, event, outcome, reason, body_sha256, body)"
                    " VALUES ($1::text, 'd-1', 'push', 'accepted', 'a push', sha256('body'), 'body')" },
    { "intents", "INSERT INTO berth.intents (app_name, release, step, operation, target, lease_token)"
                 " VALUES ($1::text, 1, 'build', 'codebuild:StartBuild', 'x', 1)" },
    { "resources", "INSERT INTO berth.resources (app_name, kind, name, arn, spec_hash)"
                   " VALUES ($1::text, 'task_role', 'x', 'arn:role', 'h')" },
    { "listener_slots", "INSERT INTO berth.listener_slots (listener_arn, priority, app_name)"
                        " VALUES ('arn:listener', 1 + length($1::text), $1)" },
    { "teardowns", "INSERT INTO berth.teardowns (app_name, started_by) VALUES ($1::text, 'ann')" },
    { "quotas", "INSERT INTO berth.quotas (app_name, cpu_units) VALUES ($1::text, 4096)" },
    { "rate_limits", "INSERT INTO berth.rate_limits (app_name, pushes_burst, spent) VALUES ($1::text, 10, 3)" },
    { "looks",
      "INSERT INTO berth.looks (app_name, reason, owed_at, run_after) VALUES ($1::text, 'limited', now(), now())" },
    { "builds", "INSERT INTO berth.builds (app_name, build_id, release) VALUES ($1::text, 'berth-x:1', 1)" },
    { "audit_log", "INSERT INTO berth.audit_log (actor, action, app_name) VALUES ('ann', 'create', $1::text)" },
};

enum { SEED_COUNT = sizeof seeds / sizeof *seeds };

#endif
