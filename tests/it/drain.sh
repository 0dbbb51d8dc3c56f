#!/bin/sh
# Drained, bmd starts nothing: what runs goes on, what is asked for waits and says so, what is late is missed; --undo lifts it, and so does
# every restart, an orderly one and a crash.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"

configure
application app <<CONF
    stages = {"testing", "production"}
    stage "testing" { plan = "long" }
    stage "production" { plan = "quick" }
CONF
plan long <<CONF
    step "hold" { run = 'touch $HOME_DIR/began; while [ -e $HOME_DIR/hold ]; do sleep 0.05; done' }
CONF
plan quick <<CONF
    step "note" { run = 'echo \$BM_JOB >>$HOME_DIR/notes' }
CONF
drained() { bmctl --json status | jq -r ".drain${1:-}"; }
bmd_start
expect 0 bmctl build add app 1.0
is "nothing is drained" null "$(drained)"

touch "$HOME_DIR/hold"
run=$(new bmctl deploy app 1.0/1 --to testing --now)
retry in_state "$run" running || FAIL "the run does not run"
expect 0 bmctl drain --reason "new kernel"
prints "nothing new starts until bmd is restarted (1 running); undo: bmctl drain --undo"
is "who, why and how many" "$(id -un) new kernel 1" "$(bmctl --json status | jq -r '.drain | "\(.by) \(.reason) \(.left)"')"
expect 0 bmctl status
prints "drained by $(id -un) since "
prints ": new kernel: nothing starts until bmd is restarted"
grep -q "drained by $(id -un): new kernel" "$HOME_DIR/bmd.log" || FAIL "the log does not say it"
is "the row of the audit" "new kernel" "$(bmctl --json audit -n 1 | jq -r '.rows[] | select(.method == "Drain") | .text')"
# Again is the same, and keeps who was first.
expect 0 bmctl drain --reason "another"
is "the first reason" "new kernel" "$(drained .reason)"
OK "drained, and shown"

# A request is accepted, warned and waits; also one whose time comes; a late one is missed.
expect 0 bmctl deploy app 1.0/1 --to production --now --no-follow
grep -q "warning: bmd starts nothing until it is restarted: drained by " "$HOME_DIR/err" "$HOME_DIR/out" || FAIL "no warning"
id=$(bmctl --json queue app | jq '[.jobs[] | select(.stage == "production")][0].id')
is "state of what waits" queued "$(state "$id")"
is "what it waits for" drain "$(job "$id" waits_for.kind)"
timed=$(new bmctl deploy app 1.0/1 --to production --at +1h)
is "before its time" time "$(job "$timed" waits_for.kind)"
expect 0 bmctl cancel "$timed"
timed=$(new bmctl deploy app 1.0/1 --to production --at +1s --grace 1s)
expect 6 bmctl wait "$timed"
is "a late one" missed "$(state "$timed")"
case $(job "$timed" message) in *"drained by"*) ;; *) FAIL "missed for another reason: $(job "$timed" message)" ;; esac
[ ! -e "$HOME_DIR/notes" ] || FAIL "something started"
OK "what is asked for waits"

# --wait: until what ran has ended.
expect 2 bmctl drain --wait --undo
expect 2 bmctl drain --timeout 1s
expect 7 bmctl drain --wait --timeout 300ms
says "bmd stays drained"
bmctl drain --wait >"$HOME_DIR/quiet" 2>&1 &
quiet=$!
bmctl deploy app 1.0/1 --to testing --now --no-follow >/dev/null 2>&1 || FAIL "a request while drained"
# Its second connection is the one that waits for the run.
awaits() { [ "$(ls -l /proc/$quiet/fd 2>/dev/null | grep -c socket:)" -ge 2 ]; }
retry awaits || FAIL "--wait does not wait for the run: $(cat "$HOME_DIR/quiet")"
kill -0 $quiet 2>/dev/null || FAIL "--wait did not wait: $(cat "$HOME_DIR/quiet")"
rm "$HOME_DIR/hold"
wait $quiet
is "exit code of --wait" 0 $?
grep -q "^job $run succeeded" "$HOME_DIR/quiet" || FAIL "the run's end is not told: $(cat "$HOME_DIR/quiet")"
grep -q "^nothing runs" "$HOME_DIR/quiet" || FAIL "no end: $(cat "$HOME_DIR/quiet")"
is "state of the run" succeeded "$(state "$run")"
is "what waits" queued "$(state "$id")"
is left 0 "$(drained .left)"
OK "--wait"

expect 0 bmctl drain --undo
prints "what is due starts again"
expect 0 bmctl wait "$id"
is "drained no more" null "$(drained)"
expect 0 bmctl drain --undo # idempotent
OK "--undo"

# A restart lifts it: an orderly one, and a crash.
for how in bmd_stop bmd_kill; do
    expect 0 bmctl drain
    id=$(new bmctl deploy app 1.0/1 --to production --now)
    is "what it waits for" drain "$(job "$id" waits_for.kind)"
    $how
    bmd_start
    expect 0 bmctl wait "$id"
    is "drained after $how" null "$(drained)"
done
# Who waits for quiet and meets a restart is told that it is over.
touch "$HOME_DIR/hold"
run=$(new bmctl deploy app 1.0/1 --to testing --now)
retry in_state "$run" running || FAIL "the run does not run"
bmctl drain --wait >"$HOME_DIR/quiet" 2>&1 &
quiet=$!
is_drained() { [ "$(drained .left)" = 1 ]; }
retry is_drained || FAIL "it is not drained"
bmd_kill
bmd_start
rm "$HOME_DIR/hold"
wait $quiet
is "exit code of --wait over a restart" 1 $?
grep -q "it starts jobs again" "$HOME_DIR/quiet" || FAIL "it does not say why: $(cat "$HOME_DIR/quiet")"
OK "a restart lifts it"

# Who may.
if [ "$(id -u)" = 0 ]; then
    expect 4 setpriv --reuid nobody --regid nogroup --clear-groups bmctl -s "$BMD_SOCKET" drain
    is "after a refusal" null "$(drained)"
fi
# A replayed key does nothing again.
call Drain '{"key":"one"}' >/dev/null
call Drain '{"key":"two","undo":true}' >/dev/null
call Drain '{"key":"one"}' >/dev/null
is "after a replayed key" null "$(drained)"
OK "rights and keys"
bmd_stop
