-- none: the next release makes these anew; $2: kinds, joined by commas
UPDATE berth.resources SET spec_hash = '' WHERE app_name = $1 AND kind = ANY (string_to_array($2, ','))
