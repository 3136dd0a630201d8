-- one: Postgres's clock, in ms since 1970 UTC
SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now_ms
