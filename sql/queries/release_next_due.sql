-- one: due_ms of the next release or teardown, look_ms of the next look; null: nothing waits
SELECT least(berth.next_due_ms(), berth.teardown_due_ms()) AS due_ms, berth.next_look_ms() AS look_ms
