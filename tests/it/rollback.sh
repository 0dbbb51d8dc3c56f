#!/bin/sh
# The bad night, end to end: rollbacks go back one build each and never toggle, an undo goes forward, a dirty
# stage is mended by a bare redeploy, and the modes and BM_FROM_* that the steps see are the contract's.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"

application shop <<CONF
    stages = {"testing", "production"}
    stage "testing"    { plan = "web"  variables = {"ROOT=$HOME_DIR/testing"} }
    stage "production" { plan = "web"  variables = {"ROOT=$HOME_DIR/production"} }
CONF
plan web <<CONF
    step "files"   { deploy = "site"  to = '\$ROOT' }
    step "migrate" { run = 'echo migrate'  skip-on = {"rollback"}  irreversible = true }
    step "note"    { run = 'echo "\$BM_STAGE \$BM_MODE \$BM_RELEASE/\$BM_BUILD from \$BM_FROM_RELEASE/\$BM_FROM_BUILD" >>$HOME_DIR/notes' }
    step "check"   { run = 'test ! -e "$HOME_DIR/bad-\$BM_RELEASE"' }
CONF
bmd_start
for n in 1 2 3 4; do
    mkdir "$HOME_DIR/site$n"
    echo "page of 1.0.$n" >"$HOME_DIR/site$n/index.html"
    is "build add prints" "shop 1.0.$n/1" "$(bmctl build add shop "1.0.$n" "$HOME_DIR/site$n" 2>/dev/null)"
done
noted() { is "the last note" "$1" "$(tail -n 1 "$HOME_DIR/notes")"; }
page() { is "the page" "page of $1" "$(cat "$HOME_DIR/production/current/index.html")"; }

expect 3 bmctl redeploy --now --wait
for n in 1 2 3; do expect 0 bmctl deploy shop 1.0.$n --to production --now --wait; done
noted "production deploy 1.0.3/1 from 1.0.2/1"
page 1.0.3
is live 1.0.3/1 "$(live shop production)"

# Twice back, and never toggling.
expect 0 bmctl redeploy --now --wait
prints "redeploy shop 1.0.2/1 to production, replacing 1.0.3/1"
prints "not undone: migrate of 1.0.3/1"
noted "production rollback 1.0.2/1 from 1.0.3/1"
page 1.0.2
expect 0 bmctl rollback --now --wait
noted "production rollback 1.0.1/1 from 1.0.2/1"
page 1.0.1
expect 3 bmctl redeploy --now --wait
OK "two rollbacks go back two builds, and then there is nothing to go back to"

# Undo: the newer build again, by name, which is a redeploy; a build that never was here is refused.
expect 0 bmctl redeploy shop 1.0.3/1 --now --wait
noted "production redeploy 1.0.3/1 from 1.0.1/1"
expect 8 bmctl redeploy shop 1.0.4 --now --wait
says deploy
expect 3 bmctl redeploy 1.0.9/1 --now
expect 8 bmctl redeploy shop 1.0.3/1 --to testing --now
OK "an undo, an exact build, and what is refused"

# A rejected build is skipped, and never starts.
expect 0 bmctl build reject shop 1.0.1/1 --reason "known bad"
expect 3 bmctl redeploy --now --wait
expect 8 bmctl redeploy shop 1.0.1/1 --now --wait
expect 0 bmctl build restore shop 1.0.1/1
OK "a rejected build"

# A failed deploy leaves the stage dirty; a bare redeploy mends it, as a rollback from the failed build.
touch "$HOME_DIR/bad-1.0.4"
expect 1 bmctl deploy shop 1.0.4 --to production --now --wait
is dirty true "$(bmctl --json status shop | jq '.stages[] | select(.stage == "production") | .dirty != null')"
is "still live" 1.0.3/1 "$(live shop production)"
expect 0 bmctl redeploy --now --wait
prints "redeploy shop 1.0.3/1 to production, replacing 1.0.4/1 (unfinished, job "
noted "production rollback 1.0.3/1 from 1.0.4/1"
page 1.0.3
is dirty false "$(bmctl --json status shop | jq '.stages[] | select(.stage == "production") | .dirty != null')"
OK "a failed deploy is mended"

# A failed rollback, tried again, is still that rollback.
touch "$HOME_DIR/bad-1.0.1"
expect 1 bmctl redeploy --now --wait
rm "$HOME_DIR/bad-1.0.1"
expect 0 bmctl redeploy --now --wait
prints "redeploy shop 1.0.1/1 to production, replacing 1.0.3/1 (live "
noted "production rollback 1.0.1/1 from 1.0.3/1"
page 1.0.1
is live 1.0.1/1 "$(live shop production)"
OK "a rollback tried again"

# What a human says counts as a success; unknown makes dirty.
expect 0 bmctl settle shop production 1.0.3/1 --reason "put there by hand"
prints 'undo: bmctl settle shop production 1.0.1/1 --reason TEXT'
is live 1.0.3/1 "$(live shop production)"
expect 0 bmctl settle shop production --unknown --reason "somebody edited files"
is dirty true "$(bmctl --json status shop | jq '.stages[] | select(.stage == "production") | .dirty != null')"
expect 0 bmctl redeploy --now --wait
noted "production redeploy 1.0.3/1 from 1.0.3/1"
page 1.0.3
OK "settle"

# The two stages know nothing of each other.
is testing null/null "$(live shop testing)"
expect 0 bmctl deploy shop 1.0.2 --to testing --now --wait
noted "testing deploy 1.0.2/1 from /"
expect 3 bmctl redeploy --to testing --now
# A stage in the place of something else, as one types it at night.
expect 3 bmctl redeploy production --now
says 'production is a stage: --to production'
expect 3 bmctl redeploy shop testing --now
says 'testing is a stage: --to testing'
bmd_stop
