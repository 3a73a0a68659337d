# shellcheck shell=bash disable=SC2154 # of lib.sh
# What cannot be enforced is refused before anything starts, with the reason and what to do about it.
# timeout: 240
# drivers: systemd direct
try() { # CODE NAME TOML WORDS…: refused, and the message has all words
    local expected=$1 name=$2 toml=$3 word
    shift 3
    squishfile "$name.toml" "$toml" true
    refused squish run --name "$name" "$name.toml"
    note "$name: $message"
    assert_equal "$code" "$expected"
    for word in "$@"; do assert_contains "$message" "$word"; done
    refused squish inspect "$name"
}

# No user of systemd is given hugetlb.
try 125 hugetlb '[resources]
hugetlb = { "2M" = "64M" }' hugetlb delegated
try 2 absent '[resources]
io = { device = "/dev/nothing-here", write_bps = "1M" }' io /dev/nothing-here
try 2 character '[resources]
io = { device = "/dev/null", write_bps = "1M" }' io /dev/null
try 125 cpuset '[resources]
cpuset = "7"' cpuset
assert_equal "$(squish ps -aq)" ""

squish doctor --json >doctor || true
checked() { jq -r ".[] | select(.check == \"$1\") | .$2" doctor; }
for controller in cpu cpuset io memory pids; do assert_equal "$(checked "cgroup $controller" state)" ok; done
assert_equal "$(checked "cgroup hugetlb" state)" warn
assert_contains "$(checked "cgroup hugetlb" remedy)" cgroup

# A subtree in which some controllers were not turned on.
if [ "$DRIVER" = direct ]; then
    squish daemon stop --containers
    not_used() { echo "+memory +pids -cpu -cpuset -io" >"$SUITE_CGROUP/cgroup.subtree_control"; }
    must 20 not_used
    mkdir "$SUITE_CGROUP/lacking"
    configure '[limits]' 'driver = "direct"' "cgroup = \"$SUITE_CGROUP/lacking\""
    try 125 lacking '[resources]
cpus = 0.5' cpus "'cpu'" cgroup.subtree_control
    squishfile memory.toml '[resources]
memory = "32M"' cat /sys/fs/cgroup/memory.max
    assert_equal "$(squish run --rm memory.toml)" 33554432
    squish daemon stop --containers
    rmdir_lacking() { rmdir "$SUITE_CGROUP/lacking"; }
    must 20 rmdir_lacking
fi

# Who has turned limits off gets none, and is told.
squish daemon stop --containers
configure '[limits]' 'driver = "none"'
try 125 off '[resources]
memory = "32M"' 'switched off' driver
squishfile without.toml '' true
squish run --rm without.toml
