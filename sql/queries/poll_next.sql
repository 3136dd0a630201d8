-- one: due_ms; null: nothing waits for AWS
SELECT berth.next_poll_ms() AS due_ms
