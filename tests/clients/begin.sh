# shellcheck shell=bash
# The begin of each client's script, which says CLIENT and what it was called with: a RUNTIME.
. "$HERE/world.sh"
. "$HERE/report.sh"
. "$HERE/images.sh"
SUBJECT=$1
shift
enter_world "$@"
SUBJECT="$SUBJECT ${1##*/}"
