-- many: the apps of a page with what is used of each limit: those that a quota refused a push, and those nearest to a limit first. $1 share (in ten thousandths) and $2 name of the last row shown (null: from the first); $3 how many
-- Of every app only its greatest share; all else is looked up for the rows of the page alone. Build minutes and images take reading every build and image, so they order
-- it only by the push that they refused. Builds at once are no reason to come first: one that runs is what the limit is for. Of a limit of 0 anything used is too much.
WITH hours AS (
SELECT r.app_name, count(*) AS used FROM berth.releases r WHERE r.created_at > now() - interval '1 hour' GROUP BY r.app_name
), shares AS MATERIALIZED (
SELECT a.app_name, least(1000000, greatest(
           t.live * coalesce(d.cpu_units, a.cpu_units) * 10000 / greatest(coalesce(q.cpu_units, s.cpu_units), 1),
           t.live * coalesce(d.memory_mib, a.memory_mib) * 10000 / greatest(coalesce(q.memory_mib, s.memory_mib), 1),
           t.live * 10000 / greatest(coalesce(q.tasks, s.tasks), 1),
           -- As berth.quota_use counts: while a rollout is under way, the old tasks and the new ones.
           CASE WHEN m.app_name IS NOT NULL THEN greatest(
               (coalesce(t.live * coalesce(d.cpu_units, a.cpu_units), 0) + coalesce(m.tasks, a.tasks)::bigint * coalesce(m.cpu_units, a.cpu_units)) * 10000
                   / greatest(coalesce(q.cpu_units, s.cpu_units), 1),
               (coalesce(t.live * coalesce(d.memory_mib, a.memory_mib), 0) + coalesce(m.tasks, a.tasks)::bigint * coalesce(m.memory_mib, a.memory_mib)) * 10000
                   / greatest(coalesce(q.memory_mib, s.memory_mib), 1),
               (coalesce(t.live, 0) + coalesce(m.tasks, a.tasks)) * 10000 / greatest(coalesce(q.tasks, s.tasks), 1)) END,
           h.used * 10000 / greatest(coalesce(q.releases_per_hour, s.releases_per_hour), 1),
           -- As berth.rate_use counts: the tokens that are gone, a begun one too.
           CASE WHEN l.spent > 0 THEN
               ceil(least(coalesce(l.pushes_burst, s.pushes_burst), greatest(0, l.spent - greatest(0, date_part('epoch', now() - l.spent_at))
                    * coalesce(l.pushes_per_hour, s.pushes_per_hour) / 3600)))::bigint * 10000 / coalesce(l.pushes_burst, s.pushes_burst) END,
           CASE WHEN k.app_name IS NOT NULL THEN 10000 ELSE 0 END)) AS share
  FROM berth.apps a
 CROSS JOIN berth.default_limits s
  LEFT JOIN berth.quotas q ON q.app_name = a.app_name
  LEFT JOIN berth.rate_limits l ON l.app_name = a.app_name
  LEFT JOIN berth.deployments d ON d.app_name = a.app_name
  LEFT JOIN berth.releases m ON m.app_name = a.app_name AND m.state = 'running' AND m.step IN ('rollout', 'live')
  LEFT JOIN hours h ON h.app_name = a.app_name
  LEFT JOIN berth.looks k ON k.app_name = a.app_name AND k.reason = 'over_quota'
 CROSS JOIN LATERAL (SELECT CASE WHEN d.app_name IS NOT NULL THEN coalesce(d.tasks, a.tasks)::bigint END AS live) t
 WHERE a.state <> 'deleted'
), page AS (
SELECT s.* FROM shares s
 WHERE $2::text IS NULL OR s.share < $1::bigint OR (s.share = $1::bigint AND s.app_name > $2)
 ORDER BY s.share DESC, s.app_name
 LIMIT $3::int
)
SELECT p.app_name, p.share, k.app_name IS NOT NULL AS is_refused,
       coalesce(t.live * coalesce(d.cpu_units, a.cpu_units), 0) + coalesce(t.rolling * coalesce(m.cpu_units, a.cpu_units), 0) AS cpu_units,
       coalesce(t.live * coalesce(d.memory_mib, a.memory_mib), 0) + coalesce(t.rolling * coalesce(m.memory_mib, a.memory_mib), 0) AS memory_mib,
       coalesce(t.live, 0) + coalesce(t.rolling, 0) AS tasks, CASE WHEN m.step = 'build' THEN 1 ELSE 0 END AS concurrent_builds,
       b.used AS build_minutes, coalesce(h.used, 0) AS releases_per_hour, i.used AS image_mib,
       ceil(least(coalesce(l.pushes_burst, s.pushes_burst), greatest(0, coalesce(l.spent, 0) - greatest(0, date_part('epoch', now() - l.spent_at))
            * coalesce(l.pushes_per_hour, s.pushes_per_hour) / 3600)))::bigint AS pushes_burst,
       coalesce(q.cpu_units, s.cpu_units) AS most_cpu_units, coalesce(q.memory_mib, s.memory_mib) AS most_memory_mib, coalesce(q.tasks, s.tasks) AS most_tasks,
       coalesce(q.concurrent_builds, s.concurrent_builds) AS most_concurrent_builds, coalesce(q.build_minutes, s.build_minutes) AS most_build_minutes,
       coalesce(q.releases_per_hour, s.releases_per_hour) AS most_releases_per_hour, coalesce(q.image_mib, s.image_mib) AS most_image_mib,
       coalesce(l.pushes_burst, s.pushes_burst) AS most_pushes_burst, (SELECT count(*) FROM shares n WHERE n.share >= 8000) AS near
  -- By an array, whose length no plan guesses: with the page's own rows Postgres would find a plan for just so many cheaper, and plan anew each time.
  FROM unnest(ARRAY(SELECT o.app_name FROM page o)) AS shown (app_name)
  JOIN page p ON p.app_name = shown.app_name
  JOIN berth.apps a ON a.app_name = p.app_name
 CROSS JOIN berth.default_limits s
  LEFT JOIN berth.quotas q ON q.app_name = p.app_name
  LEFT JOIN berth.rate_limits l ON l.app_name = p.app_name
  LEFT JOIN berth.deployments d ON d.app_name = p.app_name
  LEFT JOIN berth.releases m ON m.app_name = p.app_name AND m.state = 'running'
  LEFT JOIN hours h ON h.app_name = p.app_name
  LEFT JOIN berth.looks k ON k.app_name = p.app_name AND k.reason = 'over_quota'
 CROSS JOIN LATERAL (SELECT CASE WHEN d.app_name IS NOT NULL THEN coalesce(d.tasks, a.tasks)::bigint END AS live,
                            CASE WHEN m.step IN ('rollout', 'live') THEN coalesce(m.tasks, a.tasks)::bigint END AS rolling) t
 CROSS JOIN LATERAL (SELECT coalesce(sum(ceil(greatest(0, date_part('epoch', coalesce(c.ended_at,
                                (SELECT r.finished_at FROM berth.releases r WHERE r.app_name = c.app_name AND r.number = c.release), now()) - c.started_at)) / 60)), 0)::bigint AS used
                       FROM berth.builds c
                      WHERE c.app_name = p.app_name AND c.started_at >= date_trunc('month', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC') b
 CROSS JOIN LATERAL (SELECT coalesce(ceil(sum(e.bytes) / 1048576), 0)::bigint AS used
                       FROM (SELECT max(r.image_bytes) AS bytes FROM berth.releases r
                              WHERE r.app_name = p.app_name AND r.image_bytes IS NOT NULL AND r.pruned_at IS NULL GROUP BY r.image_digest) e) i
 ORDER BY p.share DESC, p.app_name
