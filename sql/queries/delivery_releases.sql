-- many: the releases that deliveries became: $1 apps and $2 numbers, in pairs, each joined by commas; halt_by: the release that took its place
SELECT r.app_name, r.number, r.state, r.step, r.kind, r.halt_by, d.release IS NOT DISTINCT FROM r.number AS is_live
  FROM unnest(string_to_array($1::text, ','), string_to_array($2::text, ',')::int[]) AS asked (app_name, number)
  JOIN berth.releases r ON r.app_name = asked.app_name AND r.number = asked.number
  LEFT JOIN berth.deployments d ON d.app_name = r.app_name
