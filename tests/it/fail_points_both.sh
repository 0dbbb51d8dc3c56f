# bmd dies after `go`, and its bmd-run at each of its points: the next bmd decides by the run folder alone.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"
. "$top_srcdir/tests/it/fail.sh"
begin

# play POINT STATE
play() {
    arm "$RUN" "$1"
    arm "$BMD" go-after
    other
    job=$(deploy "$1")
    retry hit "$RUN" || FAIL "the point $1 was not passed"
    bmd_again "$1"
    is "$1: the end" "$2" "$(ended "$job")"
    [ "$2" = lost ] || { whole "$job" "$1"; return; }
    # Nobody swept it, for bmd was dead: unless a cgroup tells, a human does.
    cgroup=$(jq -r '.cgroup // ""' "$HOME_DIR/state/runs/$job/started")
    if [ -z "$cgroup" ]; then
        is "$1: occupied by" "$job" "$(occupied)"
        expect 0 bmctl settle shop production --unknown --reason looked
    fi
    is "$1: occupied by" null "$(occupied)"
}
for point in run-go claim-before; do play $point succeeded; done
for point in claim-linked run-claimed event-before event-written step-before step-started step-ended result-told result-before result-written; do
    play $point lost
done
for point in result-renamed run-over; do play $point succeeded; done
OK "both dead: begun again, lost or taken, by the folder alone"

# bmd-run stands still before its claim while bmd dies and comes back: it holds the lock, so it is waited for, and adopted.
arm "$BMD" go-after
arm "$RUN" claim-before 1 19
other
job=$(deploy frozen)
retry hit "$RUN" || FAIL "bmd-run does not stop"
bmd_again go-after
pid=$(tail -n 1 "$RUN.hit" | cut -d ' ' -f 2)
is "while its bmd-run stands still" running "$(state "$job")"
kill -CONT "$pid"
whole "$job" frozen
OK "a bmd-run that was told to go is waited for"
bmd_stop
