# bmd dies before and after each fork, message, event, end and reply: the job that was asked for runs once, and succeeds.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"
. "$top_srcdir/tests/it/fail.sh"
begin
for point in fork-before fork-after request-sent ready-got go-before go-after event-got event-committed result-got \
    end-committed reply-before reply-after commit-before commit-after; do
    play_bmd "$point" || FAIL "the point $point was not passed"
done
OK "each fork, message, event, end and reply"

# While it recovers, with a run that goes on: adopted in the end.
for point in recover-before recover-after decide; do
    : >"$HOME_DIR/gate"
    other
    job=$(deploy "$point")
    began() { [ "$(ran "$job" one)" = 1 ]; }
    retry began || FAIL "$point: the step does not begin"
    bmd_kill
    arm "$BMD" "$point"
    bmd -c "$BMD_CONF" 2>>"$HOME_DIR/bmd.log" &
    BMD_PID=$!
    bmd_again "$point"
    rm "$HOME_DIR/gate"
    whole "$job" "$point"
done
OK "recovery that dies is begun again"

# And again and again: each recovery dies as well, at another place.
: >"$HOME_DIR/gate"
other
job=$(deploy again)
began() { [ "$(ran "$job" one)" = 1 ]; }
retry began || FAIL "the step does not begin"
bmd_kill
for point in recover-before decide recover-after commit-before decide recover-before; do
    arm "$BMD" "$point"
    bmd -c "$BMD_CONF" 2>>"$HOME_DIR/bmd.log" &
    BMD_PID=$!
    retry dead || FAIL "bmd did not die at $point, in a row"
    wait "$BMD_PID" 2>/dev/null
done
bmd_start
rm "$HOME_DIR/gate"
whole "$job" "after six recoveries that died"
OK "recovery that dies again and again"

# A cancel that was committed and not told.
: >"$HOME_DIR/gate"
other
job=$(deploy cancel)
retry began || FAIL "the step does not begin"
retry in_state "$job" running
arm "$BMD" cancel-before
call Cancel "{\"key\":\"c\",\"job\":$job}" >/dev/null 2>&1
bmd_again cancel-before
is "a cancel over a crash" cancelled "$(ended "$job")"
rm "$HOME_DIR/gate"
OK "a cancel is told by the next bmd"
is "jobs that are one in the history" 0 "$(ask ListHistory '{}' '[.jobs[].reason | select(. != null)] | length')"
bmd_stop
OK "every point of bmd"
