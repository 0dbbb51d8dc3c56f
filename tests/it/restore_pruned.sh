#!/bin/sh
# A job that waited when the backup was made, ran after it, and whose run folder was removed then does not run again when the backup is
# restored and a human lets it go: the run directory knows that it was begun.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"
command -v socat >/dev/null && command -v jq >/dev/null || SKIP "needs socat and jq"
configure 'keep-runs = 10'
application shop <<CONF
    stages = {"testing"}
    variables = {"DIR=$HOME_DIR"}
    stage "testing" { plan = "note" }
CONF
plan note <<'CONF'
    step "note" { run = 'echo "$BM_JOB" >>"$DIR/noted"' }
CONF
: >"$HOME_DIR/noted"
runs=$HOME_DIR/state/runs
why() { ask GetJob "{\"job\":$1}" .job.waits_for.text; }
bmd_start
expect 0 bmctl build add shop 1.0
expect 0 bmctl deploy shop 1.0/1 --to testing --now --wait
for job in 2 3; do expect 0 bmctl deploy shop 1.0/1 --to testing --at +1h --no-follow; done
expect 0 bmctl backup
cp -rL "$HOME_DIR/state/backup" "$HOME_DIR/elsewhere"
expect 0 bmctl reschedule 2 --now
expect 0 bmctl wait 2
for n in $(seq 11); do expect 0 bmctl deploy shop 1.0/1 --to testing --now --wait; done
expect 0 bmctl reload
gone() { [ ! -d "$runs/2" ]; }
retry gone || FAIL "the folder of job 2 stays: $(ls "$runs")"
bmd_stop
mv "$HOME_DIR/state" "$HOME_DIR/lost"
cp -r "$HOME_DIR/elsewhere" "$HOME_DIR/state"
cp -a "$HOME_DIR/lost/runs" "$HOME_DIR/state/"
bmd_start
for job in 2 3; do is "job $job" held "$(state $job)"; done
expect 0 bmctl settle shop testing 1.0/1 --reason looked
expect 0 bmctl release 2
expect 0 bmctl reschedule 2 --now
again() { why 2 | grep -q "begun before"; }
retry again || FAIL "job 2: $(state 2), $(why 2)"
why 2 | grep -q "job 2 was begun before, and its run folder was removed since (keep-runs)" || FAIL "why: $(why 2)"
is "runs of job 2" 1 "$(grep -cx 2 "$HOME_DIR/noted")"
# One that never ran does.
expect 0 bmctl release 3
expect 0 bmctl reschedule 3 --now
expect 0 bmctl wait 3
is "runs of job 3" 1 "$(grep -cx 3 "$HOME_DIR/noted")"
bmd_stop
OK "not a second time"
