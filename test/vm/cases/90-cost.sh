# shellcheck shell=bash disable=SC2154 # of lib.sh
# What limits cost at the start, for a reader: nothing is asserted, since this machine is an emulated one.
# timeout: 600
# drivers: systemd direct
squishfile none.toml '' true
squishfile limits.toml '[resources]
memory = "64M"
cpus = 0.5
pids = 32' true
while read -r line; do note "$DRIVER: $line"; done < <(/payload/measure/start-cost.sh 15 none.toml limits.toml)
