#!/usr/bin/env bash
# containerd and ctr with its shim for runc, which calls RUNTIME, or with a shim: containerd.sh RUNTIME, or containerd.sh DIR/containerd-shim-NAME-V.
# As root; CLIENTS_ONLY="NAME…" chooses cases.
set -u
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$HERE/begin.sh" containerd "$@"

CASES=(runs codes output input large_output arguments environment workdir terminal user read_only binds tmpfs_mount net_host namespaces privileged
    capabilities seccomp_default no_new_privileges devices memory_limit cpu_limits group_by_path rootfs_directory missing_program not_executable
    missing_source detached kills tasks_delete_force execs exec_terminal exec_missing exec_detached exec_killed pauses lists_processes measures metrics_of_ended updates_pid_file
    survives_containerd survives_its_shim killed_at_any_time parallel user_namespace namespace_by_path annotations checkpoints restores own_spec)

set_up() {
    RUNTIME=$W/bin/${1##*/}
    cp -L "$1" "$RUNTIME" && chmod 755 "$RUNTIME" && make_rootfs && make_archive docker.io/library/box:latest && configure || return 1
    call_it
    # With a user namespace ctr forgets what --runc-binary says, and the shim looks for the name.
    [ -e "$W/bin/runc" ] || ln -s "$RUNTIME" "$W/bin/runc" || return 1
    export CONTAINERD_ADDRESS=/run/containerd.sock CONTAINERD_SNAPSHOTTER=overlayfs
    begin && c image import "$W/image.tar" >/dev/null
}

# containerd, also once more.
begin() {
    PATH=$W/bin:$PATH containerd -c "$W/containerd.toml" >>"$W/containerd.log" 2>&1 &
    echo $! >"$W/containerd.pid"
    soon ctr version
}

# BY: what ctr is told of it. A shim that is named is found in the PATH of containerd.
call_it() {
    local name=${RUNTIME##*/}
    case $name in
        containerd-shim-*) name=${name#containerd-shim-}; BY=(--runtime "io.containerd.${name%-*}.${name##*-}") ;;
        *) BY=(--runc-binary "$RUNTIME") ;;
    esac
}

configure() {
    cat >"$W/containerd.toml" <<END
version = 2
root = "$W/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs"]
[grpc]
address = "/run/containerd.sock"
END
}

c() { timeout -k 5 "${CALL_LIMIT:-60}" ctr "$@"; }

BOX=docker.io/library/box:latest
NUMBER=0

# What ctr is told of the control group of the container $1: with systemd's driver a scope, which it has to name.
group_of() { [ "$CLIENTS_DRIVER" = cgroupfs ] || echo --runc-systemd-cgroup --cgroup "own.slice:ctr:$1"; }

# A run to its end: options, then -- and the words of the program.
run() {
    local options=() name=run-$BASHPID-$RANDOM
    while [ "$1" != -- ]; do options+=("$1"); shift; done
    shift
    c run --rm "${BY[@]}" $(group_of "$name") "${options[@]}" $BOX "$name" "$@"
}

# One that runs on, named $1.
sleeper() {
    local name=$1
    shift
    c run -d --null-io "${BY[@]}" $(group_of "$name") "$@" $BOX "$name" sh -c 'trap "exit 7" TERM; while :; do sleep 0.1; done'
}

gone() {
    c task kill -s 9 "$1" >/dev/null 2>&1 || true
    soon c task rm "$1" || true
    c container rm "$1" >/dev/null
}

status() { c task ls | awk -v name="$1" '$1 == name { print $3 }'; }

pid_of() { c task ls | awk -v name="$1" '$1 == name { print $2 }'; }

runs() { is "$(run -- echo yes)" yes; }

codes() {
    code 1 run -- false
    code 42 run -- sh -c 'exit 42'
}

output() {
    is "$(run -- sh -c 'echo out; echo err >&2' 2>/dev/null)" out
    is "$(run -- sh -c 'echo out; echo err >&2' 2>&1 >/dev/null)" err
}

# Not to the end of the input, which ctr does not always pass on.
input() { is "$(echo in | run -- head -n 1)" in; }

large_output() { is "$(run -- head -c 3000000 /dev/zero | wc -c)" 3000000; }

arguments() { is "$(run -- printf '%s|' 'a b' '' '$X')" 'a b||$X|'; }

environment() { is "$(run --env A='two words' -- sh -c 'echo "$A"')" 'two words'; }

workdir() { is "$(run --cwd /tmp -- pwd)" /tmp; }

terminal() { has "$(script -qec "timeout 30 ctr run --rm -t ${BY[*]} $BOX term sh -c 'tty; sleep 0.3'" /dev/null)" /dev/pts/0; }

# By its spec, since ctr has no option for it.
user() {
    spec '.process.user = {uid: 77, gid: 88, additionalGids: [5, 6]} | .process.args = ["id"]'
    is "$(by_spec)" 'uid=77 gid=88 groups=5,6'
}

# Writes the spec that ctr makes by itself, changed by a filter of jq.
spec() {
    c container create "${BY[@]}" $BOX spec true 2>/dev/null || c container create $BOX spec true
    c container info spec | jq ".Spec | $1 | .root.path = \"$W/rootfs\"" >"$W/spec.json"
    c container rm spec
}

by_spec() { c run --rm "${BY[@]}" --config "$W/spec.json" "spec-$BASHPID-$RANDOM"; }

own_spec() {
    spec '.process.args = ["sh", "-c", "hostname; ulimit -n; cat /proc/self/oom_score_adj"] | .hostname = "inside" | .process.oomScoreAdj = 111
        | .process.rlimits = [{type: "RLIMIT_NOFILE", soft: 99, hard: 99}]'
    is "$(by_spec)" $'inside\n99\n111'
}

read_only() {
    code 0 run --read-only -- true
    code 1 run --read-only -- touch /file
}

binds() {
    mkdir -p "$W/bound" && echo host >"$W/bound/file"
    is "$(run --mount "type=bind,src=$W/bound,dst=/bound,options=rbind:ro" -- cat /bound/file)" host
    code 1 run --mount "type=bind,src=$W/bound,dst=/bound,options=rbind:ro" -- touch /bound/x
    run --mount "type=bind,src=$W/bound,dst=/bound,options=rbind:rw" -- touch /bound/y
    [ -e "$W/bound/y" ]
}

tmpfs_mount() { has "$(run --mount type=tmpfs,src=tmpfs,dst=/t,options=size=64k -- grep ' /t ' /proc/mounts)" size=64k; }

net_host() { is "$(run --net-host -- readlink /proc/self/ns/net)" "$(readlink /proc/self/ns/net)"; }

namespaces() {
    local kind own
    for kind in mnt pid ipc uts net; do
        own=$(run -- readlink "/proc/self/ns/$kind")
        has "$own" "$kind:["
        [ "$own" != "$(readlink "/proc/self/ns/$kind")" ]
    done
}

namespace_by_path() {
    ip netns add given
    is "$(run --with-ns network:/run/netns/given -- readlink /proc/self/ns/net)" "$(ip netns exec given readlink /proc/self/ns/net)"
    ip netns del given
}

privileged() { is "$(run --privileged -- grep CapEff /proc/self/status | cut -f 2)" "$(grep CapEff /proc/self/status | cut -f 2)"; }

capabilities() {
    code 1 run --cap-drop CAP_CHOWN -- chown 5 /tmp
    code 0 run --cap-add CAP_SYS_ADMIN -- mount -t tmpfs tmpfs /tmp
}

seccomp_default() {
    is "$(run --seccomp -- grep ^Seccomp: /proc/self/status | cut -f 2)" 2
    is "$(run -- grep ^Seccomp: /proc/self/status | cut -f 2)" 0
}

no_new_privileges() {
    is "$(run -- grep NoNewPrivs /proc/self/status | cut -f 2)" 1
    is "$(run --allow-new-privs -- grep NoNewPrivs /proc/self/status | cut -f 2)" 0
}

devices() {
    has "$(run --device /dev/fuse -- ls -l /dev/fuse)" '10, 229'
    code 1 run -- sh -c 'mknod /tmp/k c 1 11; head -c 1 /tmp/k'
}

# The file of a control group, by its names in the two versions.
limit() {
    local pid group
    pid=$(pid_of "$3")
    if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
        cat "/sys/fs/cgroup$(sed -n 's/^0:://p' "/proc/$pid/cgroup")/$2"
    else
        group=$(sed -n "s/^[0-9]*:[a-z,]*\b${1%%.*}\b[a-z,]*://p" "/proc/$pid/cgroup")
        cat "/sys/fs/cgroup/${1%%.*}$group/$1"
    fi
}

memory_limit() {
    sleeper limited --memory-limit 50331648
    is "$(limit memory.limit_in_bytes memory.max limited)" 50331648
    gone limited
}

cpu_limits() {
    sleeper limited --cpu-quota 30000 --cpu-period 100000
    has "$(limit cpu.cfs_quota_us cpu.max limited)" 30000
    gone limited
}

group_by_path() {
    if [ "$CLIENTS_DRIVER" = systemd ]; then
        sleeper grouped --memory-limit 50331648
        has "$(cat "/proc/$(pid_of grouped)/cgroup")" :/own.slice/ctr-grouped.scope
        is "$(systemctl show -P MemoryMax ctr-grouped.scope)" 50331648
        gone grouped
        soon bash -c '! systemctl is-active -q ctr-grouped.scope'
    else
        sleeper grouped --cgroup /own/group
        has "$(cat "/proc/$(pid_of grouped)/cgroup")" :/own/group
        gone grouped
    fi
}

rootfs_directory() { is "$(c run --rm "${BY[@]}" --rootfs "$W/rootfs" fromdir /bin/echo yes)" yes; }

# What can't be started leaves the name free.
refused() {
    local got=0 out
    out=$(c run --rm "${BY[@]}" $(group_of refused) $BOX refused "$1" 2>&1) || got=$?
    [ $got != 0 ]
    has "$out" "$1"
    c container rm refused 2>/dev/null || true
    is "$(c run --rm "${BY[@]}" $(group_of refused) $BOX refused echo again)" again
}

missing_program() { refused /no/such/program; }

not_executable() { refused /etc/text; }

missing_source() {
    local got=0 out
    out=$(c run --rm "${BY[@]}" --mount type=bind,src=/no/such/source,dst=/x,options=rbind $BOX refused true 2>&1) || got=$?
    [ $got != 0 ]
    has "$out" /no/such/source
    c container rm refused 2>/dev/null || true
}

detached() {
    sleeper detached
    is "$(status detached)" RUNNING
    gone detached
}

kills() {
    sleeper killed
    sleep 0.3
    c task kill -s TERM killed
    soon bash -c 'ctr task ls | grep "killed .*STOPPED"'
    has "$(c task rm killed 2>&1; echo "code $?")" 'code'
    c container rm killed
}

tasks_delete_force() {
    sleeper forced
    c task rm -f forced >/dev/null 2>&1 || true
    is "$(status forced)" ''
    c container rm forced
}

# The program stays a moment: ctr cancels the copying of what one wrote that ended at once.
execute() {
    local name=$1
    shift
    c task exec --exec-id "$name" "${OPTIONS[@]}" execed sh -c '"$@"; code=$?; sleep 0.5; exit $code' - "$@"
}

execs() {
    local OPTIONS=()
    sleeper execed
    is "$(execute e1 echo inside)" inside
    code 44 execute e2 sh -c 'exit 44'
    is "$( (echo in; sleep 0.5) | execute e3 head -n 1)" in
    is "$(execute e6 cat /proc/self/cgroup)" "$(execute e7 cat /proc/1/cgroup)"
    OPTIONS=(--cwd /tmp)
    is "$(execute e4 pwd)" /tmp
    OPTIONS=(--user 55:66)
    is "$(execute e5 id -u)" 55
}

exec_terminal() { has "$(script -qec "timeout 30 ctr task exec -t --exec-id t1 execed sh -c 'tty; sleep 0.3'" /dev/null)" /dev/pts/; }

exec_missing() {
    local got=0 out
    out=$(c task exec --exec-id m1 execed /no/such/program 2>&1) || got=$?
    [ $got != 0 ]
    has "$out" /no/such/program
}

exec_detached() {
    c task exec -d --exec-id d1 execed sh -c 'echo x >/tmp/detached'
    soon c task exec --exec-id d2 execed test -s /tmp/detached || soon ctr task exec --exec-id d3 execed test -s /tmp/detached
}

exec_killed() {
    c task exec -d --exec-id k1 execed sleep 66
    has "$(c task ps execed)" k1
    c task kill -s KILL --exec-id k1 execed
    soon bash -c '! ctr task ps execed | grep k1'
}

pauses() {
    c task pause execed
    is "$(status execed)" PAUSED
    c task resume execed
    is "$(status execed)" RUNNING
}

lists_processes() {
    some "$(pid_of execed)"
    has "$(c task ps execed)" "$(pid_of execed)"
}

measures() {
    has "$(c task metrics execed)" memory
    gone execed
}

metrics_of_ended() {
    local got=0
    code 0 run -- true
    c task metrics no-such-task || got=$?
    [ $got != 0 ]
}

updates_pid_file() {
    sleeper pidded --pid-file "$W/pidded"
    is "$(cat "$W/pidded")" "$(pid_of pidded)"
    gone pidded
}

survives_containerd() {
    sleeper kept
    kill -9 "$(cat "$W/containerd.pid")"
    begin
    is "$(status kept)" RUNNING
    code 3 c task exec --exec-id again kept sh -c 'exit 3'
    c task kill kept
    soon bash -c 'ctr task ls | grep "kept .*STOPPED"'
    has "$(c task rm kept 2>&1)" 'exit code 7'
    c container rm kept
}

# What is left of it is ended.
survives_its_shim() {
    local pid
    sleeper orphan
    pid=$(pid_of orphan)
    kill -9 "$(pgrep -f 'containerd-shim.*-id orphan')"
    soon bash -c "! ctr task ls | grep 'orphan .*RUNNING'"
    soon bash -c "[ ! -e /proc/$pid/exe ]"
    c task rm -f orphan || true
    soon ctr container rm orphan
}

# Wherever in its start a shim is killed, what it has made is ended with the task.
killed_at_any_time() {
    local number
    [ "${BY[0]}" = --runtime ] || skip 'runc leaves a control group'
    for number in $(seq 12); do
        { c run -d --null-io "${BY[@]}" $BOX "swept-$number" sleep 98765 || true; } &
        sleep "0.$(printf %03d $((number * 25)))"
        kill -9 $(pgrep -f -- "containerd-shim.*-id swept-$number( |$)") 2>/dev/null || true
        wait
        c task rm -f "swept-$number" || true
        soon ctr container rm "swept-$number" || ! ctr container info "swept-$number"
    done
    soon bash -c '! pgrep -x sleep -a | grep 98765'
    # One that was started and never used goes by itself, which takes half a minute.
    for number in $(seq 45); do
        pgrep -x containerd-shim >/dev/null || break
        sleep 1
    done
    soon bash -c '[ -z "$(ctr task ls -q)" ]'
}

parallel() {
    local n pids=() bad=0
    for n in $(seq 10); do
        c run --rm "${BY[@]}" $BOX "parallel-$n" sh -c "exit $n" & pids+=($!)
    done
    for n in $(seq 10); do
        wait "${pids[n - 1]}" || [ $? = "$n" ] || { echo "run $n"; bad=1; }
    done
    is $bad 0
}

user_namespace() {
    is "$(run --uidmap 0:300000:65536 --gidmap 0:300000:65536 -- sh -c 'cat /proc/self/uid_map' | xargs)" '0 300000 65536'
}

annotations() { is "$(run --annotation org.example.key=value -- echo yes)" yes; }

checkpoints() {
    local name
    criu check >/dev/null 2>&1 || skip "criu check: $(criu check 2>&1 | grep -i error | head -n 1)"
    sleeper saved
    if [ "${BY[0]}" = --runtime ]; then
        # --image-path and --exit are told to the shim for runc alone: the images go to containerd's store, and it goes on.
        name=$(c task checkpoint saved)
        has "$name" containerd.io/checkpoint/saved
        has "$(c image ls -q)" "$name"
        is "$(status saved)" RUNNING
        c image rm "$name"
    else
        mkdir -p "$W/images"
        c task checkpoint --image-path "$W/images" --exit saved
        [ -n "$(ls "$W/images")" ]
    fi
    gone saved
}

# A checkpoint in containerd's store, of which another task is made.
restores() {
    local before
    criu check >/dev/null 2>&1 || skip "criu check: $(criu check 2>&1 | grep -i error | head -n 1)"
    c run -d --null-io "${BY[@]}" $BOX first sh -c 'n=0; while :; do n=$((n+1)); echo $n >/tmp/n; sleep 0.1; done'
    sleep 2
    c containers checkpoint --rw --task first checkpoint/first:latest
    before=$(c task exec --exec-id e first cat /tmp/n)
    [ "$before" -gt 5 ]
    gone first
    c containers restore --rw --live second checkpoint/first:latest
    is "$(status second)" RUNNING
    [ "$(c task exec --exec-id e second cat /tmp/n)" -ge "$((before - 3))" ]
    c task kill -s KILL second
    gone second
    c image rm checkpoint/first:latest
}

nothing_is_left() {
    soon bash -c '! pgrep -x containerd-shim'
    much_was_there
    is "$(c task ls -q)" ''
    is "$(c container ls -q)" ''
    is "$(find /run/containerd/runc /run/containerd/nsinit /run/containerd/io.containerd.runtime.v2.task -mindepth 2 2>/dev/null | head -n 5)" ''
    # The shim for runc leaves its socket if it is killed.
    [ "${BY[0]}" != --runtime ] || soon bash -c '[ -z "$(ls /run/containerd/s)" ]'
    is "$(find /sys/fs/cgroup/ -mindepth 2 -type d \( -path '*/default/*' -o -name 'ctr-*.scope' \) | head -n 5)" ''
}

set_up "$1" || { echo "FAILED to set up"; tail -n 5 "$W/containerd.log"; exit 1; }
run_cases "${CASES[@]}" nothing_is_left
kill "$(cat "$W/containerd.pid")"
report
