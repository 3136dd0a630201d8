-- many: app_name, webhook_policy, state, path_filter
SELECT app_name, webhook_policy, state, path_filter FROM berth.app_directory()
