# A run that was adopted can be cancelled, by the next bmd, and a cancel that bmd did not live to pass on is passed on.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"
. "$top_srcdir/tests/it/recover.sh"

begin_run
pid=$(run_pid "$job")
bmd_kill
bmd_start
is "the adopted job" running "$(state "$job")"
is "cancel" "$job" "$(ask Cancel "{\"key\":\"c\",\"job\":$job}" .job.id)"
is "its end" cancelled "$(ended "$job")"
is "who ended it" "$(id -un)" "$(ask GetJob "{\"job\":$job}" .job.ended_by)"
retry test ! -d "/proc/$pid" || FAIL "bmd-run is still there"

# The cancel is committed while bmd-run cannot hear it; bmd dies.
rm -f "$HOME_DIR/began"
job=$(deploy second)
retry test -s "$HOME_DIR/began" || FAIL "the second step did not begin"
retry in_state "$job" running
pid=$(run_pid "$job")
kill -STOP "$pid"
ask Cancel "{\"key\":\"c2\",\"job\":$job}" .job.id >/dev/null
bmd_kill
kill -CONT "$pid"
bmd_start
is "the end of the second" cancelled "$(ended "$job")"

# In the grace of a step that was told to end bmd is restarted: the step has its time all the same.
plan hold <<'CONF'
    step "hold" { run = 'trap "sleep 1; echo tidied >\"$DIR/tidied\"; exit 3" TERM; echo began >>"$DIR/began"; until [ -e "$DIR/go" ]; do sleep 0.05; done' }
CONF
expect 0 bmctl reload
rm -f "$HOME_DIR/began"
job=$(deploy third)
retry test -s "$HOME_DIR/began" || FAIL "the third step did not begin"
retry in_state "$job" running
ask Cancel "{\"key\":\"c3\",\"job\":$job}" .job.id >/dev/null
bmd_kill
bmd_start
is "the end of the third" cancelled "$(ended "$job")"
test -e "$HOME_DIR/tidied" || FAIL "a restart of bmd has killed the step in its grace"
bmd_stop
OK "an adopted run is cancelled"
