#!/usr/bin/env bash
# Kubernetes' way in: containerd's CRI service, with RUNTIME by the shim for runc, or with a shim: cri.sh RUNTIME, or cri.sh DIR/containerd-shim-NAME-V.
# As root; CLIENTS_ONLY="NAME…" chooses cases. CRI is the client: tests/cri.
set -u
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$HERE/begin.sh" cri "$@"
. "$HERE/cri/setup.sh"

CASES=(ready runs_a_pod has_an_address runs_containers shares_namespaces execs exec_codes exec_missing exec_leaves_a_child exec_streams forwards_a_port measures
    updates_a_limit writes_logs ends_with_its_code stops_by_term stops_by_kill out_of_memory missing_program user read_only privileged terminal shared_pids
    host_network one_shim_for_a_pod survives_containerd survives_its_shim stops_the_pod)

DEFAULT=subject

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

# The file of a control group, by its names in the two versions.
limit() {
    local pid group
    pid=$(ctr -n k8s.io task ls | awk -v id="$(id "$1")" '$1 == id { print $2 }')
    if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
        cat "/sys/fs/cgroup$(sed -n 's/^0:://p' "/proc/$pid/cgroup")/memory.max"
    else
        group=$(sed -n "s/^[0-9]*:memory://p" "/proc/$pid/cgroup")
        cat "/sys/fs/cgroup/memory$group/memory.limit_in_bytes"
    fi
}

updates_a_limit() {
    container one limited memory=67108864 -- sh -c "$SLEEP"
    is "$(limit limited)" 67108864
    c update "$(id limited)" 50331648
    is "$(limit limited)" 50331648
    remove limited
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
    container one termed -- sh -c "$SLEEP"
    sleep 0.3
    c stop "$(id termed)" 20
    has "$(state termed)" 'EXITED 7'
    remove termed
}

stops_by_kill() {
    container one stubborn -- sh -c 'trap "" TERM; while :; do sleep 0.1; done'
    sleep 0.3
    c stop "$(id stubborn)" 1
    has "$(state stubborn)" 'EXITED 137'
    remove stubborn
}

out_of_memory() {
    container one greedy memory=20971520 -- sh -c 'sleep 0.5; exec tail -c 200m /dev/zero'
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
    is "$(inode seen pid)" "$(readlink "/proc/$(ctr -n k8s.io task ls | awk -v id="$(id pod-shared)" '$1 == id { print $2 }')/ns/pid")"
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

nothing_is_left() {
    is "$(ctr -n k8s.io task ls -q)" ''
    soon bash -c "! pgrep -x containerd-shim"
    # Of a pod whose shim for runc was killed, containerd 2 has the sandbox deleted, and not its containers.
    [ "$SHIM" != containerd-shim-runc-v2 ] || ! containerd --version | grep -q /v2 ||
        "$RUNTIME" --root /run/containerd/runc/k8s.io delete --force "$(id orphan)"
    is "$(find /run/containerd/runc /run/containerd/nsinit /run/containerd/io.containerd.runtime.v2.task -mindepth 2 2>/dev/null | head -n 5)" ''
    # The shim for runc leaves its socket if it is killed.
    [ "$SHIM" = containerd-shim-runc-v2 ] || soon bash -c '[ -z "$(ls /run/containerd/s)" ]'
    is "$(find /sys/fs/cgroup/ -type d -path '*/kubepods/*/*' | head -n 5)" ''
    is "$(grep -c /rootfs /proc/self/mounts)" 0
}

set_up "$1" || { echo "FAILED to set up"; tail -n 5 "$W/containerd.log"; exit 1; }
run_cases "${CASES[@]}" nothing_is_left
kill "$(cat "$W/containerd.pid")"
report
