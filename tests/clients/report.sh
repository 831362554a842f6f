# Cases, their outcome and their count; to be sourced. A case is a function of its own name: it runs with `set -e` in a subshell, and what it
# says is shown if it fails.

OK=0 BAD=0 SKIPPED=0

# Runs each case; with names in CLIENTS_ONLY only those. SUBJECT is the client and the runtime, as in known.txt.
run_cases() {
    local name
    for name in "$@"; do
        [ -z "${CLIENTS_ONLY:-}" ] || [[ " $CLIENTS_ONLY " == *" $name "* ]] || continue
        run_case "$name"
    done
}

run_case() {
    local log=$W/log code start=$SECONDS
    ( set -eu; "$1" ) >"$log" 2>&1 </dev/null
    code=$?
    case $(known "$1"),$code in
        ,*) ;;
        *,0) echo "    known.txt has it as failing" >"$log"; code=78 ;;
        *,77) ;;
        *) echo "skip: $(known "$1")" >"$log"; code=77 ;;
    esac
    case $code in
        0) OK=$((OK + 1)); echo "ok $1" ;;
        77) SKIPPED=$((SKIPPED + 1)); echo "skipped $1: $(sed -n 's/^skip: //p' "$log" | tail -n 1)" ;;
        *) BAD=$((BAD + 1)); echo "FAILED $1 (code $code, $((SECONDS - start)) s)"; tail -n 15 "$log" | cut -c 1-600 | sed 's/^/    /' ;;
    esac
}

# Why a case is known to fail, else nothing.
known() { sed -n "s/^$SUBJECT $1 //p" "$HERE/known.txt"; }

# The last line is what `cargo xtask test --clients` reads.
report() {
    echo "$SUBJECT: $OK ok, $BAD failed, $SKIPPED skipped"
    [ $BAD = 0 ] && [ $((OK + SKIPPED)) != 0 ]
}

# What this machine can't do, whatever the runtime.
skip() { echo "skip: $*"; exit 77; }

fail() { echo "$*"; return 1; }

# Two words are the same.
is() { [ "$1" = "$2" ] || fail "is '$1', not '$2'"; }

# A text has a part.
has() { [[ "$1" == *"$2"* ]] || fail "no '$2' in '$1'"; }

has_not() { [[ "$1" != *"$2"* ]] || fail "'$2' in '$1'"; }

# Something is said.
some() { [ -n "$1" ] || fail 'nothing is said'; }

# Most cases went well: what was never there can't be left.
much_was_there() { [ -n "${CLIENTS_ONLY:-}" ] || [ "$OK" -gt "$BAD" ] || fail 'most cases have failed: nothing was there that could be left'; }

# A command ends with this code.
code() {
    local want=$1 got=0
    shift
    "$@" || got=$?
    [ "$got" = "$want" ] || fail "code $got, not $want: $*"
}

# A command succeeds within ten seconds.
soon() {
    local try
    for try in $(seq 50); do
        ! "$@" >/dev/null 2>&1 || return 0
        sleep 0.2
    done
    fail "never: $*"
}
