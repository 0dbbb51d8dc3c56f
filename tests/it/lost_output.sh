#!/bin/sh
# A standard output that is full or closed: whatever is printed and however, the exit code and a sentence say that it is lost, the
# work is done all the same, and a stream that is closed is never taken by a connection or the database.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"

[ -w /dev/full ] || SKIP "no /dev/full"
application shop <<CONF
    stages = {"testing"}
    stage "testing" { plan = "one" }
CONF
plan one <<'CONF'
    step "note" { run = 'echo noted' }
CONF
configure
# bmd itself is started without any stream: its sentences are lost, not written into what it opens.
bmd -c "$BMD_CONF" <&- >&- 2>&- &
BMD_PID=$!
retry call GetStatus '{}' || FAIL "bmd does not answer"
retry sh -c "bmctl version >/dev/null" || FAIL "bmd did not start"
expect 0 bmctl build add shop 1.0
expect 0 bmctl deploy shop 1.0 --to testing --now --wait
for fd in 0 1 2; do
    is "bmd's descriptor $fd" /dev/null "$(readlink "/proc/$BMD_PID/fd/$fd")"
done

lost() { # lost CODE SENTENCE COMMAND…
    is "exit code of $3" 1 "$1"
    sentence=$2
    shift 2
    grep -qF "bmctl: standard output: $sentence" "$HOME_DIR/err" || FAIL "not said of $*: $(cat "$HOME_DIR/err")"
}
for line in status queue history 'log 1' 'show 1' 'build list shop' '--json status' '--json log 1' 'wait 1' 'deploy shop 1.0 --to testing --now --wait' \
    'deploy shop 1.0 --to testing --now --follow' 'at 02:00'; do
    bmctl $line >/dev/full 2>"$HOME_DIR/err"
    lost $? 'No space left on device' $line
    bmctl $line >&- 2>"$HOME_DIR/err"
    lost $? 'Bad file descriptor' $line
done
is "jobs that succeeded" 5 "$(bmctl --json history shop | jq '[.jobs[] | select(.state == "succeeded")] | length')"
OK "full and closed"
bmd_stop
