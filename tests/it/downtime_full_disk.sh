# The disk is full when bmd starts: that it was down for longer than the grace of a --now job could not be written then, and
# holds the job all the same.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/unshared.sh"
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"
. "$top_srcdir/tests/it/recover.sh"
small_state 8m

now() { ask Deploy "{\"key\":\"$1\",\"application\":\"shop\",\"release\":\"1.0.0\",\"build\":1,\"stage\":\"production\",\"now\":true,\"grace_us\":$2}" .job.id; }
in_future() { date -u -d "+$1" +%Y-%m-%dT%H:%M:%S.%6NZ; }
configure 'disk-reserve = "0B"' # so that the start comes as far as its commit
begin_run
short=$(now short 100000)
bmd_stop
due=$(in_future 1second)
passed() { [ "$(date -u +%Y-%m-%dT%H:%M:%S.%6NZ)" \> "$due" ]; }
retry passed
dd if=/dev/zero of="$HOME_DIR/state/filler" bs=64k 2>/dev/null
dd if=/dev/zero of="$HOME_DIR/state/filler2" bs=1 count=65536 2>/dev/null
bmd_start
is "while the disk is full" queued "$(state "$short")"
rm "$HOME_DIR/state/filler" "$HOME_DIR/state/filler2"
retry in_state "$short" held || FAIL "it is not held with room again: $(state "$short")"
: >"$HOME_DIR/go"
is "the run" succeeded "$(ended "$job")"
is "one that slept" held "$(state "$short")"
long=$(now later 100000)
is "one that was asked for since" succeeded "$(ended "$long")"
bmd_stop
OK "a downtime that could not be written down is not forgotten"
