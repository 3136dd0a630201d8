-- one: asked; how often this release has asked for an operation
SELECT count(*) AS asked FROM berth.intents WHERE app_name = $1 AND release = $2::int AND operation = $3
