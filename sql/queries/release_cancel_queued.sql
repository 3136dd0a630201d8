-- many: number of each that was queued, and is cancelled now
WITH ended AS (
    UPDATE berth.releases
       SET state = 'cancelled', finished_at = clock_timestamp(), halt = 'cancel', halt_at = clock_timestamp()
     WHERE app_name = $1 AND state = 'queued'
    RETURNING app_name, number, step), told AS (
    INSERT INTO berth.release_events (app_name, release, step, kind, message)
    SELECT app_name, number, step, 'cancelled', 'Cancelled by ' || $2 || ' before it began.' FROM ended)
SELECT number FROM ended ORDER BY number
