#!/bin/sh
# A clock that jumps: timed starts and verdicts wait until it has settled, --now jobs go on, everybody is told; nothing starts before
# its time, nothing twice, and what counts elapsed time does not care.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"
. "$top_srcdir/tests/it/faketime.sh"
. "$top_srcdir/tests/it/clocks.sh"

clock_application
now_s() { date +%s; }
elapsed() { request "$2" "\"text\":\"+$1s\",\"at\":\"$(fake date -u -d "+$1 seconds" +%Y-%m-%dT%H:%M:%S.%6NZ)\",\"if_changed\":\"run\""; }
kind() { ask GetJob "{\"job\":$1}" .job.waits_for.kind; }
due() { ask GetJob "{\"job\":$1}" .job.due; }
starts() { grep -cx "$1" "$HOME_DIR/ledger"; }
HOUR=3600

fake_start
for n in 1 2; do bmctl build add app 1.0 >/dev/null 2>&1 || FAIL "build add"; done
is "a fresh bmd" "" "$(doubt)"

# An hour forward, over the time of a job.
job=$(at $(($(now_s) + 1800)) testing)
far=$(at $(($(now_s) + 2 * YEAR)) production)
set_clock +$HOUR
poke
contains status "$(doubt)" "the clock jumped forward by 1 h: timed jobs wait until it has settled, "
contains status "$(doubt)" " (in "
expect 0 fake bmctl status
prints "the clock jumped forward by 1 h"
is "the job that the jump made due" scheduled "$(state "$job")"
is "waits for" time "$(kind "$job")"
contains "why it waits" "$(text "$job")" "the clock jumped forward by 1 h: timed jobs wait until it has settled, "
expect 0 fake bmctl queue
prints "the clock jumped forward by 1 h"
go=$(now testing)
retry in_state "$go" succeeded || FAIL "a --now job waits for the clock: $(text "$go")"
is "the timed one" 0 "$(starts "$job")"
expect 0 fake bmctl deploy app 1.0/2 --to testing --at +10h --no-follow
is "warned about elapsed time" "" "$(sed -n '/clock/p' "$HOME_DIR/err")"
expect 0 fake bmctl deploy app 1.0/2 --to production --at "2030-01-01 02:00" --no-follow
says "the clock jumped forward by 1 h"
# A restart does not make the clock any better.
bmd_kill
fake_start
contains "after a restart" "$(doubt)" "the clock jumped forward by 1 h"
is "the job that the jump made due" scheduled "$(state "$job")"
settle 1s
retry trusts || FAIL "it does not settle: $(doubt)"
retry in_state "$job" succeeded || FAIL "it does not start when the clock has settled: $(text "$job")"
is "starts" 1 "$(starts "$job")"
is "the far one" scheduled "$(state "$far")"
grep -q 'the clock has settled' "$HOME_DIR/bmd.log" || FAIL "the log does not say that it has settled"
OK "an hour forward: timed jobs wait, --now jobs go on, and it settles"

# Back by an hour: what ran does not run again, what is due later waits for that.
set_clock +0
poke
contains status "$(doubt)" "the clock jumped back by 1 h"
job=$(at $(($(now_s) + 2)) testing)
retry trusts || FAIL "it does not settle: $(doubt)"
poke
retry in_state "$job" succeeded || { poke; retry in_state "$job" succeeded; } || FAIL "it does not start: $(text "$job")"
is "every start" "$(sort -u "$HOME_DIR/ledger" | wc -l)" "$(wc -l <"$HOME_DIR/ledger")"
OK "an hour back: nothing twice"

# A second and a minute, forward and back: no doubt that lasts, no start before its time.
for step in +1 -1 +60 -60; do
    set_clock +0
    retry trusts || FAIL "it does not settle: $(doubt)"
    soon=$(at $(($(now_s) + 30)) testing)
    late=$(at $(($(now_s) + 500)) testing)
    set_clock "$step"
    poke
    case $(doubt) in
    *jumped*) FAIL "$step seconds are a jump" ;;
    *behind*) case $step in +*) FAIL "$step: $(doubt)" ;; esac ;;
    esac
    retry trusts || FAIL "it does not settle: $(doubt)"
    if [ "$step" = +60 ]; then
        poke
        retry in_state "$soon" succeeded || FAIL "a minute forward: $(text "$soon")"
    else
        is "$step: before its time" scheduled "$(state "$soon")"
    fi
    is "$step: before its time" scheduled "$(state "$late")"
    bmctl cancel "$soon" >/dev/null 2>&1
    bmctl cancel "$late" >/dev/null 2>&1
done
set_clock +0
retry trusts || FAIL "it does not settle: $(doubt)"
OK "a second and a minute"

# Forward by a year and back again, before it could settle: nothing was started, nothing missed.
settle 60s
poke
before=$(wc -l <"$HOME_DIR/ledger")
set_clock +$YEAR
poke
sleep 0.3
is "a job of two years" scheduled "$(state "$far")"
set_clock +0
poke
contains status "$(doubt)" "the clock jumped back by "
is starts "$before" "$(wc -l <"$HOME_DIR/ledger")"
is missed 0 "$(bmctl --json history -n 100 | jq '[.jobs[] | select(.state == "missed")] | length')"
settle 0s
retry trusts || FAIL "it does not settle: $(doubt)"
OK "a year forward and back: nothing happens"

# A verdict waits too, and names the clock.
settle 60s
poke
job=$(at $(($(now_s) + 1800)) testing 1000000)
set_clock +$HOUR
poke
is "beyond its grace, by a clock that nobody believes" scheduled "$(state "$job")"
settle 1s
retry trusts || FAIL "it does not settle: $(doubt)"
retry in_state "$job" missed || FAIL "it is not missed: $(state "$job")"
contains "why it was missed" "$(ask GetJob "{\"job\":$job}" .job.message)" "longer than its grace of 1 s: the clock was set from "
set_clock +0
settle 0s
retry trusts || FAIL "it does not settle: $(doubt)"
OK "a verdict waits, and says what happened"

# Elapsed time: it starts by CLOCK_BOOTTIME, in the middle of a doubt, and its time is shown as the clock goes.
settle 60s
poke
soon=$(elapsed 3 testing)
began=$(date +%s%N)
long=$(elapsed 7200 production)
was=$(due "$long")
set_clock +$YEAR
poke
is "its time moved with the clock" "$(date -u -d "$was + $YEAR seconds" +%FT%T)" "$(due "$long" | cut -c1-19)"
is "a job of elapsed time" scheduled "$(state "$long")"
expect 0 fake bmctl show "$long"
grep -qE '^due .*\((in 2 h|in 1 h 59 min)\)' "$HOME_DIR/out" || { cat "$HOME_DIR/out"; FAIL "show tells another time"; }
retry in_state "$soon" succeeded || FAIL "elapsed time waits for the clock: $(text "$soon")"
took=$((($(date +%s%N) - began) / 1000000))
[ $took -ge 2900 ] && [ $took -lt 12000 ] || FAIL "after $took ms instead of 3 s"
contains status "$(doubt)" "the clock jumped forward"
set_clock -$YEAR
poke
is "its time moved with the clock" "$(date -u -d "$was - $YEAR seconds" +%FT%T)" "$(due "$long" | cut -c1-19)"
bmd_kill
set_clock +$HOUR
fake_start
poke
is "its time, after a restart" "$(date -u -d "$was + $HOUR seconds" +%FT%T)" "$(due "$long" | cut -c1-19)"
is "a job of elapsed time" scheduled "$(state "$long")"
set_clock +0
settle 0s
retry trusts || FAIL "it does not settle: $(doubt)"
OK "elapsed time is not the wall clock's"

# A lock ends by its clock, not by one that jumped over its end.
settle 60s
poke
ask Lock "{\"key\":\"l\",\"application\":\"app\",\"stage\":\"testing\",\"reason\":\"test\",\"until\":\"$(utc $(($(now_s) + 900)))\"}" .stage.locked.by >/dev/null
set_clock +$HOUR
poke
go=$(now testing)
sleep 0.3
is "behind a lock" lock "$(kind "$go")"
settle 0s
retry trusts || FAIL "it does not settle: $(doubt)"
retry in_state "$go" succeeded || FAIL "the lock does not end: $(text "$go")"
set_clock +0
retry trusts || FAIL "it does not settle: $(doubt)"
OK "a doubted clock ends no lock"
bmd_stop
is "every start" "$(sort -u "$HOME_DIR/ledger" | wc -l)" "$(wc -l <"$HOME_DIR/ledger")"
