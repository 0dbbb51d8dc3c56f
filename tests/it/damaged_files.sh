# A flipped bit and a missing object are found by `build verify`, named with every build that has them, and never deployed.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"
. "$top_srcdir/tests/it/recover.sh"
application shop <<CONF
    stages = {"production"}
    stage "production" { plan = "files"  variables = {"ROOT=$HOME_DIR/www"} }
CONF
plan files <<'CONF'
    step "files" { deploy = "site"  to = '$ROOT' }
CONF
application busy <<CONF
    stages = {"production"}
    stage "production" { plan = "slow"  variables = {"ROOT=$HOME_DIR/busy"} }
CONF
plan slow <<CONF
    step "files" { deploy = "site"  to = '\$ROOT' }
    step "wait" { run = 'until [ -e "$HOME_DIR/go" ]; do sleep 0.05; done' }
CONF
mkdir "$HOME_DIR/one" "$HOME_DIR/two"
echo "shared by both" | tee "$HOME_DIR/one/LICENCE" >"$HOME_DIR/two/LICENCE"
echo one >"$HOME_DIR/one/page"
echo two >"$HOME_DIR/two/page"
bmd_start
expect 0 bmctl build add shop 1.0 "site=$HOME_DIR/one"
expect 0 bmctl build add shop 2.0 "site=$HOME_DIR/two"
expect 0 bmctl deploy shop 1.0/1 --to production --now --wait
expect 0 bmctl build verify shop

page=$(object "$HOME_DIR/two/page")
chmod u+w "$page"
printf 'twO\n' >"$page"
expect 1 bmctl build verify shop
prints page
is "what is damaged" "2.0/1 site page" "$(call VerifyBuilds '{"application":"shop"}' | jq -r '.parameters.damaged[] | "\(.release)/\(.build) \(.artifact) \(.path)"')"
bmctl deploy shop 2.0/1 --to production --now --wait >/dev/null 2>&1 && FAIL "a damaged build was deployed"
is "current" one "$(cat "$HOME_DIR/www/current/page")"

rm "$(object "$HOME_DIR/one/LICENCE")"
is "in both builds" "1.0/1 2.0/1" "$(echo $(call VerifyBuilds '{"application":"shop"}' '"more":true' | tail -n 1 | jq -r '.parameters.damaged[] | select(.path == "LICENCE") | "\(.release)/\(.build)"' | sort))"
OK "damage is found, named and not deployed"

# What goes between a request and its start is seen at the start, however soon that is: nothing moves, the job is held.
expect 0 bmctl build add busy 1.0 "site=$HOME_DIR/one"
mkdir "$HOME_DIR/three"
echo three >"$HOME_DIR/three/page"
expect 0 bmctl build add busy 2.0 "site=$HOME_DIR/three"
expect 0 bmctl deploy busy 1.0/1 --to production --now
first=$(bmctl --json queue busy | jq '.jobs[0].id')
runs() { [ "$(bmctl --json show "$first" | jq -r '.job.steps[1].state')" = running ]; }
retry runs || FAIL "the first job does not run"
expect 0 bmctl deploy busy 2.0/1 --to production --now
second=$(bmctl --json queue busy | jq ".jobs[] | select(.id != $first) | .id")
rm -f "$(object "$HOME_DIR/three/page")"
touch "$HOME_DIR/go"
expect 8 bmctl wait "$second"
expect 0 bmctl show "$second"
prints 'page'
prints 'missing'
is "current" releases/1.0-1 "$(readlink "$HOME_DIR/busy/current")"
bmd_stop
OK "what goes before the start"
