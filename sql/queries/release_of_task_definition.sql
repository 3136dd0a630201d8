-- maybe: number of the app's release that this task definition was registered for
SELECT max(number) AS number FROM berth.releases WHERE app_name = $1 AND task_definition_arn = $2 HAVING max(number) IS NOT NULL
