-- many: app_name, webhook_policy, state
SELECT app_name, webhook_policy, state FROM berth.app_directory()
