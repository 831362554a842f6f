# A world of its own for a client of runtimes, to be sourced by its script: namespaces of mounts, network, processes, IPC and names, an own
# sub-tree of control groups, /run, and what is written to /etc and /var. The whole state lies on a tmpfs and ends with the script, however that ends.
# Nothing of the host is bound writable anywhere.
# With CLIENTS_DRIVER=systemd the machine's systemd makes the groups, and the processes are the machine's: for one that is thrown away afterwards.

# Where everything lies, inside.
W=/run/clients

# Starts the script anew, inside, with the runtime as its argument, and ends with its code. WORLD_LIMIT: seconds that it may take.
enter_world() {
    [ -z "${CLIENTS_WORLD:-}" ] || return 0
    [ "$(id -u)" = 0 ] || { echo "$0: only root can make namespaces of all kinds here" >&2; exit 2; }
    [ $# = 1 ] && [ -x "$1" ] || { echo "usage: $0 RUNTIME (a program)" >&2; exit 2; }
    export CLIENTS_WORLD=clients-$$ CLIENTS_DRIVER=${CLIENTS_DRIVER:-cgroupfs}
    local code=0 pids=(--pid --fork --kill-child --mount-proc)
    if [ "$CLIENTS_DRIVER" = systemd ]; then
        # It must know the processes by their numbers, and makes the groups.
        pids=()
    else
        make_groups || exit 2
        trap remove_groups EXIT
    fi
    timeout -s KILL "${WORLD_LIMIT:-900}" unshare --mount --net --ipc --uts "${pids[@]}" --propagation private \
        bash "$(dirname "$(realpath "${BASH_SOURCE[0]}")")/inside.sh" "$(realpath "$0")" "$(realpath "$1")" || code=$?
    [ $code != 137 ] || echo "FAILED to end within ${WORLD_LIMIT:-900} s"
    exit $code
}

# The mounted hierarchies: all of version 1, or version 2 if there are none.
hierarchies() {
    findmnt -rn -t cgroup -o TARGET || findmnt -rn -t cgroup2 -o TARGET
}

make_groups() {
    local top name
    for top in $(hierarchies); do
        mkdir "$top/$CLIENTS_WORLD" || return 1
        # A cpuset of version 1 is empty at first, and nobody can enter it.
        for name in cpuset.cpus cpuset.mems; do
            if [ -e "$top/$name" ] && [ ! -e "$top/cgroup.controllers" ]; then
                cat "$top/$name" >"$top/$CLIENTS_WORLD/$name"
            fi
        done
    done
}

# The kernel needs a moment until the last process is gone.
remove_groups() {
    local top try
    # What was frozen did not die with the world.
    find /sys/fs/cgroup/freezer/"$CLIENTS_WORLD" -name freezer.state -exec sh -c 'echo THAWED >"$1"' - {} \; 2>/dev/null
    for try in 1 2 3 4 5 6 7 8 9 10; do
        for top in $(hierarchies); do
            find "$top/$CLIENTS_WORLD" -depth -type d -exec rmdir {} + 2>/dev/null
        done
        [ -n "$(for top in $(hierarchies); do ls -d "$top/$CLIENTS_WORLD" 2>/dev/null; done)" ] || return 0
        sleep 0.5
    done
    echo "FAILED to remove control groups $CLIENTS_WORLD"
}
