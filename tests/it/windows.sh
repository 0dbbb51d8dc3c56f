#!/bin/sh
# Windows and freezes with a real bmd: what is due outside waits and says until when, a way back passes with a reason, an override
# names what it passes and is recorded, a reload decides again, and the opening itself starts the job.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"

configure
plan one <<'CONF'
    step "note" { run = 'true' }
CONF
# stage LINE…: the one stage, with keys of its own.
stage() {
    application app <<CONF
    stages = {"production"}
    stage "production" { plan = "one"
        $*
    }
CONF
}
# A window of UTC's clock that is closed for the next hours: six to eight hours from now.
clock() { date -u -d "now $1" +%H:%M; }
CLOSED="zone = \"UTC\" windows = {\"$(clock '+6 hours')-$(clock '+8 hours')\"}"
OPEN="zone = \"UTC\" windows = {\"00:00-24:00\"}"
FROZEN="zone = \"UTC\" freezes = {'$(date -u -d yesterday +%F)/$(date -u -d tomorrow +%F) \"year end\"'}"
waits() { is "what job $1 waits for" "$2" "$(job "$1" waits_for.kind)"; }

stage "$OPEN"
bmd_start
for n in 1 2 3; do expect 0 bmctl build add app 1.0; done
expect 0 bmctl deploy app 1.0/1 --to production --now --wait
expect 0 bmctl deploy app 1.0/2 --to production --now --wait
OK "an open window holds nothing"

stage "$CLOSED"
expect 0 bmctl reload
expect 0 bmctl deploy app 1.0/3 --to production --now --no-follow
prints "waits for the window of production, which opens "
prints "+00:00 UTC (in "
id=$(bmctl --json queue app | jq '.jobs[0].id')
is state queued "$(job "$id" state)"
waits "$id" window
is "guarded like a timed one" hold "$(job "$id" if_changed)"
[ "$(job "$id" waits_for.until)" != null ] || FAIL "nothing says until when"
expect 0 bmctl queue
prints "which opens"
expect 0 bmctl status
prints "closed app production: opens"
prints "window "
expect 0 bmctl deploy app 1.0/3 --to production --dry-run
prints "held: waits for the window"
expect 0 bmctl cancel "$id"
is state cancelled "$(job "$id" state)"
OK "a closed window: it waits, and all places say until when"

# A timed one says at once what will come then.
expect 0 bmctl deploy app 1.0/3 --to production --at +1h --no-follow
prints "waits for the window"
id=$(bmctl --json queue app | jq '.jobs[0].id')
waits "$id" time
expect 0 bmctl queue
prints "its time, then waits for the window"
expect 0 bmctl cancel "$id"
# Its grace is not used up while it waits.
id=$(new bmctl deploy app 1.0/3 --to production --at +1s --grace 1s)
retry in_state "$id" queued || FAIL "it did not become due"
waits "$id" window
sleep 2.2 # longer than its grace
expect 0 bmctl reload
is "state after its grace" queued "$(state "$id")"
# The way back does not wait behind it, but says why it goes.
expect 8 bmctl redeploy app 1.0/1 --to production --now --no-follow </dev/null
says "passes with a reason"
expect 0 bmctl redeploy app 1.0/1 --to production --now --wait --reason "orders are lost"
is live 1.0/1 "$(live app production)"
is "the forward one" queued "$(state "$id")"
OK "a way back passes with a reason"

# A reload that opens it decides again; what went live meanwhile is guarded.
stage "$OPEN"
expect 0 bmctl reload
retry in_state "$id" held || FAIL "the guard did not hold it: $(state "$id")"
expect 0 bmctl release "$id"
expect 0 bmctl wait "$id"
is live 1.0/3 "$(live app production)"
OK "a reload opens it"

# A freeze, and what overrides it.
stage "$FROZEN"
expect 0 bmctl reload
expect 0 bmctl status
prints 'frozen app production ("year end"): opens'
id=$(new bmctl deploy app 1.0/3 --to production --now)
waits "$id" window
case $(job "$id" waits_for.text) in *'is frozen ("year end") and opens again'*) ;; *) FAIL "the freeze is not named" ;; esac
expect 2 bmctl deploy app 1.0/3 --to production --now --override-freeze "year end"
says "--reason"
expect 2 bmctl deploy app 1.0/3 --to production --now --override-freeze "new year" --reason x
says 'production has no freeze "new year": it has "year end"'
expect 2 bmctl deploy app 1.0/3 --to production --now --override-window --reason x
says "no windows"
second=$(new bmctl deploy app 1.0/3 --to production --now --override-freeze "year end" --reason "a hole in the shop")
expect 0 bmctl wait "$second"
is overrides '{"windows":false,"freezes":["year end"]}' "$(bmctl --json show "$second" | jq -c .job.overrides)"
expect 0 bmctl show "$second"
prints 'the freeze "year end"'
expect 0 bmctl history
prints 'a hole in the shop (overrides the freeze "year end")'
is state queued "$(state "$id")"
# One that waits can be let through as well.
expect 0 bmctl reschedule "$id" --now --override-freeze "year end" --reason "after all"
retry in_state "$id" succeeded || { expect 0 bmctl show "$id"; cat "$HOME_DIR/out"; FAIL "the override of a waiting job: $(state "$id")"; }
# One that is refused behind it overrides nothing, and nothing says that it did.
id=$(new bmctl deploy app 1.0/3 --to production --at +2h)
expect 8 bmctl reschedule "$id" --at +300d --override-freeze "year end" --reason "too far"
is "no override" '{"windows":false,"freezes":[]}' "$(bmctl --json show "$id" | jq -c '.job.overrides // {windows:false,freezes:[]}')"
! grep "job $id: .*overrid" "$HOME_DIR/bmd.log" || FAIL "the log tells of an override that was refused"
expect 0 bmctl cancel "$id"
bmd_stop
[ "$(sqlite3 "$HOME_DIR/state/bmd.db" "SELECT count(*) FROM audit WHERE what = 'override' AND text LIKE '%year end%'")" = 2 ] ||
    FAIL "the overrides are not in the audit"
OK "a freeze, and its override on record"

# What windows-hold names is held, whatever its reason.
stage "$FROZEN windows-hold = {\"deploy\", \"redeploy\", \"rollback\"}"
bmd_start
id=$(new bmctl redeploy app 1.0/1 --to production --now --reason "back")
waits "$id" window
expect 0 bmctl cancel "$id"
OK "windows-hold"

# The opening starts it, without anybody looking: a freeze that ends in a moment.
end=$(date -u -d '+4 seconds' '+%F %T')
stage "zone = \"UTC\" freezes = {'2020-01-01/$end \"a moment\"'}"
expect 0 bmctl reload
id=$(new bmctl deploy app 1.0/2 --to production --now)
expect 0 bmctl wait "$id"
[ "$(job "$id" started)" \> "$(echo "$end" | tr ' ' T)" ] || FAIL "it started before the opening: $(job "$id" started)"
OK "it starts at the opening"

# Who is refused by a lock reads local time and its distance.
expect 0 bmctl lock app production --reason inventory --until +2h
expect 8 bmctl deploy app 1.0/2 --to production --now
says "Europe/Berlin (in "
! grep -q ' UTC' "$HOME_DIR/err" || FAIL "a refusal in UTC"
expect 0 bmctl status
prints "Europe/Berlin (in "
OK "a lock in local time"
bmd_stop
