#!/bin/sh
# While nothing is to be done bmd sleeps: a timerfd tells it of a clock that is set, so that libev need not look each minute.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"

bmd_start
ls -l "/proc/$BMD_PID/fd" | grep -qF timerfd || FAIL "no timerfd: libev would wake up each minute"
bmd_stop
OK "nothing wakes an idle bmd"
