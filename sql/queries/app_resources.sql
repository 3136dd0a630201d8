-- many: kind, name, arn
SELECT kind, name, arn FROM berth.resources WHERE app_name = $1 ORDER BY kind
