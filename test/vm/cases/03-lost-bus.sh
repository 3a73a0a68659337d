# shellcheck shell=bash disable=SC2154 # of lib.sh
# The user's message bus dies, between calls and during them, and systemd starts itself anew: what was in flight is an
# error that says so, nothing is left behind, and what comes then works.
# timeout: 400
# drivers: systemd
$PROBE systemd break-bus
limits='[resources]
memory = "64M"'
start one "$limits" sleep 1000 >id
systemctl --user kill --signal=KILL dbus.service
assert_equal "$(squish update --memory 32M one)" "$(cat id)"
assert_equal "$(value "$(leaf_of one)/memory.max")" 33554432
systemctl --user stop dbus.socket dbus.service # systemd's own socket is left
assert_equal "$(squish update --memory 48M one)" "$(cat id)"
start two "$limits" sleep 1000
systemctl --user start dbus.socket
assert_equal "$(squish stop one)" "$(cat id)"
systemctl --user daemon-reexec
start three "$limits" sleep 1000
must 20 is_in_state three running
