-- one: size of what GitHub sent (null: not kept), and its first $3 bytes in hexadecimal
SELECT length(body) AS size, encode(substring(body FROM 1 FOR $3::int), 'hex') AS hex, encode(body_sha256, 'hex') AS sha256
  FROM berth.deliveries WHERE app_name = $1 AND delivery_id = $2
