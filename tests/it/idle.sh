#!/bin/sh
# While nothing is to be done bmd sleeps: a timerfd tells it of a clock that is set, so that libev need not look each minute.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"

application app <<CONF
    stages = {"testing"}
    stage "testing" { plan = "one" }
    schedule "far" { on = "*-*-01 02:00 Europe/Berlin"  build = "live"  to = "testing" }
CONF
plan one <<CONF
    step "one" { run = 'true' }
CONF
bmd_start
ls -l "/proc/$BMD_PID/fd" | grep -qF timerfd || FAIL "no timerfd: libev would wake up each minute"

# A schedule wakes nobody before its time.
expect 0 bmctl schedule list
prints far
switches() { sed -n 's/^voluntary_ctxt_switches:[[:space:]]*//p' "/proc/$BMD_PID/status"; }
still() { before=$(switches); sleep 1; [ "$(switches)" = "$before" ]; }
tries=0
until still; do
    tries=$((tries + 1))
    [ $tries -lt 20 ] || FAIL "an idle bmd with a schedule wakes up each second"
done
bmd_stop
OK "nothing wakes an idle bmd"
