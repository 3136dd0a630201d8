-- maybe
-- The key of the tokens in the admin pages' forms: one of the installation, made by a migration.
SELECT encode(key, 'hex') AS key FROM berth.admin_keys
