#!/bin/sh
# Promises 1, 2, 3, 4 and 6: bmd is killed again and again, at moments that nobody chose, while jobs are asked for, start,
# run and end. Every accepted job is there and ends, no job starts twice, and each has the result that its run had.
# KILLS: how often.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"

: "${KILLS:=12}"
configure 'max-running = 2'
application app <<CONF
    stages = {"a", "b", "c"}
    stage "a" { plan = "one"  on-failure = "continue" }
    stage "b" { plan = "one"  on-failure = "continue" }
    stage "c" { plan = "one"  on-failure = "continue" }
CONF
plan one <<CONF
    step "begin" { run = 'echo "\$BM_JOB" >>$HOME_DIR/begun' }
    step "last"  { run = 'sleep 0.1' }
    step "end"   { run = 'echo "\$BM_JOB" >>$HOME_DIR/ended; test \$((BM_JOB % 5)) != 0' }
CONF
: >"$HOME_DIR/begun"
: >"$HOME_DIR/ended"
: >"$HOME_DIR/accepted"
bmd_start
expect 0 bmctl build add app 1.0
n=0
while [ $n -lt "$KILLS" ]; do
    n=$((n + 1))
    for stage in a b c; do
        (bmctl --json deploy app 1.0/1 --to $stage --now --no-follow --if-changed run 2>/dev/null |
            jq '.job.id // empty' >>"$HOME_DIR/accepted") &
        askers="${askers-} $!"
    done
    sleep "0.$(od -An -N1 -tu1 /dev/urandom | tr -d ' ')"
    bmd_kill
    wait ${askers}
    askers=
    bmd_start
done
idle() { [ "$(ask ListQueue '{}' '.jobs | length')" = 0 ]; }
for try in 1 2 3 4; do retry idle && break; done
idle || { bmctl queue; FAIL "jobs wait for ever"; }
bmctl --json history app -n 1000 | jq -r '.jobs[] | "\(.id) \(.state)"' >"$HOME_DIR/history"
bad=$(sort -n "$HOME_DIR/begun" | uniq -d)
[ -z "$bad" ] || FAIL "started twice: $bad"
while read -r id; do
    grep -q "^$id " "$HOME_DIR/history" || FAIL "job $id was accepted and is not there"
done <"$HOME_DIR/accepted"
while read -r id state; do
    case $((id % 5)) in 0) want=failed ;; *) want=succeeded ;; esac
    [ "$state" = $want ] || { bmctl show "$id"; FAIL "job $id is $state, its run $want"; }
    grep -qx "$id" "$HOME_DIR/ended" || FAIL "job $id is $state and did not end"
done <"$HOME_DIR/history"
is "jobs that began" "$(wc -l <"$HOME_DIR/history")" "$(wc -l <"$HOME_DIR/begun")"
[ "$(wc -l <"$HOME_DIR/history")" -ge "$KILLS" ] || FAIL "only $(wc -l <"$HOME_DIR/history") jobs were accepted"
bmd_stop
OK "$(wc -l <"$HOME_DIR/history") jobs over $KILLS kills"
