-- An installation that has been in use for a year, for the pages to be measured with. By psql, as a superuser, into a database that was just migrated:
--   --set apps=2000 --set releases=200000 --set deliveries=200000 --set audits=50000
-- The first app has a tenth of all releases, the others from a fifth to nearly twice the average. What happened lies the denser the nearer it is: a hundredth of it in
-- the last hour, a twentieth in the last day. Nothing is random, so two runs measure the same.
BEGIN;
SET LOCAL session_replication_role = replica; -- no triggers: what is written here fits together, and foreign keys need not be looked up 2 million times

-- ---- Words ----

CREATE FUNCTION pg_temp.pick(p_of text[], p_number bigint) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT p_of[1 + p_number % array_length(p_of, 1)] $$;
CREATE FUNCTION pg_temp.person(p_number bigint) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT pg_temp.pick(ARRAY['mara', 'jonas-weber', 'priya', 'tomasz-k', 'li-wei', 'aoife', 'renovate[bot]', 'github-actions[bot]', 'samuel-okafor', 'ines'], p_number) $$;
CREATE FUNCTION pg_temp.title(p_number bigint) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT pg_temp.pick(ARRAY[
        'Fix the rounding of prices in the cart', 'Bump express from 4.18.2 to 4.19.0', 'Merge pull request #' || p_number % 4000 || ' from acme/checkout-retries',
        'Show the delivery date before the payment is confirmed', 'Revert "Cache the catalogue for an hour"', 'wip', 'Add <b>bold</b> & "quotes" to the receipt',
        'chore(deps): update dependency @babel/plugin-transform-react-jsx-development to v7.24.7 [security]', 'Überschriften der Rechnung auf Deutsch',
        'Retry payments that the bank has refused for a reason that passes by itself, and tell the customer only when the third try failed too (#' || p_number % 4000 || ')'],
        p_number) $$;
CREATE FUNCTION pg_temp.sha(p_number bigint) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT substr(md5(p_number::text) || md5('c' || p_number), 1, 40) $$;
CREATE FUNCTION pg_temp.listener(p_number bigint) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT 'arn:aws:elasticloadbalancing:eu-central-1:123456789012:listener/app/berth-' || p_number || '/' || substr(md5('b' || p_number), 1, 16) || '/'
        || substr(md5('l' || p_number), 1, 16) $$;

-- ---- Apps ----

CREATE TEMPORARY TABLE app ON COMMIT DROP AS
SELECT i, pg_temp.pick(ARRAY['shop', 'api', 'docs', 'billing', 'search', 'mail-relay', 'customer-portal', 'reports', 'auth', 'status', 'images'], i) || '-' || i AS name,
       CASE WHEN i % 50 = 13 THEN 'deleted' WHEN i % 200 = 11 THEN 'deleting' WHEN i % 40 = 7 THEN 'paused' ELSE 'active' END AS state,
       CASE WHEN i % 100 < 3 THEN 'running' WHEN i % 100 < 5 THEN 'queued' WHEN i % 100 < 12 THEN 'failed' ELSE 'live' END AS last_state,
       CASE WHEN i = 1 THEN 0 ELSE ((:releases - :releases / 10) / (:apps - 1) * (0.2 + 1.6 * i / :apps))::int END AS count
  FROM generate_series(1, :apps) i;
UPDATE app SET count = :releases - (SELECT sum(count) FROM app), state = 'active', last_state = 'live' WHERE i = 1;

INSERT INTO berth.apps (app_name, repository, repository_id, branch, webhook_policy, health_check_path, port, cpu_units, memory_mib, tasks, state, last_release, created_at)
SELECT name, 'acme/' || name, 1000 + i, pg_temp.pick(ARRAY['main', 'main', 'master', 'release/2026'], i), 'github', '/healthz', 8080, 256 << (i % 3), 512 << (i % 3), 1 + i % 4,
       state, count, now() - interval '366 days'
  FROM app;

-- ---- Releases ----

CREATE TEMPORARY TABLE made ON COMMIT DROP AS
SELECT a.name, n AS number, row_number() OVER (ORDER BY t.at) AS id, n = a.count AS is_last, n > a.count - 10 AS is_kept, t.at,
       CASE WHEN n = a.count THEN a.last_state WHEN (n * 7 + a.i) % 100 < 12 THEN 'failed' WHEN (n * 7 + a.i) % 100 < 20 THEN 'superseded'
            WHEN (n * 7 + a.i) % 100 < 22 THEN 'cancelled' ELSE 'live' END AS state,
       CASE WHEN n > 1 AND n % 20 = 3 THEN 'rollback' WHEN n % 10 = 7 THEN 'redeploy' ELSE 'push' END AS kind,
       pg_temp.pick(ARRAY['source', 'identity', 'build', 'route', 'rollout'], a.i / 100 + n) AS stopped_at
  FROM app a
 CROSS JOIN generate_series(1, a.count) n
 CROSS JOIN LATERAL (SELECT now() - interval '365 days' * power((a.count - n + (a.i % 97 + 1) / 100.0) / a.count, 2) AS at) t;
ALTER TABLE made ADD PRIMARY KEY (name, number);
ANALYZE made;

INSERT INTO berth.releases (app_name, number, kind, state, step, run_after, step_started_at, commit_sha, commit_title, pushed_by, delivery_id, source_version, build_attempt,
                            build_id, image_digest, task_definition_arn, ecs_deployment_id, pruned_at, rollback_to, error, hint, created_at, finished_at,
                            cpu_units, memory_mib, tasks, image_bytes)
SELECT m.name, m.number, m.kind, m.state,
       CASE m.state WHEN 'live' THEN 'live' WHEN 'queued' THEN 'source' WHEN 'running' THEN m.stopped_at WHEN 'failed' THEN m.stopped_at ELSE 'build' END,
       m.at, m.at, pg_temp.sha(m.id), pg_temp.title(m.id), pg_temp.person(m.id), CASE WHEN m.kind = 'push' THEN md5(m.id::text)::uuid::text END, md5('s' || m.id), 1,
       'berth-' || m.name || ':' || md5('b' || m.id)::uuid, CASE WHEN m.state = 'live' THEN 'sha256:' || md5('i' || m.id) || md5('j' || m.id) END,
       CASE WHEN m.state = 'live' THEN 'arn:aws:ecs:eu-central-1:123456789012:task-definition/berth-' || m.name || ':' || m.number END,
       CASE WHEN m.state = 'live' THEN 'ecs-svc/' || (1000000000000000000 + m.id) END, CASE WHEN NOT m.is_kept THEN m.at + interval '30 days' END,
       CASE WHEN m.kind = 'rollback' THEN m.number - 1 END,
       CASE WHEN m.state = 'failed' THEN pg_temp.pick(ARRAY['The build failed: process "/bin/sh -c npm ci" did not complete successfully: exit code: 1',
            'None of the 2 new tasks became healthy: the health check /healthz answered 502. What runs is still the release before.',
            'AWS refuses to make the service: AccessDeniedException: User is not authorized to perform ecs:CreateService on the resource'], m.id) END,
       CASE WHEN m.state = 'failed' THEN 'The log of the build has the line that failed: `berth logs ' || m.name || '`. Then push again.' END,
       m.at, CASE WHEN m.state NOT IN ('queued', 'running') THEN m.at + interval '3 minutes' END, 256 << (m.id % 3)::int, 512 << (m.id % 3)::int, 1 + m.id % 4,
       CASE WHEN m.state = 'live' THEN 90000000 + m.id * 7919 % 200000000 END
  FROM made m
 ORDER BY m.at;

INSERT INTO berth.release_events (app_name, release, at, step, kind, message)
SELECT m.name, m.number, m.at + e.after, e.step, CASE WHEN e.last AND m.state = 'failed' THEN 'failed' ELSE e.kind END,
       CASE WHEN e.last AND m.state = 'failed' THEN 'The build failed: process "/bin/sh -c npm ci" did not complete successfully: exit code: 1' ELSE e.message END
  FROM made m,
       (VALUES (1, false, interval '0', 'source', 'info', 'Queued by a push of acme: 2 commits.'), (2, false, '1 s', 'source', 'done', 'The source of the commit is in S3, 1.4 MiB.'),
               (3, false, '3 s', 'identity', 'done', 'Roles, image repository, log group and build project are there.'),
               (4, false, '4 s', 'build', 'info', 'The build has started; CodeBuild is preparing a machine.'),
               (5, true, '95 s', 'build', 'done', 'The image is built: 143 MiB.'), (6, false, '97 s', 'route', 'done', 'The target group and the rule are there.'),
               (7, false, '100 s', 'rollout', 'info', 'The new tasks are starting: 0 of 2 are healthy.'),
               (8, false, '180 s', 'live', 'done', 'Live.')) AS e (id, last, after, step, kind, message)
 WHERE e.id <= CASE m.state WHEN 'queued' THEN 1 WHEN 'live' THEN 8 ELSE 5 END
 ORDER BY m.at, e.id;
-- One had a hard time: two looks a minute for an hour were all told.
INSERT INTO berth.release_events (app_name, release, at, step, kind, message)
SELECT m.name, m.number, m.at + i * interval '30 s', 'rollout', 'retry', 'AWS asks to wait: ThrottlingException: Rate exceeded. Trying again in 30 s.'
  FROM made m, generate_series(1, 120) i
 WHERE (m.name, m.number) = (SELECT o.name, o.number FROM made o JOIN app a ON a.name = o.name WHERE a.i = 3 AND o.is_last);

INSERT INTO berth.builds (app_name, build_id, release, started_at, ended_at)
SELECT m.name, 'berth-' || m.name || ':' || md5('b' || m.id)::uuid, m.number, m.at, m.at + interval '95 s'
  FROM made m WHERE m.kind <> 'rollback' AND m.state <> 'queued'
 ORDER BY m.at;

INSERT INTO berth.deployments (app_name, release, commit_sha, image_digest, task_definition_arn, host, live_since, cpu_units, memory_mib, tasks)
SELECT r.app_name, r.number, r.commit_sha, r.image_digest, r.task_definition_arn, r.app_name || '.apps.example.test', r.finished_at, r.cpu_units, r.memory_mib, r.tasks
  FROM app a JOIN berth.releases r ON r.app_name = a.name
 WHERE a.state <> 'deleted' AND r.state = 'live'
   AND r.number = (SELECT max(o.number) FROM berth.releases o WHERE o.app_name = a.name AND o.state = 'live');

-- ---- Deliveries: of each push, and of what became no release ----

CREATE TEMPORARY TABLE sent ON COMMIT DROP AS
SELECT m.name, md5(m.id::text)::uuid::text AS delivery_id, 'accepted' AS outcome, 'queued as v' || m.number AS reason, m.number AS release, m.at, 'main' AS branch, m.id
  FROM made m WHERE m.kind = 'push' LIMIT :deliveries;
INSERT INTO sent
SELECT a.name, md5('d' || n)::uuid::text,
       pg_temp.pick(ARRAY['ignored', 'ignored', 'duplicate', 'limited', 'over_quota', 'paused'], n),
       pg_temp.pick(ARRAY['a push to another branch than main', 'no path of the push is one of the app''s', 'the same body came before', 'rate limit: 120 pushes at once, 600 an hour',
                          'CPU units: 16,384 of 16,384 in use, a rollout needs 512 more', 'the app is paused'], n),
       NULL, now() - interval '365 days' * power(n::float8 / o.others, 2), pg_temp.pick(ARRAY['main', 'feature/checkout-retries', 'renovate/express-4.x'], n), 1000000 + n
  FROM (SELECT :deliveries - (SELECT count(*) FROM sent) AS others) o
 CROSS JOIN generate_series(1, o.others) n
  JOIN app a ON a.i = 1 + n % :apps;
INSERT INTO berth.deliveries (app_name, delivery_id, event, outcome, reason, release, body_sha256, body, received_at, branch, commit_sha, commit_title, pushed_by)
SELECT s.name, s.delivery_id, 'push', s.outcome, s.reason, s.release, sha256(s.delivery_id::bytea),
       CASE WHEN s.at > now() - interval '7 days' THEN convert_to(repeat('{"ref":"refs/heads/main"}', 100), 'UTF8') END,
       s.at, s.branch, pg_temp.sha(s.id), pg_temp.title(s.id), pg_temp.person(s.id)
  FROM sent s
 ORDER BY s.at;

-- ---- What goes with an app ----

INSERT INTO berth.resources (app_name, kind, name, arn, spec_hash)
SELECT a.name, k.kind, 'berth-' || a.name, 'arn:aws:' || k.service || ':eu-central-1:123456789012:' || k.path || '/berth-' || a.name || '/' || md5(a.name), md5(k.kind)
  FROM app a,
       (VALUES ('task_role', 'iam', 'role'), ('execution_role', 'iam', 'role'), ('build_role', 'iam', 'role'), ('repository', 'ecr', 'repository'),
               ('log_group', 'logs', 'log-group'), ('build_project', 'codebuild', 'project'), ('target_group', 'elasticloadbalancing', 'targetgroup'),
               ('listener_rule', 'elasticloadbalancing', 'listener-rule/app'), ('service', 'ecs', 'service')) AS k (kind, service, path)
 WHERE a.state <> 'deleted';
INSERT INTO berth.listener_slots (listener_arn, priority, app_name)
SELECT pg_temp.listener(1 + i / 90), 1 + i % 90, name FROM app WHERE state <> 'deleted';
INSERT INTO berth.teardowns (app_name, state, step, started_by, finished_at)
SELECT name, CASE state WHEN 'deleted' THEN 'done' ELSE 'running' END, 'service', 'operator', CASE state WHEN 'deleted' THEN now() END FROM app WHERE state LIKE 'delet%';
INSERT INTO berth.quotas (app_name, cpu_units, memory_mib, tasks, releases_per_hour) SELECT name, 4096 + i % 7 * 1024, 8192, 12, 20 FROM app WHERE i % 4 = 0 AND state <> 'deleted';
INSERT INTO berth.rate_limits (app_name, pushes_burst, pushes_per_hour, spent, spent_at)
SELECT name, CASE WHEN i % 10 = 0 THEN 30 END, CASE WHEN i % 10 = 0 THEN 60 END, i % 25, now() - i * interval '1 s' FROM app WHERE state <> 'deleted';
INSERT INTO berth.looks (app_name, reason, owed_at, run_after)
SELECT name, CASE WHEN i % 3 = 0 THEN 'limited' ELSE 'over_quota' END, now() - i * interval '1 s', 'infinity' FROM app WHERE i % 80 = 20 AND state = 'active';

-- ---- The audit log ----

INSERT INTO berth.audit_log (at, actor, action, app_name, before, after)
SELECT now() - interval '365 days' * (:audits - n) / :audits, pg_temp.pick(ARRAY['operator', 'mara', 'jonas-weber', 'aoife'], n), k.action, a.name, k.before, k.after
  FROM generate_series(1, :audits) n
  JOIN app a ON a.i = 1 + n * 31 % :apps
 CROSS JOIN LATERAL (SELECT pg_temp.pick(ARRAY['release.deploy', 'release.rollback', 'limits.set', 'app.update', 'app.pause', 'app.resume', 'delivery.run_again'], n) AS action) w
 CROSS JOIN LATERAL (SELECT w.action,
            CASE w.action WHEN 'limits.set' THEN '{"cpu_units": 4096, "memory_mib": null, "pushes_per_hour": 600}'
                          WHEN 'app.update' THEN '{"port": 8080, "branch": "main", "tasks": 1, "path_filter": ""}' END::jsonb AS before,
            CASE w.action WHEN 'limits.set' THEN '{"cpu_units": 8192, "memory_mib": 16384, "pushes_per_hour": 900}'
                          WHEN 'app.update' THEN '{"port": 3000, "branch": "release/2026", "tasks": 3, "path_filter": "services/checkout/** packages/**"}'
                          WHEN 'release.rollback' THEN '{"release": 42, "rollback_to": 40}' WHEN 'release.deploy' THEN '{"release": 43}' END::jsonb AS after) k;
INSERT INTO berth.audit_log (at, actor, action, app_name, after)
SELECT now() - interval '366 days', 'operator', 'app.create', name, '{"port": 8080, "branch": "main"}' FROM app;
COMMIT;

-- As autovacuum does sooner or later.
VACUUM ANALYZE;
