# The disk takes no commit of a start, and nothing showed that before, as with a quota: bmd answers, tries again every few seconds
# and no faster, says why, and starts what is due once there is room.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"
. "$top_srcdir/tests/it/recover.sh"
. "$top_srcdir/tests/it/programs.sh"
ENOSPC=28 EDQUOT=122
mv "$RUN" "$RUN.real"
printf '#!/bin/sh\necho >>"%s/launched"\nexec "%s.real" "$@"\n' "$HOME_DIR" "$RUN" >"$RUN"
chmod 755 "$RUN"
: >"$HOME_DIR/launched"
: >"$HOME_DIR/go"
bmd_start
add_build
bmd_stop

# play CODE JOB
play() {
    : >"$HOME_DIR/launched"
    rm -f "$BMD.struck"
    echo "write $1 1 on starting" >"$BMD.fault"
    bmd_start
    expect 0 bmctl deploy shop 1.0.0 --to production --at +1s --no-follow
    retry test -s "$BMD.struck" || FAIL "no commit failed"
    for n in 1 2 3 4 5 6 7 8 9 10; do
        expect 0 bmctl status
        prints "nothing can be started: no space left for the database"
        sleep 0.2
    done
    launched=$(wc -l <"$HOME_DIR/launched")
    [ "$launched" -le 4 ] || FAIL "in two seconds bmd-run was launched $launched times"
    is "the job" scheduled "$(state "$2")"
    OK "a disk that takes no start: $launched launched"

    rm "$BMD.fault"
    bmd_kill # what was read of the fault goes with it
    bmd_start
    is "its end" succeeded "$(ended "$2")"
    is "starts of the step" "$2" "$(wc -l <"$HOME_DIR/began")"
    OK "with room it is started"
    bmd_stop
}
play $ENOSPC 1
play $EDQUOT 2
OK "a quota that is used up is a full disk, too"
