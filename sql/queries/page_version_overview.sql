-- one: a text that is another one whenever a page of the overview would be, but for the time that passes. A release that ended is told by the one that is under way no more: no history is read
-- xmin, the transaction that wrote a row, is another one whenever the row is: to hash the rows themselves takes six times as long, and this is asked again and again.
SELECT ROW(s.cpu_units, s.memory_mib,
           (SELECT sum(hash_record_extended(ROW(a.app_name, a.xmin), 0)) FROM berth.apps a),
           (SELECT sum(hash_record_extended(ROW(d.app_name, d.xmin), 0)) FROM berth.deployments d),
           (SELECT sum(hash_record_extended(ROW(q.app_name, q.xmin), 0)) FROM berth.quotas q),
           (SELECT sum(hash_record_extended(ROW(k.app_name, k.owed_at), 0)) FROM berth.looks k WHERE k.reason = 'over_quota'),
           (SELECT sum(hash_record_extended(ROW(r.app_name, r.number, r.kind, r.state, r.step, r.created_at, r.commit_sha, r.commit_title, r.pushed_by, r.tasks,
                                                r.cpu_units, r.memory_mib), 0)) FROM berth.releases r WHERE r.state IN ('queued', 'running')))::text AS version
  FROM berth.default_limits s
