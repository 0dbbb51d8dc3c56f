#!/bin/sh
# What could not start at its time: within its grace it starts and says how late it was; beyond it, it is missed, and a plain sentence
# says what was in its way: bmd was down, a run, a lock, no free slot, or a clock that was set (tests/it/clock.sh). The machine asleep:
# tests/system/machine.sh, which has one that it can put to sleep.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"

configure 'max-running = 1'
for name in app other; do
    application $name <<CONF
    stages = {"production"}
    stage "production" { plan = "gate" }
CONF
done
plan gate <<CONF
    step "gate" { run = 'while test -e $HOME_DIR/gate; do sleep 0.02; done' }
CONF
bmd_start
for name in app other; do expect 0 bmctl build add $name 1.0; done
soon() { date -u -d "+${ahead:-1} second" +%Y-%m-%dT%H:%M:%S.%6NZ; }
# at APP GRACE_US: a job in a second, or so many as before_due() gives it. now APP: one now, that runs while the gate is closed.
at() { ask Deploy "{\"key\":\"$(date +%s%N)\",\"application\":\"$1\",\"release\":\"1.0\",\"build\":1,\"stage\":\"production\",\"at\":\"$(soon)\",\"grace_us\":$2,\"if_changed\":\"run\"}" .job.id; }
now() { ask Deploy "{\"key\":\"$(date +%s%N)\",\"application\":\"$1\",\"release\":\"1.0\",\"build\":1,\"stage\":\"production\",\"now\":true}" .job.id; }
lateness() { ask GetJob "{\"job\":$1}" .job.lateness_us; }
# missed JOB SENTENCE: it is, for that reason. late JOB US: it ran, at least so late.
missed() {
    retry in_state "$1" missed || FAIL "job $1 is $(state "$1")"
    case $(ask GetJob "{\"job\":$1}" .job.message) in
    "its time passed by "*", longer than its grace of "*": $2"*) ;;
    *) FAIL "job $1 does not say '$2': $(ask GetJob "{\"job\":$1}" .job.message)" ;;
    esac
    is "its start" null "$(ask GetJob "{\"job\":$1}" .job.started)"
}
late() {
    retry in_state "$1" succeeded || FAIL "job $1 is $(state "$1")"
    [ "$(lateness "$1")" -ge "$2" ] || FAIL "job $1 says that it was $(lateness "$1") µs late"
}
GRACE=3600000000 SHORT=1000000

# The stage is busy.
: >"$HOME_DIR/gate"
run=$(now app)
retry in_state "$run" running || FAIL "no run"
short=$(at app $SHORT)
long=$(at app $GRACE)
missed "$short" "job $run (deploy app 1.0/1) is running on production"
rm "$HOME_DIR/gate"
late "$long" 500000
OK "stage busy"

# Another stage has the only slot.
: >"$HOME_DIR/gate"
run=$(now other)
retry in_state "$run" running || FAIL "no run"
short=$(at app $SHORT)
missed "$short" "1 of 1 runs (max-running)"
rm "$HOME_DIR/gate"
retry in_state "$run" succeeded
OK "no free slot"

# The stage is locked before they are due.
locked_before() {
    short=$(at app $SHORT)
    long=$(at app $GRACE)
    expect 0 bmctl lock app production --reason inventory
    in_state "$short" scheduled && in_state "$long" scheduled && return
    expect 0 bmctl unlock app production
    bmctl wait "$short" "$long"
    return 1
}
before_due locked_before
missed "$short" "production is locked by "
sleep 1
expect 0 bmctl unlock app production
late "$long" 1000000
expect 0 bmctl show "$long"
grep -qE '^late by +[1-9][0-9]* s$' "$HOME_DIR/out" || { cat "$HOME_DIR/out"; FAIL "show does not say how late it was"; }
OK "stage locked"

# bmd was down.
down_before() {
    short=$(at app $SHORT)
    long=$(at app $GRACE)
    due=$(ask GetJob "{\"job\":$short}" .job.due)
    bmd_kill
    [ "$(date -u +%Y-%m-%dT%H:%M:%S.%6NZ)" \< "$due" ] && return
    bmd_start
    bmctl wait "$short" "$long"
    return 1
}
before_due down_before
sleep $((ahead + 2))
bmd_start
missed "$short" "bmd was not running from "
late "$long" 1000000
grep -q "job $short: .*missed: its time passed by .*: bmd was not running from 20" "$HOME_DIR/bmd.log" || FAIL "the log does not say so"
grep -q "job $long: .*: running as redeploy, [1-9].* late: bmd was not running from 20" "$HOME_DIR/bmd.log" || FAIL "the log does not say why job $long started late"
expect 0 bmctl history
prints "bmd was not running from "
OK "bmd down"
bmd_stop
