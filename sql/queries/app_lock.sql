-- maybe: state, branch, live (number of the live release, 0: none), before (the last release of an app of the same name that was destroyed); locks the app against any other new release until the transaction's end
SELECT a.state, a.branch, coalesce((SELECT d.release FROM berth.deployments d WHERE d.app_name = a.app_name), 0) AS live, berth.release_before(a.app_name) AS before
  FROM berth.apps a
 WHERE a.app_name = $1
   FOR NO KEY UPDATE
