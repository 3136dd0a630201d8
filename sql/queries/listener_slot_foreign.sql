-- one: marked (always null); AWS says that the priority is somebody else's
SELECT berth.mark_listener_slot_foreign($1::text, $2::text, $3::int)::text AS marked
