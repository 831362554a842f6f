# shellcheck shell=bash
# runc's integration tests.

run_suite() {
    local name command
    export RUNC=$RUNTIME PATH=$PATH:/usr/sbin:/sbin
    cd "$FROM/tests/integration" || return 1
    for name in $(files . .bats); do
        command=(bats)
        # Its tests wait for all their children, and the clock of a test's limit is one.
        [ "$name" != events ] || command=(env -u BATS_TEST_TIMEOUT bats)
        file "$name" "${command[@]}" --tap ${SUITE_FILTER:+--filter "$SUITE_FILTER"} "$name.bats"
    done
}
