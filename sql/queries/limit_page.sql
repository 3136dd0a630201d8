-- many: the apps of a page with what is used of each limit: those that a quota refused a push, and those nearest to a limit first. $1 share (in ten thousandths) and $2 name of the last row shown (null: from the first); $3 how many
-- Build minutes and images take reading every build and image, so they are counted for the rows of the page alone, and order it only by the push that they refused.
WITH hours AS (
SELECT r.app_name, count(*) AS used FROM berth.releases r WHERE r.created_at > now() - interval '1 hour' GROUP BY r.app_name
), known AS (
SELECT a.app_name,
       -- As berth.quota_use counts: while a rollout is under way, the old tasks and the new ones.
       coalesce(live.tasks * coalesce(d.cpu_units, a.cpu_units), 0) + coalesce(rolling.tasks * coalesce(m.cpu_units, a.cpu_units), 0) AS cpu_units,
       coalesce(live.tasks * coalesce(d.memory_mib, a.memory_mib), 0) + coalesce(rolling.tasks * coalesce(m.memory_mib, a.memory_mib), 0) AS memory_mib,
       coalesce(live.tasks, 0) + coalesce(rolling.tasks, 0) AS tasks,
       CASE WHEN m.step = 'build' THEN 1 ELSE 0 END::bigint AS concurrent_builds,
       coalesce(h.used, 0) AS releases_per_hour, k.app_name IS NOT NULL AS is_refused,
       -- As berth.rate_use counts: the tokens that are gone, a begun one too.
       ceil(least(burst.most, greatest(0, coalesce(l.spent, 0) - greatest(0, extract(epoch FROM clock_timestamp() - l.spent_at)::float8)
            * coalesce(l.pushes_per_hour, s.pushes_per_hour) / 3600)))::bigint AS pushes_burst,
       coalesce(q.cpu_units, s.cpu_units) AS most_cpu_units, coalesce(q.memory_mib, s.memory_mib) AS most_memory_mib, coalesce(q.tasks, s.tasks) AS most_tasks,
       coalesce(q.concurrent_builds, s.concurrent_builds) AS most_concurrent_builds, coalesce(q.build_minutes, s.build_minutes) AS most_build_minutes,
       coalesce(q.releases_per_hour, s.releases_per_hour) AS most_releases_per_hour, coalesce(q.image_mib, s.image_mib) AS most_image_mib,
       burst.most AS most_pushes_burst
  FROM berth.apps a
 CROSS JOIN berth.default_limits s
  LEFT JOIN berth.quotas q ON q.app_name = a.app_name
  LEFT JOIN berth.rate_limits l ON l.app_name = a.app_name
  LEFT JOIN berth.deployments d ON d.app_name = a.app_name
  LEFT JOIN berth.releases m ON m.app_name = a.app_name AND m.state = 'running'
  LEFT JOIN hours h ON h.app_name = a.app_name
  LEFT JOIN berth.looks k ON k.app_name = a.app_name AND k.reason = 'over_quota'
 CROSS JOIN LATERAL (SELECT coalesce(l.pushes_burst, s.pushes_burst) AS most) burst
 CROSS JOIN LATERAL (SELECT CASE WHEN d.app_name IS NOT NULL THEN coalesce(d.tasks, a.tasks)::bigint END AS tasks) live
 CROSS JOIN LATERAL (SELECT CASE WHEN m.step IN ('rollout', 'live') THEN coalesce(m.tasks, a.tasks)::bigint END AS tasks) rolling
 WHERE a.state <> 'deleted'
OFFSET 0 -- computed once, where the planner would write each expression into all that use it
), shares AS MATERIALIZED (
-- Builds at once are no reason to come first: one that runs is what the limit is for. Of a limit of 0 anything used is too much.
SELECT k.*, greatest(
           CASE WHEN k.cpu_units = 0 THEN 0 ELSE least(1000000, k.cpu_units * 10000 / greatest(k.most_cpu_units, 1)) END,
           CASE WHEN k.memory_mib = 0 THEN 0 ELSE least(1000000, k.memory_mib * 10000 / greatest(k.most_memory_mib, 1)) END,
           CASE WHEN k.tasks = 0 THEN 0 ELSE least(1000000, k.tasks * 10000 / greatest(k.most_tasks, 1)) END,
           CASE WHEN k.releases_per_hour = 0 THEN 0 ELSE least(1000000, k.releases_per_hour * 10000 / greatest(k.most_releases_per_hour, 1)) END,
           k.pushes_burst * 10000 / k.most_pushes_burst,
           CASE WHEN k.is_refused THEN 10000 ELSE 0 END) AS share
  FROM known k
), page AS (
SELECT s.* FROM shares s
 WHERE $2::text IS NULL OR s.share < $1::bigint OR (s.share = $1::bigint AND s.app_name > $2)
 ORDER BY s.share DESC, s.app_name
 LIMIT $3::int
)
SELECT p.*, (SELECT count(*) FROM shares n WHERE n.share >= 8000) AS near, t.used AS build_minutes, i.used AS image_mib
  FROM page p
 CROSS JOIN LATERAL (SELECT coalesce(sum(ceil(greatest(0, extract(epoch FROM coalesce(b.ended_at,
                                (SELECT r.finished_at FROM berth.releases r WHERE r.app_name = b.app_name AND r.number = b.release), now()) - b.started_at)::float8) / 60)), 0)::bigint AS used
                       FROM berth.builds b
                      WHERE b.app_name = p.app_name AND b.started_at >= date_trunc('month', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC') t
 CROSS JOIN LATERAL (SELECT coalesce(ceil(sum(e.bytes) / 1048576), 0)::bigint AS used
                       FROM (SELECT max(r.image_bytes) AS bytes FROM berth.releases r
                              WHERE r.app_name = p.app_name AND r.image_bytes IS NOT NULL AND r.pruned_at IS NULL GROUP BY r.image_digest) e) i
 ORDER BY p.share DESC, p.app_name
