# shellcheck shell=bash disable=SC2154 # of lib.sh
# Shares of a CPU are what they say, within 10 percent over 20 seconds.
# timeout: 180
# drivers: systemd direct
start quarter '[resources]
cpus = 0.25' burn 1000
start most '[resources]
cpus = 0.75' burn 1000
quarter=$(leaf_of quarter) most=$(leaf_of most)

usage() { # FOLDER: of cpu.stat, whose first line it is, in microseconds
    local key
    read -r key used <"$1/cpu.stat"
    [ "$key" = usage_usec ] || fail "no usage in $1/cpu.stat"
}
now() { moment=${EPOCHREALTIME/./}; }

now && began=$moment
usage "$quarter" && quarter_before=$used
usage "$most" && most_before=$used
sleep 20
now && lasted=$((moment - began))
usage "$quarter" && quarter_used=$((used - quarter_before))
usage "$most" && most_used=$((used - most_before))
note "of a CPU in $((lasted / 1000)) ms: $((quarter_used * 100 / lasted)) % where 25 were allowed, $((most_used * 100 / lasted)) % where 75 were"
assert_near "$quarter_used" $((lasted / 4)) 10
assert_near "$most_used" $((lasted * 3 / 4)) 10
[ "$(keyed "$quarter/cpu.stat" nr_throttled)" -gt 0 ] || fail "never throttled"
