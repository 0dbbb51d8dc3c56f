#!/bin/sh
# keep-runs: the folders of the oldest jobs that are over are removed by bmd-run, never one of a job that is not over nor one that the
# database does not know; log says so of a job whose output is gone; ids go on; what a removal left that was broken off goes with the next.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"

configure 'keep-runs = 10'
app() {
    application app <<CONF
    stages = {"production"}
    stage "production" { plan = "one"  variables = {"WORD=$1"} }
CONF
}
app first
plan one <<'CONF'
    step "say" { run = 'echo "output of $BM_JOB"' }
CONF
runs=$HOME_DIR/state/runs
folders() { ls "$runs" | grep -cx '[0-9]*'; }
left() { [ "$(folders)" = "$1" ]; }
bmd_start
expect 0 bmctl build add app 1.0
# A job that is not over has the oldest folder: it was refused, and waits for a human.
app second
expect 8 bmctl deploy app 1.0/1 --to production --now --wait
is "state of the first job" held "$(state 1)"
[ -d "$runs/1" ] || FAIL "the refused run has no folder"
expect 0 bmctl reload
for i in $(seq 2 14); do expect 0 bmctl deploy app 1.0/1 --to production --now --wait; done
is "folders before" 14 "$(folders)"
expect 0 bmctl log 2
prints "output of 2"

# A reload looks, and so does a start. What a removal left goes too; what is not a run's stays.
mkdir "$runs/pruned.77" "$runs/other"
touch "$runs/pruned.77/events"
expect 0 bmctl reload
retry left 11 || FAIL "folders: $(ls "$runs")" # of the four oldest one is not final
is "the folders" "1 5 6 7 8 9 10 11 12 13 14" "$(ls "$runs" | grep -x '[0-9]*' | sort -n | tr '\n' ' ' | sed 's/ $//')"
[ ! -e "$runs/pruned.77" ] && [ -d "$runs/other" ] || FAIL "what else is there: $(ls "$runs")"
expect 1 bmctl log 2
says "the output of job 2 is not kept any more: those of the newest 10 runs are (keep-runs in "
expect 1 bmctl log -f 2
expect 0 bmctl show 2
prints say
expect 0 bmctl log 5
prints "output of 5"
expect 0 bmctl history
OK "the oldest go"

# Once the first job is over, its folder goes with the next look, and a start looks.
expect 0 bmctl cancel 1
bmd_stop
bmd_start
retry left 10 || FAIL "folders: $(ls "$runs")"
[ ! -d "$runs/1" ] || FAIL "the folder of a cancelled job is still there"
expect 0 bmctl deploy app 1.0/1 --to production --now --wait
is "the next id" 15 "$(bmctl --json history | jq '.jobs[0].id')"
OK "ids go on"

# A folder that some bmd-run has in its hands stays, whatever the database says; so does one that it does not know.
mkdir "$runs/4" "$runs/3"
touch "$runs/4/lock"
bmd_stop
if command -v sqlite3 >/dev/null; then sqlite3 "$HOME_DIR/state/bmd.db" "DELETE FROM steps WHERE job = 3; DELETE FROM jobs WHERE id = 3; DELETE FROM seals" || FAIL sqlite3; fi
bmd_start
gone() { [ ! -d "$runs/4" ]; }
retry gone || FAIL "the folder of a final job stays: $(ls "$runs")"
if command -v sqlite3 >/dev/null; then [ -d "$runs/3" ] || FAIL "the folder of a job that nobody knows is gone"; fi
OK "what the database does not know stays"

# Under a load, by itself: every 64 runs.
for i in $(seq 90); do bmctl deploy app 1.0/1 --to production --now --no-follow >/dev/null || FAIL "deploy"; done
last=$(bmctl --json queue | jq '[.jobs[].id] | max // 0')
[ "$last" = 0 ] || bmctl wait "$last" >/dev/null
few() { [ "$(folders)" -lt 85 ]; }
retry few || FAIL "nothing was removed: $(folders) folders"
bmd_stop
OK "by itself"
