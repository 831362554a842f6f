# shellcheck shell=bash
# containerd with its CRI service, a network and images of the tests' own; to be sourced. CRI is the client: tests/cri.

set_up() {
    RUNTIME=$W/bin/${1##*/}
    [ -x "${CRI:-}" ] || { echo "no client: cargo xtask test --clients builds it, and says by CRI where it is"; return 1; }
    cp -L "$1" "$RUNTIME" && chmod 755 "$RUNTIME" && make_rootfs || return 1
    # It is copied for pods, and a machine may have none.
    [ -e /etc/resolv.conf ] || : >/etc/resolv.conf || return 1
    network && configure && handlers && begin || return 1
    make_archive docker.io/library/box:latest && ctr -n k8s.io image import "$W/image.tar" >/dev/null || return 1
    make_archive docker.io/library/pause:latest '["/bin/sleep","1000000"]' && ctr -n k8s.io image import "$W/image.tar" >/dev/null || return 1
    soon c ready
}

# A runtime, or a shim, as containerd's configuration has it: KIND and OPTIONS. SHIM is the program that holds its containers.
call_it() {
    local name=${1##*/}
    case $name in
        containerd-shim-*)
            name=${name#containerd-shim-}
            KIND="io.containerd.${name%-*}.${name##*-}" OPTIONS='' SHIM=${1##*/} ;;
        *) KIND=io.containerd.runc.v2 OPTIONS="BinaryName = \"$1\"" SHIM=containerd-shim-runc-v2 ;;
    esac
    [ "$CLIENTS_DRIVER" != systemd ] || use_systemd
}

# The shim for runc has its options in containerd's configuration, others in a file of their own.
use_systemd() {
    if [ "$SHIM" = containerd-shim-runc-v2 ]; then
        OPTIONS+=$'\nSystemdCgroup = true'
    else
        echo 'SystemdCgroup = true' >"$W/$SHIM.toml"
        OPTIONS="ConfigPath = \"$W/$SHIM.toml\""
    fi
}

network() {
    mkdir -p "$W/cni"
    cat >"$W/cni/10-tests.conflist" <<'END'
{"cniVersion": "0.4.0", "name": "tests", "plugins": [
    {"type": "bridge", "bridge": "cni-tests", "isGateway": true, "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.99.0.0/24"}]], "routes": [{"dst": "0.0.0.0/0"}]}}]}
END
}

configure() {
    cat >"$W/containerd.toml" <<END
version = 2
root = "$W/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs"]
[timeouts]
# Of a shim that was killed the rest is removed once, and not at all if that takes longer.
"io.containerd.timeout.shim.cleanup" = "60s"
[grpc]
address = "/run/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "docker.io/library/pause:latest"
disable_apparmor = true
restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".containerd]
default_runtime_name = "$DEFAULT"
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "$W/cni"
END
}

# A handler named $1, as call_it has said. Scripts have a function handlers, which adds theirs, and name one in DEFAULT.
handler() {
    cat >>"$W/containerd.toml" <<END
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.$1]
runtime_type = "$KIND"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.$1.options]
$OPTIONS
END
}

# containerd, also once more.
begin() {
    PATH=$W/bin:$PATH containerd -c "$W/containerd.toml" >>"$W/containerd.log" 2>&1 &
    echo $! >"$W/containerd.pid"
    export CONTAINERD_ADDRESS=/run/containerd.sock
    soon ctr version
}

c() { timeout -k 5 "${CALL_LIMIT:-60}" "$CRI" /run/containerd.sock "$@"; }

# The group of the pod $1, as a kubelet names it.
parent() {
    if [ "$CLIENTS_DRIVER" = systemd ]; then
        echo "/kubetests.slice/kubetests-pods.slice/$(slice "$1")"
    else
        echo "/kubepods/$1"
    fi
}

slice() { echo "kubetests-pods-pod$1.slice"; }

# Has systemd begin or end the slice of a pod, as a kubelet does.
slices() { [ "$CLIENTS_DRIVER" != systemd ] || systemctl "$1" "$(slice "$2")"; }

# A pod named $1, with options; its id is kept in a file.
pod() {
    local name=$1
    shift
    mkdir -p "$W/logs/$name"
    slices start "$name"
    c run-pod "$name" "${HANDLER:-subject}" "logs=$W/logs/$name" "parent=$(parent "$name")" "$@" >"$W/pod-$name"
}

id() { cat "$W/$1"; }

# A container named $2 in the pod $1, begun: options, -- and words.
container() {
    local pod=$1 name=$2
    shift 2
    c create "$(id "pod-$pod")" "$pod" "$name" "logs=$W/logs/$pod" "parent=$(parent "$pod")" "$@" >"$W/$name"
    c start "$(id "$name")"
}

pid_of() { ctr -n k8s.io task ls | awk -v id="$(id "$1")" '$1 == id { print $2 }'; }

# The directory of a container's control group, that of memory with version 1.
group() {
    local lines
    lines=/proc/$(pid_of "$1")/cgroup
    if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
        echo "/sys/fs/cgroup$(sed -n 's/^0:://p' "$lines")"
    else
        echo "/sys/fs/cgroup/memory$(sed -n 's/^[0-9]*:memory://p' "$lines")"
    fi
}

# No directory of a control group has such a path.
no_groups() { [ -z "$(find /sys/fs/cgroup/ -type d -path "$1")" ]; }

# What systemd says of a container's unit.
unit() { systemctl show -P "$2" "cri-containerd-$(id "$1").scope"; }

state() { c state "$(id "$1")"; }

# Waits until a container has this state.
becomes() { soon bash -c '[[ "$("$0" /run/containerd.sock state "$1")" == $2 ]]' "$CRI" "$(id "$1")" "$2" || fail "$1 is $(state "$1"), not $2"; }

remove() {
    c stop "$(id "$1")" 0
    c remove "$(id "$1")"
}

ends() {
    c stop-pod "$(id "pod-$1")"
    c remove-pod "$(id "pod-$1")"
    # With the slice systemd ends what is in it.
    soon no_groups "*/$(slice "$1")/*"
    slices stop "$1"
}

run() { c exec "$(id "$1")" -- "${@:2}"; }

inode() { run "$1" readlink "/proc/self/ns/$2"; }

# Seldom: an emulated machine has better things to do.
SLEEP='trap "exit 7" TERM; while :; do sleep 1; done'
