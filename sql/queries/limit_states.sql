-- many: quota, used, base, in_force, own (null: none), standard: every quota of the app
SELECT quota, used, base, in_force, own, standard FROM berth.quota_use($1)
