-- many: name of each table that holds apps' rows, and whether row-level security is enabled, and forced on its owner too
SELECT c.relname AS name, c.relrowsecurity AS enabled, c.relforcerowsecurity AS forced
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname = 'berth'
   AND c.relkind IN ('r', 'p')
   AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'app_name' AND NOT a.attisdropped)
 ORDER BY c.relname
