#!/bin/sh
# Who waits for a job that does not begin is told why, once for each reason, on standard error; programs are not.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"

application shop <<CONF
    stages = {"testing"}
    stage "testing" { plan = "one" }
CONF
plan one <<CONF
    step "hold" { run = 'while [ -e "$HOME_DIR/hold" ]; do sleep 0.05; done' }
CONF
bmd_start
expect 0 bmctl build add shop 1.0
touch "$HOME_DIR/hold"
expect 0 bmctl deploy shop 1.0 --to testing --now --no-follow
retry in_state 1 running || FAIL "job 1 does not run"

# Behind a run, asked for in three ways.
bmctl --json deploy shop 1.0 --to testing --now --wait >"$HOME_DIR/json" 2>"$HOME_DIR/json.err" &
json=$!
bmctl deploy shop 1.0 --to testing --now --wait >"$HOME_DIR/wait" 2>"$HOME_DIR/wait.err" &
wait=$!
bmctl deploy shop 1.0 --to testing --now --follow >"$HOME_DIR/follow" 2>"$HOME_DIR/follow.err" &
follow=$!
why='^waits: job 1 (deploy shop 1.0/1) is running on testing$'
for form in wait follow; do retry grep -q "$why" "$HOME_DIR/$form.err" || FAIL "not told: $(cat "$HOME_DIR/$form.err")"; done
rm "$HOME_DIR/hold"
for pid in $json $wait $follow; do wait $pid || FAIL "exit code $?"; done
is "told a program" '' "$(cat "$HOME_DIR/json.err")"
for form in wait follow; do is "times that it was told" 1 "$(grep -c "$why" "$HOME_DIR/$form.err")"; done
OK "behind a run"

# Its time was told at the request; a drain is told, and the job goes on after it.
expect 7 bmctl deploy shop 1.0 --to testing --at +1h --wait --timeout 3s
is "told of a time" 0 "$(grep -c '^waits' "$HOME_DIR/err")"
# Who looks at the log of a job that is due later is told when.
late=$(bmctl --json queue | jq '.jobs[0].id')
expect 7 bmctl log -f "$late" --timeout 3s
says "waits: its time, $(bmctl show "$late" | sed -n 's/^due *\(.*\) (.*/\1/p')"
expect 0 bmctl drain
bmctl deploy shop 1.0 --to testing --now --wait >"$HOME_DIR/wait" 2>"$HOME_DIR/wait.err" &
wait=$!
retry grep -q '^waits: bmd starts nothing until it is restarted' "$HOME_DIR/wait.err" || FAIL "not told: $(cat "$HOME_DIR/wait.err")"
expect 0 bmctl drain --undo
wait $wait || FAIL "exit code $?"
OK "a drain"
bmd_stop
