#!/bin/sh
# Windows and freezes over time, with a bmd whose clock is moved: what waits starts at the opening and not before, with its grace
# whole; a run goes on when its window closes; the night in which the clocks change has the hours that it has; a rollback that was
# set for a time within a freeze passes with its reason.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"
. "$top_srcdir/tests/it/faketime.sh"

configure 'clock-settle = "0s"' 'horizon = "30d"'
plan note <<CONF
    step "note" { run = 'while test -e $HOME_DIR/gate; do sleep 0.02; done' }
CONF
stage() {
    application app <<CONF
    stages = {"production"}
    stage "production" { plan = "note"  zone = "Europe/Berlin"
        $*
    }
CONF
}
# it_is TIME: bmd's clock, and that of `fake`.
it_is() { set_clock "$(($(date -u -d "$1" +%s) - $(date +%s)))"; poke; }
kind() { ask GetJob "{\"job\":$1}" .job.waits_for.kind; }
until_then() { ask GetJob "{\"job\":$1}" .job.waits_for.until; }

stage 'windows = {"Sat 22:00-05:00"}'
fake_start
for n in 1 2 3; do bmctl build add app 1.0 >/dev/null 2>&1 || FAIL "build add"; done

# The night of 28 to 29 March 2026 has no hour from two to three: 21:00Z to 03:00Z.
it_is '2026-03-28 20:59:50Z'
first=$(new fake bmctl deploy app 1.0/1 --to production --now --grace 1s)
timed=$(new fake bmctl deploy app 1.0/2 --to production --at '2026-03-28 21:59:53' --grace 1s --if-changed run)
is "before the opening" window "$(kind "$first")"
is "it opens" 2026-03-28T21:00:00.000000Z "$(until_then "$first")"
it_is '2026-03-28 20:59:56Z'
retry in_state "$timed" queued || FAIL "it does not become due: $(state "$timed")"
is "long after its grace" window "$(kind "$timed")"
it_is '2026-03-28 20:59:58Z'
retry in_state "$first" succeeded || FAIL "the opening does not start it: $(state "$first")"
retry in_state "$timed" succeeded || FAIL "its grace was used up while it waited: $(state "$timed")"
for job in $first $timed; do
    grep -q "job $job: .* running as" "$HOME_DIR/bmd.log" || FAIL "job $job was not started by the log"
done
OK "the opening, and a grace that waiting does not use up"

# A run goes on when its window closes; the next one waits for a week.
it_is '2026-03-29 02:59:50Z'
: >"$HOME_DIR/gate"
run=$(new fake bmctl deploy app 1.0/1 --to production --now)
retry in_state "$run" running || FAIL "within the window it does not run: $(state "$run")"
it_is '2026-03-29 03:00:01Z'
behind=$(new fake bmctl deploy app 1.0/3 --to production --now)
is "after the closing" window "$(kind "$behind")"
is "it opens" 2026-04-04T20:00:00.000000Z "$(until_then "$behind")"
sleep 0.3
is "the run" running "$(state "$run")"
rm "$HOME_DIR/gate"
retry in_state "$run" succeeded || FAIL "the run ended with its window: $(state "$run")"
is "the next one" queued "$(state "$behind")"
bmctl cancel "$behind" >/dev/null || FAIL "cancel"
OK "a run goes on when its window closes"

# The night of 24 to 25 October has one hour more: 20:00Z to 04:00Z.
it_is '2026-10-25 03:59:50Z'
run=$(new fake bmctl deploy app 1.0/2 --to production --now)
retry in_state "$run" succeeded || FAIL "the hour more is closed: $(state "$run")"
it_is '2026-10-25 04:00:01Z'
behind=$(new fake bmctl deploy app 1.0/3 --to production --now)
is "after the closing" window "$(kind "$behind")"
bmctl cancel "$behind" >/dev/null || FAIL "cancel"
OK "the nights in which the clocks change"

# A rollback set for a time in a freeze: asked for its reason at once, and on time with it.
it_is '2026-12-19 22:59:50Z'
stage "freezes = {'2026-12-20/2027-01-02 \"year end\"'}"
poke
is "what a rollback takes" 1.0/1 "$(ask GetStatus '{}' '.stages[0].previous_good | "\(.release)/\(.build)"')"
expect 8 fake bmctl redeploy app --to production --at '2026-12-20 00:00:05' --no-follow </dev/null
says "year end"
says "passes with a reason"
back=$(new fake bmctl rollback app --to production --at '2026-12-20 00:00:05' --reason "orders are lost")
forward=$(new fake bmctl deploy app 1.0/3 --to production --at '2026-12-20 00:00:04' --if-changed run)
it_is '2026-12-19 23:00:02Z'
is "before its time" scheduled "$(state "$back")"
it_is '2026-12-19 23:00:06Z'
retry in_state "$back" succeeded || FAIL "a rollback with a reason waits for the freeze: $(state "$back")"
retry in_state "$forward" queued || FAIL "the forward one: $(state "$forward")"
is "waits for" window "$(kind "$forward")"
is live 1.0/1 "$(live app production)"
OK "a rollback at a time within a freeze"
bmd_stop
