-- maybe: listener_arn, priority of the app's slot
SELECT listener_arn, priority FROM berth.listener_slots WHERE app_name = $1
