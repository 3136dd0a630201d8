-- maybe: what GitHub sent (hexadecimal; null: not kept any more), its SHA-256, the event, and what came of it; locks it until the transaction's end
SELECT encode(d.body, 'hex') AS body, encode(d.body_sha256, 'hex') AS body_sha256, d.event, d.outcome, d.release
  FROM berth.deliveries d WHERE d.app_name = $1 AND d.delivery_id = $2 FOR UPDATE
