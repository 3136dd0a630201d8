-- none: the app's slot
DELETE FROM berth.listener_slots WHERE app_name = $1
