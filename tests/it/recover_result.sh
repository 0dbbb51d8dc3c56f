# bmd is killed, the run ends without it: the next bmd takes its result from the run folder.
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
bmd_stop
OK "a result is taken from the run folder"
