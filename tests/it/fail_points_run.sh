# bmd-run and bmd-import die at each of their points under a living bmd. What cannot have run is begun again; what has its
# result is taken; the rest is lost, swept and said, and the stage is free.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"
. "$top_srcdir/tests/it/fail.sh"
begin

# play POINT STATE [N]
play() {
    arm "$RUN" "$1" "${3:-1}"
    key=$1-${3:-1}
    other
    job=$(deploy "$key")
    state=$(ended "$job")
    retry hit "$RUN" || FAIL "the point $key was not passed"
    is "$key: the end" "$2" "$state"
    is "$key: occupied by" null "$(occupied)"
    [ "$(ran "$job" one)" -le 1 ] && [ "$(ran "$job" two)" -le 1 ] || FAIL "$key: a step ran twice"
    case $2 in
    succeeded) whole "$job" "$key" ;;
    lost) is "$key: dirty" "$job" "$(ask GetStatus '{}' '.stages[0].dirty.job')" ;;
    esac
}
other; whole "$(deploy first)" "the first"
# Before the claim: no step can have run.
for point in run-request folder-made run-locked run-ready-before run-ready-after run-go claim-before; do
    play $point succeeded
done
OK "before the claim: begun again, once"
for point in claim-linked run-claimed event-before event-written step-before step-started step-ended; do
    play $point lost
done
play step-ended lost 3
# Before and after each event of a run, until there is none more: only behind the last of them is the end known.
for point in event-before event-written; do
    n=1
    while [ $n -le 12 ]; do
        arm "$RUN" $point $n
        other
        job=$(deploy "each-$point-$n")
        state=$(ended "$job")
        hit "$RUN" || break
        is "$point, the $n. event" lost "$state"
        is "$point, the $n. event: occupied by" null "$(occupied)"
        [ "$(ran "$job" one)" -le 1 ] && [ "$(ran "$job" two)" -le 1 ] || FAIL "$point-$n: a step ran twice"
        n=$((n + 1))
    done
    rm -f "$RUN.fail"
    is "$point, behind the last event" succeeded "$state"
    [ $n -ge 8 ] || FAIL "a run of three steps has only $((n - 1)) events"
done
OK "after the claim, before the result: lost, and the stage is free"
for point in result-told result-before result-written result-renamed run-over; do play $point succeeded; done
OK "after the result was told: taken"
# The child that places files dies: the step's second attempt mends it; `current` is never anything but a whole build.
for point in place-made place-named switch-before switch-after; do
    rm -rf "$HOME_DIR/srv/releases/1.0-$((3 - BUILD))"
    play $point succeeded
done
OK "placing, killed: the next attempt mends it"

for point in import-read import-put import-done; do
    arm "$IMPORT" $point
    echo "$point" >"$HOME_DIR/build/file"
    bmctl build add shop "$point" site="$HOME_DIR/build" >/dev/null 2>&1 && FAIL "$point: an import that was killed succeeded"
    hit "$IMPORT" || FAIL "the point $point was not passed"
    expect 0 bmctl build add shop "$point" site="$HOME_DIR/build"
    prints "shop $point/1"
done
expect 0 bmctl build verify
OK "imports that were killed leave nothing half"
bmd_stop
OK "every point of bmd-run and bmd-import"
