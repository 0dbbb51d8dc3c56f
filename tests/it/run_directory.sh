# run-directory is another one after a restart, while a run goes on, or has ended, in the old one: nobody can say by the new one that
# the run never began, so it is not begun again. Set back, or moved there, the run is found.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/unshared.sh"
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"
. "$top_srcdir/tests/it/recover.sh"

message() { ask GetJob "{\"job\":$job}" .job.message; }
# not_here DIRECTORY: the job stays, says why, and is not begun again.
not_here() {
    says_so() { case $(message) in "its run folder is not in $1, which is not the run directory that it began in: "*) ;; *) return 1 ;; esac; }
    retry says_so "$1" || FAIL "it says: $(message)"
    is "its state" running "$(state "$job")"
    is "starts of the step" "$begun" "$(wc -l <"$HOME_DIR/began")"
    expect 0 bmctl status
    prints "warning: job $job: its run folder is not in $1"
}
begun=1
begin_run
bmd_kill
configure "run-directory = \"$HOME_DIR/elsewhere\""
bmd_start
not_here "$HOME_DIR/elsewhere"
bmd_stop
bmd_start # a second restart does not make it the right one
not_here "$HOME_DIR/elsewhere"
bmd_stop
configure
bmd_start
retry in_state "$job" running
: >"$HOME_DIR/go"
is "its end" succeeded "$(ended "$job")"
OK "another run directory: the run is not begun again, and found when it is set back"

# A run whose folder was moved along.
rm "$HOME_DIR/go"
job=$(deploy second)
begun=2
begins() { [ "$(wc -l <"$HOME_DIR/began")" = $begun ]; }
retry begins || FAIL "the second step did not begin"
retry in_state "$job" running
bmd_stop
: >"$HOME_DIR/go"
retry test -s "$HOME_DIR/state/runs/$job/result" || FAIL "the run left no result"
mv "$HOME_DIR/state/runs/$job" "$HOME_DIR/elsewhere/$job"
configure "run-directory = \"$HOME_DIR/elsewhere\""
bmd_start
is "its end" succeeded "$(ended "$job")"
bmd_stop
OK "a run folder that was moved along"

# The same path, and another file system: what was mounted there is not, or is new.
bmd_start # with nothing on its way it becomes the run directory
rm "$HOME_DIR/go"
job=$(deploy third)
begun=3
retry begins || FAIL "the third step did not begin"
retry in_state "$job" running
bmd_stop
mount -t tmpfs -o mode=711 bmd-test "$HOME_DIR/elsewhere" || SKIP "needs to mount"
at_exit "umount -l '$HOME_DIR/elsewhere'"
bmd_start
not_here "$HOME_DIR/elsewhere"
mkdir "$HOME_DIR/elsewhere/$job" && touch "$HOME_DIR/elsewhere/$job/started"
: >"$HOME_DIR/go"
is "its end" lost "$(ended "$job")"
bmd_stop
OK "another file system: not begun again, and lost only when somebody says so"
