# A backup under load, and its restore: a whole state folder as of one moment; what waited or ran then is held, schedules rest, a human
# is asked what is live, no new job has the number of one that came after, and files are whole.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"
command -v socat >/dev/null && command -v jq >/dev/null || SKIP "needs socat and jq"
application shop <<CONF
    stages = {"testing", "production"}
    variables = {"DIR=$HOME_DIR"}
    stage "testing" { plan = "note" }
    stage "production" { plan = "gate" }
CONF
plan note <<'CONF'
    step "note" { run = 'echo "$BM_JOB" >>"$DIR/noted"' }
CONF
plan gate <<'CONF'
    step "files" { deploy = "site"  to = '$DIR/srv' }
    step "gate" { run = 'while [ -e "$DIR/gate" ]; do sleep 0.05; done' }
CONF
: >"$HOME_DIR/noted"
bmd_start
for n in 1 2; do
    mkdir -p "$HOME_DIR/site"
    echo "build $n" >"$HOME_DIR/site/file"
    expect 0 bmctl build add shop 1.0 site="$HOME_DIR/site"
    expect 0 bmctl deploy shop 1.0/$n --to production --now --wait
done
expect 0 bmctl deploy shop 1.0/1 --to testing --now --wait
expect 0 bmctl deploy shop 1.0/2 --to testing --at 'tomorrow 02:00' --json
timed=$(jq .job.id "$HOME_DIR/out")
expect 0 bmctl schedule add shop live --to testing --on '*-*-* 03:00' --reason again
: >"$HOME_DIR/gate"
expect 0 bmctl redeploy shop 1.0/1 --now --no-follow --json
running=$(jq .job.id "$HOME_DIR/out")
retry in_state "$running" running || FAIL "it does not run"
expect 0 bmctl deploy shop 1.0/2 --to production --now --no-follow --json
waiting=$(jq .job.id "$HOME_DIR/out")

# Under load: requests all the time, none of which may fail or wait.
load() {
    n=0
    while [ -e "$HOME_DIR/load" ]; do
        n=$((n + 1))
        bmctl deploy shop 1.0/1 --to testing --at "+$n""h" --no-follow >/dev/null 2>>"$HOME_DIR/load.err" || echo "request $n" >>"$HOME_DIR/load.failed"
    done
    echo $n >"$HOME_DIR/load.n"
}
: >"$HOME_DIR/load"
load &
LOAD=$!
expect 0 bmctl backup
prints "$HOME_DIR/state/backup"
expect 0 bmctl backup
before=$(bmctl --json queue | jq '[.jobs[].id] | max')
rm "$HOME_DIR/load"
wait $LOAD
[ ! -e "$HOME_DIR/load.failed" ] || { cat "$HOME_DIR/load.err"; FAIL "requests failed meanwhile"; }
[ ! -e "$HOME_DIR/state/backup.new" ] || FAIL "something half is left"
is "who asked" Backup "$(bmctl --json audit -n 10000 | jq -r '[.rows[] | select(.method == "Backup")][0].method')"
cp -rL "$HOME_DIR/state/backup" "$HOME_DIR/elsewhere"
OK "a backup under load, $(cat "$HOME_DIR/load.n") requests"

# What comes after the backup is lost with the disk.
expect 0 bmctl deploy shop 1.0/2 --to testing --now --wait --json
after=$(jq .job.id "$HOME_DIR/out")
bmctl cancel "$running" >/dev/null 2>&1
rm "$HOME_DIR/gate"
bmctl wait "$running" "$waiting" >/dev/null 2>&1
bmd_stop
mv "$HOME_DIR/state" "$HOME_DIR/lost"
cp -r "$HOME_DIR/elsewhere" "$HOME_DIR/state"
cp -r "$HOME_DIR/lost/runs" "$HOME_DIR/state/"
noted=$(wc -l <"$HOME_DIR/noted")
bmd_start
grep -q "restored from a backup of" "$HOME_DIR/bmd.log" || FAIL "the log says nothing"
for job in "$timed" "$running" "$waiting"; do is "job $job" held "$(state "$job")"; done
is "states of what is left" '["held"]' "$(bmctl --json queue | jq -c '[.jobs[].state] | unique')"
ask GetJob "{\"job\":$timed}" .job.waits_for.text | grep -q "restored from a backup of .*bmctl release $timed" || FAIL "why is not said"
ask GetJob "{\"job\":$running}" .job.waits_for.text | grep -q "when it ran; its run cancelled then" ||
    { ask GetJob "{\"job\":$running}" .job; FAIL "what its run folder says is not told"; }
is "schedules that rest" true "$(bmctl --json schedule list | jq '[.schedules[].paused != null] | all')"
is "live on testing, as the backup says" 1.0/1 "$(live shop testing)"
ask GetStatus '{}' '.stages[].needs' >"$HOME_DIR/needs"
is "stages that a human is asked about" 2 "$(grep -c "restored from a backup of .* was live: compare, then bmctl settle shop" "$HOME_DIR/needs")"
expect 0 bmctl build verify
is "who restored" bmd "$(bmctl --json audit -n 10000 | jq -r '[.rows[] | select(.method == "Restore")][0].by')"
expect 0 bmctl audit verify
OK "it comes up held"

# Nothing starts, also after another restart; the numbers of what came after are not given again.
bmd_kill
bmd_start
is "runs since" "$noted" "$(wc -l <"$HOME_DIR/noted")"
is "held, still" held "$(state "$timed")"
expect 0 bmctl settle shop testing 1.0/2 --reason "looked"
expect 0 bmctl settle shop production 1.0/1 --reason "looked"
ask GetStatus '{}' '.stages[].needs' | grep -q "compare" && FAIL "it is asked again"
expect 0 bmctl deploy shop 1.0/1 --to testing --now --wait --json
new=$(jq .job.id "$HOME_DIR/out")
[ "$new" -gt "$after" ] && [ "$new" -gt "$before" ] || FAIL "job $new, and $after was given after the backup"
# One that ran after the backup was made does not run again: its folder is there.
expect 0 bmctl release "$running"
retry in_state "$running" held || FAIL "a job that ran before ran again"
ask GetJob "{\"job\":$running}" .job.waits_for.text | grep -q "begun before" || FAIL "why: $(ask GetJob "{\"job\":$running}" .job.waits_for.text)"
expect 0 bmctl cancel "$running"
expect 0 bmctl release "$waiting"
bmctl wait "$waiting" >/dev/null 2>&1
bmctl cancel "$waiting" >/dev/null 2>&1
bmd_stop
is "an ordinary database again" " 62 6d 64 31" "$(od -An -tx1 -j68 -N4 "$HOME_DIR/state/bmd.db")"
OK "what a human lets go goes on"

# A backup beside a database: nobody knows which is meant.
cp "$HOME_DIR/elsewhere/bmd.db.backup" "$HOME_DIR/state/"
bmd -c "$BMD_CONF" 2>"$HOME_DIR/err" && FAIL "it starts with both"
says "move away the one that is not to be used"
OK "a backup beside a database is refused"
