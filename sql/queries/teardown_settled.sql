-- one: wait_ms; until whatever the app's releases asked AWS for without an answer shows there: $2 milliseconds after it was asked; and recorded: how many resources are still on record
SELECT greatest(0, coalesce(ceil(extract(epoch FROM (SELECT max(i.asked_at) FROM berth.intents i WHERE i.app_name = $1 AND i.answered_at IS NULL)
                                        + $2::int * interval '1 millisecond' - clock_timestamp()) * 1000), 0))::bigint AS wait_ms,
       (SELECT count(*) FROM berth.resources r WHERE r.app_name = $1) AS recorded
