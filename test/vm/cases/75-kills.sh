# shellcheck shell=bash disable=SC2154 # of lib.sh
# Whoever is killed, no scope, no cgroup and no process is left; containers outlive squishd.
# timeout: 1500
# drivers: systemd direct
limits='[resources]
memory = "32M"
pids = 16'
# Of the systemd driver one may be there that nobody is in but its anchor: for the next container. That it goes, too,
# is seen at the end of the case.
cgroups_of_containers() {
    local folder
    find /sys/fs/cgroup/user.slice -type d -name 'squish-*' ! -name '*-keeper*' ! -name '*-daemon' | while read -r folder; do
        if [ "$DRIVER" = direct ] || [ -n "$(cat "$folder/payload/cgroup.procs" 2>/dev/null)" ]; then echo "$folder"; fi
    done
}
none_of_containers() { [ -z "$(cgroups_of_containers)" ]; }
count_alive() { squish ps -q | wc -l; }

# A hundred of them, twenty at once.
squishfile many.toml "$limits" sleep 1000
files=()
for _ in {1..20}; do files+=(many.toml); done
for round in {1..5}; do
    squish create "${files[@]}" >ids
    assert_equal "$(count_alive)" 20
    assert_equal "$(cgroups_of_containers | wc -l)" 20
    # shellcheck disable=SC2046 # ids are words
    if [ "$round" -eq 3 ]; then squish stop -t 1 $(cat ids) >stopped; fi
    # shellcheck disable=SC2046
    squish rm -f $(cat ids) >removed
    must 30 none_of_containers
done

# squishd
start survivor "$limits" sleep 1000
leaf=$(leaf_of survivor)
kill -KILL "$(process_of squishd)"
squish update --pids 20 survivor
assert_equal "$(value "$leaf/pids.max")" 20
assert_equal "$(state_of survivor)" running
squish rm -f survivor
# One that ends while nobody watches.
start unseen "$limits" sleep 3
kill -KILL "$(process_of squishd)"
no_payload() { ! pgrep -x testbin; }
must 30 no_payload
must 20 is_in_state unseen exited
must 20 none_of_containers
squish rm unseen

# The keeper: its containers end with it, and the next one works as well.
start orphan "$limits" sleep 1000
kill -KILL "$(process_of squish-keeper)"
must 30 is_in_state orphan exited
must 30 none_of_containers
start next "$limits" sleep 1000
assert_equal "$(cgroups_of_containers | wc -l)" 1
# Both at once.
kill -KILL "$(process_of squishd)" "$(process_of squish-keeper)"
must 30 is_in_state next exited
must 30 none_of_containers
squish rm orphan next

if [ "$DRIVER" = systemd ]; then
    start before "$limits" sleep 1000
    kill -KILL "$(systemctl --user show -p MainPID --value dbus.service)"
    must 30 busctl --user status
    start after "$limits" sleep 1000
    assert_equal "$(squish ps -q | wc -l)" 2
    squish update --pids 20 before
    squish rm -f before
    systemctl --user daemon-reexec
    assert_equal "$(state_of after)" running
    start later "$limits" sleep 1000
    squish rm -f after later
    must 30 none_of_containers
fi
