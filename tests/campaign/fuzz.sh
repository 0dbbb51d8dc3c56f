#!/bin/sh
# Each fuzz target under libFuzzer, from its corpus on, in a build of its own (clang, address and undefined sanitizers). An input on which
# one dies, leaks, takes 25 s or 2 GiB is a violation, and is kept.
#
#   N=      seconds for each target (default 600)
#   TARGETS= some of them: conf when calendar varlink manifest entry reader run
#   SEED=   of libFuzzer (default: the clock)
#   KEEP=   a folder for what was found (default: one that is printed)
#   RESULTS= a file that gets what was found as a line (results.sh)
set -u
: "${top_srcdir:=$(cd "$(dirname "$0")/../.." && pwd)}" "${top_builddir:=$top_srcdir/build}"
. "$top_srcdir/tests/campaign/results.sh"
N=${N:-600} SEED=${SEED:-$(date +%s)} TARGETS=${TARGETS:-conf when calendar varlink manifest entry reader run}
command -v clang >/dev/null || { echo "skipped: no clang (tools/packages fuzz)"; exit 77; }
build=$top_builddir/fuzzers
KEEP=${KEEP:-$build/found}
mkdir -p "$build" "$KEEP" || exit 99
cd "$build" || exit 99
[ -f Makefile ] || "$top_srcdir/configure" --enable-fuzzers --enable-sanitize CC=clang >configure.out 2>&1 ||
    { tail -n 5 configure.out; exit 99; }
programs=
for target in $TARGETS; do programs="$programs fuzz/libfuzzer_$target"; done
(for folder in common artifact import; do make -C $folder -j2 || exit 1; done) >make.out 2>&1 && make -C tests -j2 $programs >>make.out 2>&1 ||
    { tail -n 20 make.out; exit 99; }

# one TARGET: its end is the number in TARGET.end, what it said TARGET.out; new inputs go to a folder of their own.
one() {
    mkdir -p "$KEEP/$1.corpus"
    "tests/fuzz/libfuzzer_$1" -seed="$SEED" -max_total_time="$N" -timeout=25 -rss_limit_mb=2048 -print_final_stats=1 -verbosity=0 \
        -artifact_prefix="$KEEP/$1-" "$KEEP/$1.corpus" "$top_srcdir/tests/fuzz/corpus/$1" >"$1.out" 2>&1
    echo $? >"$1.end"
}
echo "seed $SEED, $N s for each of: $TARGETS"
begin=$(date +%s) executions=0 violations=0 detail=
set -- $TARGETS
while [ $# -gt 0 ]; do
    one "$1" & first=$!
    [ $# -lt 2 ] || one "$2"
    wait $first
    for target in "$1" ${2:-}; do
        done_=$(sed -n 's/^stat::number_of_executed_units: *//p' "$target.out")
        executions=$((executions + ${done_:-0}))
        detail="$detail, $target ${done_:-0}"
        echo "$target: ${done_:-0} executions, exit code $(cat "$target.end")"
        [ "$(cat "$target.end")" = 0 ] || {
            violations=$((violations + 1))
            echo "VIOLATION: $target: $(grep -m 1 -E 'ERROR|SUMMARY' "$target.out")"
            echo "look into $build/$target.out and $KEEP/$target-*; again: tests/fuzz/libfuzzer_$target FILE"
        }
    done
    shift; [ $# = 0 ] || shift
done
record fuzz "libFuzzer on what reads a stranger's bytes, $N s for each of $(echo $TARGETS | wc -w) targets (\`make check-fuzz\`)" "$executions" executions "$SEED" \
    "$violations" $(($(date +%s) - begin)) "${detail#, }"
[ $violations = 0 ]
