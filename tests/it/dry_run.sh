#!/bin/sh
# What a dry run shows, that it changes nothing, and what is checked at the request and again at the start.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"

configure
application app <<CONF
    stages = {"production"}
    stage "production" { plan = "web"  variables = {"ROOT=$HOME_DIR/www"}  open = {"COLOUR"} }
CONF
web() {
    plan web <<CONF
    step "files"   { deploy = "site"  to = '\$ROOT' }
    step "migrate" { run = 'true'  skip-on = {"rollback"}  irreversible = true }
    step "thaw"    { run = 'true'  only-on = {"rollback"} }
    step "check"   { run = '$1' }
CONF
}
web 'test ! -e "$ROOT/bad-$BM_BUILD"'
bmd_start
site=$HOME_DIR/site
mkdir "$site"
add() { expect 0 bmctl build add app 1.0 "$@" "site=$site"; }
echo one >"$site/index.html"
echo gone >"$site/old"
add --var COLOUR=red --var SAME=x
echo two >"$site/index.html"
rm "$site/old"
echo new >"$site/new"
echo new >"$site/new2"
add --var COLOUR=blue --var SAME=x
echo three >"$site/index.html"
add
for n in 1 2; do expect 0 bmctl deploy app 1.0/$n --to production --now --wait; done

expect 0 bmctl redeploy --dry-run
for text in 1.0/2 1.0/1 rollback files migrate thaw check irreversible COLOUR; do prints "$text"; done
bmctl --json redeploy --dry-run >"$HOME_DIR/json" || FAIL "--json --dry-run"
asked() { is "$1" "$2" "$(jq -rc ".preview | $1" "$HOME_DIR/json")"; }
asked '.from | "\(.release)/\(.build)"' 1.0/2
asked '.to | "\(.release)/\(.build)"' 1.0/1
asked .mode rollback
asked '[.steps[] | select(.runs) | .name]' '["files","thaw","check"]'
asked '[.steps[] | select(.runs | not) | .name]' '["migrate"]'
asked '.files' '{"added":1,"changed":1,"removed":2}'
asked '.variables_differ' '["COLOUR"]'
asked '.plan_changed' false
asked '[.not_undone[] | "\(.step) \(.release)/\(.build)"]' '["migrate 1.0/2"]'
asked '.problems' '[]'
is "nothing was queued" '[]' "$(bmctl --json queue | jq -c .jobs)"
is "no job was made" 2 "$(bmctl --json history | jq '.jobs[0].id')"
expect 0 bmctl redeploy --dry-run --at +1h
expect 0 bmctl deploy app 1.0/3 --to production --dry-run
prints deploy
OK "everything that a dry run lists"

# The plan changed since that build's last run here.
web 'true; test ! -e "$ROOT/bad-$BM_BUILD"'
expect 0 bmctl reload
bmctl --json redeploy --dry-run >"$HOME_DIR/json"
asked '.plan_changed' true

# A dirty stage: what is on disk is the unfinished build, and from it the way back is reckoned.
touch "$HOME_DIR/www/bad-3"
expect 1 bmctl deploy app 1.0/3 --to production --now --wait
bmctl --json redeploy --dry-run >"$HOME_DIR/json"
asked '.from | "\(.release)/\(.build)"' 1.0/3
asked '.to | "\(.release)/\(.build)"' 1.0/2
asked .mode rollback
asked '.files' '{"added":0,"changed":1,"removed":0}'
asked '.variables_differ' '["COLOUR","SAME"]'
asked '[.not_undone[] | "\(.step) \(.release)/\(.build)"]' '["migrate 1.0/3"]'
expect 0 bmctl redeploy --now --wait
OK "a dry run on a dirty stage"

# A way back that failed has undone nothing either.
touch "$HOME_DIR/www/bad-1"
expect 1 bmctl redeploy --now --wait
bmctl --json redeploy --dry-run >"$HOME_DIR/json"
asked '.to | "\(.release)/\(.build)"' 1.0/1
asked '.mode' rollback
asked '[.not_undone[] | "\(.step) \(.release)/\(.build)"]' '["migrate 1.0/3","migrate 1.0/2"]'
rm "$HOME_DIR/www/bad-1"
expect 0 bmctl redeploy --now --wait
expect 0 bmctl redeploy app 1.0/2 --now --wait
OK "a dry run after a way back that failed"

# What the build itself has done is no loss to it: a run of what is live that failed, tried again.
touch "$HOME_DIR/www/bad-2"
expect 1 bmctl deploy app 1.0/2 --to production --now --wait
expect 0 bmctl deploy app 1.0/2 --to production --dry-run
prints 'not undone: nothing'
# To the other it is, once, however often it ran.
expect 0 bmctl redeploy app 1.0/1 --dry-run
prints 'not undone: migrate of 1.0/2'
! grep -q 'not undone: .*migrate of 1.0/2.*migrate of 1.0/2' "$HOME_DIR/out" || FAIL "the same step is named twice"
rm "$HOME_DIR/www/bad-2"
expect 0 bmctl deploy app 1.0/2 --to production --now --wait
! grep -q '^not undone' "$HOME_DIR/out" || FAIL "its own step: $(cat "$HOME_DIR/out")"
OK "its own steps"

# What would be refused is shown, not refused.
expect 0 bmctl build reject app 1.0/1 --reason "known bad"
expect 0 bmctl redeploy app 1.0/1 --dry-run
prints "known bad"
expect 8 bmctl redeploy app 1.0/1 --now
says "known bad"
expect 0 bmctl build restore app 1.0/1
expect 0 bmctl lock app production --reason "freeze"
expect 0 bmctl redeploy app 1.0/1 --dry-run
prints freeze
expect 8 bmctl redeploy app 1.0/1 --now
expect 0 bmctl unlock app production
OK "a dry run tells what would be refused"

# Checked again at the start: a build rejected meanwhile, a stored file that went missing.
live=$(live app production)
# The job did start: as before, once more.
too_late() { bmctl cancel "$id"; bmctl wait "$id"; bmctl redeploy app "$live" --now --wait; }
rejected_before() {
    id=$(bmctl --json redeploy app 1.0/1 --at +"$1"s --no-follow | jq .job.id)
    expect 0 bmctl build reject app 1.0/1 --reason "found at night"
    case $(state "$id") in scheduled|held) return ;; esac
    expect 0 bmctl build restore app 1.0/1
    too_late
    return 1
}
before_due rejected_before
expect 8 bmctl wait "$id"
bmctl show "$id" | grep -q "found at night" || FAIL "the hold does not say why"
expect 8 bmctl release "$id"
says "found at night"
expect 0 bmctl build restore app 1.0/1
expect 0 bmctl release "$id"
expect 0 bmctl wait "$id"
digest=$(bmctl --json build show app 1.0/2 | jq -r '.build.artifacts[0].digest')
object=$(grep -rlx two "$HOME_DIR/state/store/objects")
live=$(live app production)
moved_before() {
    id=$(bmctl --json redeploy app 1.0/2 --at +"$1"s --no-follow | jq .job.id)
    mv "$object" "$HOME_DIR/moved"
    in_state "$id" scheduled && return
    mv "$HOME_DIR/moved" "$object"
    too_late
    return 1
}
before_due moved_before
expect 8 bmctl wait "$id"
bmctl show "$id" | grep -q "index.html" || { bmctl show "$id"; FAIL "the hold does not name the file"; }
expect 8 bmctl redeploy app 1.0/2 --now
says index.html
expect 1 bmctl build verify app 1.0/2
mv "$HOME_DIR/moved" "$object"
expect 0 bmctl build verify app 1.0/2
expect 0 bmctl release "$id"
expect 0 bmctl wait "$id"
is page two "$(cat "$HOME_DIR/www/current/index.html")"
OK "checked at the request and again at the start"

# The plan grew a step that needs an artifact which older builds do not have: the way back, which skips it, is open.
plan web <<'CONF'
    step "files" { deploy = "site"  to = '$ROOT' }
    step "data"  { run = 'test -d "$BM_ARTIFACTS/data"'  artifacts = {"data"}  skip-on = {"rollback"} }
CONF
expect 0 bmctl reload
expect 0 bmctl build add app 2.0 "site=$site" "data=$site"
expect 0 bmctl deploy app 2.0/1 --to production --now --wait
expect 8 bmctl deploy app 1.0/3 --to production --now --wait
says data
expect 0 bmctl check
expect 0 bmctl redeploy --now --wait
is live 1.0/2 "$(live app production)"
OK "a step that is skipped asks for nothing"

# A lock only refuses what is due before its end; and it makes wait what is queued already.
expect 0 bmctl lock app production --reason "freeze" --until +1h
expect 8 bmctl redeploy app 1.0/1 --at +30min
expect 0 bmctl redeploy app 1.0/1 --at +2h --no-follow
expect 0 bmctl unlock app production
OK "locks with an end"
bmd_stop
