# shellcheck shell=bash disable=SC2154 # of lib.sh
# Writing to the disk is as slow as was asked for, whether the device was named or not.
# timeout: 240
# drivers: systemd direct
mkdir data
chmod 0777 data
export LAYERS="data = { path = '$DIR/data', target = '/data', rw = true }"
disk=$(findmnt -no SOURCE /)
number=$(lsblk -dno MAJ:MIN "$disk" | tr -d ' ')

written_in() { sed -n 's/^wrote 4194304 in \([0-9]*\) ms$/\1/p' <<<"$1"; }
for given in "device = '$disk', " ''; do
    squishfile slow.toml "[resources]
io = { ${given}write_bps = '1M' }" direct-write /data/file $((4 << 20))
    took=$(written_in "$(squish run --rm slow.toml)")
    note "4 MiB at 1 MiB a second (${given:-every disk}): $took ms"
    assert_between "$took" 3000 8000
done

id=$(start io "[resources]
io = { device = '$disk', write_bps = '1M', read_iops = 100 }" sleep 1000)
for folder in "$(leaf_of io)" "$(outer_of io)"; do
    assert_contains "$(cat "$folder/io.max")" "$number rbps=max wbps=1048576 riops=100 wiops=max"
done
# Without the limit it is no disk of one MiB a second.
LAYERS=$LAYERS squishfile fast.toml '[resources]
pids = 10' direct-write /data/file $((4 << 20))
assert_between "$(written_in "$(squish run --rm fast.toml)")" 0 2900
assert_equal "$(squish rm -f io)" "$id"
