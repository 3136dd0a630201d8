-- maybe: app_name; it takes nothing any more; no row: it is being deleted already
UPDATE berth.apps SET state = 'deleting', updated_at = now()
 WHERE app_name = $1 AND state <> 'deleting'
RETURNING app_name
