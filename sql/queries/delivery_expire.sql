-- one: gone: how many bodies older than $1 days and deliveries older than $2 days went, at most $3 of each
SELECT berth.expire_deliveries($1::int, $2::int, $3::int) AS gone
