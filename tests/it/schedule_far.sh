#!/bin/sh
# Schedules whose times are far away or fall into a change of clocks, with a real bmd whose clock is moved (libfaketime).
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"
lib=$(find /usr/lib -name 'libfaketime.so.1' 2>/dev/null | head -n 1)
[ -n "$lib" ] || SKIP "needs libfaketime"
[ -z "${BMD_SANITIZED:-}" ] || SKIP "libfaketime and a sanitizer do not go together"

application app <<CONF
    stages = {"testing"}
    stage "testing" { plan = "one" }
    schedule "yearly" { on = "*-01-01 04:00 UTC"  build = "1.0"  to = "testing" }
CONF
plan one <<CONF
    step "one" { run = 'true' }
CONF
# at TIME: bmd runs as if it were started at this time, UTC.
at() {
    LD_PRELOAD=$lib FAKETIME="@$1" FAKETIME_DONT_FAKE_MONOTONIC=1 TZ=UTC0 bmd -c "$BMD_CONF" 2>>"$HOME_DIR/bmd.log" &
    BMD_PID=$!
    retry bmd_answers && kill -0 "$BMD_PID" 2>/dev/null || FAIL "bmd did not start"
}
bmd_answers() { ! kill -0 "$BMD_PID" 2>/dev/null || call GetStatus | grep -q parameters; }
# Local times of FAKETIME are read in the zone of the process: UTC0 above. due NAME|ID: the next time of a schedule.
due() { bmctl --json schedule list | jq -r ".schedules[] | select(.id == $1) | .next"; }
key=0
# The clock that jumps between two starts is believed at once: tests/it/clock.sh is about the one that is not.
add() {
    key=$((key + 1))
    ask AddSchedule "{\"key\":\"$key\",\"application\":\"app\",\"release\":\"1.0\",\"stage\":\"testing\",\"calendar\":\"$1\"}" "$2"
}
configure 'clock-settle = "0s"'

# The night in which 02:30 does not exist: it comes at 03:30, and the night after at 02:30 again.
at '2026-03-29 01:29:57'
bmctl build add app 1.0 >/dev/null 2>&1 || FAIL "build add"
is "a far one" 2027-01-01T04:00:00.000000Z "$(due 1)"
is "its number and note" "2 true" "$(add '02:30 Europe/Berlin' '"\(.schedule.id) \(.schedule.note | test("does not exist"))"')"
is "a skipped one" 2026-03-29T01:30:00.000000Z "$(due 2)"
came() { [ "$(due 2)" = "$1" ]; }
retry came 2026-03-30T00:30:00.000000Z || FAIL "the skipped 02:30 does not come: $(due 2)"
is "it ran" succeeded "$(bmctl --json history | jq -r '.jobs[-1].state')"
OK "a skipped time"

# The night in which it comes twice: once, the first time. Down for seven months: those that passed are one, missed.
bmd_kill
at '2026-10-25 00:29:57'
is "state of what passed" '["missed"]' "$(bmctl --json history | jq -c '[.jobs[] | select(.schedule == 2 and .state != "succeeded") | .state]')"
grep -q 'of 100 or more occurrences this is the last' "$HOME_DIR/bmd.log" || FAIL "seven months are not one"
is "when that was due" 2026-10-24T00:30:00.000000Z "$(bmctl --json history | jq -r '[.jobs[] | select(.state == "missed")][0].due')"
is "a repeated one" 2026-10-25T00:30:00.000000Z "$(due 2)"
expect 0 bmctl schedule list
prints 'comes twice'
retry came 2026-10-26T01:30:00.000000Z || FAIL "a repeated 02:30 comes again: $(due 2)"
OK "a repeated time, and seven months"

# The far one comes too: within its grace it runs, though bmd was down at its time.
bmd_kill
at '2027-01-01 04:10:00'
far() { [ "$(due 1)" = 2028-01-01T04:00:00.000000Z ]; }
retry far || FAIL "the far one does not come: $(due 1)"
retry eval '[ "$(bmctl --json history | jq -r "[.jobs[] | select(.schedule == 1)][0].state")" = succeeded ]' || FAIL "it did not run"
is "when it was due" 2027-01-01T04:00:00.000000Z "$(bmctl --json history | jq -r '[.jobs[] | select(.schedule == 1)][0].due')"
bmd_kill
OK "a far one, late"
