-- none: actor, action, app, before, after
INSERT INTO berth.audit_log (actor, action, app_name, before, after)
VALUES ($1, $2, $3, $4::jsonb, $5::jsonb)
