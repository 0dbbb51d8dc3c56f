#!/bin/sh
# keep-jobs: records of finished jobs beyond the newest of their stage go, by themselves as others end, after a reload and at a start; never
# while something needs them. show says what became of such a job, history that there were more, the audit which went; ids go on.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"
command -v sqlite3 >/dev/null && command -v jq >/dev/null || SKIP "needs sqlite3 and jq"

configure 'keep-jobs = 0' 'keep-runs = 10'
application app <<'CONF'
    stages = {"production"}
    stage "production" { plan = "one" }
CONF
plan one <<'CONF'
    step "say" { run = 'echo "output of $BM_JOB"' }
CONF
# The keys of requests keep the records that they answer with for a week: as if that had passed.
forget_keys() {
    bmd_stop
    sqlite3 "$HOME_DIR/state/bmd.db" "DELETE FROM keys; DELETE FROM seals" || FAIL sqlite3
    bmd_start
}
there() { bmctl --json history -n 1000 | jq -r "[.jobs[].id | select(. <= ${1:-1000000})] | sort | map(tostring) | join(\" \")"; }
are() { [ "$(there "${2-}")" = "$1" ]; }
later() { job=$(bmctl deploy app 1.0/1 --to production --at +1h --no-follow 2>/dev/null | sed -n 's/^job \([0-9]*\):.*/\1/p') && bmctl cancel "$job" >/dev/null || FAIL "a job that is cancelled"; }
bmd_start
for i in 1 2; do echo $i >"$HOME_DIR/file"; expect 0 bmctl build add app 1.0 site="$HOME_DIR/file"; done
expect 0 bmctl deploy app 1.0/1 --to production --now --wait
for i in 2 3 4 5; do expect 0 bmctl deploy app 1.0/2 --to production --now --wait; done
for i in $(seq 6 40); do later; done
is "all are there" "$(seq -s ' ' 40)" "$(there)"

# Keys and run folders keep them.
configure 'keep-jobs = 5' 'keep-runs = 10'
expect 0 bmctl reload
for i in $(seq 41 44); do expect 0 bmctl show 8; done
is "the keys keep all" "$(seq -s ' ' 40)" "$(there)"
forget_keys
retry are "1 2 3 4 5 36 37 38 39 40" || FAIL "after a start: $(there)"
expect 3 bmctl show 6
says "the record of job 6 is not kept any more: of finished jobs the newest of each stage are (keep-jobs in bmd.conf)"
expect 3 bmctl log 6
says "is not kept any more"
expect 3 bmctl wait 6
says "is not kept any more"
expect 3 bmctl show 41
says "there is no job 41"
expect 0 bmctl history -n 100
prints "older jobs are not kept any more: keep-jobs in bmd.conf(5)"
expect 0 bmctl history -n 3
! grep -q "older jobs" "$HOME_DIR/out" || FAIL "the last few, and it speaks of old ones"
expect 0 bmctl audit
prints "the records of 30 jobs, from 6 to 35"
OK "the oldest go, at a start"

# Whose folder is gone goes too, but not by which a build went live nor the last run of one.
rm -r "$HOME_DIR/state/runs/2" "$HOME_DIR/state/runs/3" "$HOME_DIR/state/runs/5" "$HOME_DIR/state/runs/1"
expect 0 bmctl reload
retry are "1 4 5 36 37 38 39 40" || FAIL "after a reload: $(there)"
is "live" 1.0/2 "$(live app production)"
is "back" 1.0/1 "$(bmctl --json redeploy --dry-run | jq -r '.preview.to | "\(.release)/\(.build)"')"
OK "the stack and the last runs stay"

# By itself: as 64 jobs have ended. Numbers go on.
for i in $(seq 41 104); do later; done
retry are "1 4 5" 40 || FAIL "by itself: $(there)"
is "whose keys are there" "$(seq -s ' ' 41 104)" "$(bmctl --json history -n 64 | jq -r '[.jobs[].id] | sort | map(tostring) | join(" ")')"
expect 0 bmctl redeploy app --now --wait
is "the next id" 105 "$(bmctl --json history | jq '.jobs[0].id')"
is "live" 1.0/1 "$(live app production)"
OK "by itself"

# A whole database: a start finds nothing to say of it, also from a backup.
expect 0 bmctl audit verify
bmd_stop
is "its own check" ok "$(sqlite3 "$HOME_DIR/state/bmd.db" 'PRAGMA integrity_check; PRAGMA foreign_key_check')"
bmd_start
is "damage" "[]" "$(bmctl --json status | jq -c '[.problems[]?]')"
bmd_stop
OK "nothing is damaged by it"
