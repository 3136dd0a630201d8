-- none: a queued release that was just made begins at a later step
UPDATE berth.releases SET step = $3 WHERE app_name = $1 AND number = $2::int AND state = 'queued'
