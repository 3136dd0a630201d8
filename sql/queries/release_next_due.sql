-- one: due_ms; null: nothing waits
SELECT berth.next_due_ms() AS due_ms
