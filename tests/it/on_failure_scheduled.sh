#!/bin/sh
# on-failure and jobs that are not queued yet: scheduled ones, requests made later, the second hop, a first deployment
# that fails, a run that was cancelled, a stage that is mended before they are due.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"

configure
# One application a try, in case that a try is too slow.
for app in app slow slower slowest; do
    application $app <<CONF
    stages = {"holds", "mended", "continues", "mends", "hops", "first", "cancels", "unknown"}
    stage "holds"     { plan = "one" }
    stage "mended"    { plan = "one" }
    stage "continues" { plan = "one"  on-failure = "continue" }
    stage "mends"     { plan = "one"  on-failure = "redeploy" }
    stage "hops"      { plan = "one"  on-failure = "redeploy" }
    stage "first"     { plan = "one"  on-failure = "redeploy" }
    stage "cancels"   { plan = "one"  on-failure = "redeploy" }
    stage "unknown"   { plan = "one" }
CONF
done
plan one <<CONF
    step "gate" { run = 'while test -e "$HOME_DIR/gate"; do sleep 0.05; done; test ! -e "$HOME_DIR/bad-\$BM_BUILD"' }
CONF
bmd_start
running() { [ "$(job "$bad" state)" = running ]; }
dirty() { bmctl --json status $app | jq ".stages[] | select(.stage == \"$1\") | .dirty != null"; }

# Scheduled before the failure, due after it.
all_scheduled() { for id in $scheduled $unknown; do in_state "$id" scheduled || return 1; done; }
tries=0
failed_before() {
    tries=$((tries + 1))
    app=$(echo app slow slower slowest | cut -d' ' -f$tries)
    rm -f "$HOME_DIR/bad-2"
    for n in 1 2 3; do bmctl build add $app 1.0 >/dev/null 2>&1 || FAIL "build add"; done
    for stage in holds mended continues mends cancels unknown; do
        expect 0 bmctl deploy $app 1.0/1 --to $stage --now --wait
    done
    touch "$HOME_DIR/bad-2"
    scheduled=
    for stage in holds mended continues mends; do
        eval "other_$stage=\$(new bmctl deploy $app 1.0/3 --to $stage --at +${1}s)"
        eval "back_$stage=\$(new bmctl redeploy $app 1.0/1 --to $stage --at +$(($1 + 1))s)"
        eval "scheduled=\"$scheduled \$other_$stage \$back_$stage\""
    done
    unknown=$(new bmctl deploy $app 1.0/3 --to unknown --at +"$1"s)
    for stage in holds mended continues; do
        expect 1 bmctl deploy $app 1.0/2 --to $stage --now --wait
    done
    expect 1 bmctl deploy $app 1.0/2 --to mends --now --wait
    expect 0 bmctl settle $app unknown --unknown --reason "somebody was here"
    are_dirty=$(dirty holds; dirty mended; dirty continues)
    all_scheduled || return 1
    is "dirty" "true true true" "$(echo $are_dirty)"
    bmctl redeploy $app --to mended --now --wait >"$HOME_DIR/out" 2>&1
    code=$?
    all_scheduled || return 1
    is "it is mended" 0 $code
    is dirty false "$(dirty mended)"
}
before_due failed_before
expect 8 bmctl wait "$other_holds"
bmctl show "$other_holds" | grep -q "job [0-9]* (1.0/2)" || { bmctl show "$other_holds"; FAIL "the hold does not name the run"; }
expect 0 bmctl wait "$back_holds"
is dirty false "$(dirty holds)"
expect 0 bmctl wait "$other_mended"
expect 0 bmctl wait "$other_continues"
expect 0 bmctl wait "$other_mends"
is "it was mended by bmd" bmd "$(bmctl --json history $app --stage mends | jq -r '.jobs[] | select(.reason // "" | test("^job [0-9]+ failed$")) | .requested_by')"
expect 8 bmctl wait "$unknown"
expect 0 bmctl wait "$back_mended" # what went live meanwhile was ahead of it when it was asked for
OK "scheduled jobs: held if the stage is still dirty, else not"

# Requests made later are never held for it; the stage is clean after a success.
expect 0 bmctl deploy $app 1.0/1 --to unknown --now --wait
is dirty false "$(dirty unknown)"
expect 1 bmctl deploy $app 1.0/2 --to unknown --now --wait
expect 0 bmctl deploy $app 1.0/3 --to unknown --now --wait
expect 1 bmctl deploy $app 1.0/2 --to unknown --now --wait
id=$(new bmctl deploy $app 1.0/3 --to unknown --at +1s)
expect 0 bmctl wait "$id"
OK "requests made later"

# One hop: the default build fails as well, and nobody tries a third time.
expect 0 bmctl deploy $app 1.0/1 --to hops --now --wait
touch "$HOME_DIR/bad-1"
expect 1 bmctl deploy $app 1.0/2 --to hops --now --wait
hopped() { bmctl --json history $app --stage hops | jq -e '.jobs[0] | .requested_by == "bmd" and .state == "failed"'; }
retry hopped || FAIL "bmd did not go back"
is "jobs" 3 "$(bmctl --json history $app --stage hops | jq '.jobs | length')"
expect 1 bmctl redeploy $app --to hops --now --wait
is "jobs" 4 "$(bmctl --json history $app --stage hops | jq '.jobs | length')"
rm "$HOME_DIR/bad-1"
expect 0 bmctl redeploy $app --to hops --now --wait
is live 1.0/1 "$(live $app hops)"
OK "never a second hop, never after a rollback"

# Nothing to go back to; a run that was cancelled.
expect 1 bmctl deploy $app 1.0/2 --to first --now --wait
is dirty true "$(dirty first)"
is "jobs" 1 "$(bmctl --json history $app --stage first | jq '.jobs | length')"
expect 3 bmctl redeploy $app --to first --now
expect 0 bmctl deploy $app 1.0/3 --to first --now --wait
touch "$HOME_DIR/gate"
bad=$(new bmctl deploy $app 1.0/3 --to cancels --now)
retry running || FAIL "job $bad does not run"
later=$(new bmctl deploy $app 1.0/2 --to cancels --now)
expect 0 bmctl cancel "$bad"
expect 6 bmctl wait "$bad"
rm "$HOME_DIR/gate"
expect 8 bmctl wait "$later"
is dirty true "$(dirty cancels)"
is "jobs" 2 "$(bmctl --json history $app --stage cancels | jq '.jobs | length')"
OK "nothing to go back to, and a cancelled run"
bmd_stop
