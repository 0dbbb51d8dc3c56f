#!/bin/sh
# Nasty names and values against a real bmd and bmd-run: see inject.c. N= of them (1000), SEED= of a run to be done again.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"
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
"$inject" "$BMD_SOCKET" "$seen" "$N" "$SEED" >"$HOME_DIR/said" || { tail -n 30 "$HOME_DIR/said"; FAIL "seed $SEED"; }
# Nothing was run, opened or made.
for place in "$seen" "$HOME_DIR" / "$HOME_DIR/state"; do
    [ ! -e "$place/CANARY" ] || FAIL "something of a value was run in $place: seed $SEED"
done
is "files of the steps, and no other" "" "$(ls -A "$seen" | grep -vE '^(exec|run)\.(args|env|parent)\.[0-9]+$')"
bmd_stop
OK "$(tail -n 1 "$HOME_DIR/said")"
