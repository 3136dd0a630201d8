-- one: pg_notify
SELECT pg_notify('berth_releases', '')
