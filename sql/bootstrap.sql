-- Roles and the schema, made once by a Postgres administrator in the database that berth is to use:
--   psql --set ON_ERROR_STOP=1 --file sql/bootstrap.sql "dbname=berth"
-- Safe to repeat. Gives no passwords: set those of the four logins afterwards, by \password.
-- Needs a superuser, or a role with CREATEROLE and CREATE on the database (as managed Postgres gives).
--
--   berth_owner      owns the schema; nobody logs in as it
--   berth_migrate    login of `berth migrate`; may become berth_owner
--   berth_hooks      login of `berth-fcgi --hooks`; sees one app at a time, may call intake
--   berth_worker     login of `berth worker`; sees one app at a time, may call claim
--   berth_admin      login of the `berth` command and of `berth-fcgi --admin`; sees every app
--   berth_intake, berth_dispatch   own the functions that cross apps; nobody logs in as them
DO $$
DECLARE
    role_name text;
BEGIN
    FOREACH role_name IN ARRAY ARRAY['berth_owner', 'berth_intake', 'berth_dispatch'] LOOP
        IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = role_name) THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN NOINHERIT', role_name);
        END IF;
    END LOOP;
    FOREACH role_name IN ARRAY ARRAY['berth_migrate', 'berth_hooks', 'berth_worker', 'berth_admin'] LOOP
        IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = role_name) THEN
            EXECUTE format('CREATE ROLE %I LOGIN', role_name);
        END IF;
    END LOOP;
END
$$;

-- The owner gives its functions to the two function owners, so it has to be a member of both.
GRANT berth_intake, berth_dispatch TO berth_owner;
GRANT berth_owner TO berth_migrate;
GRANT berth_owner TO CURRENT_USER;

DO $$
BEGIN
    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO berth_migrate, berth_hooks, berth_worker, berth_admin',
                   current_database());
END
$$;

CREATE SCHEMA IF NOT EXISTS berth AUTHORIZATION berth_owner;
REVOKE ALL ON SCHEMA berth FROM PUBLIC;
GRANT USAGE ON SCHEMA berth TO berth_hooks, berth_worker, berth_admin, berth_intake, berth_dispatch, berth_migrate;
