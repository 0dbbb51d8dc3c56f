#!/bin/sh
# bmd-run is there a moment before a job is due, and claims nothing: on a stage that is locked by then it leaves again, killed it is
# launched anew, after a reload it has read what is new; each job runs once.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"

application app <<CONF
    stages = {"testing", "production"}
    stage "testing" { plan = "one" }
    stage "production" { plan = "one" }
CONF
plan one <<CONF
    step "one" { run = 'echo "\$BM_JOB old" >>$HOME_DIR/ledger' }
CONF
bmd_start
expect 0 bmctl build add app 1.0
at() { ask Deploy "{\"key\":\"$(date +%s%N)\",\"application\":\"app\",\"release\":\"1.0\",\"build\":1,\"stage\":\"$1\",\"at\":\"$(date -u -d '+3 seconds' +%Y-%m-%dT%H:%M:%S.%6NZ)\",\"if_changed\":\"run\"}" .job.id; }
# launched JOB: the pid of a bmd-run that bmd has for this job.
launched() {
    for child in $(cat /proc/"$BMD_PID"/task/*/children); do
        tr '\0' ' ' <"/proc/$child/cmdline" 2>/dev/null | grep -q " $1 \$" && echo "$child" && return 0
    done
    false
}
gone() { ! launched "$1"; }
# ahead: $job, on a stage that was locked behind it, whose bmd-run was seen before its time. A busy machine may not look in that moment: then another is asked for.
ahead() {
    for attempt in 1 2 3 4 5 6; do
        job=$(at testing)
        expect 0 bmctl lock app testing --reason test # nothing takes it before it is found
        until_ns=$(($(date +%s%N) + 3500000000))
        while [ "$(date +%s%N)" -lt $until_ns ]; do
            ! launched "$job" >"$HOME_DIR/launched" || return 0
        done
        ask Cancel "{\"key\":\"away-$job\",\"job\":$job}" .job.id >/dev/null
        expect 0 bmctl unlock app testing
    done
    FAIL "no bmd-run is there ahead of time"
}

ahead
retry in_state "$job" queued || FAIL "it does not become due: $(state "$job")"
retry gone "$job" || FAIL "what is not needed does not leave"
[ ! -e "$HOME_DIR/state/runs/$job" ] || FAIL "it claimed a run folder"
is "its state" queued "$(state "$job")"
expect 0 bmctl unlock app testing
retry in_state "$job" succeeded || FAIL "it does not start: $(state "$job")"
OK "not needed, it leaves"

ahead
kill -KILL "$(cat "$HOME_DIR/launched")"
expect 0 bmctl unlock app testing
retry in_state "$job" succeeded || FAIL "it does not start: $(state "$job")"
OK "killed, it is launched anew"

ahead
plan one <<CONF
    step "one" { run = 'echo "\$BM_JOB new" >>$HOME_DIR/ledger' }
CONF
expect 0 bmctl reload
expect 0 bmctl unlock app testing
retry in_state "$job" succeeded || FAIL "it does not start: $(state "$job")"
is "by the plan of" "$job new" "$(tail -n 1 "$HOME_DIR/ledger")"
OK "a reload is not missed"

# It is used, and no other is launched for the same job.
job=$(at production)
retry in_state "$job" succeeded || FAIL "it does not start: $(state "$job")"
is starts "$(sort -u "$HOME_DIR/ledger" | wc -l)" "$(wc -l <"$HOME_DIR/ledger")"
bmd_stop
! grep -q "left before" "$HOME_DIR/bmd.log" || FAIL "what leaves complains"
