-- one: who this login is, and whether it may do more than $1, the role it should be, and what that role may be
SELECT session_user::text AS login, current_setting('server_version') AS server, current_setting('server_version_num')::int AS server_number,
       s.rolsuper AS superuser, s.rolbypassrls AS bypasses,
       EXISTS (SELECT FROM pg_roles p WHERE p.rolname = $1::text AND pg_has_role(s.oid, p.oid, 'USAGE')) AS is_it,
       (SELECT string_agg(p.rolname, ', ' ORDER BY p.rolname)
          FROM pg_roles p
         WHERE p.rolname IN ('berth_owner', 'berth_intake', 'berth_dispatch', 'berth_migrate', 'berth_hooks', 'berth_worker', 'berth_admin')
           AND p.rolname <> session_user
           AND pg_has_role(s.oid, p.oid, 'MEMBER')
           AND NOT EXISTS (SELECT FROM pg_roles w WHERE w.rolname = $1::text AND pg_has_role(w.oid, p.oid, 'MEMBER'))) AS beyond
  FROM pg_roles s
 WHERE s.rolname = session_user
