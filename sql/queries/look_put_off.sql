-- one: app, token, delay in ms
SELECT berth.put_off_look($1::text, $2::bigint, $3::bigint) IS NULL AS done
