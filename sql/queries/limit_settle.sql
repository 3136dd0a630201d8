-- none: before the defaults change: what was spent of the buckets that they rule, as they were refilled until now; $1: the new burst. By the row itself, not by
-- berth.rate_use, which would not see what another push spends meanwhile
UPDATE berth.rate_limits l
   SET spent = least(coalesce(l.pushes_burst, $1::bigint),
                     greatest(0, least(coalesce(l.pushes_burst, d.pushes_burst), l.spent)
                                 - greatest(0, extract(epoch FROM clock_timestamp() - l.spent_at)) * coalesce(l.pushes_per_hour, d.pushes_per_hour) / 3600)),
       spent_at = clock_timestamp()
  FROM berth.default_limits d
 WHERE l.pushes_burst IS NULL OR l.pushes_per_hour IS NULL
