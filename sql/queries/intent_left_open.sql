-- one: open
SELECT EXISTS (SELECT 1 FROM berth.intents
                WHERE app_name = $1 AND release = $2::int AND operation = $3 AND target = coalesce($4, target)
                  AND answered_at IS NULL AND ($5::bigint = 0 OR asked_at > clock_timestamp() - $5 * interval '1 millisecond')) AS open
