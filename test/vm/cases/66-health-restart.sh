# shellcheck shell=bash disable=SC2154 # of lib.sh
# Health goes from starting to healthy to unhealthy and back; what fails is started again, ever later, and not for ever.
# timeout: 300
# drivers: systemd direct
mkdir data
export LAYERS="data = { path = '$DIR/data', target = '/data' }"
health() { inspect watched .health.status; }
is_health() { [ "$(health)" = "$1" ]; }
touch data/sick
id=$(start watched '[resources]
pids = 20
[health]
command = ["/app/testbin", "exit-if", "/data/sick", "3"]
interval = "1s"
timeout = "30s"
start_period = "5m"
retries = 2' sleep 1000)
assert_equal "$(health)" starting
checked() { [ "$(inspect watched .health.last_code)" = 3 ]; }
must 60 checked
assert_equal "$(health)" starting # failures do not count yet
rm data/sick
must 60 is_health healthy
assert_contains "$(squish ps)" healthy
touch data/sick
must 60 is_health unhealthy
assert_between "$(inspect watched .health.failing_streak)" 2 100
assert_equal "$(inspect watched .health.last_code)" 3
rm data/sick
must 60 is_health healthy
assert_equal "$(events "select(.id == \"$id\" and .type == \"health\") | .attributes.status" | tr '\n' ' ')" '"healthy" "unhealthy" "healthy" '
squish rm -f watched

# on-failure: 0.5, 1, 2 and again 2 seconds, then no more.
id=$(start failing '[resources]
pids = 20
[restart]
policy = "on-failure"
max_retries = 4
delay = "500ms"
max_delay = "2s"' exit 3)
code=0
squish wait failing || code=$?
assert_equal "$code" 3
assert_equal "$(state_of failing)" exited
assert_equal "$(inspect failing .restarts)" 4
assert_equal "$(count_events "$id" start)" 5
events "select(.id == \"$id\" and (.type == \"start\" or .type == \"exit\")) | .type, .time" | tr -d '"' | paste - - >moments
# Milliseconds from each end to the next start.
pauses=$(while read -r type time; do
    at=$(date -d "$time" +%s%3N)
    [ "$type" = exit ] && ended=$at
    if [ "$type" = start ] && [ -n "${ended-}" ]; then echo $((at - ended)); fi
done <moments | tr '\n' ' ')
note "started again after $pauses ms"
read -r first second third fourth <<<"$pauses"
assert_between "$first" 500 3000
assert_between "$second" 1000 3500
assert_between "$third" 2000 4500
assert_between "$fourth" 2000 3990 # not four seconds

# on-failure leaves alone what ends well; always does not; a stop is the end of both.
start fine '[restart]
policy = "on-failure"' true
squish wait fine
assert_equal "$(inspect fine .restarts)" 0
start again '[resources]
pids = 20
[restart]
policy = "always"
delay = "100ms"' true
at_least_twice() { [ "$(inspect again .restarts)" -ge 2 ]; }
must 60 at_least_twice
squish stop again
must 20 is_in_state again exited
restarts=$(inspect again .restarts)
sleep 2
assert_equal "$(inspect again .restarts)" "$restarts"
