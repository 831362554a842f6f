# Control groups and limits of processes.

LIMITS=(memory_limit cpu_limit pids_limit pids_limit_holds memory_limit_holds no_groups parent_group ulimits oom_score groups_private cpu_set weights)

# Of what a version of control groups calls $1 or $2, the value for container $3.
value_of() {
    local pid group
    pid=$(p inspect -f '{{.State.Pid}}' "$3")
    if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
        cat "/sys/fs/cgroup$(sed -n 's/^0:://p' "/proc/$pid/cgroup")/$2"
    else
        group=$(sed -n "s/^[0-9]*:[a-z,]*\b${1%%.*}\b[a-z,]*://p" "/proc/$pid/cgroup")
        cat "/sys/fs/cgroup/${1%%.*}$group/$1"
    fi
}

version_2() { [ -e /sys/fs/cgroup/cgroup.controllers ]; }

memory_limit() {
    sleeper limited --memory 64m --memory-reservation 32m
    is "$(value_of memory.limit_in_bytes memory.max limited)" 67108864
    is "$(value_of memory.soft_limit_in_bytes memory.low limited)" 33554432
    gone limited
}

cpu_limit() {
    sleeper limited --cpus 0.5
    version_2 || is "$(value_of cpu.cfs_quota_us cpu.max limited)" 50000
    ! version_2 || is "$(value_of cpu.cfs_quota_us cpu.max limited)" '50000 100000'
    gone limited
}

weights() {
    sleeper limited --cpu-shares 512
    version_2 || is "$(value_of cpu.shares cpu.weight limited)" 512
    gone limited
}

cpu_set() {
    sleeper limited --cpuset-cpus 0
    is "$(value_of cpuset.cpus cpuset.cpus limited)" 0
    is "$(p exec limited grep Cpus_allowed_list /proc/self/status | cut -f 2)" 0
    gone limited
}

pids_limit() {
    sleeper limited --pids-limit 33
    is "$(value_of pids.max pids.max limited)" 33
    gone limited
}

pids_limit_holds() { code 2 run --pids-limit 3 box sh -c 'sleep 1 & sleep 1 & sleep 1 & sleep 1 & wait' || code 1 run --pids-limit 3 box sh -c 'sleep 1 & sleep 1 & sleep 1 & sleep 1'; }

memory_limit_holds() {
    code 137 run --memory 32m --memory-swap 32m box sh -c 'head -c 100000000 /dev/zero | tail'
}

no_groups() {
    is "$(run --cgroups disabled box echo yes)" yes
}

parent_group() {
    local parent=/own/parent
    [ "$CLIENTS_DRIVER" = cgroupfs ] || parent=/own.slice/own-parent.slice
    sleeper parented --cgroup-parent "${parent##*own.slice/}"
    has "$(cat "/proc/$(p inspect -f '{{.State.Pid}}' parented)/cgroup")" "$parent/"
    gone parented
}

ulimits() {
    # podman asks for more processes than a machine without CAP_SYS_RESOURCE can give, unless told.
    is "$(run --ulimit nproc=900:900 --ulimit nofile=111:222 box sh -c 'ulimit -Sn; ulimit -Hn')" $'111\n222'
    is "$(run --ulimit nproc=900:900 --ulimit nofile=99:99 --ulimit core=0 box sh -c 'ulimit -c')" 0
}

oom_score() { is "$(run --oom-score-adj 321 box cat /proc/self/oom_score_adj)" 321; }

groups_private() {
    local own
    own=$(run --cgroupns private box cat /proc/self/cgroup)
    has_not "$own" libpod
    has "$(run --cgroupns host box cat /proc/self/cgroup)" libpod
}
