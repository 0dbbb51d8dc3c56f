#!/bin/sh
# Approvers: a build that never succeeded on a stage starts there only after one of them let it go; what succeeded there never waits.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"
[ "$(id -u)" = 0 ] || SKIP "several users need root"
command -v setpriv >/dev/null || SKIP "no setpriv"
for group in daemon bin; do getent group $group >/dev/null || SKIP "no group $group"; done
gid() { getent group "$1" | cut -d: -f3; }
as() { uid=$1 group=$2; shift 2; setpriv --reuid "$uid" --regid "$uid" --groups "$(gid "$group")" "$@"; }
# Both must be users of this machine, for who asked is looked up again when a job starts.
dev() { as games daemon "$@"; }     # deploys
boss() { as lp bin "$@"; }          # approves, and nothing else

application shop <<'CONF'
    stages = {"testing", "production"}
    operators = {"daemon", "user:games"}
    approvers = {"bin", "user:lp"}
    stage "testing" { plan = "web" approvers = {} }
    stage "production" { plan = "web" }
CONF
plan web <<'CONF'
    step "one" { run = 'true' }
CONF
bmd_start
for release in 1.0 1.1 1.2 1.3 1.4; do expect 0 dev bmctl build add shop $release; done
submit() { expect 0 dev bmctl --json deploy shop "$1" --to production "$2" ${3:+"$3"} --no-follow; JOB=$(jq .job.id "$HOME_DIR/out"); }

# ---- held from the beginning, let go by an approver alone
expect 0 dev bmctl deploy shop 1.0/1 --to testing --now --wait
submit 1.0/1 --now
is "a first deployment" held "$(state "$JOB")"
expect 8 dev bmctl wait "$JOB"
is "why" "hold 1.0/1 never succeeded on production and needs the approval of members of bin, user lp: bmctl release $JOB" \
    "$(job "$JOB" 'waits_for | "\(.kind) \(.text)"')"
expect 4 dev bmctl release "$JOB"
says "only root and members of bin, user lp may (approvers of production of shop)"
is "still" held "$(state "$JOB")"
expect 0 boss bmctl release "$JOB"
expect 0 dev bmctl wait "$JOB"
is "who let it go" lp "$(job "$JOB" approved.by)"
expect 0 bmctl show "$JOB"
prints "approved by"
is "a row of the audit" "lp shop production $JOB" \
    "$(bmctl --json audit | jq -r '.rows[] | select(.method == "Release" and .refused == 0) | "\(.by) \(.application) \(.stage) \(.job)"')"
OK "held until an approver lets it go"

# ---- what succeeded there never waits
expect 0 dev bmctl redeploy shop 1.0/1 --to production --now --wait
expect 0 dev bmctl deploy shop 1.0/1 --to production --now --wait
OK "a redeploy goes at once"

# ---- before its time
submit 1.1/1 --at +1h
is "a timed one" held "$(state "$JOB")"
expect 8 dev bmctl reschedule "$JOB" --now
expect 0 boss bmctl release "$JOB"
is "it waits for its time" scheduled "$(state "$JOB")"
expect 0 dev bmctl reschedule "$JOB" --now
expect 0 dev bmctl wait "$JOB"
is "the approval stays" lp "$(job "$JOB" approved.by)"
OK "approved before its time"

# ---- other rights of an approver
expect 4 boss bmctl deploy shop 1.2/1 --to production --now --no-follow
expect 4 boss bmctl cancel "$JOB"
expect 0 boss bmctl status
submit 1.2/1 --at +1h
expect 0 boss bmctl release "$JOB"
expect 0 bmctl build reject shop 1.2/1 --reason bad
expect 0 bmctl build restore shop 1.2/1 --reason good
is "held for another reason" held "$(state "$JOB")"
expect 4 boss bmctl release "$JOB"
says "operators of production of shop"
expect 0 dev bmctl release "$JOB"
expect 0 dev bmctl cancel "$JOB"
expect 0 dev bmctl deploy shop 1.2/1 --to production --now --dry-run
says "it will be held until one of members of bin, user lp lets it go"
OK "an approver is no operator"

# ---- no way around: what never ran there is not live because an operator says so
expect 8 dev bmctl settle shop production 1.3/1 --reason "it is"
says "1.3/1 never ran on production: only one of members of bin, user lp may say that it is live there"
expect 0 dev bmctl settle shop production 1.0/1 --reason "it is"
OK "no way around"

# ---- asked for by one who may
application shop <<'CONF'
    stages = {"testing", "production"}
    operators = {"daemon", "user:games"}
    approvers = {"bin", "daemon"}
    stage "testing" { plan = "web" approvers = {} }
    stage "production" { plan = "web" }
CONF
expect 0 bmctl reload
expect 0 dev bmctl deploy shop 1.2/1 --to production --now --wait
is "by himself" games "$(bmctl --json history -n 1 | jq -r '.jobs[0].approved.by')"
expect 0 bmctl deploy shop 1.3/1 --to production --now --wait
OK "an approver's own goes at once"

# ---- an approval is of the build that was seen, not of one that took its place in the line
expect 0 dev bmctl lock shop production --reason wait
expect 0 dev bmctl build add shop 2.0
expect 0 dev bmctl schedule add shop 2.0 --to production --on '*-*-* *:*:00/2'
expect 0 dev bmctl unlock shop production
held_for() { JOB=$(bmctl --json queue | jq ".jobs[] | select(.state == \"held\" and .release == \"2.0\") | .id") && [ -n "$JOB" ]; }
retry held_for || FAIL "an occurrence with a build that nobody let go is not held"
is "why" "2.0/1 never succeeded on production and needs the approval of members of bin, members of daemon: bmctl release $JOB" "$(job "$JOB" waits_for.text)"
expect 0 dev bmctl lock shop production --reason wait
expect 0 boss bmctl release "$JOB"
expect 0 dev bmctl build add shop 2.0
expect 0 dev bmctl unlock shop production
retry in_state "$JOB" held || FAIL "2.0/2 starts, which nobody let go"
is "why" "2.0/2 never succeeded on production and needs the approval of members of bin, members of daemon: bmctl release $JOB" "$(job "$JOB" waits_for.text)"
expect 0 boss bmctl release "$JOB"
retry in_state "$JOB" succeeded
is "what ran" 2 "$(job "$JOB" build)"
OK "an approval is of one build"
expect 0 dev bmctl schedule remove 1

# ---- approvers that came after the request
application shop <<'CONF'
    stages = {"testing", "production"}
    operators = {"daemon", "user:games"}
    stage "testing" { plan = "web" }
    stage "production" { plan = "web" }
CONF
expect 0 bmctl reload
submit 1.4/1 --at +1h
is "nobody needs to" scheduled "$(state "$JOB")"
application shop <<'CONF'
    stages = {"testing", "production"}
    operators = {"daemon", "user:games"}
    stage "testing" { plan = "web" }
    stage "production" { plan = "web" approvers = {"bin", "user:lp"} }
CONF
expect 0 bmctl reload
expect 0 dev bmctl reschedule "$JOB" --now
expect 8 dev bmctl wait "$JOB"
job "$JOB" waits_for.text | grep -q "needs the approval of members of bin, user lp: bmctl release $JOB" || FAIL "$(job "$JOB" waits_for.text)"
expect 0 boss bmctl release "$JOB"
expect 0 dev bmctl wait "$JOB"
bmd_stop
OK "looked at again when it starts"
