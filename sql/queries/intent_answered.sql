-- none: an answer settles what was asked before in the same words, too
UPDATE berth.intents i
   SET answered_at = clock_timestamp()
  FROM berth.intents asked
 WHERE asked.app_name = $1 AND asked.release = $2::int AND asked.id = $3::bigint
   AND i.app_name = asked.app_name AND i.release = asked.release AND i.operation = asked.operation
   AND i.target = asked.target AND i.id <= asked.id AND i.answered_at IS NULL
