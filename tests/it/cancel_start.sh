# What is said while a bmd-run gets ready counts: a cancelled job never begins a step, nor does one on a stage that is locked then; a drain that
# says that nothing is left starts nothing. A run that cannot be claimed waits longer each time, and says why.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"
. "$top_srcdir/tests/it/recover.sh"
: >"$HOME_DIR/go"

# A bmd-run that waits until it may.
own_programs
cat >"$HOME_DIR/tree/runner/bmd-run" <<RUN
#!/bin/sh
: >"$HOME_DIR/launched"
until [ -e "$HOME_DIR/ready" ]; do sleep 0.05; done
exec "$top_builddir/runner/bmd-run" "\$@"
RUN
bmd_start
add_build
job=$(deploy run)
retry test -e "$HOME_DIR/launched" || FAIL "bmd-run was not launched"
is "on its way" queued "$(state "$job")"
ask Cancel "{\"key\":\"c\",\"job\":$job}" .job.id >/dev/null
is "its end" cancelled "$(ended "$job")"
: >"$HOME_DIR/ready"
next=$(deploy next)
is "the next" succeeded "$(ended "$next")"
is "starts of the step" 1 "$(wc -l <"$HOME_DIR/began")"
[ ! -e "$HOME_DIR/state/runs/$job/started" ] || FAIL "the cancelled run was claimed"
is "clean" null "$(ask GetStatus '{}' '.stages[0].dirty')"
OK "cancelled before it began"

# on_its_way KEY: a job whose bmd-run has been launched and waits. JOB.
on_its_way() {
    rm -f "$HOME_DIR/ready" "$HOME_DIR/launched"
    JOB=$(deploy "$1")
    retry test -e "$HOME_DIR/launched" || FAIL "bmd-run was not launched"
}
on_its_way locked
expect 0 bmctl lock shop production --reason freeze
: >"$HOME_DIR/ready"
put_off() { grep -q "job $JOB: .*did not start ($1" "$HOME_DIR/bmd.log"; }
retry put_off "production is locked by" || FAIL "a job starts on a stage that was locked meanwhile"
is "it waits" "queued lock" "$(state "$JOB") $(job "$JOB" waits_for.kind)"
is "starts of the step" 1 "$(wc -l <"$HOME_DIR/began")"
expect 0 bmctl unlock shop production
is "unlocked" succeeded "$(ended "$JOB")"
OK "locked before it began"

# Both in one turn of bmd: what the drain counts and what it lets start are one.
rm -f "$HOME_DIR/launched"
printf '{"method":"io.bmd.Control.Deploy","parameters":{"key":"d1","application":"shop","release":"1.0.0","build":1,"stage":"production","now":true}}\0{"method":"io.bmd.Control.Drain","parameters":{"key":"d2"}}\0' |
    socat -t 5 - "UNIX-CONNECT:$BMD_SOCKET" | tr '\0' '\n' >"$HOME_DIR/both"
JOB=$(sed -n 1p "$HOME_DIR/both" | jq .parameters.job.id)
is "what is left" 0 "$(sed -n 2p "$HOME_DIR/both" | jq .parameters.drain.left)"
sleep 1
is "it waits" "queued drain" "$(state "$JOB") $(job "$JOB" waits_for.kind)"
expect 0 bmctl drain --undo
is "no longer drained" succeeded "$(ended "$JOB")"
OK "drained before it began"

# Nobody can claim this run: where its claim is made something else lies.
JOB=$((JOB + 1))
mkdir -p "$HOME_DIR/state/runs/$JOB/started.new"
chmod 700 "$HOME_DIR/state/runs/$JOB"
is "its number" "$JOB" "$(deploy unclaimed)"
longer() { grep -q "job $JOB: .*did not start (cannot prepare the run of job .*), again in $1" "$HOME_DIR/bmd.log"; }
retry longer "1 s" && retry longer "2 s" && retry longer "4 s" || FAIL "a run that cannot be claimed: $(grep "job $JOB:" "$HOME_DIR/bmd.log")"
rmdir "$HOME_DIR/state/runs/$JOB/started.new"
is "at last" succeeded "$(ended "$JOB")"
bmd_stop
OK "a run that cannot be claimed waits longer each time"
