# The run folder of a run that goes on is removed by somebody: nobody knows how far it came, and it is not begun again.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"
. "$top_srcdir/tests/it/recover.sh"

message() { ask GetJob "{\"job\":$job}" .job.message; }
# Nobody restarts anything: what bmd-run says is enough.
begin_run
rm -r "$HOME_DIR/state/runs/$job"
: >"$HOME_DIR/go"
is "its end" succeeded "$(ended "$job")"
OK "a run that is tended ends as it ended"

rm "$HOME_DIR/go"
job=$(deploy second)
begins() { [ "$(wc -l <"$HOME_DIR/began")" = 2 ]; }
retry begins || FAIL "the second step did not begin"
retry in_state "$job" running
pid=$(run_pid "$job")
bmd_kill
rm -r "$HOME_DIR/state/runs/$job"
bmd_start
is "its end" lost "$(ended "$job")"
is "its message" "its run folder $HOME_DIR/state/runs/$job was removed meanwhile: nobody knows how far the run came, and its processes may still be there: look, then bmctl settle" \
    "$(message)"
is "occupied by" "$job" "$(ask GetStatus '{}' '.stages[0].occupied_by')"
is "starts of the step" 2 "$(wc -l <"$HOME_DIR/began")"
: >"$HOME_DIR/go"
gone() { [ ! -d "/proc/$pid" ]; }
retry gone || kill_tree "$pid"
bmd_stop
OK "one that bmd comes back to is lost"
