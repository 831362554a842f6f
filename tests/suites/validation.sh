# shellcheck shell=bash
# The validation of runtime-tools.

run_suite() {
    local name
    FILE_LIMIT=${FILE_LIMIT:-120}
    export RUNTIME
    cd "$FROM" || return 1
    for name in $(files validation .t); do
        file "$name" "validation/$name.t"
    done
}
