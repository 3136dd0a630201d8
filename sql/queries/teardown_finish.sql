-- maybe: app_name; no row: another worker holds the teardown
SELECT app_name FROM berth.finish_teardown($1::text, $2::bigint)
