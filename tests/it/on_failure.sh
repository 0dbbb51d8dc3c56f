#!/bin/sh
# What becomes of the others when a run fails: on-failure = hold, continue, redeploy.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"

application app <<CONF
    stages = {"holds", "continues", "mends"}
    stage "holds"     { plan = "one" }
    stage "continues" { plan = "one"  on-failure = "continue" }
    stage "mends"     { plan = "one"  on-failure = "redeploy" }
CONF
plan one <<CONF
    step "gate" { run = 'while test -e "$HOME_DIR/gate"; do sleep 0.05; done; test ! -e "$HOME_DIR/bad-\$BM_BUILD"' }
CONF
bmd_start
for n in 1 2 3; do bmctl build add app 1.0 >/dev/null 2>&1 || FAIL "build add"; done
running() { [ "$(job "$bad" state)" = running ]; }
touch "$HOME_DIR/bad-2"
for stage in holds continues mends; do
    expect 0 bmctl deploy app 1.0/1 --to $stage --now --wait
    touch "$HOME_DIR/gate"
    bad=$(new bmctl deploy app 1.0/2 --to $stage --now)
    retry running || FAIL "job $bad does not run"
    later=$(new bmctl deploy app 1.0/3 --to $stage --now)
    back=$(new bmctl redeploy app 1.0/1 --to $stage --now)
    rm "$HOME_DIR/gate"
    expect 1 bmctl wait "$bad"
    case $stage in
    holds)
        expect 8 bmctl wait "$later"
        expect 0 bmctl wait "$back" # a job for the default build is never held for this
        expect 0 bmctl cancel "$later"
        ;;
    continues)
        expect 0 bmctl wait "$later"
        ;;
    mends)
        expect 8 bmctl wait "$later"
        expect 0 bmctl wait "$back"
        mended() { bmctl --json history app --stage mends | jq -e ".jobs[] | select(.reason == \"job $bad failed\")"; }
        retry mended || FAIL "bmd did not queue the default build"
        is "requested by" bmd "$(mended | jq -r .requested_by)"
        is live 1.0/1 "$(live app mends)"
        ;;
    esac
    OK "on-failure: $stage"
done
bmd_stop
