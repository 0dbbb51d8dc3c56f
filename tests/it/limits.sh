# Limits, and how near they are: plainly in status when somebody should look, all with --limits and in the reply's own key. And the room
# that is bmd's own: on a disk that others filled, runs end and are recorded, requests are refused, and with room again all goes on.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/unshared.sh"
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"
command -v socat >/dev/null && command -v jq >/dev/null || SKIP "needs socat and jq"
small_state 48m
application app <<CONF
    stages = {"a", "b", "c"}
    stage "a" { plan = "gate" }
    stage "b" { plan = "gate" }
    stage "c" { plan = "gate" }
CONF
plan gate <<CONF
    step "gate" { run = 'echo "\$BM_JOB" >>$HOME_DIR/ran; head -c 75000 /dev/zero | base64; while test -e $HOME_DIR/gate; do sleep 0.05; done' }
CONF
: >"$HOME_DIR/ran"
bmd_start
limit() { ask GetStatus '{}' ".limits[] | select(.name == \"$1\") | .$2"; }
expect 0 bmctl status --limits
for name in descriptors connections uploads waiting running log notices schedules wal reserve disk database audit; do prints "$name"; done
expect 0 bmctl status
grep -q "near a limit" "$HOME_DIR/out" && FAIL "something is near: $(cat "$HOME_DIR/out")"
is "nothing is near" false "$(ask GetStatus '{}' '[.limits[].near] | any')"
blocks() { echo $(($(stat -c %b "$HOME_DIR/state/bmd.db-wal") * 512)); }
[ "$(blocks)" -ge $((3 * 1024 * 1024)) ] || FAIL "only $(blocks) bytes are reserved"
OK "every limit is told"

limits() { ask GetStatus '{}' "[.limits[] | select(.name == \"$1\") | .used, .most] | join(\" \")"; }
is "schedules" "0 10000" "$(limits schedules)"
is "the log when nothing runs" "0 2097152" "$(limits log)"
for n in 1 2; do bmctl build add app 1.0 >/dev/null 2>&1 || FAIL "build add"; done
touch "$HOME_DIR/gate"
jobs=
for stage in a b c; do
    expect 0 bmctl deploy app 1.0/1 --to $stage --now --no-follow --json
    jobs="$jobs $(jq .job.id "$HOME_DIR/out")"
done
for job in $jobs; do retry in_state "$job" running || FAIL "job $job does not run"; done
flooded() { [ "$(limit log used)" -ge 100000 ] && [ "$(limit log used)" -le "$(limit log most)" ]; }
retry flooded || FAIL "100 KB of output of a run are $(limit log used) bytes of its log"
expect 0 bmctl deploy app 1.0/2 --to a --now --no-follow --json
waiting=$(jq .job.id "$HOME_DIR/out")
dd if=/dev/zero of="$HOME_DIR/state/filler" bs=64k 2>/dev/null
dd if=/dev/zero of="$HOME_DIR/state/filler2" bs=1 count=65536 2>/dev/null
expect 1 bmctl deploy app 1.0/2 --to b --at +1h --no-follow
says "no space for new requests: the"
says "are kept for the results of runs; make room, then ask again"
expect 0 bmctl status
prints "near a limit: disk"
is "the disk is near its end" true "$(limit disk near)"
rm "$HOME_DIR/gate"
for job in $jobs; do
    retry in_state "$job" succeeded || FAIL "the end of job $job is not recorded on a full disk: $(state "$job")"
done
is "what is left to be recorded" '' "$(ask GetStatus '{}' '.warnings[]' | grep 'job [0-9]*:')"
is "nothing starts meanwhile" queued "$(state "$waiting")"
ask GetStatus '{}' '.warnings[]' | grep -q "nothing can be started: no space for new requests" || FAIL "why nothing starts is not said"
expect 0 bmctl lock app c --reason "stopping works"

OK "a full disk: the ends of runs are recorded, requests are refused"

bmd_kill
bmd_start
is "the ends after a crash" "succeeded succeeded succeeded" "$(for job in $jobs; do state "$job"; done | paste -sd ' ')"
rm "$HOME_DIR/state/filler" "$HOME_DIR/state/filler2"
expect 0 bmctl wait "$waiting" --timeout 1min
expect 0 bmctl deploy app 1.0/2 --to b --now --wait
is "nothing is near any more" false "$(ask GetStatus '{}' '[.limits[].near] | any')"
[ "$(blocks)" -ge $((3 * 1024 * 1024)) ] || FAIL "only $(blocks) bytes are reserved anew"
bmd_stop
OK "with room again all goes on, and the reserve is there"
