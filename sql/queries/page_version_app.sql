-- maybe: a text that is another one whenever an app's page would be, but for the time that passes; $2: as release_list's $3, $3: as its $2
SELECT ROW(a, k.reason, k.owed_at, k.run_after, d, t.state, t.step, t.error, t.hint, t.started_by, t.started_at, t.finished_at,
           (SELECT string_agg(ROW(u.*)::text, ',') FROM berth.quota_use($1) u),
           (SELECT sum(hashtextextended(ROW(p.kind, p.name, p.arn)::text, 0)) FROM berth.resources p WHERE p.app_name = a.app_name),
           -- What is told of on top: the first under way, else the newest one.
           (SELECT ROW(max(e.id), sum(hashtextextended(ROW(e.at, e.step, e.kind, e.message)::text, 0))) FROM berth.release_events e
             WHERE e.app_name = a.app_name AND e.release = coalesce(n.number, a.last_release)),
           (SELECT sum(hashtextextended(ROW(r.number, r.kind, r.state, r.step, r.halt, r.halt_by, r.commit_sha, r.commit_title, r.pushed_by, r.image_digest,
                                            r.pruned_at, r.retired_at, r.rollback_to, r.error, r.hint, r.created_at, r.finished_at, r.cpu_units, r.memory_mib, r.tasks)::text, 0))
              FROM ((SELECT * FROM berth.releases s WHERE s.app_name = a.app_name AND s.number < coalesce($2::int, 2147483647) ORDER BY s.number DESC LIMIT $3::int)
                    UNION ALL SELECT * FROM berth.releases s WHERE s.app_name = a.app_name AND s.number IN (n.number, a.last_release, d.release)) r),
           (SELECT max(i.id) FROM berth.audit_log i WHERE i.app_name = a.app_name AND i.action IN ('app.create', 'app.pause')))::text AS version
  FROM berth.apps a
  LEFT JOIN berth.looks k ON k.app_name = a.app_name
  LEFT JOIN berth.deployments d ON d.app_name = a.app_name
  LEFT JOIN berth.teardowns t ON t.app_name = a.app_name
 CROSS JOIN LATERAL (SELECT min(w.number) AS number FROM berth.releases w WHERE w.app_name = a.app_name AND w.state IN ('queued', 'running')) n
 WHERE a.app_name = $1
