#!/bin/sh
# Rights by application and stage, with real users: what one may not see is answered as what is not there, byte for byte, and stands in no list.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"
[ "$(id -u)" = 0 ] || SKIP "several users need root"
command -v setpriv >/dev/null || SKIP "no setpriv"
for group in daemon bin sys lp adm; do getent group $group >/dev/null || SKIP "no group $group"; done

# shop: daemon deploys to testing and sees production, where bin deploys. hidden: sys alone; hidden's name must never reach the others.
application shop <<'CONF'
    stages = {"testing", "production", "zqstage"}
    operators = {"daemon"}
    stage "testing" { plan = "web" }
    stage "production" { plan = "web" operators = {"bin"} viewers = {"daemon"} }
    stage "zqstage" { plan = "zqplan" operators = {"sys"} viewers = {} }
CONF
application zqhidden <<'CONF'
    stages = {"live"}
    operators = {"sys"}
    stage "live" { plan = "web" }
CONF
plan web <<'CONF'
    step "one" { run = 'true' }
CONF
plan zqplan <<'CONF'
    step "one" { run = 'true' }
CONF
configure 'default-application = "zqhidden"' 'operators = {"adm", "no-such-group"}' 'viewers = {"user:games"}'
bmd_start

# as NAME COMMAND…: as this user, in his own group alone
as() { name=$1; shift; setpriv --reuid "$name" --regid "$name" --clear-groups "$@"; }
dev() { as daemon "$@"; }
for app in shop zqhidden; do
    expect 0 bmctl build add $app 1.0
done
expect 0 bmctl deploy shop 1.0/1 --to zqstage --now --wait
expect 0 bmctl deploy zqhidden 1.0/1 --to live --now --wait
expect 0 bmctl deploy zqhidden 1.0/1 --to live --at +1h
expect 0 bmctl schedule add zqhidden live --to live --on "03:00 UTC"
hidden_schedule=$(bmctl --json schedule list | jq '.schedules[0].id')

# ---- in no list
silent() {
    expect 0 dev bmctl --json "$@"
    ! grep -q zq "$HOME_DIR/out" || { cat "$HOME_DIR/out"; FAIL "$* names what is hidden"; }
}
silent status
silent queue
silent history
silent schedule list
silent audit
silent check
silent build list shop
silent build show shop 1.0/1
silent build add shop 1.1
is "stages that are seen" "testing production" "$(dev bmctl --json status | jq -r '[.stages[].stage] | join(" ")')"
is "jobs that wait, of those that are seen" 0 "$(dev bmctl --json status | jq .waiting)"
is "a build that was on a hidden stage" "[]" "$(dev bmctl --json build show shop 1.0/1 | jq -c .build.deployments)"
OK "in no list"

# ---- a list of what one sees is found among what one does not, a page at a time
for n in 1 2 3; do expect 0 bmctl schedule add zqhidden live --to live --on "04:0$n UTC"; done
expect 0 bmctl schedule add shop live --to testing --on "05:00 UTC"
pages() { # METHOD LIST: how many pages of one row there are, and how many rows in all
    after='' n=0 found=0
    while :; do
        dev_call "$1" "{\"limit\":1${after:+,\"after\":\"$after\"}}" >"$HOME_DIR/page"
        n=$((n + 1)) found=$((found + $(jq ".parameters.$2 | length" "$HOME_DIR/page")))
        after=$(jq -r '.parameters.next // ""' "$HOME_DIR/page")
        [ -n "$after" ] && [ $n -lt 50 ] || break
    done
    echo "$n $found"
}
dev_call() { printf '{"method":"io.bmd.Control.%s","parameters":%s}\0' "$1" "$2" | dev socat -t 30 - "UNIX-CONNECT:$BMD_SOCKET" | tr '\0' '\n'; }
is "pages of schedules, and what is found" "3 1" "$(pages ListSchedules schedules)"
is "the schedule that is seen" shop "$(dev bmctl --json schedule list | jq -r '[.schedules[].application] | join(" ")')"
OK "found among what is not seen"

# ---- answered as what is not there
# same METHOD PARAMETERS NAME OTHER: the answers for the two names differ in the name alone
answer() {
    printf '{"method":"io.bmd.Control.%s","parameters":%s}\0' "$1" "$2" |
        dev socat -t 30 - "UNIX-CONNECT:$BMD_SOCKET" | tr '\0' '\n' | sed "s/$3/NAME/g"
}
same() {
    a=$(answer "$1" "$(echo "$2" | sed "s/NAME/$3/g")" "$3")
    b=$(answer "$1" "$(echo "$2" | sed "s/NAME/$4/g")" "$4")
    echo "$a" | grep -q '"error"' || FAIL "$1 $2: no error for $3: $a"
    is "$1 of what is hidden" "$b" "$a"
}
nosuch=qqmissin # as long, and as far from every other name
for call in ListBuilds GetStatus ListQueue ListHistory ListSchedules ListAudit ListArtifacts VerifyBuilds; do
    same $call '{"application":"NAME"}' zqhidden $nosuch
done
same GetBuild '{"application":"NAME","release":"1.0"}' zqhidden $nosuch
same Diff '{"application":"NAME","a":{"release":"1.0"}}' zqhidden $nosuch
same AddBuild '{"key":"a1","application":"NAME","release":"1.0","artifacts":[]}' zqhidden $nosuch
same RejectBuild '{"key":"a2","application":"NAME","release":"1.0","reason":"x"}' zqhidden $nosuch
same Deploy '{"key":"a3","application":"NAME","release":"1.0","stage":"live","now":true}' zqhidden $nosuch
same Redeploy '{"key":"a4","application":"NAME","now":true}' zqhidden $nosuch
same Lock '{"key":"a5","application":"NAME","stage":"live","reason":"x"}' zqhidden $nosuch
same Deploy '{"key":"a6","application":"shop","release":"1.0","stage":"NAME","now":true}' zqstage qqmissx
same Unlock '{"key":"a7","application":"shop","stage":"NAME"}' zqstage qqmissx
same ListHistory '{"stage":"NAME"}' zqstage qqmissx
for call in GetJob Log; do
    same $call '{"job":NAME}' 2 9
done
same Wait '{"jobs":[NAME]}' 3 9
same Cancel '{"key":"a8","job":NAME}' 3 9
same Release '{"key":"a9","job":NAME}' 3 9
same GetSchedule '{"schedule":NAME}' "$hidden_schedule" 9
same RemoveSchedule '{"key":"b1","schedule":NAME}' "$hidden_schedule" 9
OK "as if it were not there"

# ---- who may on which stage
expect 0 dev bmctl deploy shop 1.0/1 --to testing --now --wait
expect 4 dev bmctl deploy shop 1.0/1 --to production --now --no-follow
says "only root and members of bin may (operators of production of shop)"
expect 0 as bin bmctl deploy shop 1.0/1 --to production --now --wait
expect 3 as bin bmctl deploy shop 1.0/1 --to testing --now --no-follow
expect 4 dev bmctl build reject shop 1.0/1 --reason no
says "it concerns every stage of shop"
expect 4 dev bmctl drain
expect 4 dev bmctl reload
# The default application is hidden, so the only one that is seen is meant; its last stage that is seen is production.
expect 4 dev bmctl redeploy --now --no-follow
says "operators of production of shop"
in_adm() { setpriv --reuid 12345 --regid 12345 --groups adm "$@"; }
expect 3 in_adm bmctl deploy shop 1.0/1 --to testing --now --no-follow
says "there is no application shop: none is configured"
expect 3 setpriv --reuid games --regid 12345 --clear-groups bmctl show 1
expect 4 as www-data bmctl status
OK "the narrowest list counts"

# ---- a reload takes rights away, from one who follows a job too
job=$(dev bmctl --json deploy shop 1.0/1 --to testing --at +1h | jq .job.id)
dev bmctl wait "$job" >"$HOME_DIR/waited" 2>&1 &
waiter=$!
application shop <<'CONF'
    stages = {"testing", "production", "zqstage"}
    operators = {"bin"}
    stage "testing" { plan = "web" }
    stage "production" { plan = "web" operators = {"bin"} viewers = {"daemon"} }
    stage "zqstage" { plan = "zqplan" operators = {"sys"} viewers = {} }
CONF
expect 0 bmctl reload
expect 0 bmctl cancel "$job"
wait $waiter
is "who waited is told nothing" 3 $?
grep -q "there is no job" "$HOME_DIR/waited" || FAIL "$(cat "$HOME_DIR/waited")"
OK "a reload takes them away"

# ---- asked again when the job starts
operators() { # LIST: of testing
    application shop <<CONF
    stages = {"testing", "production"}
    stage "testing" { plan = "web" operators = {$1} }
    stage "production" { plan = "web" }
CONF
    expect 0 bmctl reload
}
# One who is in the group by the kernel's word alone: the name service knows nothing of that.
strange() { setpriv --reuid games --regid games --groups lp "$@"; }
submit() { expect 0 "$@" bmctl --json deploy shop 1.0/1 --to testing --now --no-follow; JOB=$(jq .job.id "$HOME_DIR/out"); }
operators '"lp"'
submit as lp
retry in_state "$JOB" succeeded || FAIL "a member of the group: $(job "$JOB" waits_for)"
submit strange
retry in_state "$JOB" held || FAIL "one who is no member: $(state "$JOB")"
is "why" "games, who asked for it, may not deploy to testing of shop any more: bmctl release $JOB by one of its operators, or bmctl cancel $JOB" \
    "$(job "$JOB" waits_for.text)"
expect 0 as lp bmctl release "$JOB"
retry in_state "$JOB" succeeded || FAIL "an operator answers for it: $(job "$JOB" waits_for)"
submit setpriv --reuid 12345 --regid 12345 --groups lp
retry in_state "$JOB" held || FAIL "one whom nobody knows: $(state "$JOB")"
job "$JOB" waits_for.text | grep -q "there is no user with uid 12345 any more" || FAIL "$(job "$JOB" waits_for.text)"
expect 0 bmctl cancel "$JOB"
# He may when he asks, and may not when it starts.
operators '"user:games"'
expect 0 as games bmctl --json deploy shop 1.0/1 --to testing --at +1h
JOB=$(jq .job.id "$HOME_DIR/out")
operators '"user:lp"'
expect 0 as lp bmctl reschedule "$JOB" --now
retry in_state "$JOB" held || FAIL "one who may no more: $(state "$JOB")"
operators '"user:games"'
expect 0 as games bmctl release "$JOB"
retry in_state "$JOB" succeeded || FAIL "one who may again: $(job "$JOB" waits_for)"
OK "asked again when it starts"

grep -q "there is no group no-such-group, so it lets nobody in" "$HOME_DIR/bmd.log" || FAIL "nobody says that a group is missing"
bmd_stop
OK "done"
