-- many: app_name, number, build_id, ecs_deployment_id of what waits for this kind of thing and is asked of AWS next; none: nothing is due, or another worker polls
SELECT app_name, number, build_id, ecs_deployment_id FROM berth.due_polls($1::text, $2::text, $3::int)
