-- none: the app's image $2 has $3 bytes, whichever of its releases run it
UPDATE berth.releases SET image_bytes = $3::bigint WHERE app_name = $1 AND image_digest = $2 AND image_bytes IS NULL AND pruned_at IS NULL
