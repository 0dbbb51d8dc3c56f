#!/bin/sh
# gc, rule by rule: each of these builds is kept by one rule alone, says so, stays whole, and goes when its reason has gone.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"

application shop <<CONF
    stages = {"testing", "production"}
    keep-builds = 1
    stage "testing" { plan = "web"  variables = {"ROOT=$HOME_DIR/testing"} }
    stage "production" { plan = "web"  variables = {"ROOT=$HOME_DIR/production"} }
CONF
application other <<CONF
    stages = {"production"}
    stage "production" { plan = "web"  variables = {"ROOT=$HOME_DIR/other"} }
CONF
plan web <<CONF
    step "files" { deploy = "site"  to = '\$ROOT' }
    step "gate" {
        run = 'case \$BM_RELEASE in slow|bad) until [ -e "$HOME_DIR/\$BM_RELEASE" ]; do sleep 0.05; done ;; esac; [ \$BM_RELEASE != bad ]'
    }
CONF
bmd_start
STORE=$HOME_DIR/state/store
mkdir "$HOME_DIR/site"
add() { # add APP RELEASE: a build with a file of its own
    echo "$*, build of a file" >"$HOME_DIR/site/page"
    date +%N >>"$HOME_DIR/site/page"
    expect 0 bmctl build add "$1" "$2" "site=$HOME_DIR/site"
    built=$(cut -d' ' -f2 "$HOME_DIR/out")
    sha256sum <"$HOME_DIR/site/page" | cut -d' ' -f1 >"$HOME_DIR/object.$1.$(echo "$built" | tr / -)"
}
object() { read -r digest <"$HOME_DIR/object.$1.$(echo "$2" | tr / -)"; echo "$STORE/objects/$(echo "$digest" | cut -c1-2)/$(echo "$digest" | cut -c3-)"; }
# Uploaded two days ago: too old to be waiting for their builds.
age() { touch -d '2 days ago' "$STORE"/manifests/*; }
# rule BUILD: that decides. freed BUILD…: gc frees exactly these, with their files.
rule() { bmctl --json gc --dry-run shop | jq -r --arg b "$1" '.builds[] | select("\(.release)/\(.build)" == $b) | .rule'; }
frees() {
    age
    expect 0 bmctl --json gc shop
    is "freed" "$*" "$(jq -r '[.builds[]? | select(.freed) | "\(.release)/\(.build)"] | sort | join(" ")' "$HOME_DIR/out")"
    for build; do
        [ ! -e "$(object shop "$build")" ] || FAIL "the file of $build is still there"
        expect 3 bmctl build show shop "$build"
    done
    for build in $(bmctl --json build list shop | jq -r '.builds[] | "\(.release)/\(.build)"'); do
        [ -f "$(object shop "$build")" ] || FAIL "the file of $build is gone"
    done
    expect 0 bmctl build verify
}

for n in 1 2 3 4 5 6 7 8 9; do add shop 1.0; done
add shop 2.0
add shop 2.0
add shop slow
add shop bad
add shop 3.0
add shop 3.0
for n in 1 2 3; do expect 0 bmctl deploy shop 1.0/$n --to production --now --wait; done
expect 0 bmctl deploy shop 1.0/4 --to testing --now --wait
expect 0 bmctl deploy shop slow/1 --to production --now
expect 0 bmctl deploy shop bad/1 --to testing --now
expect 0 bmctl deploy shop 1.0/6 --to testing --now
bad=$(bmctl --json queue shop | jq '.jobs[] | select(.release == "bad") | .id')
held=$(bmctl --json queue shop | jq '.jobs[] | select(.build == 6) | .id')
begun() { in_state "$bad" running; }
retry begun || FAIL "the bad build does not run"
touch "$HOME_DIR/bad"
expect 1 bmctl wait "$bad"
holds() { in_state "$held" held; }
retry holds || FAIL "the job behind it is not held"
expect 0 bmctl deploy shop 1.0/5 --to production --at +2h
timed=$(bmctl --json queue shop | jq '.jobs[] | select(.build == 5) | .id')
expect 0 bmctl schedule add shop 1.0/7 --to testing --on '02:00'
expect 0 bmctl schedule add shop 2.0 --to testing --on '03:00'
for n in 1 2; do expect 0 bmctl schedule pause $n; done
expect 0 bmctl build pin shop 1.0/8 --reason audited
# A rejected build takes no place among the newest.
expect 0 bmctl build reject shop 3.0/2 --reason broken

while read -r build want; do
    is "the rule of $build" "$want" "$(rule "$build")"
done <<'RULES'
1.0/1 stack
1.0/2 previous-good
1.0/3 live
1.0/4 live
1.0/5 waiting
1.0/6 waiting
1.0/7 waiting
1.0/8 pinned
1.0/9 old
2.0/1 old
2.0/2 waiting
slow/1 running
bad/1 dirty
3.0/1 newest
3.0/2 newest
RULES
frees 1.0/9 2.0/1
OK "each rule keeps its build"

# And each lets it go.
expect 0 bmctl cancel "$timed"
frees 1.0/5
expect 0 bmctl cancel "$held"
frees 1.0/6
expect 0 bmctl schedule remove 1
frees 1.0/7
expect 0 bmctl schedule remove 2
frees 2.0/2
expect 0 bmctl build unpin shop 1.0/8
frees 1.0/8
expect 0 bmctl settle shop testing 1.0/4 --reason 'nothing had changed'
frees bad/1
is "the rule of a build that runs" running "$(rule slow/1)"
touch "$HOME_DIR/slow"
arrived() { [ "$(live shop production)" = slow/1 ]; }
retry arrived || FAIL "the slow build is not live"
is "the rules of the stack" "live previous-good stack stack" "$(echo $(rule slow/1) $(rule 1.0/3) $(rule 1.0/2) $(rule 1.0/1))"
frees
expect 0 bmctl redeploy shop 1.0/2 --now --wait
frees 1.0/3 slow/1
add shop 4.0
is "the rules of the newest" "newest old" "$(echo $(rule 4.0/1) $(rule 3.0/1))"
frees 3.0/1 3.0/2
OK "and lets it go"

# An application without keep-builds gives nothing up, while another one does.
add other 1.0
add other 1.0
age
expect 0 bmctl --json gc --dry-run
is "its rule" "unset" "$(jq -r '[.builds[] | select(.application == "other") | .rule] | unique | join(" ")' "$HOME_DIR/out")"
expect 0 bmctl gc
for n in 1 2; do [ -f "$(object other 1.0/$n)" ] || FAIL "a file of other 1.0/$n is gone"; done
expect 0 bmctl build verify
OK "keep-builds is not set"
bmd_stop
