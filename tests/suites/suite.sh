#!/usr/bin/env bash
# One suite of others with one runtime: suite.sh runc|rootless[-idmap|-cgroup|-none]|crun|podman|validation RUNTIME [FILE…], after fetch.sh and build.sh. As root; in a world of its own, as the
# clients' tests (../clients/world.sh). SUITE_FILTER is bats' --filter. $SUITES/results has a line per test, and a log.
set -u
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$HERE/where.sh"
. "$HERE/../clients/world.sh"
if [ -z "${CLIENTS_WORLD:-}" ]; then
    [ $# -ge 2 ] || { echo "usage: $0 SUITE RUNTIME [FILE…]" >&2; exit 2; }
    export SUITES SUITE=$1 SUITE_FILES="${*:3}" WORLD_LIMIT=${WORLD_LIMIT:-3000}
    source_of "$SUITE" >/dev/null || exit 2
    enter_world "$2"
fi

RUNTIME=$1
NAME=${RUNTIME##*/}${SUITE_DRIVER:+.$SUITE_DRIVER}
FROM=$(source_of "$SUITE")
RESULT=$SUITES/results/$SUITE.$NAME

# Names of files without their ending: those asked for, or all.
files() {
    if [ -n "$SUITE_FILES" ]; then
        printf '%s\n' $SUITE_FILES
    else
        find "$1" -maxdepth 1 -name "*$2" -printf '%f\n' | sed "s/$2\$//" | sort
    fi
}

# Reads the Test Anything Protocol of a file; prints "ok|not|skip FILE TEST" with tabs.
lines_of() {
    sed -n -e 's/^ok [0-9]* -\{0,1\} *\(.*\) # *skip.*$/skip\t\1/Ip;t' -e 's/^ok [0-9]* # *skip *\(.*\)$/skip\t\1/Ip;t' -e 's/^ok [0-9]* -\{0,1\} *\(.*\) *#SKIP$/skip\t\1/p;t' \
        -e 's/^not ok [0-9]* -\{0,1\} *\(.*\) # TODO.*$/skip\t\1/p;t'         -e 's/^not ok [0-9]* -\{0,1\} *\(.*\)$/not\t\1/p;t' -e 's/^ok [0-9]* -\{0,1\} *\(.*\)$/ok\t\1/p' |
        sed "s/\t/\t$1\t/; s/ # timeout after.*//; s/ in [0-9]*ms$//"
}

# Runs a command for a file, in its log and in the results; what gives no plan has failed as a whole.
file() {
    local name=$1 code=0
    shift
    printf '=== %s\n' "$name" >>"$RESULT.log"
    # On a terminal of its own: some tests want one.
    timeout -k 10 "${FILE_LIMIT:-600}" script -qec "$(printf '%q ' "$@") 2>$W/err" "$W/tty" >/dev/null < <(exec sleep 100000) || code=$?
    tr -d '\r' <"$W/tty" | sed '/^Script \(started\|done\) on /d' >"$W/tap"
    cat "$W/tap" "$W/err" >>"$RESULT.log"
    lines_of "$name" <"$W/tap" >"$W/lines"
    whole "$name" "$code" >>"$W/lines"
    cat "$W/lines" >>"$RESULT"
    grep -c '^not' "$W/lines" | sed "s/^/$name: not ok: /"
}

# What a file says as a whole: that it ended too early, or, where it has no line per test, its outcome.
whole() {
    if [ -s "$W/lines" ] && [ "$2" -lt 124 ]; then return; fi
    if [ "$2" = 0 ] && ! grep -q '"error"' "$W/tap"; then
        printf 'ok\t%s\tthe whole\n' "$1"
    else
        printf 'not\t%s\tthe whole\n' "$1"
    fi
}

. "$HERE/${SUITE%-*}.sh"
mkdir -p "$SUITES/results"
: >"$RESULT"
: >"$RESULT.log"
run_suite
# What a test has left frozen would not die with the world.
find /sys/fs/cgroup/freezer -name freezer.state -exec sh -c 'echo THAWED >"$1"' - {} \; 2>/dev/null
printf '%s with %s: %s passed, %s failed, %s skipped\n' "$SUITE" "$NAME" "$(grep -c '^ok' "$RESULT")" "$(grep -c '^not' "$RESULT")" "$(grep -c '^skip' "$RESULT")"
