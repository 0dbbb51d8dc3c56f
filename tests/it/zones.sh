#!/bin/sh
# A changed tz database: jobs that were given as wall time in a named zone move, and say so; all others stay. With a private
# database (zic), exchanged below a bmd that runs, and while none does.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"
PATH=$PATH:/usr/sbin:/sbin
command -v zic >/dev/null || SKIP "needs zic"
[ -d /usr/share/zoneinfo/Europe ] || SKIP "needs the tz database"

# clocks NAME OFFSET: the zone Test/NAME is so far east of UTC, for ever.
TZDIR=$HOME_DIR/zoneinfo
export TZDIR
mkdir -p "$TZDIR/Test"
ln -s /usr/share/zoneinfo/Europe /usr/share/zoneinfo/America "$TZDIR/"
clocks() {
    echo "Zone Test/$1 $2 - %z" >"$HOME_DIR/source"
    zic -d "$HOME_DIR/compiled" "$HOME_DIR/source" 2>/dev/null ||
        { echo "Zone Test/$1 $2 - LMT" >"$HOME_DIR/source"; zic -d "$HOME_DIR/compiled" "$HOME_DIR/source"; } || FAIL "zic"
    mv "$HOME_DIR/compiled/Test/$1" "$TZDIR/Test/$1"
}
clocks Town 1:00
clocks Far -5:00

day=$(date -ud 'now + 3 days' +%F)
application app <<CONF
    stages = {"testing"}
    stage "testing" { plan = "one" }
    schedule "section" { on = "*-*-${day##*-} 03:00 Test/Town"  build = "live"  to = "testing" }
CONF
plan one <<CONF
    step "one" { run = 'true' }
CONF
bmd_start
bmctl build add app 1.0 >/dev/null 2>&1 || FAIL "build add"
new() { bmctl --json deploy app 1.0/1 --to testing --at "$@" --no-follow >"$HOME_DIR/new" || { cat "$HOME_DIR/new"; FAIL "$*"; }; jq -r .job.id "$HOME_DIR/new"; }
wall=$(new "$day 02:00 Test/Town")
far=$(new "$day 02:00 Test/Far")
client=$(TZ=Test/Town new "$day 02:00:30")
offset=$(new "$day 02:00:00+01:00 Test/Town")
utc=$(new "$day 02:00 UTC")
epoch=$(TZ=Test/Town new "@$(date -ud "$day 02:00" +%s)")
span=$(TZ=Test/Town new +30h)
days=$(TZ=Test/Town new +2d)
expect 0 bmctl schedule add app 1.0 --to testing --on "$day 04:00 Test/Town"
added=$(bmctl --json schedule list | jq '.schedules[-1].waiting.job')
section=$(bmctl --json schedule list | jq '.schedules[0].waiting.job')
bmctl build add app 1.0 >/dev/null 2>&1 || FAIL "build add"
held=$(bmctl --json deploy app 1.0/2 --to testing --at "$day 02:00 Test/Town" --no-follow | jq .job.id)
expect 0 bmctl build reject app 1.0/2 --reason bad
is "a rejected one" held "$(state "$held")"
is "wall time" "${day}T01:00:00.000000Z" "$(job "$wall" due)"
is "wall time, the client's zone" "${day}T01:00:30.000000Z" "$(job "$client" due)"
is "wall time, another zone" "${day}T07:00:00.000000Z" "$(job "$far" due)"
is "schedule" "${day}T03:00:00.000000Z" "$(job "$added" due)"
for job in $offset $utc $epoch $span $days $far; do job "$job" due; done >"$HOME_DIR/still"
before=$(job "$section" due)

# Below a bmd that runs.
clocks Town 2:30
moved() { [ "$(job "$wall" due)" = "$(date -ud "$day - 30 minutes" +%FT%T).000000Z" ]; }
retry moved || FAIL "the tz database changed, and $(job "$wall" due) stays"
is "wall time, the client's zone" "$(date -ud "$day - 30 minutes" +%FT%H:%M):30.000000Z" "$(job "$client" due)"
is "schedule" "${day}T01:30:00.000000Z" "$(job "$added" due)"
held_moved() { [ "$(job "$wall" due)" = "$(job "$held" due)" ]; }
retry held_moved || FAIL "a held one stays: $(job "$held" due)"
is "section" "$(date -ud "$before - 90 minutes" +%FT%T).000000Z" "$(job "$section" due)"
for job in $offset $utc $epoch $span $days $far; do job "$job" due; done | cmp - "$HOME_DIR/still" || FAIL "what was given as an instant moved"
expect 0 bmctl show "$wall"
prints "because the tz database has other clocks for Test/Town now"
expect 0 bmctl queue
prints "its time; moved from ${day}T01:00:00.000000Z to $day 02:00:00+02:30 Test/Town"
grep -q "job $wall: deploy app 1.0/1 to testing: moved from" "$HOME_DIR/bmd.log" || FAIL "the log does not say it"
is "message of one that stays" null "$(job "$offset" message)"
OK "below a bmd that runs"

# While none does.
bmd_stop
clocks Town 0:15
bmd_start
is "wall time" "${day}T01:45:00.000000Z" "$(job "$wall" due)"
is "schedule" "${day}T03:45:00.000000Z" "$(job "$added" due)"
for job in $offset $utc $epoch $span $days $far; do job "$job" due; done | cmp - "$HOME_DIR/still" || FAIL "what was given as an instant moved"
# The next occurrence is reckoned by the new clocks too.
expect 0 bmctl cancel "$section"
next=$(bmctl --json schedule list | jq -r '.schedules[0].next')
is "the next one" 02:45:00.000000Z "${next#*T}"
OK "while none runs"

# The same clocks in another file: nothing moves, nothing is said. A zone that is gone moves nothing either.
said=$(grep -c 'moved from' "$HOME_DIR/bmd.log")
cp "$TZDIR/Test/Town" "$TZDIR/Test/.new" && mv "$TZDIR/Test/.new" "$TZDIR/Test/Town"
expect 0 bmctl reload
rm "$TZDIR/Test/Far"
gone() { grep -q 'knows no zone Test/Far any more' "$HOME_DIR/bmd.log"; }
retry gone || FAIL "a zone that is gone is not told"
is "what moved" "$said" "$(grep -c 'moved from' "$HOME_DIR/bmd.log")"
is "its job" "${day}T07:00:00.000000Z" "$(job "$far" due)"
bmd_stop
OK "no change of clocks"
if command -v sqlite3 >/dev/null; then
    is "audit" "$said" "$(sqlite3 "$HOME_DIR/state/bmd.db" "SELECT count(*) FROM audit WHERE what = 'tz database' AND text LIKE 'moved from%'")"
    OK "the audit says so"
fi
