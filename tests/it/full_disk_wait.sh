# A disk on which hardly anything is left stops starts, and not what is told to those who wait for a job.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/unshared.sh"
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"
. "$top_srcdir/tests/it/recover.sh"
small_state 16m

bmd_start
add_build
expect 0 bmctl --json deploy shop 1.0.0 --to production --at +5h --no-follow
job=$(jq .job.id "$HOME_DIR/out")
bmctl wait "$job" >"$HOME_DIR/waited" 2>&1 &
waiter=$!
dd if=/dev/zero of="$HOME_DIR/state/filler" bs=64k 2>/dev/null
expect 0 bmctl cancel "$job"
over() { ! kill -0 $waiter 2>/dev/null; }
retry over || { bmctl show "$job"; FAIL "who waits for a job that was cancelled is not told"; }
wait $waiter
is "exit code of wait" 6 $?
expect 0 bmctl status
prints "nothing can be started"
rm "$HOME_DIR/state/filler"
: >"$HOME_DIR/go"
is "the next one" succeeded "$(ended "$(deploy next)")"
bmd_stop
OK "told although nothing can be started"
