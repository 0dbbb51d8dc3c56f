#!/bin/sh
# Pids that come back: in a pid namespace of its own a stranger gets the pid of a step that has ended, of a bmd-run that was killed, of both
# and bmd; whatever is cancelled, swept, adopted and settled then, nobody signals the stranger, and no run is taken for alive because he is.
#
#   N=     strangers (default 6 in `make check`, 200 in `make check-hostile`)
#   SEED=  names the run in the table; nothing here is left to chance
if [ "${BMD_UNSHARED:-}" != yes ]; then
    BMD_UNSHARED=yes
    export BMD_UNSHARED
    unshare --pid --fork --mount-proc true 2>/dev/null || { echo "skipped: no pid namespace here (needs root)"; exit 77; }
    exec unshare --pid --fork --mount-proc sh "$0" "$@"
fi
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"
. "$top_srcdir/tests/campaign/results.sh"

[ -w /proc/sys/kernel/ns_last_pid ] || SKIP "no ns_last_pid here"
N=${N:-6} SEED=${SEED:--}
violations=0
violation() { echo "VIOLATION I9 $*"; violations=$((violations + 1)); }
application app <<CONF
    stages = {"production"}
    stage "production" { plan = "p"  variables = {"DIR=$HOME_DIR"}  on-failure = "continue" }
CONF
plan p <<'CONF'
    step "ends"  { run = 'echo $$ >"$DIR/step"' }
    step "waits" { run = 'read line <"$DIR/gate"' }
CONF
mkfifo "$HOME_DIR/gate"
cat >"$HOME_DIR/stranger" <<'SH'
for signal in HUP INT QUIT USR1 USR2 TERM CONT ALRM; do trap "echo $signal >>$1.signals" $signal; done
echo $$ >"$1.pid"
while [ -e "$1" ]; do read -r line <"$1" || :; done
SH
# stranger PID: somebody gets it. The next pid may be taken by another fork, or nobody has reaped its last owner yet: then once more.
stranger() {
    dir=$HOME_DIR/stranger.$1
    for try in $(seq 300); do
        rm -f "$dir" "$dir".*
        mkfifo "$dir"
        echo $(($1 - 1)) >/proc/sys/kernel/ns_last_pid
        sh "$HOME_DIR/stranger" "$dir" &
        STRANGER=$!
        [ $STRANGER != "$1" ] || { retry test -s "$dir.pid"; return 0; }
        kill -KILL $STRANGER
        wait $STRANGER 2>/dev/null
        sleep 0.05
    done
    return 1
}
# unharmed WHAT: it lives, runs, and was told nothing.
unharmed() {
    [ ! -e "$dir.signals" ] || violation "$1: the stranger got $(tr '\n' ' ' <"$dir.signals")"
    case $(sed 's/.*) //' "/proc/$STRANGER/stat" 2>/dev/null | cut -c1) in
    S) ;;
    *) violation "$1: the stranger is gone or stopped" ;;
    esac
    rm -f "$dir"
    kill -KILL $STRANGER 2>/dev/null
    wait $STRANGER 2>/dev/null
}
begin_run() {
    id=$(bmctl --json deploy app 1.0/1 --to production --now --no-follow 2>"$HOME_DIR/err" | jq .job.id)
    begun() { bmctl --json show "$id" | jq -e '.job.steps[] | select(.name == "waits" and .state == "running")'; }
    retry begun || FAIL "job $id does not run: $(cat "$HOME_DIR/err")"
    run=$(jq .pid "$HOME_DIR/state/runs/$id/started")
    step=$(cat "$HOME_DIR/step")
}
free() {
    expect 0 bmctl settle app production --unknown --reason "looked"
    is "$1: the end" lost "$(job "$id" state)"
}

bmd_start
expect 0 bmctl build add app 1.0
begin=$(date +%s)
n=0
while [ $n -lt "$N" ]; do
    begin_run
    case $((n % 3)) in
    0) # of a step; the run is cancelled, at once
        what="cancel"
        stranger "$step" || FAIL "no stranger with the pid $step"
        expect 0 bmctl cancel "$id"
        expect 0 bmctl cancel "$id"
        expect 6 bmctl wait "$id"
        unharmed "$what"
        ;;
    1) # of bmd-run; bmd sweeps what it left
        what="bmd-run killed"
        kill -KILL "$run"
        stranger "$run" || FAIL "no stranger with the pid $run"
        expect 6 bmctl wait "$id"
        unharmed "$what"
        ;;
    2) # of bmd-run, and bmd is dead as well: its lock is free, whoever has its pid
        what="both killed"
        below=$(cat /proc/"$run"/task/*/children)
        bmd_kill
        kill -KILL "$run"
        for p in $below; do kill_tree "$p"; done
        gone() { [ ! -d "/proc/$run" ]; }
        retry gone
        stranger "$run" || FAIL "no stranger with the pid $run"
        bmd_start
        expect 6 bmctl wait "$id"
        unharmed "$what"
        free "$what"
        ;;
    esac
    n=$((n + 1))
done
bmd_stop
record pids "a stranger with the pid of a step or of bmd-run, over a cancel, a sweep and a recovery (\`make check-hostile\`)" \
    "$N" strangers "$SEED" "$violations" $(($(date +%s) - begin))
[ $violations = 0 ] || exit 1
OK "no stranger was touched"
