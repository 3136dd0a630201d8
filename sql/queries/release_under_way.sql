-- many: number, kind, state, step, halt, rollback_to of those that have not ended, oldest first
SELECT number, kind, state, step, halt, rollback_to
  FROM berth.releases
 WHERE app_name = $1 AND state IN ('queued', 'running')
 ORDER BY number
