-- one: due_ms of the next release or teardown; null: nothing waits
SELECT least(berth.next_due_ms(), berth.teardown_due_ms()) AS due_ms
