-- none: a line of the timeline from outside the lease
INSERT INTO berth.release_events (app_name, release, step, kind, message)
VALUES ($1, $2::int, $3, 'info', $4)
