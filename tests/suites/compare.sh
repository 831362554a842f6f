#!/usr/bin/env bash
# Compares results of suite.sh: compare.sh SUITE RUNTIME-NAME OTHER-NAME…; counts of each, and each test that one of the others passes and the first does not.
set -eu
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$HERE/where.sh"
[ $# -ge 3 ] || { echo "usage: $0 SUITE RUNTIME-NAME OTHER-NAME…" >&2; exit 2; }
suite=$1
shift
cd "$SUITES/results"
for name in "$@"; do
    printf '%-10s %4s passed %4s failed %4s skipped\n' "$name" "$(grep -c '^ok' "$suite.$name")" "$(grep -c '^not' "$suite.$name")" "$(grep -c '^skip' "$suite.$name")"
done
awk -F '\t' -v suite="$suite" '
    FNR == 1 { name = substr(FILENAME, length(suite) + 2); if (!first) first = name; seen[name] }
    { key = $2 "\t" $3; if ($1 == "not" || !((name, key) in got)) got[name, key] = $1; keys[key] }
    END {
        for (key in keys) {
            if (got[first, key] == "ok") continue
            others = ""
            for (name in seen) if (name != first && got[name, key] == "ok") others = others " " name
            if (others != "") printf "%s\t%s\t(%s, but ok with%s)\n", key, "", got[first, key] == "" ? "absent" : got[first, key], others
        }
    }' $(printf "$suite.%s " "$@") | sort
