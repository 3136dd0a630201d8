-- What an app uses, counted without a look-up of the release of each of its builds.

-- As in 0002, and builds are added up by themselves: an app with 5,000 builds in a month took 20 ms of each push and of each page that shows what it uses.
CREATE OR REPLACE FUNCTION berth.quota_use(p_app text, p_exact boolean DEFAULT true)
RETURNS TABLE (quota text, used bigint, base bigint, in_force bigint, own bigint, standard bigint)
LANGUAGE plpgsql STABLE SET search_path = berth, pg_temp AS $$
#variable_conflict use_column
DECLARE
    standards default_limits%ROWTYPE;
    owns      quotas%ROWTYPE;
    app       record;
    live      record; -- as it runs: of all its tasks together
    next      record; -- the one under way
    rolling   int := 0;
    building  bigint := 0;
    hourly    bigint;
    hour      bigint := 0;
    minutes   bigint;
    images    bigint := 0;
BEGIN
    SELECT a.last_release, a.cpu_units, a.memory_mib, a.tasks INTO app FROM apps a WHERE a.app_name = p_app;
    SELECT * INTO standards FROM default_limits;
    SELECT * INTO owns FROM quotas q WHERE q.app_name = p_app;

    SELECT coalesce(max(coalesce(r.tasks, app.tasks)), 0)::bigint AS tasks,
           coalesce(max(coalesce(r.tasks, app.tasks)::bigint * coalesce(r.cpu_units, app.cpu_units)), 0) AS cpu,
           coalesce(max(coalesce(r.tasks, app.tasks)::bigint * coalesce(r.memory_mib, app.memory_mib)), 0) AS memory
      INTO live
      FROM deployments d JOIN releases r ON r.app_name = d.app_name AND r.number = d.release
     WHERE d.app_name = p_app AND r.state = 'live';
    SELECT coalesce(max(coalesce(r.tasks, app.tasks)), 0)::bigint AS tasks,
           coalesce(max(coalesce(r.tasks, app.tasks)::bigint * coalesce(r.cpu_units, app.cpu_units)), 0) AS cpu,
           coalesce(max(coalesce(r.tasks, app.tasks)::bigint * coalesce(r.memory_mib, app.memory_mib)), 0) AS memory,
           max(r.step) AS step, max(r.halt) AS halt
      INTO next
      FROM releases r
     WHERE r.app_name = p_app AND r.state = 'running';
    IF next.step IN ('rollout', 'live') THEN
        rolling := 1;
    ELSIF next.halt IS NOT NULL THEN
        next.tasks := 0; next.cpu := 0; next.memory := 0; -- it gives way before it has a task
    END IF;
    IF next.step = 'build' THEN
        building := 1;
    END IF;

    -- The release is looked up only of a build whose end was not seen.
    SELECT coalesce(sum(ceil(greatest(0, date_part('epoch', coalesce(b.ended_at,
               (SELECT r.finished_at FROM releases r WHERE r.app_name = b.app_name AND r.number = b.release), now()) - b.started_at)) / 60)), 0) INTO minutes
      FROM builds b
     WHERE b.app_name = p_app AND b.started_at >= date_trunc('month', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC';

    -- Numbers have no gaps and grow with time, so one release tells of all that came after it.
    hourly := coalesce(owns.releases_per_hour, standards.releases_per_hour);
    IF p_exact THEN
        SELECT app.last_release - coalesce((SELECT r.number FROM releases r
            WHERE r.app_name = p_app AND r.created_at <= now() - interval '1 hour' ORDER BY r.number DESC LIMIT 1), 0) INTO hour;
    ELSIF hourly > 0 THEN
        PERFORM 1 FROM releases r
          WHERE r.app_name = p_app AND r.number = app.last_release - hourly + 1 AND r.created_at > now() - interval '1 hour';
        IF FOUND THEN
            hour := hourly;
        ELSE
            PERFORM 1 FROM releases r
              WHERE r.app_name = p_app AND r.number = app.last_release - (hourly * 4 + 4) / 5 + 2 AND r.created_at > now() - interval '1 hour';
            IF FOUND THEN
                hour := (hourly * 4 + 4) / 5 - 1;
            END IF;
        END IF;
    END IF;

    SELECT coalesce(ceil(sum(i.bytes) / 1048576), 0) INTO images
      FROM (SELECT max(r.image_bytes) AS bytes FROM releases r
             WHERE r.app_name = p_app AND r.image_bytes IS NOT NULL AND r.pruned_at IS NULL GROUP BY r.image_digest) i;

    RETURN QUERY
    SELECT q.quota, q.used, q.base, coalesce(q.own, q.standard), q.own, q.standard
      FROM (VALUES
         (1, 'cpu_units', live.cpu + rolling * next.cpu, greatest(live.cpu, next.cpu), owns.cpu_units, standards.cpu_units),
         (2, 'memory_mib', live.memory + rolling * next.memory, greatest(live.memory, next.memory), owns.memory_mib, standards.memory_mib),
         (3, 'tasks', live.tasks + rolling * next.tasks, greatest(live.tasks, next.tasks), owns.tasks, standards.tasks),
         (4, 'concurrent_builds', building, 0::bigint, owns.concurrent_builds, standards.concurrent_builds),
         (5, 'build_minutes', minutes, minutes, owns.build_minutes, standards.build_minutes),
         (6, 'releases_per_hour', hour, hour, owns.releases_per_hour, standards.releases_per_hour),
         (7, 'image_mib', images, images, owns.image_mib, standards.image_mib)) AS q (place, quota, used, base, own, standard)
     ORDER BY q.place;
END
$$;
