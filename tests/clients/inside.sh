#!/usr/bin/env bash
# The first process of a client's world (world.sh): makes the rest of it and becomes the script.
set -eu

W=/run/clients

enter_groups() {
    local top
    for top in $(findmnt -rn -t cgroup -o TARGET || findmnt -rn -t cgroup2 -o TARGET); do
        echo 0 >"$top/$CLIENTS_WORLD/cgroup.procs"
    done
}

# What is written below a directory of the host goes to our tmpfs.
cover() {
    mkdir -p "$W/cover$1" "$W/work$1"
    mount -t overlay overlay -o "lowerdir=$1,upperdir=$W/cover$1,workdir=$W/work$1" "$1"
}

mount_groups() {
    local line names
    # With what is mounted below it, such as tracefs: podman unmounts what it finds there, and what is covered can't be unmounted.
    umount -R -l /sys
    mount -t sysfs sysfs /sys
    if ! grep -q '^[1-9]' /proc/self/cgroup; then
        mount -t cgroup2 cgroup2 /sys/fs/cgroup
        mkdir /sys/fs/cgroup/script
        echo 0 >/sys/fs/cgroup/script/cgroup.procs
        sed 's/^/+/; s/ / +/g' /sys/fs/cgroup/cgroup.controllers >/sys/fs/cgroup/cgroup.subtree_control
        return
    fi
    mount -t tmpfs tmpfs /sys/fs/cgroup -o mode=755
    while IFS=: read -r line names _; do
        case $names in
            '') ;;
            name=*) mkdir "/sys/fs/cgroup/${names#name=}"
                mount -t cgroup cgroup -o "none,$names" "/sys/fs/cgroup/${names#name=}" ;;
            *) mkdir "/sys/fs/cgroup/$names"
                mount -t cgroup cgroup -o "$names" "/sys/fs/cgroup/$names"
                link_names "$names" ;;
        esac
    done </proc/self/cgroup
}

# cpu,cpuacct is found by each of its names too.
link_names() {
    local name
    [ "${1#*,}" != "$1" ] || return 0
    for name in ${1//,/ }; do ln -s "$1" "/sys/fs/cgroup/$name"; done
}

# A /run of our own in which systemd is found.
run_of_systemd() {
    local name
    mount -t tmpfs tmpfs /mnt -o mode=755
    # mount(8) writes there.
    mkdir /mnt/mount
    for name in systemd dbus; do
        mkdir "/mnt/$name"
        mount --rbind "/run/$name" "/mnt/$name"
    done
    mount --move /mnt /run
}

if [ "$CLIENTS_DRIVER" = systemd ]; then
    run_of_systemd
    mount --make-rshared /
else
    mount --make-rshared /
    if [ -z "${CLIENTS_GROUPS:-}" ]; then
        enter_groups
        CLIENTS_GROUPS=1 exec unshare --cgroup bash "$0" "$@"
    fi
    mount_groups
    mount -t tmpfs tmpfs /run -o mode=755
fi
mount -t tmpfs tmpfs /dev/shm -o mode=1777
mkdir -p "$W/tmp" "$W/home" "$W/bin" /run/lock
chmod 1777 "$W/tmp"
cover /etc
cover /var
ip link set lo up
hostname clients
export TMPDIR=$W/tmp HOME=$W/home
unset XDG_RUNTIME_DIR XDG_CONFIG_HOME XDG_DATA_HOME DBUS_SESSION_BUS_ADDRESS NOTIFY_SOCKET
cd /
exec bash "$@"
