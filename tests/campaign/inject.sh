#!/bin/sh
# Nasty names and values against a real bmd and bmd-run: see inject.c. N= of them (1000), SEED= of a run to be done again.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"
. "$top_srcdir/tests/campaign/results.sh"
: "${N:=1000}" "${SEED:=$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')}"
inject=$(cd "$top_builddir/tests/campaign" && pwd)/inject
seen=$HOME_DIR/seen
mkdir "$seen"
arguments=
words=
i=0
while [ $i -lt 24 ]; do
    arguments="$arguments, '\$V$i'"
    words="$words \"\$V$i\""
    i=$((i + 1))
done
application shop <<'CONF'
    stages = {"one"}
    stage "one" { plan = "web" }
CONF
plan web <<CONF
    step "exec" { exec = {"$inject", "--dump", '$seen/exec.\$BM_JOB'$arguments} directory = "$seen" }
    step "run"  { run = '"$inject" --dump "$seen/run.\$BM_JOB"$words' directory = "$seen" }
CONF
# A dry run needs no variables: they are looked for when the steps begin.
bmd_start
expect 0 bmctl build add shop 1.0
echo "seed $SEED"
begin=$(date +%s)
"$inject" "$BMD_SOCKET" "$seen" "$N" "$SEED" >"$HOME_DIR/said"
status=$?
violations=$(sed -n '$s/.*; \([0-9]*\) wrong$/\1/p' "$HOME_DIR/said")
[ -n "$violations" ] || { tail -n 30 "$HOME_DIR/said"; FAIL "it did not come to its end: seed $SEED"; }
[ $status = 0 ] || { tail -n 30 "$HOME_DIR/said"; [ "$violations" != 0 ] || FAIL "not all that there is was met: seed $SEED"; }
# Nothing was run, opened or made.
for place in "$seen" "$HOME_DIR" / "$HOME_DIR/state"; do
    [ ! -e "$place/CANARY" ] || { echo "VIOLATION something of a value was run in $place"; violations=$((violations + 1)); }
done
others=$(ls -A "$seen" | grep -vE '^(exec|run)\.(args|env|parent)\.[0-9]+$')
[ -z "$others" ] || { echo "VIOLATION files that no step was to make: $others"; violations=$((violations + 1)); }
bmd_stop
record injection "nasty names and values, of builds and requests: each arrives byte for byte in a step, or is refused (\`make check-injection\`)" \
    "$N" "names and values" "$SEED" "$violations" $(($(date +%s) - begin)) "$(tail -n 1 "$HOME_DIR/said" | sed 's/; [0-9]* wrong$//')"
[ "$violations" = 0 ] || { echo "again: make check-injection SEED=$SEED N=$N"; exit 1; }
OK "$(tail -n 1 "$HOME_DIR/said")"
