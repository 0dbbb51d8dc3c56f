# bmd is killed, the run ends without it: the next bmd takes its result from the run folder. One that is damaged is no result,
# and the job is lost instead of running for ever.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"
. "$top_srcdir/tests/it/recover.sh"

begin_run
bmd_kill
: >"$HOME_DIR/go"
retry test -s "$HOME_DIR/state/runs/$job/result" || FAIL "the run left no result"
bmd_start
is "its end" succeeded "$(ended "$job")"
is "starts of the step" 1 "$(wc -l <"$HOME_DIR/began")"
is "its step" "hold succeeded 0" "$(ask GetJob "{\"job\":$job}" '.job.steps[] | "\(.name) \(.state) \(.exit_code)"')"
is "live" 1.0.0/1 "$(live_build)"
OK "a result is taken from the run folder"

rm "$HOME_DIR/began" "$HOME_DIR/go"
job=$(deploy second)
retry test -s "$HOME_DIR/began" || FAIL "the second step did not begin"
retry in_state "$job" running
pid=$(run_pid "$job")
bmd_kill
: >"$HOME_DIR/go"
retry test -s "$HOME_DIR/state/runs/$job/result" || FAIL "the second run left no result"
retry test ! -d "/proc/$pid" || FAIL "bmd-run is still there"
printf x | dd of="$HOME_DIR/state/runs/$job/result" bs=1 seek=3 conv=notrunc 2>/dev/null
bmd_start
is "its end" lost "$(ended "$job")"
case $(ask GetJob "{\"job\":$job}" .job.message) in
*"its result, in the run folder $HOME_DIR/state/runs/$job, is damaged ("*"): nobody knows how it ended") ;;
*) FAIL "it does not say what happened: $(ask GetJob "{\"job\":$job}" .job.message)" ;;
esac
is "the stage" "$job" "$(ask GetStatus '{}' .stages[0].dirty.job)"
is "occupied by" null "$(ask GetStatus '{}' .stages[0].occupied_by)"
job=$(deploy third)
is "the way back" succeeded "$(ended "$job")"
bmd_stop
OK "a damaged result is none"
