#!/bin/sh
# A start with a clock in 1970 or 2098, after a boot without a time service, and over a stop whose length nobody knows; a machine
# whose clock was set is noticed at once; and elapsed time by another CLOCK_BOOTTIME (a time namespace), as over a sleep.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"
. "$top_srcdir/tests/it/faketime.sh"
. "$top_srcdir/tests/it/clocks.sh"

clock_application 'schedule "often" { on = "*:00/2"  build = "1.0"  to = "production" }'
# As if the machine had been started anew since bmd was last alive. Whoever writes rows by hand deletes the seals.
another_boot() { sqlite3 "$HOME_DIR/state/bmd.db" "DELETE FROM meta WHERE name LIKE 'clock_%'; DELETE FROM seals" || FAIL "sqlite3"; }
missed() { bmctl --json history -n 100 | jq '[.jobs[] | select(.state == "missed" and .stage == "testing")] | length'; }
calm() { settle 0s; set_clock +0; retry trusts || FAIL "it does not settle: $(doubt)"; }

fake_start
bmctl build add app 1.0 >/dev/null 2>&1 || FAIL "build add"
soon=$(at $(($(date +%s) + 1800)) testing)
occurrence() { bmctl --json schedule list | jq -r '.schedules[0].next'; }
was=$(occurrence)

# A dead clock: 1970. Nothing starts, nothing is missed, no occurrence is reckoned by it; --now jobs go on.
bmd_kill
another_boot
set_clock -$((56 * YEAR))
fake_start
contains status "$(doubt)" " behind the latest time that bmd has seen: timed jobs wait until it has settled"
go=$(now testing 7200000000)
retry in_state "$go" succeeded || FAIL "a --now job waits for the clock: $(text "$go")"
is "a timed one" scheduled "$(state "$soon")"
is "the next occurrence" "$was" "$(occurrence)"
set_clock +0
poke
contains status "$(doubt)" "the clock jumped forward by"
is "a timed one" scheduled "$(state "$soon")"
calm
is missed 0 "$(missed)"
OK "started in 1970"

# 2098: what is due by it waits. Whether the clock is synchronised, this machine decides; so it is one that bmd has seen before.
settle 60s
poke
bmd_kill
set_clock +$((72 * YEAR))
fake_start
contains status "$(doubt)" "the clock jumped forward by "
is "a timed one" scheduled "$(state "$soon")"
contains "a timed one" "$(text "$soon")" "the clock jumped forward by "
bmd_kill # killed in the doubt, it is still one
fake_start
contains status "$(doubt)" "the clock jumped forward by "
set_clock +0
poke
calm
is missed 0 "$(missed)"
is "a timed one" scheduled "$(state "$soon")"
occurs_soon() { poke; [ "$(date -d "$(occurrence)" +%s)" -le $(($(date +%s) + 121)) ]; }
retry occurs_soon || FAIL "the schedule sleeps until $(occurrence)"
OK "started in 2098"

# A machine without a time service does not wait for ever.
bmd_kill
another_boot
settle 2s
fake_start
case $(doubt) in
"") OK "this machine's clock is synchronised: nothing to wait for" ;;
*)
    contains status "$(doubt)" "the clock is not synchronised since the machine was started"
    job=$(at $(($(date +%s) + 1)) testing)
    tries=0
    until [ -z "$(doubt)" ]; do # nobody pokes it
        tries=$((tries + 1)); [ $tries -lt 100 ] || FAIL "it waits for ever: $(doubt)"; sleep 0.1
    done
    retry in_state "$job" succeeded || FAIL "it does not start: $(text "$job")"
    bmd_kill
    fake_start
    is "the next start in the same boot" "" "$(doubt)"
    OK "no time service: once, for the time to settle"

    # For how long bmd was down, that clock cannot say either.
    : >"$HOME_DIR/gate"
    run=$(now testing 7200000000)
    retry in_state "$run" running || FAIL "it does not run: $(state "$run")"
    old=$(now testing 1000000) # waits behind it
    bmd_stop # in order, so that it says when it ended
    rm "$HOME_DIR/gate"
    another_boot
    settle 60s
    sleep 1.2
    fake_start
    retry in_state "$run" succeeded || FAIL "the run: $(state "$run")"
    new=$(now testing 7200000000)
    retry in_state "$new" succeeded || FAIL "a new --now job waits: $(text "$new")"
    is "one from before the stop" queued "$(state "$old")"
    contains "why it waits" "$(text "$old")" "the clock is not synchronised"
    calm
    retry in_state "$old" held || FAIL "the stop was longer than its grace: $(state "$old")"
    contains "why it is held" "$(text "$old")" "bmd was down for "
    OK "a stop whose length is not known yet"
    ;;
esac

# The machine's own clock is set: bmd looks at once, and nobody pokes it.
if "$top_builddir/tests/it/set_clock" 2>"$HOME_DIR/err"; then
    settle 60s
    poke
    retry trusts
    set_clock +7200
    "$top_builddir/tests/it/set_clock"
    noticed() { [ -n "$(doubt)" ]; }
    retry noticed || FAIL "a clock that was set is not noticed"
    calm
    OK "a clock that was set is noticed at once"
else
    echo "skipped: $(cat "$HOME_DIR/err")"
fi
bmd_stop

# CLOCK_BOOTTIME goes on by two hours while bmd is down, as it does while the machine is asleep: +2h is due, and on time.
if unshare --time --boottime 7200 true 2>/dev/null; then
    settle 60s
    fake_start
    in2h() { ask Deploy "{\"key\":\"$1\",\"application\":\"app\",\"release\":\"1.0\",\"build\":1,\"stage\":\"testing\",\"text\":\"+$2s\",\"at\":\"$(date -u -d "+$2 seconds" +%Y-%m-%dT%H:%M:%S.%6NZ)\",\"if_changed\":\"run\"}" .job.id; }
    due=$(in2h a 7190)
    later=$(in2h b 7290)
    bmd_stop
    set_clock +7200
    LD_PRELOAD=$lib FAKETIME_TIMESTAMP_FILE=$FAKE FAKETIME_NO_CACHE=1 FAKETIME_DONT_FAKE_MONOTONIC=1 \
        unshare --time --boottime 7200 bmd -c "$BMD_CONF" 2>>"$HOME_DIR/bmd.log" &
    BMD_PID=$!
    retry bmd_answers || FAIL "bmd did not start"
    is "the clock and the boot's go together" "" "$(doubt)"
    retry in_state "$due" succeeded || FAIL "+2h is not due: $(text "$due")"
    is "one that is later" scheduled "$(state "$later")"
    bmd_stop
    set_clock +0 # the same, but the wall clock stood still: CLOCK_BOOTTIME decides, in a doubt as well
    LD_PRELOAD=$lib FAKETIME_TIMESTAMP_FILE=$FAKE FAKETIME_NO_CACHE=1 FAKETIME_DONT_FAKE_MONOTONIC=1 \
        unshare --time --boottime 7295 bmd -c "$BMD_CONF" 2>>"$HOME_DIR/bmd.log" &
    BMD_PID=$!
    retry bmd_answers || FAIL "bmd did not start"
    contains status "$(doubt)" "the clock jumped back by 2 h"
    retry in_state "$later" succeeded || FAIL "it is due by CLOCK_BOOTTIME: $(text "$later")"
    is "every start" "$(sort -u "$HOME_DIR/ledger" | wc -l)" "$(wc -l <"$HOME_DIR/ledger")"
    bmd_stop
    OK "elapsed time by another CLOCK_BOOTTIME"
else
    echo "skipped: this machine makes no time namespace"
fi
