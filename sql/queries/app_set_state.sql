-- none: pauses or resumes an app
UPDATE berth.apps SET state = $2, updated_at = now() WHERE app_name = $1
