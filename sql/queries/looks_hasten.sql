-- one: hastened: how many looks of the app are due now
SELECT berth.hasten_looks($1) AS hastened
