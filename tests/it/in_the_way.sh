# What is in the way of a job that bmd has in its hands is said: by the job itself, by status, with the next step. And it is over as
# soon as nothing is in the way any more.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"
. "$top_srcdir/tests/it/recover.sh"
. "$top_srcdir/tests/it/programs.sh"

waits_text() { ask GetJob "{\"job\":$1}" .job.waits_for.text; }
# waits_as JOB PATTERN; warned PATTERN: for retry.
waits_as() { case $(waits_text "$1") in $2) ;; *) return 1 ;; esac; }
warned() { case $(ask GetStatus '{}' '.warnings[]') in $1) ;; *) return 1 ;; esac; }
runs=$HOME_DIR/state/runs

# ---- a job that was starting: its run folder is none
bmd_start
add_build
: >"$HOME_DIR/go"
arm "$BMD" request-sent
deploy first >/dev/null 2>&1
retry dead || FAIL "bmd passes no request-sent"
wait "$BMD_PID" 2>/dev/null
BMD_PID=
job=1
left() { ! pgrep -f "bmd-run -c $BMD_CONF"; }
retry left || FAIL "bmd-run does not leave"
rm -rf "${runs:?}/$job"
: >"$runs/$job"
bmd_start
is "its state" queued "$(state $job)"
retry waits_as $job "cannot open the run folder $runs/$job: *" || FAIL "it waits as: $(waits_text $job)"
retry warned "job $job: cannot open the run folder $runs/$job: *" || FAIL "status warns of: $(ask GetStatus '{}' .warnings)"
rm "$runs/$job"
is "its end" succeeded "$(ended $job)"
retry warned "" || FAIL "status still warns of: $(ask GetStatus '{}' .warnings)"
is "starts of the step" 1 "$(wc -l <"$HOME_DIR/began")"
OK "a start whose run folder cannot be read"

# ---- a start that stops half way, behind the job's row
bmd_stop
: >"$HOME_DIR/bmd.log"
echo "request 5 1 once" >"$BMD.fault"
bmd_start
job=$(deploy half)
is "what stood in the way" "nothing can be started: the database failed (disk I/O error)" "$(waits_text "$job")"
is "its end" succeeded "$(ended "$job")"
rm "$BMD.fault"
is "starts of the step" 2 "$(wc -l <"$HOME_DIR/began")"
OK "a start that stops half way is none"

# ---- a bmd-run of before, that was not told to begin and does not leave
arm "$RUN" run-locked 1 19
job=$(deploy second)
retry hit "$RUN" || FAIL "bmd-run passes no run-locked"
bmd_kill
bmd_start
waits_as "$job" "it is being started" || FAIL "it waits at first as: $(waits_text "$job")"
retry waits_as "$job" "a bmd-run that was not told to begin still has its run folder $runs/$job: *" || FAIL "it waits as: $(waits_text "$job")"
pid=$(cut -d ' ' -f 2 "$RUN.hit")
kill -CONT "$pid"
is "its end" succeeded "$(ended "$job")"
is "its message" null "$(ask GetJob "{\"job\":$job}" .job.message)"
is "starts of the step" 3 "$(wc -l <"$HOME_DIR/began")"
OK "a start that waits for a bmd-run of before"

# ---- a run that is over: its result, or its claim, cannot be read
# run_without_bmd KEY: a run that ends while bmd is away; its job in $job.
run_without_bmd() {
    rm "$HOME_DIR/go"
    began=$(wc -l <"$HOME_DIR/began")
    job=$(deploy "$1")
    begins() { [ "$(wc -l <"$HOME_DIR/began")" -gt "$began" ]; }
    retry begins || FAIL "$1: the step did not begin"
    retry in_state "$job" running
    pid=$(run_pid "$job")
    bmd_kill
    : >"$HOME_DIR/go"
    retry test -s "$runs/$job/result" || FAIL "$1: the run left no result"
    retry test ! -d "/proc/$pid" || FAIL "$1: bmd-run is still there"
}
for end in succeeded lost; do
    run_without_bmd "unread-$end"
    mv "$runs/$job/result" "$HOME_DIR/result"
    mkdir "$runs/$job/result"
    bmd_start
    says="the run folder $runs/$job: its file \"result\" is not a plain file *: should that last, move the file out of the folder, and the job ends as lost"
    retry warned "job $job: $says" || FAIL "status warns of: $(ask GetStatus '{}' .warnings)"
    is "its state" running "$(state "$job")"
    case $(ask GetJob "{\"job\":$job}" .job.message) in $says) ;; *) FAIL "it says: $(ask GetJob "{\"job\":$job}" .job.message)" ;; esac
    rmdir "$runs/$job/result"
    [ $end = lost ] || mv "$HOME_DIR/result" "$runs/$job/result"
    is "its end" $end "$(ended "$job")"
    retry warned "" || FAIL "status still warns of: $(ask GetStatus '{}' .warnings)"
done
is "the stage" "$job" "$(ask GetStatus '{}' .stages[0].dirty.job)"
OK "a result that cannot be read"

expect 0 bmctl settle shop production 1.0.0/1 --reason looked
run_without_bmd claim
rm "$runs/$job/started"
mkdir "$runs/$job/started"
bmd_start
is "its end" succeeded "$(ended "$job")"
OK "a claim that cannot be read, beside a result"
bmd_stop
