-- one: a text that is another one whenever a page of the overview would be, but for the time that passes. A release that ended is told by the one that is under way no more: no history is read
SELECT ROW(s.cpu_units, s.memory_mib,
           (SELECT sum(hashtextextended(ROW(a.*)::text, 0)) FROM berth.apps a),
           (SELECT sum(hashtextextended(ROW(d.*)::text, 0)) FROM berth.deployments d),
           (SELECT sum(hashtextextended(ROW(q.*)::text, 0)) FROM berth.quotas q),
           (SELECT sum(hashtextextended(ROW(k.app_name, k.owed_at)::text, 0)) FROM berth.looks k WHERE k.reason = 'over_quota'),
           (SELECT sum(hashtextextended(ROW(r.app_name, r.number, r.kind, r.state, r.step, r.created_at, r.commit_sha, r.commit_title, r.pushed_by, r.tasks,
                                            r.cpu_units, r.memory_mib)::text, 0)) FROM berth.releases r WHERE r.state IN ('queued', 'running')))::text AS version
  FROM berth.default_limits s
