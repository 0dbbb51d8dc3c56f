#!/bin/sh
# Who waits or follows notices nothing of a bmd that is stopped, killed and started again: the end is the true one, and each line of
# output is there once. While bmd is away a --timeout passes as always.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"

application app <<'CONF'
    stages = {"good", "bad"}
    stage "good" { plan = "one"  variables = {"CODE=0"} }
    stage "bad"  { plan = "one"  variables = {"CODE=7"} }
CONF
plan one <<CONF
    step "gate" { run = 'echo "line 1"; n=1; while [ -e "$HOME_DIR/gate.\$n" ]; do
        while [ ! -e "$HOME_DIR/open.\$n" ]; do sleep 0.05; done; n=\$((n + 1)); echo "line \$n"; done; exit "\$CODE"' }
CONF
bmd_start
expect 0 bmctl build add app 1
touch "$HOME_DIR/gate.1" "$HOME_DIR/gate.2" "$HOME_DIR/gate.3"
expect 0 bmctl --json deploy app 1 --to good --now --no-follow
good=$(jq .job.id "$HOME_DIR/out")
bmctl deploy app 1 --to bad --now --follow >"$HOME_DIR/followed" 2>&1 &
following=$!
bad() { bmctl --json status app | jq -e '.stages[] | select(.stage == "bad") | .running'; }
retry bad || FAIL "the second one does not run"
bad=$(bad)
bmctl wait "$good" "$bad" >"$HOME_DIR/waited" 2>&1 &
waiting=$!
bmctl log -f "$good" >"$HOME_DIR/log" 2>&1 &
logging=$!
seen() { grep -q "| line $1\$" "$HOME_DIR/followed" && grep -q "| line $1\$" "$HOME_DIR/log"; }

retry seen 1 || FAIL "the output is not followed"
bmd_stop
touch "$HOME_DIR/open.1" # a line that comes while bmd is away
bmd_start
retry seen 2 || FAIL "the output is not followed over a stop"
bmd_kill
touch "$HOME_DIR/open.2"
bmd_start
retry seen 3 || FAIL "the output is not followed over a kill"
bmctl wait "$good" --timeout 2s >"$HOME_DIR/late" 2>&1 &
late=$!
retry sh -c 'grep -q bmctl "/proc/$1/cmdline" && ls -l "/proc/$1/fd" | grep -q socket' sh $late || FAIL "it does not wait"
bmd_stop
wait $late
is "a timeout while bmd is away" 7 $?
grep -q "job $good goes on" "$HOME_DIR/late" || { cat "$HOME_DIR/late"; FAIL "it does not say that the job goes on"; }
touch "$HOME_DIR/open.3" # both end without bmd
bmd_start

wait $waiting
is "exit code of wait" 1 $?
grep -q "^job $good succeeded" "$HOME_DIR/waited" && grep -q "^job $bad failed" "$HOME_DIR/waited" ||
    { cat "$HOME_DIR/waited"; FAIL "wait does not tell both ends"; }
wait $following
is "exit code of --follow" 1 $?
wait $logging
is "exit code of log -f" 0 $?
for file in followed log; do
    is "lines of $file" "line 1 line 2 line 3 line 4" "$(sed -n 's/.*| \(line [0-9]\)$/\1/p' "$HOME_DIR/$file" | xargs)"
done
is "the code of the step" 7 "$(job "$bad" exit_code)"
OK "waiting and following over a stop, a kill and an end without bmd"
bmd_stop
