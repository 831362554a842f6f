# shellcheck shell=bash
# crun's tests.

run_suite() {
    local name
    FILE_LIMIT=${FILE_LIMIT:-90}
    export OCI_RUNTIME=$RUNTIME INIT=$FROM/tests/init
    mkdir -p "$W/crun" && cd "$W/crun" || return 1
    chmod 755 "$W" "$W/crun"
    for name in $(files "$FROM/tests" .py); do
        case $name in test_*) file "$name" python3 "$FROM/tests/$name.py" ;; esac
    done
}
