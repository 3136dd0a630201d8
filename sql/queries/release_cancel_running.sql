-- maybe: number of the one that runs; its worker carries the cancel out. Safe to repeat
WITH running AS (
    SELECT app_name, number, step, halt FROM berth.releases WHERE app_name = $1 AND state = 'running' FOR UPDATE), halted AS (
    UPDATE berth.releases r
       SET halt = 'cancel', halt_by = NULL, halt_at = clock_timestamp(), run_after = least(r.run_after, clock_timestamp())
      FROM running o
     WHERE r.app_name = o.app_name AND r.number = o.number AND o.halt IS DISTINCT FROM 'cancel'
    RETURNING r.app_name, r.number, r.step), told AS (
    INSERT INTO berth.release_events (app_name, release, step, kind, message)
    SELECT app_name, number, step, 'info', $2 || ' asked to cancel it.' FROM halted)
SELECT number FROM running
