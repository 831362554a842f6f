# shellcheck shell=bash
# Where the suites of others lie, which are no part of this repository, and their versions; to be sourced.

SUITES=${SUITES:-${TMPDIR:-/tmp}/suites}
# Package, version, Debian's suite.
RUNC_VERSION=1.3.6+ds1 CRUN_VERSION=1.21 PODMAN_VERSION=4.3.1+ds1 VALIDATION_VERSION=0.9.0.109.ge931285
VALIDATION=golang-github-opencontainers-runtime-tools

# The directory of a suite's sources.
source_of() {
    case $1 in
        runc | rootless | rootless-idmap | rootless-cgroup | rootless-none) echo "$SUITES/x/runc_$RUNC_VERSION" ;;
        crun) echo "$SUITES/x/crun_$CRUN_VERSION" ;;
        podman) echo "$SUITES/x/libpod_$PODMAN_VERSION" ;;
        validation) echo "$SUITES/x/${VALIDATION}_$VALIDATION_VERSION" ;;
        *) echo "no suite $1: there are runc, rootless, rootless-idmap, rootless-cgroup, rootless-none, crun, podman, validation" >&2; return 2 ;;
    esac
}
