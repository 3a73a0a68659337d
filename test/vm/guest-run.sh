#!/bin/bash
# In the guest, as tester: every case of /payload/plan, TAP on stdout. See suite.sh.
set -uo pipefail
export LC_ALL=C.UTF-8
PAYLOAD=/payload
. $PAYLOAD/lib.sh

# What is left of squish: processes, units of the user's manager, cgroups.
leftovers() {
    squish_processes | sed 's/^/process /'
    systemctl --user list-units --all --plain --no-legend 'squish-*' | sed 's/^/unit /'
    find /sys/fs/cgroup/user.slice -depth -type d -name 'squish-*' | sed 's/^/cgroup /'
}
nothing_left() { [ -z "$(leftovers)" ]; }

clean_up() {
    local pid folder
    for pid in $(squish_processes | cut -d' ' -f1); do kill -KILL "$pid" 2>/dev/null; done
    systemctl --user stop 'squish-*' 2>/dev/null
    systemctl --user reset-failed 'squish-*' 2>/dev/null
    while read -r folder; do
        echo 1 >"$folder/cgroup.kill"
        rmdir "$folder"
    done 2>/dev/null < <(find /sys/fs/cgroup/user.slice -depth -type d \( -name 'squish-*' -o -path '*/squish-*/*' \))
    wait_for 10 nothing_left
}

run_case() { # NUMBER DRIVER CASE TIMEOUT
    local log=/out/$3.$2.log status=0 left started=$SECONDS
    timeout -k 30 "$4" bash $PAYLOAD/run.sh --case "$2" "$3" >"$log" 2>&1 </dev/null || status=$?
    if [ "$status" -eq 124 ] || [ "$status" -eq 137 ]; then echo "timed out after $4 s" >>"$log"; fi
    if ! wait_for 20 nothing_left; then
        left=$(leftovers)
        printf 'left behind:\n%s\n' "$left" >>"$log"
        [ "$status" -ne 0 ] || status=1
        clean_up
    fi
    if [ "$status" -eq 0 ]; then
        printf 'ok %d %s [%s] # %d s\n' "$1" "$3" "$2" $((SECONDS - started))
        sed -n 's/^note: /# /p' "$log"
    else
        printf 'not ok %d %s [%s] # %d s, status %d\n' "$1" "$3" "$2" $((SECONDS - started)) "$status"
        sed 's/^/# /' "$log"
    fi
    rm -rf "$XDG_RUNTIME_DIR/squish"
    rm -rf "$HOME/vm" 2>/dev/null || unshare --map-root-user --map-auto rm -rf "$HOME/vm"
    return "$status"
}

run_group() { # DRIVER
    local driver name seconds number=0 failed=0
    if [ "$1" = direct ]; then
        # Out of the scope's own cgroup, so that controllers can be turned on for what is beneath it.
        SUITE_CGROUP=/sys/fs/cgroup$(sed -n 's/^0:://p' /proc/self/cgroup)
        export SUITE_CGROUP
        mkdir "$SUITE_CGROUP/suite"
        echo $$ >"$SUITE_CGROUP/suite/cgroup.procs"
    fi
    while read -r driver name seconds; do
        number=$((number + 1))
        [ "$driver" = "$1" ] || continue
        run_case "$number" "$driver" "$name" "$seconds" || failed=1
    done <$PAYLOAD/plan
    return "$failed"
}

if [ "${1-}" = --case ]; then
    begin_case "$2" "$3"
    set -eE
    # shellcheck source=/dev/null
    . "$PAYLOAD/cases/$3.sh"
    exit 0
fi
if [ "${1-}" = --group ]; then
    run_group "$2"
    exit
fi

for program in $PAYLOAD/prefix/bin/* $PAYLOAD/prefix/libexec/squish/*; do
    if ldd "$program" 2>/dev/null | grep 'not found'; then
        echo "Bail out! the guest lacks a library of $program: test/vm/image.sh must name its package"
        exit 1
    fi
done
echo "# $(uname -r), systemd $(systemctl --version | sed -n '1s/systemd \([0-9]*\).*/\1/p'), AppArmor $(cat /sys/module/apparmor/parameters/enabled), delegated: $(cat "/sys/fs/cgroup/user.slice/user-$UID.slice/user@$UID.service/cgroup.controllers")"
echo "1..$(wc -l <$PAYLOAD/plan)"
(begin_case plain prepare && squishfile first.toml '' true && { squish daemon start || squish daemon start; } && squish run --rm first.toml) >/out/prepare.log 2>&1
failed=0
for group in plain systemd direct; do
    grep -q "^$group " $PAYLOAD/plan || continue
    if [ $group = direct ]; then
        systemd-run --user --scope --quiet --collect --unit=direct-suite -p Delegate=yes bash $PAYLOAD/run.sh --group direct || failed=1
    else
        bash $PAYLOAD/run.sh --group $group || failed=1
    fi
done
exit $failed
