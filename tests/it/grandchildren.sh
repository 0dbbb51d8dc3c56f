#!/bin/sh
# Promise 5: a run is over when the last of its processes is gone. What a step leaves behind, in a session of its own, perhaps deaf
# to TERM and with its descriptors closed, is ended with the step, with a cancel and with a timeout.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"

configure
application app <<CONF
    stages = {"quick", "slow", "late"}
    stage "quick" { plan = "quick"  variables = {"DIR=$HOME_DIR", "DEAF=TERM HUP INT"} }
    stage "slow"  { plan = "slow"  variables = {"DIR=$HOME_DIR", "DEAF=HUP"} }
    stage "late"  { plan = "late"  variables = {"DIR=$HOME_DIR", "DEAF=HUP"} }
CONF
cat >"$HOME_DIR/leave" <<'SH'
#!/bin/sh
# A daemon as they are written: twice forked, in a session of its own.
(setsid sh -c 'trap "" $DEAF; echo $$ >>"$DIR/left"; exec >/dev/null 2>&1 </dev/null; while :; do sleep 1; done' &)
until [ -s "$DIR/left" ]; do sleep 0.01; done
SH
chmod 755 "$HOME_DIR/leave"
plan quick <<'CONF'
    step "leave" { exec = {'$DIR/leave'} }
    step "gone"  { run = 'for p in $(cat "$DIR/left"); do ! kill -0 $p; done' }
CONF
plan slow <<'CONF'
    step "leave" { run = '"$DIR/leave"; touch "$DIR/waits"; exec sleep 60' }
CONF
plan late <<'CONF'
    step "leave" { run = '"$DIR/leave"; exec sleep 60'  timeout = "1s" }
CONF
gone() {
    [ -s "$HOME_DIR/left" ] || FAIL "nothing was left: the test does not test"
    while read -r pid; do [ ! -d "/proc/$pid" ] || FAIL "process $pid is still there"; done <"$HOME_DIR/left"
    : >"$HOME_DIR/left"
}
: >"$HOME_DIR/left"
bmd_start
expect 0 bmctl build add app 1.0
expect 0 bmctl deploy app 1.0/1 --to quick --now --wait
gone
bmctl log 1 | grep -q 'left behind' || { bmctl log 1; FAIL "the log does not say that something was left"; }
OK "with the step"
expect 1 bmctl deploy app 1.0/1 --to late --now --wait
gone
OK "with the timeout"
id=$(bmctl --json deploy app 1.0/1 --to slow --now --no-follow | jq .job.id)
retry test -e "$HOME_DIR/waits" || FAIL "the step did not begin"
expect 0 bmctl cancel "$id"
expect 0 bmctl cancel "$id" # a second one: at once
expect 6 bmctl wait "$id"
gone
OK "with a cancel"
bmd_stop
