# The system is what the other cases take it for: cgroup v2 with every controller delegated, and a user manager.
# timeout: 60
grep -q ' - cgroup2 ' /proc/self/mountinfo
if grep ' - cgroup ' /proc/self/mountinfo; then
    exit 1 # v1 has taken controllers away
fi
manager=$(systemctl --user show --property=ControlGroup --value)
for controller in cpu cpuset io memory pids; do
    grep -qw "$controller" "/sys/fs/cgroup$manager/cgroup.controllers"
done
[ "$(id -u)" = 1000 ]
[ -n "$XDG_RUNTIME_DIR" ]
