#!/usr/bin/env bash
# Kubernetes' way in: containerd's CRI service, with RUNTIME by the shim for runc, or with a shim: cri.sh RUNTIME, or cri.sh DIR/containerd-shim-NAME-V.
# As root; CLIENTS_ONLY="NAME…" chooses cases. CRI is the client: tests/cri.
set -u
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$HERE/begin.sh" cri "$@"
. "$HERE/cri/setup.sh"

CASES=(ready runs_a_pod has_an_address runs_containers shares_namespaces execs exec_codes exec_missing exec_leaves_a_child exec_streams forwards_a_port measures
    groups_by_pod updates_a_limit limits_cpu tells_of_the_other_driver writes_logs ends_with_its_code stops_by_term stops_by_kill out_of_memory missing_program
    user read_only privileged terminal shared_pids host_network one_shim_for_a_pod survives_containerd survives_its_shim stops_the_pod)

DEFAULT=subject

# What version 1 of control groups has of another name.
MEMORY='' LIMIT=memory.max PROPERTY=MemoryMax
[ -e /sys/fs/cgroup/cgroup.controllers ] || MEMORY=/memory LIMIT=memory.limit_in_bytes PROPERTY=MemoryLimit

handlers() { call_it "$RUNTIME" && handler subject; }

ready() { is "$(c ready)" ready; }

runs_a_pod() {
    pod one
    has "$(c pods)" "$(id pod-one) SandboxReady"
}

has_an_address() { has "$(c pod-ip "$(id pod-one)")" 10.99.0.; }

runs_containers() {
    container one first env=GREETING=hello -- sh -c "mkdir -p /tmp/www; echo '<p>page</p></END>' >/tmp/www/index.html; httpd -p 8080 -h /tmp/www; $SLEEP"
    container one second -- sh -c "$SLEEP"
    is "$(state first)" RUNNING
    is "$(state second)" RUNNING
}

shares_namespaces() {
    local kind
    for kind in net ipc uts; do is "$(inode first $kind)" "$(inode second $kind)"; done
    for kind in pid mnt; do [ "$(inode first $kind)" != "$(inode second $kind)" ]; done
    is "$(run first hostname)" one
    has "$(run second wget -qO- http://127.0.0.1:8080/)" page
    [ "$(inode first net)" != "$(readlink /proc/self/ns/net)" ]
}

execs() {
    is "$(run first echo 'a b')" 'a b'
    is "$(run first sh -c 'echo out; echo err >&2' 2>&1 >/dev/null)" err
    is "$(run first sh -c 'echo $GREETING')" hello
    is "$(run first sh -c 'cat /proc/self/cgroup')" "$(run first cat /proc/1/cgroup)"
}

exec_codes() {
    code 0 run first true
    code 42 run first sh -c 'exit 42'
    code 137 run first sh -c 'kill -9 $$'
}

exec_missing() {
    local got=0 out
    out=$(run first /no/such/program 2>&1) || got=$?
    [ $got != 0 ]
    has "$out" /no/such/program
}

# The child keeps the pipe open; the call has to end all the same.
exec_leaves_a_child() {
    [ "$SHIM" != containerd-shim-runc-v2 ] || skip "the shim for runc waits until the child has ended, and containerd 1.6 with it"
    is "$(CALL_LIMIT=30 run first sh -c 'sleep 1000 & echo done')" done
}

exec_streams() { is "$(c exec-stream "$(id first)" -- sh -c 'echo streamed; sleep 0.3')" streamed; }

forwards_a_port() { has "$(c forward "$(id pod-one)" 8080)" page; }

measures() {
    local found
    soon bash -c '"$0" /run/containerd.sock stats "$1" | grep "memory [1-9].* cpu [1-9]"' "$CRI" "$(id first)"
}

# The sandbox and both containers, each by itself below the pod's group.
groups_by_pod() {
    local name
    for name in pod-one first second; do group_by_pod "$name"; done
}

group_by_pod() {
    local parent
    parent=$(parent one)
    if [ "$CLIENTS_DRIVER" = systemd ]; then
        is "$(group "$1")" "/sys/fs/cgroup${MEMORY}$parent/cri-containerd-$(id "$1").scope"
        is "$(unit "$1" ActiveState)" active
        is "$(unit "$1" Slice)" "$(slice one)"
        is "$(unit "$1" ControlGroup)" "$parent/cri-containerd-$(id "$1").scope"
        is "$(unit "$1" Delegate)" yes
    else
        is "$(group "$1")" "/sys/fs/cgroup${MEMORY}$parent/$(id "$1")"
    fi
}

# A limit of memory, and what systemd knows of it.
has_limit() {
    is "$(cat "$(group "$1")/$LIMIT")" "$2"
    [ "$CLIENTS_DRIVER" != systemd ] || is "$(unit "$1" "$PROPERTY")" "$2"
}

updates_a_limit() {
    container one limited memory=67108864 -- sh -c "$SLEEP"
    has_limit limited 67108864
    c update "$(id limited)" 50331648
    has_limit limited 50331648
    remove limited
    [ "$CLIENTS_DRIVER" != systemd ] || is "$(unit limited ActiveState)" inactive
}

limits_cpu() {
    container one slow cpu=30000 -- sh -c "$SLEEP"
    if [ -z "$MEMORY" ]; then
        is "$(cat "$(group slow)/cpu.max")" '30000 100000'
    else
        is "$(cat "/sys/fs/cgroup/cpu$(sed -n 's/^[0-9]*:[a-z,]*\bcpu\b[a-z,]*://p' "/proc/$(pid_of slow)/cgroup")/cpu.cfs_quota_us")" 30000
    fi
    [ "$CLIENTS_DRIVER" != systemd ] || is "$(unit slow CPUQuotaPerSecUSec)" 300ms
    remove slow
}

# A kubelet with systemd's driver, and a handler without.
tells_of_the_other_driver() {
    [ "$SHIM" != containerd-shim-runc-v2 ] || skip "the shim for runc shows nothing that a runtime tells besides"
    [ "$CLIENTS_DRIVER" != systemd ] || skip 'it is the driver'
    c run-pod sliced subject "parent=/kubetests.slice" >"$W/pod-sliced"
    has "$(grep "$(id pod-sliced).*is a scope of systemd" "$W/containerd.log")" SystemdCgroup
    is "$(group pod-sliced)" "/sys/fs/cgroup$MEMORY/kubetests.slice:cri-containerd:$(id pod-sliced)"
    ends sliced
    is "$(find /sys/fs/cgroup/ -name 'kubetests*')" ''
}

writes_logs() {
    container one writer -- sh -c 'echo out; echo err >&2; head -c 300000 /dev/zero | tr "\0" x; echo; echo last'
    becomes writer 'EXITED 0*'
    has "$(cat "$W/logs/one/writer.log")" 'stdout F out'
    has "$(cat "$W/logs/one/writer.log")" 'stderr F err'
    has "$(cat "$W/logs/one/writer.log")" 'stdout F last'
    is "$(tr -cd x <"$W/logs/one/writer.log" | wc -c)" 300000
    remove writer
}

ends_with_its_code() {
    container one code -- sh -c 'exit 33'
    becomes code 'EXITED 33 Error'
    remove code
}

stops_by_term() {
    container one termed -- sh -c 'trap "exit 7" TERM; echo ready; while :; do sleep 0.1; done'
    soon grep -q ready "$W/logs/one/termed.log"
    c stop "$(id termed)" 20
    has "$(state termed)" 'EXITED 7'
    remove termed
}

stops_by_kill() {
    container one stubborn -- sh -c 'trap "" TERM; echo ready; while :; do sleep 0.1; done'
    soon grep -q ready "$W/logs/one/stubborn.log"
    c stop "$(id stubborn)" 1
    has "$(state stubborn)" 'EXITED 137'
    remove stubborn
}

# Not at once: in an emulated machine it takes a while until somebody looks for it.
out_of_memory() {
    # RACE: with version 2 nobody may have read of it by then (docs/clients.md).
    [ "$CLIENTS_DRIVER" != systemd ] || [ -n "$MEMORY" ] || skip 'systemd removes the group with its last process'
    container one greedy memory=20971520 -- sh -c 'sleep 3; exec tail -c 200m /dev/zero'
    becomes greedy 'EXITED 137 OOMKilled'
    remove greedy
}

missing_program() {
    local got=0 out
    out=$(container one missing -- /no/such/program 2>&1) || got=$?
    [ $got != 0 ]
    has "$out" /no/such/program
    c remove "$(id missing)"
}

user() {
    container one usered user=1000 -- sh -c "$SLEEP"
    is "$(run usered id -u)" 1000
    is "$(run usered sh -c 'echo x >/dev/stdout')" x
    remove usered
}

read_only() {
    container one readonly read-only -- sh -c "$SLEEP"
    code 1 run readonly touch /file
    remove readonly
}

privileged() {
    pod strong privileged
    container strong powerful privileged -- sh -c "$SLEEP"
    is "$(run powerful grep CapEff /proc/self/status | cut -f 2)" "$(grep CapEff /proc/self/status | cut -f 2)"
    is "$(run powerful grep ^Seccomp: /proc/self/status | cut -f 2)" 0
    is "$(run first grep ^Seccomp: /proc/self/status | cut -f 2)" 2
    ends strong
}

terminal() {
    container one typed tty -- sh -c "tty; $SLEEP"
    soon grep -q /dev/pts/0 "$W/logs/one/typed.log"
    remove typed
}

shared_pids() {
    pod shared share-pids
    container shared seen share-pids -- sh -c "$SLEEP"
    container shared seer share-pids -- sh -c 'sleep 999 & exit 5'
    is "$(inode seen pid)" "$(readlink "/proc/$(pid_of pod-shared)/ns/pid")"
    # What the first process leaves behind ends with it.
    becomes seer 'EXITED 5*'
    has_not "$(run seen ps)" 'sleep 999'
    ends shared
}

host_network() {
    pod hosted host-network
    container hosted guest host-network -- sh -c "$SLEEP"
    is "$(inode guest net)" "$(readlink /proc/self/ns/net)"
    ends hosted
}

shims() { pgrep -f "$SHIM.*$1" | wc -l; }

one_shim_for_a_pod() { is "$(shims "$(id pod-one)")" 1; }

survives_containerd() {
    kill -9 "$(cat "$W/containerd.pid")"
    begin
    soon c ready
    is "$(state first)" RUNNING
    is "$(run first echo again)" again
    container one after -- sh -c 'exit 3'
    becomes after 'EXITED 3 *'
    remove after
    is "$(shims "$(id pod-one)")" 1
}

# What is left is ended, and told.
survives_its_shim() {
    pod orphaned
    container orphaned orphan -- sh -c "$SLEEP"
    kill -9 "$(pgrep -f "$SHIM.*$(id pod-orphaned)")"
    becomes orphan 'EXITED *'
    ends orphaned
    has "$(c pods)" "$(id pod-one)"
    has_not "$(c pods)" "$(id pod-orphaned)"
}

stops_the_pod() {
    ends one
    is "$(c pods)" ''
    is "$(c containers)" ''
}

no_group_is_left() {
    if [ "$CLIENTS_DRIVER" = systemd ]; then
        is "$(systemctl list-units --all --plain --no-legend 'cri-containerd-*')" ''
        systemctl stop kubetests.slice
        soon no_groups '*/kubetests*'
        is "$(find /sys/fs/cgroup/ -type d -name 'cri-containerd-*' | head -n 5)" ''
    else
        is "$(find /sys/fs/cgroup/ -type d -path '*/kubepods/*/*' | head -n 5)" ''
    fi
}

nothing_is_left() {
    is "$(ctr -n k8s.io task ls -q)" ''
    soon bash -c "! pgrep -x containerd-shim"
    # Of a pod whose shim for runc was killed, containerd 2 has the sandbox deleted, and not its containers.
    [ "$SHIM" != containerd-shim-runc-v2 ] || ! containerd --version | grep -q /v2 ||
        "$RUNTIME" --root /run/containerd/runc/k8s.io delete --force "$(id orphan)"
    is "$(find /run/containerd/runc /run/containerd/nsinit /run/containerd/io.containerd.runtime.v2.task -mindepth 2 2>/dev/null | head -n 5)" ''
    # The shim for runc leaves its socket if it is killed.
    [ "$SHIM" = containerd-shim-runc-v2 ] || soon bash -c '[ -z "$(ls /run/containerd/s)" ]'
    no_group_is_left
    is "$(grep -c /rootfs /proc/self/mounts)" 0
}

set_up "$1" || { echo "FAILED to set up"; tail -n 5 "$W/containerd.log"; exit 1; }
run_cases "${CASES[@]}" nothing_is_left
kill "$(cat "$W/containerd.pid")"
[ "$BAD" = 0 ] || grep -E 'level=(warning|error)' "$W/containerd.log" | tail -n 20 | cut -c 1-600
report
