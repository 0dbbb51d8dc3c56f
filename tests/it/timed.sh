#!/bin/sh
# Timed jobs: start at their time, hold when another build went live, miss when it is too late, and obey
# cancel, reschedule, release, lock and the order of the queue.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"

configure 'horizon = "30d"'
application app <<CONF
    stages = {"production"}
    stage "production" { plan = "one" }
CONF
plan one <<CONF
    step "gate" { run = 'while test -e $HOME_DIR/gate; do sleep 0.05; done' }
CONF
bmd_start
for n in 1 2 3 4; do bmctl build add app 1.0 >/dev/null 2>&1 || FAIL "build add"; done
for n in 1 2 3; do expect 0 bmctl deploy app 1.0/$n --to production --now --wait; done

# At its time, not before, and with its lateness.
starts_later() {
    id=$(new bmctl redeploy app 1.0/2 --at +"$1"s)
    waits=$(job "$id" waits_for.kind)
    in_state "$id" scheduled && return
    bmctl wait "$id" && bmctl redeploy app 1.0/3 --now --wait
    return 1
}
before_due starts_later
is waits time "$waits"
expect 0 bmctl wait "$id"
is live 1.0/2 "$(live app production)"
[ "$(job "$id" lateness_us)" -ge 0 ] || FAIL "it started before its time"
is "mode" rollback "$(job "$id" mode)"
OK "a timed job starts at its time"

# The guard: what went live meanwhile is not overwritten.
other_before() { # SECONDS BUILD WHAT-IS-LIVE [OPTION…]
    build=$2 before=$3
    id=$(shift 3; new bmctl redeploy app "$build" --at +"$ahead"s "$@")
    expect 0 bmctl redeploy app 1.0/3 --now --wait
    in_state "$id" scheduled && return
    bmctl cancel "$id"; bmctl wait "$id"; bmctl redeploy app "$before" --now --wait
    return 1
}
before_due other_before 1.0/1 1.0/2
expect 8 bmctl wait "$id"
is state held "$(job "$id" state)"
is live 1.0/3 "$(live app production)"
expect 0 bmctl release "$id"
expect 0 bmctl wait "$id"
is live 1.0/1 "$(live app production)"
before_due other_before 1.0/2 1.0/1 --if-changed skip
expect 6 bmctl wait "$id"
is state superseded "$(job "$id" state)"
OK "the live-build guard: hold, release, skip"

# Two in a row: the first is ahead of the second, which therefore is not surprised by it.
# (However late the second is asked for, the first is not over.)
touch "$HOME_DIR/gate"
first=$(new bmctl redeploy app 1.0/2 --at +1s)
second=$(new bmctl redeploy app 1.0/1 --at +2s)
is ahead "$first" "$(jq -r '.ahead[0]' "$HOME_DIR/new")"
rm "$HOME_DIR/gate"
expect 0 bmctl wait "$first" "$second"
is live 1.0/1 "$(live app production)"
OK "two timed jobs in a row"

# A lock makes it wait, the grace ends, it is missed. --now is refused at once.
expect 0 bmctl lock app production --reason "release freeze"
expect 8 bmctl redeploy app 1.0/2 --now
says "release freeze"
expect 8 bmctl redeploy app 1.0/2 --at +1s
expect 0 bmctl unlock app production
locked_before() {
    id=$(new bmctl redeploy app 1.0/2 --at +"$1"s --grace 1s)
    expect 0 bmctl lock app production --reason "release freeze"
    in_state "$id" scheduled && return
    expect 0 bmctl unlock app production
    bmctl wait "$id" && bmctl redeploy app 1.0/1 --now --wait
    return 1
}
before_due locked_before
expect 6 bmctl wait "$id"
is state missed "$(job "$id" state)"
case $(job "$id" message) in *"release freeze"*) ;; *) FAIL "missed for another reason: $(job "$id" message)" ;; esac
id=
expect 0 bmctl unlock app production
OK "locks and missed"

# Cancel is idempotent; a moved job keeps its number.
id=$(new bmctl redeploy app 1.0/2 --at +1h)
expect 0 bmctl reschedule "$id" --at +2h
is due_text +2h "$(job "$id" due_text)"
expect 0 bmctl cancel "$id" --reason "not needed"
expect 0 bmctl cancel "$id"
expect 6 bmctl wait "$id"
expect 8 bmctl reschedule "$id" --now
OK "reschedule and cancel"

# A run in progress: one at a time on a stage, the order of the queue, cancel of a run.
touch "$HOME_DIR/gate"
a=$(new bmctl deploy app 1.0/2 --to production --now)
running() { [ "$(job "$a" state)" = running ]; }
retry running || FAIL "job $a does not run"
b=$(new bmctl deploy app 1.0/4 --to production --now)
is "waits for" job "$(job "$b" waits_for.kind)"
is state queued "$(job "$b" state)"
expect 7 bmctl wait "$b" --timeout 1s
rm "$HOME_DIR/gate"
expect 0 bmctl wait "$a" "$b"
is live 1.0/4 "$(live app production)"
touch "$HOME_DIR/gate"
a=$(new bmctl redeploy app 1.0/2 --now)
retry running || FAIL "job $a does not run"
expect 0 bmctl cancel "$a"
expect 6 bmctl wait "$a"
rm "$HOME_DIR/gate"
is state cancelled "$(job "$a" state)"
expect 0 bmctl redeploy --now --wait
is live 1.0/2 "$(live app production)" # what it was going back to
OK "one run at a time, cancel of a run"

# Times: refused ones say what would be right.
expect 2 bmctl redeploy --at 25:00
expect 2 bmctl redeploy --at "2020-01-01 02:00"
expect 2 bmctl redeploy
expect 8 bmctl redeploy app 1.0/2 --at "+40d"
bmd_stop
