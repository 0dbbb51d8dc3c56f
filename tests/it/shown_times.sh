#!/bin/sh
# What prints a time prints local time, zone and distance; `at` explains itself; queue and status are in the order of what happens next.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"

configure
application app <<CONF
    stages = {"testing", "production"}
    stage "testing" { plan = "one" }
    stage "production" { plan = "one" }
CONF
plan one <<CONF
    step "note" { run = 'test ! -e "$HOME_DIR/bad"' }
CONF
bmd_start
expect 0 bmctl build add app 1.0
expect 0 bmctl build add app 1.0
expect 0 bmctl deploy app 1.0/1 --to production --now --wait
expect 0 bmctl build reject app 1.0/2 --reason slow
expect 0 bmctl build pin app 1.0/1

# Zone and distance, wherever a time stands.
timed() { grep -E -- "$1" "$HOME_DIR/out" | grep -q 'Europe/Berlin' || { cat "$HOME_DIR/out"; FAIL "no zone: $1"; }
    grep -qE '\((in|now|[0-9].* ago)|now\)' "$HOME_DIR/out" || { cat "$HOME_DIR/out"; FAIL "no distance: $1"; }; }
expect 0 bmctl status
timed SINCE
expect 0 bmctl history
timed WHEN
expect 0 bmctl build list app
timed ADDED
expect 0 bmctl build show app 1.0/2
timed '^rejected .*Europe/Berlin \('
timed '^added .*Europe/Berlin \('
expect 0 bmctl build show app 1.0/1
timed '^pinned .*Europe/Berlin \('
timed STARTED
expect 0 bmctl deploy app 1.0/1 --to production --at +2h
timed 'at 2.*Europe/Berlin \(in'
late=$(bmctl --json queue | jq '.jobs[0].id')
expect 0 bmctl queue
timed DUE
expect 0 bmctl show "$late"
timed '^due .*Europe/Berlin \(in'
OK "local time, zone and distance"

# The stage whose job comes first is first; a held job, for which nothing happens, is last.
expect 0 bmctl status
is "the first stage" production "$(sed -n '2s/^app *\([a-z]*\) .*/\1/p' "$HOME_DIR/out")"
soon=$(bmctl --json deploy app 1.0/1 --to testing --at +1h | jq .job.id)
expect 0 bmctl status
is "the first stage" testing "$(sed -n '2s/^app *\([a-z]*\) .*/\1/p' "$HOME_DIR/out")"
expect 0 bmctl queue
is "the order" "$soon $late" "$(awk 'NR > 1 { printf "%s%s", sep, $1; sep = " " }' "$HOME_DIR/out")"
expect 0 bmctl build reject app 1.0/1 --reason "worse"
expect 0 bmctl build restore app 1.0/1
expect 0 bmctl release "$late"
prints 'Europe/Berlin (in '
expect 0 bmctl queue
is "the held one is last" "$late $soon" "$(awk 'NR > 1 { printf "%s%s", sep, $1; sep = " " }' "$HOME_DIR/out")"
OK "the order of what happens next"
bmd_stop

# at: the day, the offset that was taken and until when, what is skipped and what comes twice.
expect 0 bmctl at '2030-01-31 02:00'
prints 'weekday:  Thursday'
prints 'zone:     Europe/Berlin, +01:00 until 2030-03-31 03:00:00+02:00 Europe/Berlin ('
expect 0 bmctl at '2030-03-31 02:30'
prints '02:30 does not exist on 2030-03-31'
prints '03:30:00+02:00'
expect 0 bmctl at '2030-10-27 02:30'
prints 'comes twice'
prints 'taken is the first, 2030-10-27 02:30:00+02:00 Europe/Berlin'
expect 0 bmctl at '2030-10-27 02:30:00+01:00 Europe/Berlin'
prints 'local:    2030-10-27 02:30:00+01:00 Europe/Berlin'
expect 0 bmctl at '2030-10-27 02:30 Asia/Kathmandu'
prints '+05:45 all the year'
OK "bmctl at explains itself"

# What is printed is of one zone, the caller's, whatever the zone of bmd; the protocol's own words are left alone.
application app <<CONF
    stages = {"testing", "production"}
    stage "testing" { plan = "one" }
    stage "production" { plan = "one"  require-reason = true  confirm = true }
CONF
bmd_start
expect 0 bmctl cancel "$soon"
expect 0 bmctl lock app testing --reason inventory --until +2h
TZ=America/New_York
expect 8 bmctl deploy app 1.0/1 --to testing --now
grep -q Berlin "$HOME_DIR/err" && FAIL "two zones: $(cat "$HOME_DIR/err")"
says ' America/New_York (in '
expect 8 bmctl --json deploy app 1.0/1 --to testing --now
prints ' Europe/Berlin (in '
bmctl call GetStatus | grep -q 'Europe/Berlin' && FAIL "GetStatus names zones: what this test looks at is elsewhere"
expect 0 bmctl deploy app 1.0/1 --to testing --at +3h
held=$(bmctl --json queue | jq .jobs[0].id)
# A row of the audit is what was written then, zone and all.
for verb in status queue "show $held" check history 'schedule list' 'notify list'; do
    bmctl $verb >"$HOME_DIR/out" 2>&1
    grep -n Berlin "$HOME_DIR/out" && FAIL "two zones: bmctl $verb"
done
TZ=Europe/Berlin
OK "one zone"

# The way back that is printed can be typed where the stage asks for a reason and a confirmation.
expect 0 bmctl build add app 1.1 --number 1
expect 0 bmctl deploy app 1.0/1 --to production --now --wait --reason "one" --yes
expect 0 bmctl deploy app 1.1/1 --to production --now --wait --reason "two" --yes
prints 'afterwards, undo: bmctl redeploy app 1.0/1 --to production --now --reason TEXT --yes'
expect 0 sh -c "$(sed -n 's/^afterwards, undo: //p' "$HOME_DIR/out") --wait"
is "live" 1.0/1 "$(live app production)"
expect 8 bmctl redeploy app 1.1/1 --to production --now
is "what is said" "bmctl: production of app asks for a reason and a confirmation|repeat: bmctl redeploy app 1.1/1 --to production --now --reason TEXT --yes" \
    "$(paste -sd'|' "$HOME_DIR/err")"
expect 0 sh -c "$(sed -n 's/^repeat: //p' "$HOME_DIR/err") --wait"
is "live" 1.1/1 "$(live app production)"
# So can what status and warnings say.
expect 0 bmctl build reject app 1.1/1 --reason bad
says 'bmctl redeploy app --to production --now --reason TEXT --yes goes back'
expect 0 bmctl settle app production --unknown --reason "nobody looked"
expect 0 bmctl status
prints 'bmctl redeploy app --to production --now --reason TEXT --yes, or bmctl settle'
# And what a run that failed leaves to do.
touch "$HOME_DIR/bad"
expect 1 bmctl redeploy app --to production --now --wait --reason again --yes
prints 'production is dirty: bmctl redeploy app --to production --now --reason TEXT --yes mends it'
rm "$HOME_DIR/bad"
expect 0 sh -c "$(sed -n 's/.*is dirty: \(.*\) mends it.*/\1/p' "$HOME_DIR/out") --wait"
expect 0 bmctl settle app production --unknown --reason "nobody looked"
prints 'production is dirty: bmctl redeploy app --to production --now --reason TEXT --yes mends it'
is "what the stage wants" '{"reason":true,"confirmed":true}' "$(bmctl --json status app | jq -c '.stages[] | select(.stage == "production") | .wants')"
is "what the others want" '{"reason":false,"confirmed":false}' "$(bmctl --json status app | jq -c '[.stages[] | select(.stage != "production") | .wants] | unique[]')"
OK "the way back can be typed"
bmd_stop
