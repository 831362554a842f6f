# shellcheck shell=bash
# runc's integration tests.

run_suite() {
    local name
    export RUNC=$RUNTIME PATH=$PATH:/usr/sbin:/sbin
    cd "$FROM/tests/integration" || return 1
    for name in $(files . .bats); do
        file "$name" bats --tap ${SUITE_FILTER:+--filter "$SUITE_FILTER"} "$name.bats"
    done
}
