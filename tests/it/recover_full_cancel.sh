# A cancel that a full disk refused was never asked for: it does not wait in memory until bmd can reach the run.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/unshared.sh"
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"
. "$top_srcdir/tests/it/recover.sh"
small_state 8m

# The next bmd adopts the run and cannot reach it: the socket is elsewhere.
begin_run
bmd_kill
mv "$HOME_DIR/state/runs/$job/control" "$HOME_DIR/state/runs/$job/away"
bmd_start
is "the adopted job" running "$(state "$job")"

# Nothing fits any more, least of all a cancel: a lock writes no more than that.
dd if=/dev/zero of="$HOME_DIR/state/filler" bs=64k 2>/dev/null
dd if=/dev/zero of="$HOME_DIR/state/filler2" bs=1 count=65536 2>/dev/null
n=0
lock_refused() {
    n=$((n + 1))
    call Lock "{\"key\":\"f$n\",\"application\":\"shop\",\"stage\":\"production\",\"reason\":\"$(head -c "$1" /dev/zero | tr '\0' x)\"}" | grep -q NoSpace
}
retry lock_refused 3000 || FAIL "no change was ever refused"
in_a_row() { for i in 1 2 3 4 5 6; do lock_refused 1 || return 1; done; }
retry in_a_row || FAIL "small changes are never refused"
call Cancel "{\"key\":\"c\",\"job\":$job}" | grep -q NoSpace || FAIL "the cancel fitted"
is "before there is room" running "$(state "$job")"

rm "$HOME_DIR/state/filler" "$HOME_DIR/state/filler2"
mv "$HOME_DIR/state/runs/$job/away" "$HOME_DIR/state/runs/$job/control"
followed() { grep -q "job $job: following its run" "$HOME_DIR/bmd.log"; }
retry followed || FAIL "the run was not followed again"
: >"$HOME_DIR/go"
is "its end" succeeded "$(ended "$job")"
is "who ended it" null "$(ask GetJob "{\"job\":$job}" .job.ended_by)"

# Asked for again, when it fits, it ends a run as ever.
rm "$HOME_DIR/go" "$HOME_DIR/began"
ask Unlock '{"key":"u","application":"shop","stage":"production"}' . >/dev/null
job=$(deploy second)
retry test -s "$HOME_DIR/began" || FAIL "the second step did not begin"
retry in_state "$job" running
ask Cancel "{\"key\":\"c2\",\"job\":$job}" .job.id >/dev/null
is "the end of the second" cancelled "$(ended "$job")"
bmd_stop
OK "a cancel that was refused cancels nothing"
