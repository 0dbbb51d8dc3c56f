#!/bin/sh
# keep-audit and a clock that is set far ahead: it does not empty the audit, neither while it is doubted nor when it is believed.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"
. "$top_srcdir/tests/it/faketime.sh"
command -v jq >/dev/null || SKIP "needs jq"
configure 'keep-audit = "1h"' 'clock-settle = "1s"'
application shop <<'CONF'
    stages = {"live"}
    stage "live" { plan = "one" }
CONF
plan one <<'CONF'
    step "one" { run = 'true' }
CONF
# rows N: so many changes, of two rows each.
rows() {
    n=0
    while [ $n -lt "$1" ]; do
        n=$((n + 1))
        printf '{"method":"io.bmd.Control.Lock","parameters":{"key":"%s-l%d","application":"shop","stage":"live","reason":"row %d"}}\0' "$2" $n $n
        printf '{"method":"io.bmd.Control.Unlock","parameters":{"key":"%s-u%d","application":"shop","stage":"live"}}\0' "$2" $n
    done | socat -t 30 - "UNIX-CONNECT:$BMD_SOCKET" | tr '\0' '\n' | grep -c '"parameters"' >"$HOME_DIR/done"
    is "changes" $(($1 * 2)) "$(cat "$HOME_DIR/done")"
}
whole() {
    is "$1: the oldest row" 1 "$(bmctl --json audit -n 100000 | jq '[.rows[].id] | min')"
    is "$1: rows that were cut" 0 "$(bmctl --json audit -n 100000 | jq '[.rows[] | select(.method == "Cut")] | length')"
}
fake_start
rows 150 before
whole "before"
set_clock +90000
poke
[ -n "$(doubt)" ] || FAIL "the clock is not doubted"
rows 100 doubted
whole "doubted"
retry trusts || FAIL "the clock is not believed again"
rows 100 believed
whole "believed"
# Nor at the next start.
bmd_stop
fake_start
rows 100 started
whole "started anew"
bmd_stop
OK "a clock that is a day ahead empties no audit"
