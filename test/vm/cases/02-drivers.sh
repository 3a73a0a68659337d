# shellcheck shell=bash disable=SC2154 # of lib.sh
# All that a cgroup driver is for, without squishd: limits in both cgroups, updates and their way back, what is refused,
# what is enforced, freezing, killing, retaining (test/support/limits-probe.cpp).
# timeout: 300
# drivers: systemd direct
if [ "$DRIVER" = direct ]; then
    $PROBE direct "$SUITE_CGROUP"
    rmdir "$SUITE_CGROUP"/squish-*-keeper # it was there itself
    assert_contains "$($PROBE refused direct)" "holds other processes than squishd"
else
    $PROBE systemd
    # As after su(1): nothing says where the bus is.
    # shellcheck disable=SC2016 # its own
    env -u DBUS_SESSION_BUS_ADDRESS -u XDG_RUNTIME_DIR "$PROBE" open systemd
    # A bus of the session's that systemd is not on.
    dbus-daemon --session --nofork --print-address=3 3>address &
    bus=$!
    wait_for 20 test -s address
    DBUS_SESSION_BUS_ADDRESS=$(cat address) "$PROBE" open systemd
    kill "$bus"
fi
