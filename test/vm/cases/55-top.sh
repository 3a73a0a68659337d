# shellcheck shell=bash disable=SC2154 # of lib.sh
# `squish top` on a terminal: what it shows, its keys, and terminals that are small or without colours.
# timeout: 300
# drivers: plain systemd
start lazy '[resources]
pids = 10' sleep 1000
start eager '[resources]
cpus = 0.5' burn 1000
tmux() { command tmux -L vm -f /dev/null "$@"; }
screen() { tmux capture-pane -p -t top; }
shows() { screen | grep -q -- "$1"; }
first_row() { screen | grep -nE 'lazy|eager' | head -n 1 | grep -q "$1"; }
has_ended() { ! tmux has-session -t top; }
open_top() { # COLUMNS ROWS [VARIABLE=VALUE…]
    local columns=$1 rows=$2
    shift 2
    tmux new-session -d -s top -x "$columns" -y "$rows" "env $* squish top 2>$DIR/errors; echo \$? >$DIR/code"
}
close_top() {
    tmux send-keys -t top q
    must 10 has_ended
    assert_equal "$(cat code)" 0
}

open_top 120 30
must 30 shows lazy
must 10 shows eager
assert_matches "$(screen)" 'NAME.*CPU'
must 10 first_row eager # by CPU at first
tmux send-keys -t top n
must 10 first_row eager # "eager" is before "lazy"
tmux send-keys -t top r
must 10 first_row lazy # the other way round
tmux send-keys -t top c
close_top

# The key that stops asks first; whatever is no "y" is a no.
open_top 120 30
must 30 shows eager
tmux send-keys -t top n
must 10 first_row eager
tmux send-keys -t top Home s
must 10 shows "stop 'eager'?"
tmux send-keys -t top x
not_asked() { ! shows "stop 'eager'?"; }
must 10 not_asked
assert_equal "$(state_of eager)" running
tmux send-keys -t top s y
must 30 is_in_state eager exited
assert_equal "$(state_of lazy)" running
close_top

# A terminal that is as small as can be is no reason to end, nor is one that changes.
open_top 20 5
must 30 shows lazy
tmux resize-window -t top -x 80 -y 24
must 20 shows PIDS
close_top

open_top 80 24 NO_COLOR=1
must 30 shows lazy
if tmux capture-pane -p -e -t top | grep -E $'\033\\[[0-9;]*(3[0-7]|4[0-7]|9[0-7])(;|m)'; then fail "colours, in spite of NO_COLOR"; fi
close_top
tmux kill-server 2>/dev/null || true

# Without a terminal there is nothing to draw on.
refused squish top </dev/null
assert_contains "$message" terminal
