#!/usr/bin/env bash
# runc's suite in a machine with systemd and version 2 of control groups (docs/vm-tests.md): guest.sh systemd|fs RUNTIME [FILE…], after fetch.sh and build.sh.
# The first word is the driver of control groups; RUNTIME is nsinit, as this source tree has it, or a program in $SUITES/bin. Results are as those of suite.sh,
# under the name RUNTIME.DRIVER, and the disk stays in $SUITES/guests. SUITE_FILTER is bats' --filter, FILE_LIMIT the seconds for a file, TEST_LIMIT for a test.
set -eu
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$HERE/where.sh"
case ${1:-}:${2:-} in systemd:?* | fs:?*) ;; *) echo "usage: $0 systemd|fs RUNTIME [FILE…]" >&2; exit 2 ;; esac
SUITES=$(realpath "$SUITES")
NAME=$2.$1

# A disk with what the suite is made of, under the paths that it has here, and with the program that the machine runs.
make_disk() {
    local stage=$SUITES/guests/$NAME from
    from=$(source_of runc)
    rm -rf "$stage"
    mkdir -p "$stage/${from#"$SUITES/"}/tests" "$stage/scripts" "$stage/results"
    cp -r "$from/tests/integration" "$from/tests/cmd" "$stage/${from#"$SUITES/"}/tests"
    cp -r "$SUITES/bin" "$SUITES/newlib" "$stage"
    cp -r "$HERE" "$HERE/../clients" "$stage/scripts"
    program "$@" >"$stage/run"
    chmod 755 "$stage/run"
    rm -f "$DISK"
    mkfs.ext4 -q -F -m 0 -O ^has_journal -d "$stage" "$DISK" 2G
    rm -r "$stage"
}

# Emulation is slow: tests and files have ten times the time.
program() {
    local driver=$1 runtime=$2
    shift 2
    cat <<END
#!/bin/bash
ln -sf gawk /usr/bin/awk
mkdir -p $SUITES /run/clients
mount --bind /disk $SUITES
runtime=$SUITES/bin/$runtime
[ $runtime != nsinit ] || { runtime=/run/nsinit; cp "\$NSINIT" \$runtime; }
export SUITES=$SUITES SUITE=runc SUITE_FILES="$*" SUITE_FILTER='${SUITE_FILTER:-}' SUITE_DRIVER=$driver CLIENTS_WORLD=guest FILE_LIMIT=${FILE_LIMIT:-1500} BATS_TEST_TIMEOUT=${TEST_LIMIT:-300}
$([ "$driver" = fs ] || echo export RUNC_USE_SYSTEMD=1)
$SUITES/scripts/suites/suite.sh \$runtime >/dev/ttyS0 2>&1
echo "test result: ok. 1 passed; 0 failed"
END
}

mkdir -p "$SUITES/guests" "$SUITES/results"
DISK=$SUITES/guests/$NAME.ext4
make_disk "$@"
code=0
(cd "$HERE/../.." && cargo xtask test --vm --cg systemd --script "$DISK") || code=$?
rm -rf "$SUITES/guests/$NAME"
mkdir "$SUITES/guests/$NAME"
debugfs -R "rdump /results $SUITES/guests/$NAME" "$DISK" >/dev/null 2>&1
cp "$SUITES/guests/$NAME/results/runc.$NAME"* "$SUITES/results"
exit $code
