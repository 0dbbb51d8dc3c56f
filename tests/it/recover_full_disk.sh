# The disk is full when a run ends: bmd says so, refuses changes, goes on answering, and records the result when there is room.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/unshared.sh"
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"
. "$top_srcdir/tests/it/recover.sh"
small_state 8m

begin_run
dd if=/dev/zero of="$HOME_DIR/state/filler" bs=64k 2>/dev/null
dd if=/dev/zero of="$HOME_DIR/state/filler2" bs=1 count=65536 2>/dev/null
fill_database() { # until a change is refused
    n=$((n + 1))
    call Lock "{\"key\":\"f$n\",\"application\":\"shop\",\"stage\":\"production\",\"reason\":\"$(head -c 3000 /dev/zero | tr '\0' x)\"}" | grep -q NoSpace
}
n=0
retry fill_database || FAIL "no change was ever refused"
: >"$HOME_DIR/go"
retry test -s "$HOME_DIR/state/runs/$job/result" || FAIL "the run could not write its result on a full disk"
is "while the disk is full" running "$(state "$job")"
warned() { ask GetStatus '{}' '.warnings[]' | grep -q "job $job:"; }
retry warned || FAIL "status does not say that the result cannot be recorded"
rm "$HOME_DIR/state/filler" "$HOME_DIR/state/filler2"
is "with room again" succeeded "$(ended "$job")"
is "its step" "hold succeeded 0" "$(ask GetJob "{\"job\":$job}" '.job.steps[] | "\(.name) \(.state) \(.exit_code)"')"
is "live" 1.0.0/1 "$(live_build)"
bmd_stop
OK "a full disk loses nothing"
