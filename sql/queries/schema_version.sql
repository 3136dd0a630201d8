-- one: version
SELECT coalesce(max(version), 0) AS version FROM berth.schema_migrations
