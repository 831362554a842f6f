#!/usr/bin/env bash
# podman with a runtime: podman.sh RUNTIME. As root; CLIENTS_ONLY="NAME…" chooses cases.
set -u
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$HERE/begin.sh" podman "$@"
for part in setup run exec life confine limits share pods userns rootless checkpoint; do
    . "$HERE/podman/$part.sh"
done

set_up "$1" || { echo "FAILED to set up"; exit 1; }
run_cases "${RUN[@]}" "${EXEC[@]}" "${LIFE[@]}" "${CONFINE[@]}" "${LIMITS[@]}" "${SHARE[@]}" "${PODS[@]}" "${USERNS[@]}" "${CHECKPOINT[@]}" \
    "${ROOTLESS[@]}" nothing_is_left
report
