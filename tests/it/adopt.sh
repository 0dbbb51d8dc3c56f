#!/bin/sh
# adopt: a folder as Capistrano leaves it becomes known to bmd, is gone back in, and is deployed to by bmd's own steps. What bmd did not
# make stays as it was.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"

root=$HOME_DIR/srv/shop
# release NAME TEXT: a release folder as `cap deploy` makes it: files, a revision, and absolute links to what is shared.
release() {
    folder=$root/releases/$1
    mkdir -p "$folder/bin" "$folder/config" "$folder/tmp" "$folder/public"
    printf '#!/bin/sh\necho %s\n' "$2" >"$folder/bin/hello"
    chmod 755 "$folder/bin/hello"
    echo "$2" >"$folder/index"
    echo 1d3f5a7 >"$folder/REVISION"
    ln -s index "$folder/start"
    ln -s "$root/shared/log" "$folder/log"
    ln -s "$root/shared/config/database.yml" "$folder/config/database.yml"
    ln -s "$root/shared/.env" "$folder/.env"
    ln -s ../../../shared/tmp/pids "$folder/tmp/pids"
    ln -s "$HOME_DIR/alias/shared/uploads" "$folder/public/uploads"
}
mkdir -p "$root/shared/log" "$root/shared/config" "$root/shared/tmp/pids" "$root/shared/uploads" "$root/repo/objects" "$root/releases"
ln -s "$root" "$HOME_DIR/alias"
echo secret >"$root/shared/config/database.yml"
echo line >"$root/shared/log/production.log"
release 20261101120000 one
release 20261110120000 two
release 20261123094512 three
release 20261124000000 broken
mkfifo "$root/releases/20261124000000/pipe" # what is not taken is not looked at
ln -s "$root/releases/20261123094512" "$root/current"
echo "Branch main (at 1d3f5a7) deployed as release 20261123094512 by ana" >"$root/revisions.log"
tree() { (cd "$root" && find releases/2026* -printf '%p %y %m %l %T@\n' | sort; cat releases/*/index); }
before=$(tree)

application shop <<CONF
    stages = {"testing", "production"}
    stage "testing" { plan = "web"  variables = {"ROOT=$HOME_DIR/srv/testing"} }
    stage "production" { plan = "web"  variables = {"ROOT=$root"} }
CONF
plan web <<'CONF'
    step "files" { deploy = "site"  to = '$ROOT'  keep = 1
                   shared = {"log", "config/database.yml", ".env", "tmp/pids", "public/uploads"} }
    step "hello" { exec = {"bin/hello"}  directory = '$ROOT/current' }
CONF
bmd_start

# What it will do, and nothing done.
expect 0 bmctl adopt shop production --current "$root/current" --dry-run
prints "shop production: 3 releases of $root/releases"
prints '  20261101120000/1'
prints '  20261110120000/1: the previous good'
prints '  20261123094512/1: live'
prints 'left alone: 20261124000000, which is newer than what is live'
prints "left out, as links to $root/shared: "
for path in log config/database.yml .env tmp/pids public/uploads; do prints "$path"; done
is "live after a dry run" null/null "$(live shop production)"
is "builds after a dry run" 0 "$(bmctl --json build list shop | jq '.builds | length')"
is "as JSON" '20261101120000 20261110120000 20261123094512' \
    "$(bmctl --json adopt shop production --current "$root/current" --dry-run | jq -r '[.builds[].release] | join(" ")')"
OK "dry run"

# Done, by a name of the link that is not its real one.
expect 0 bmctl adopt shop production --current "$HOME_DIR/alias/current"
prints 'shop production: 20261123094512/1 is live, 20261110120000/1 the previous good'
prints 'undo: bmctl settle shop production --unknown'
is "live" 20261123094512/1 "$(live shop production)"
is "previous good" 20261110120000/1 "$(bmctl --json status shop | jq -r '.stages[] | select(.stage == "production") | .previous_good | "\(.release)/\(.build)"')"
is "clean" null "$(bmctl --json status shop | jq '.stages[] | select(.stage == "production") | .dirty')"
is "the other stage" null/null "$(live shop testing)"
is "note" "adopted from $root/releases/20261101120000" "$(bmctl --json build show shop 20261101120000 | jq -r .build.note)"
bmctl build manifest shop 20261101120000/1 site >"$HOME_DIR/manifest"
grep -qE 'shared|uploads|pids|log' "$HOME_DIR/manifest" && FAIL "a link to what is shared is part of the build"
grep -q 'index.*start' "$HOME_DIR/manifest" || FAIL "an ordinary link is not part of the build"
is "what stays as it was" "$before" "$(tree)"
expect 0 bmctl audit shop -n 1
prints "adopted: $HOME_DIR/alias/current pointed to 20261123094512"
OK "adopted"

# Again: the same, and nothing more.
expect 0 bmctl adopt shop production --current "$root/current"
prints 'as it was already'
is "builds" 3 "$(bmctl --json build list shop | jq '.builds | length')"
OK "the same again"

# Back by bmd's own plan, into the same folder; deployed there, and back again to what Capistrano had deployed.
expect 0 bmctl redeploy --now --wait
prints 'replacing 20261123094512/1'
is "live" 20261110120000/1 "$(live shop production)"
is "current" releases/20261110120000-1 "$(readlink "$root/current" | sed "s|^$root/||")"
is "its files" two "$(cat "$root/current/index")"
is "what is shared" secret "$(cat "$root/current/config/database.yml")"
[ "$(readlink -f "$root/current/log")" = "$root/shared/log" ] || FAIL "log is not the shared one"
is "mode" rollback "$(job 1 mode)"
mkdir "$HOME_DIR/site" "$HOME_DIR/site/bin"
printf '#!/bin/sh\n' >"$HOME_DIR/site/bin/hello"
chmod +x "$HOME_DIR/site/bin/hello"
for text in four five six; do
    echo $text >"$HOME_DIR/site/index"
    expect 0 bmctl build add shop 2.0 "$HOME_DIR/site"
    expect 0 bmctl deploy shop "$(cut -d' ' -f2 "$HOME_DIR/out")" --to production --now --wait
done
is "deployed" six "$(cat "$root/current/index")"
expect 0 bmctl redeploy shop 20261101120000/1 --now --wait
is "back at the oldest" one "$(cat "$root/current/index")"
is "what it says" one "$("$root/current/bin/hello")"
is "folders that bmd did not make" "$before" "$(cd "$root" && find releases/2026?????????? releases/2026??????????/* -printf '%p %y %m %l %T@\n' | sort -u; cat "$root"/releases/2026??????????/index)"
[ ! -e "$root/releases/2.0-1" ] || FAIL "keep did not prune what bmd made"
OK "deployed to by bmd, and back"

# What would lie is refused.
expect 8 bmctl adopt shop production --current "$root/current"
says 'has a history'
# The same release with other files is another build.
ln -sfn "$root/releases/20261123094512" "$HOME_DIR/srv/link"
echo changed >"$root/releases/20261123094512/index"
expect 8 bmctl adopt shop testing --current "$HOME_DIR/srv/link"
says 20261123094512
is "the stage" null/null "$(live shop testing)"
echo three >"$root/releases/20261123094512/index"
# Only what is named, in that order; what is live is always the last.
expect 2 bmctl adopt shop testing --current "$HOME_DIR/srv/link" 20261123094512 20261101120000
expect 2 bmctl adopt shop testing --current "$HOME_DIR/srv/link" 20261101120000 20261101120000
expect 2 bmctl adopt shop testing --current "$HOME_DIR/srv/link" 1999
expect 2 bmctl adopt shop testing --current "$HOME_DIR/srv/link" ../shared
is "protocol" NoSuchBuild "$(call Adopt '{"key":"k2","application":"shop","stage":"testing","reason":"r","builds":[{"release":"9","build":1}]}' | jq -r .error | sed 's/.*\.//')"
# A first deployment by bmd that failed is no history; what is said to be live mends the stage.
printf '#!/bin/sh\nexit 1\n' >"$HOME_DIR/site/bin/hello"
expect 0 bmctl build add shop 3.0 "$HOME_DIR/site"
expect 1 bmctl deploy shop 3.0 --to testing --now --wait
expect 0 bmctl --json adopt shop testing --current "$HOME_DIR/srv/link" 20261110120000 20261101120000
is "mended" null "$(jq .stage.dirty "$HOME_DIR/out")"
is "in the order typed" 20261101120000/1 "$(jq -r '.stage.previous_good | "\(.release)/\(.build)"' "$HOME_DIR/out")"
jq -e .adopted "$HOME_DIR/out" >/dev/null || FAIL "--json does not say that it was adopted"
# A stage that others have locked or that runs, links that are none, and machines that are others.
expect 2 bmctl adopt shop testing
says '--current PATH'
expect 2 bmctl adopt shop testing --current "$root/releases/20261101120000"
says 'no symbolic link'
expect 2 bmctl adopt shop testing --current "$HOME_DIR/srv/nothing"
ln -s nowhere "$HOME_DIR/srv/dangling"
expect 2 bmctl adopt shop testing --current "$HOME_DIR/srv/dangling"
says 'points to nothing'
expect 2 bmctl -H web adopt shop testing --current "$HOME_DIR/srv/link"
expect 3 bmctl adopt shop nosuch --current "$HOME_DIR/srv/link"
expect 3 bmctl adopt nosuch testing --current "$HOME_DIR/srv/link"
ln -sfn "$root/releases/20261124000000" "$HOME_DIR/srv/link"
expect 1 bmctl adopt shop testing --current "$HOME_DIR/srv/link" --dry-run
says 'releases/20261124000000/pipe: '
is "protocol" InvalidParameter "$(call Adopt '{"key":"k","application":"shop","stage":"testing","reason":"r","builds":[]}' | jq -r .error | sed 's/.*\.//')"
OK "refused"
bmd_stop
