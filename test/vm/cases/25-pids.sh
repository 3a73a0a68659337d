# shellcheck shell=bash disable=SC2154 # of lib.sh
# The number of processes ends at exactly what was allowed, init and payload included.
# timeout: 120
# drivers: systemd direct
squishfile forks.toml '[resources]
pids = 10' forks 100
assert_equal "$(squish run --rm forks.toml)" "forked 8: EAGAIN"

start held '[resources]
pids = 10' forks 100 1000
must 30 has_logged held 'forked 8: EAGAIN'
leaf=$(leaf_of held)
assert_equal "$(value "$leaf/pids.current")" 10
# Nothing more goes in from outside either.
refused squish exec held /app/testbin true
assert_equal "$(value "$leaf/pids.current")" 10
assert_equal "$(state_of held)" running
