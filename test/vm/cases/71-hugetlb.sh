# shellcheck shell=bash disable=SC2154 # of lib.sh
# Huge pages are limited where an administrator has passed their controller on (the guest's delegate.conf).
# timeout: 120
# drivers: direct
manager=/sys/fs/cgroup/user.slice/user-$UID.slice/user@$UID.service
assert_contains " $(cat "$manager/cgroup.controllers") " " hugetlb "
# For every cgroup from the user's manager to that of this suite.
folder=$manager
for part in '' $(tr / ' ' <<<"${SUITE_CGROUP#"$manager"/}"); do
    folder+=${part:+/$part}
    [ "$folder" = "$SUITE_CGROUP" ] || echo +hugetlb >"$folder/cgroup.subtree_control"
done
assert_contains " $(cat "$SUITE_CGROUP/cgroup.controllers") " " hugetlb "

start limited '[resources]
hugetlb = { "2M" = "4M" }' sleep 100000 >id
for folder in "$(leaf_of limited)" "$(outer_of limited)"; do
    assert_equal "$(value "$folder/hugetlb.2MB.max")" $((4 << 20))
done
assert_equal "$(squish exec limited /app/testbin huge $((4 << 20)))" touched
refused squish exec limited /app/testbin huge $((6 << 20))
assert_equal "$code" $((128 + $(kill -l BUS)))
assert_matches "$(cat "$(leaf_of limited)/hugetlb.2MB.events")" 'max [1-9]'

# Without that limit there are enough for all of it, and a page size that the machine does not have is refused.
squishfile free.toml '[resources]
pids = 10' huge $((6 << 20))
assert_equal "$(squish run --rm free.toml)" touched
squishfile other.toml '[resources]
hugetlb = { "8M" = "64M" }' true
refused squish run --rm other.toml
note "$message"
assert_contains "$message" hugetlb
squish rm -f limited >/dev/null
