#!/usr/bin/env bash
# What a pod costs: pods.sh SHIM [ROUNDS]. As root. SHIM is ours; beside it stands the shim for runc with runc. Pods of two containers are made in
# turn, and stay. For each kind: milliseconds of run-pod, and of create and start of a container, and KiB that only the shim of a pod is responsible
# for (Pss) and that it alone has (Private); medians.
set -u
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ROUNDS=${2:-${ROUNDS:-10}}
export ROUNDS
. "$HERE/world.sh"
. "$HERE/report.sh"
. "$HERE/images.sh"
enter_world "$1"
. "$HERE/cri/setup.sh"

DEFAULT=nsinit
declare -A SHIMS

handlers() {
    call_it "$(command -v runc)" && handler runc && SHIMS[runc]=$SHIM
    call_it "$RUNTIME" && handler nsinit && SHIMS[nsinit]=$SHIM
}

# Milliseconds that a command takes.
timed() {
    local start
    start=$(date +%s%N)
    "$@" >/dev/null || return 1
    echo $((($(date +%s%N) - start) / 1000000))
}

median() { sort -n "$1" | awk '{ all[NR] = $1 } END { print all[int((NR + 1) / 2)] }'; }

# KiB of a process by a line of its smaps_rollup.
kib() { awk -v "name=$2:" '$1 ~ "^" name { sum += $2 } END { print sum }' "/proc/$1/smaps_rollup"; }

round() {
    local kind=$1 number=$2 name pid
    name=$kind-$number
    HANDLER=$kind timed pod "$name" >>"$W/pod.$kind" || return 1
    for part in a b; do timed container "$name" "$name-$part" -- sleep 1000000 >>"$W/container.$kind" || return 1; done
    sleep 1.5
    pid=$(pgrep -f "${SHIMS[$kind]}.*$(id "pod-$name")") || return 1
    kib "$pid" Pss >>"$W/pss.$kind"
    kib "$pid" 'Private_(Clean|Dirty)' >>"$W/private.$kind"
}

set_up "$1" || { echo "FAILED to set up"; tail -n 5 "$W/containerd.log"; exit 1; }
for number in $(seq "$ROUNDS"); do
    for kind in nsinit runc; do round "$kind" "$number" || { echo "FAILED $kind $number"; exit 1; }; done
done
for kind in nsinit runc; do
    echo "$kind: run-pod $(median "$W/pod.$kind") ms, create and start $(median "$W/container.$kind") ms, Pss $(median "$W/pss.$kind") KiB, private $(median "$W/private.$kind") KiB"
done
kill "$(cat "$W/containerd.pid")"
