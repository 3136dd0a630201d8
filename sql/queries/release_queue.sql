-- one: number of the new release (null: a quota refuses it: quota, told, hint); the app's row must be locked
SELECT number, quota, told, hint
  FROM berth.admit_release($1::text, $2::text, $3::text, $4::text, $5::text, NULL, $6::int, $7::text)
