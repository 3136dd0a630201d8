-- one: number of the new release, which makes anew what is live: no quota refuses it, as it runs no more than there was; the app's row must be locked
SELECT berth.queue_release($1::text, $2::text, $3::text, $4::text, $5::text, NULL, $6::int, $7::text) AS number
