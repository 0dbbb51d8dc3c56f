#!/bin/sh
# The deploy step, as section 4 of the contract has it: what a release folder holds, the switch of `current`, shared,
# keep, in-place, a release folder that somebody changed, and what is not bmd's to touch.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"

ME=$(id -un)
OWNER=$ME
[ "$(id -u)" != 0 ] || OWNER=nobody
for d in one two flat full; do
    mkdir "$HOME_DIR/$d"
    [ "$(id -u)" != 0 ] || chown "$OWNER" "$HOME_DIR/$d"
done
configure
application app <<CONF
    stages = {"testing", "production", "flat", "full"}
    user = "$OWNER"
    stage "testing"    { plan = "simple"  variables = {"ROOT=$HOME_DIR/one"} }
    stage "production" { plan = "shared"  variables = {"ROOT=$HOME_DIR/two"} }
    stage "flat"       { plan = "flat"  variables = {"ROOT=$HOME_DIR/flat"} }
    stage "full"       { plan = "flat"  variables = {"ROOT=$HOME_DIR/full"} }
CONF
plan simple <<'CONF'
    step "files" { deploy = "site"  to = '$ROOT' }
CONF
plan shared <<'CONF'
    step "files" { deploy = "site"  to = '${ROOT}'  shared = {"log", ".env", "var/cache"}  keep = 2 }
    step "check" { run = 'test ! -e "$ROOT/bad-$BM_BUILD"' }
CONF
plan flat <<'CONF'
    step "files" { deploy = "site"  to = '$ROOT'  in-place = true  shared = {"uploads"} }
CONF
bmd_start
site=$HOME_DIR/site
mkdir -p "$site/bin" "$site/empty"
ln -s index.html "$site/link"
printf '#!/bin/sh\n' >"$site/bin/tool"
chmod 755 "$site/bin/tool"
for n in 1 2 3 4 5 7 8 6; do
    echo "page $n" >"$site/index.html"
    rm -f "$site"/only*
    echo "only $n" >"$site/only$n"
    expect 0 bmctl build add app 1.0 --number $n "site=$site"
done
deploy() { expect 0 bmctl deploy app "1.0/$2" --to "$1" --now --wait --no-follow; }
listing() { (cd "$1" && find . -mindepth 1 -printf '%P %y %m %l\n' | sort); }

deploy testing 6
is current releases/1.0-6 "$(readlink "$HOME_DIR/one/current")"
(listing "$site") >"$HOME_DIR/want"
listing "$HOME_DIR/one/releases/1.0-6" | diff -u "$HOME_DIR/want" - || FAIL "the folder holds something else"
is owner "$OWNER" "$(stat -c %U "$HOME_DIR/one/releases/1.0-6/index.html")"
is "what lies there" "current releases" "$(echo $(ls -A "$HOME_DIR/one"))"
OK "exactly the files"

# There and whole: used as it is. Changed: set aside, named, placed anew.
before=$(stat -c '%i %Z' "$HOME_DIR/one/releases/1.0-6/index.html")
deploy testing 6
is "the same file" "$before" "$(stat -c '%i %Z' "$HOME_DIR/one/releases/1.0-6/index.html")"
echo hacked >"$HOME_DIR/one/releases/1.0-6/index.html"
echo new >"$HOME_DIR/one/releases/1.0-6/more"
deploy testing 6
aside=$(echo "$HOME_DIR"/one/releases/1.0-6.changed-*)
is aside "$HOME_DIR/one/releases/1.0-6.changed-3" "$aside"
is kept hacked "$(cat "$aside/index.html")"
is anew "page 6" "$(cat "$HOME_DIR/one/current/index.html")"
[ ! -e "$HOME_DIR/one/current/more" ] || FAIL "what does not belong stayed"
bmctl log 3 >"$HOME_DIR/log"
grep -q index.html "$HOME_DIR/log" && grep -q more "$HOME_DIR/log" && grep -q 1.0-6.changed-3 "$HOME_DIR/log" ||
    { cat "$HOME_DIR/log"; FAIL "the log does not name what differed"; }
OK "a release folder that is there, and one that was changed"

# shared, keep: a folder that bmd did not make stays, live and previous good stay.
mkdir -p "$HOME_DIR/two/releases/by-hand" "$HOME_DIR/two/releases/1.0-2" "$HOME_DIR/two/shared"
mkdir "$HOME_DIR/two/shared/log"
echo secret >"$HOME_DIR/two/shared/.env"
[ "$(id -u)" != 0 ] || chown -R "$OWNER" "$HOME_DIR/two"
deploy production 1
is env secret "$(cat "$HOME_DIR/two/current/.env")"
[ -L "$HOME_DIR/two/current/log" ] && [ -L "$HOME_DIR/two/current/var/cache" ] || FAIL "not shared"
echo x >"$HOME_DIR/two/current/log/a" || FAIL "a shared folder that is not there"
[ -f "$HOME_DIR/two/shared/log/a" ] || FAIL "shared leads elsewhere"
before=$(stat -c %i "$HOME_DIR/two/releases/1.0-1")
deploy production 1
is "shared is not verified" "$before" "$(stat -c %i "$HOME_DIR/two/releases/1.0-1")"
deploy production 3
deploy production 4
deploy production 5
ls "$HOME_DIR/two/releases" >"$HOME_DIR/releases"
# 1.0-3 was the previous good when 1.0-5 was placed.
is releases "1.0-2 1.0-3 1.0-4 1.0-5 by-hand" "$(echo $(cat "$HOME_DIR/releases"))"
is "shared stays" x "$(cat "$HOME_DIR/two/current/log/a")"
# Failed deploys of others do not push out live and previous good.
touch "$HOME_DIR/two/bad-6" "$HOME_DIR/two/bad-7" "$HOME_DIR/two/bad-8"
for n in 6 7 8; do expect 1 bmctl deploy app 1.0/$n --to production --now --wait --no-follow; done
[ -d "$HOME_DIR/two/releases/1.0-5" ] && [ -d "$HOME_DIR/two/releases/1.0-4" ] || FAIL "live or previous good was pruned: $(ls "$HOME_DIR/two/releases")"
expect 0 bmctl redeploy app --to production --now --wait --no-follow
is back "page 5" "$(cat "$HOME_DIR/two/current/index.html")"
expect 0 bmctl redeploy app --to production --now --wait --no-follow
is back "page 4" "$(cat "$HOME_DIR/two/current/index.html")"
OK "shared and keep"

# In place: fills an empty folder, makes it exact again, leaves shared alone, refuses what it did not fill.
deploy flat 1
deploy flat 2
echo stray >"$HOME_DIR/flat/stray"
[ -e "$HOME_DIR/flat/only2" ] && [ ! -e "$HOME_DIR/flat/only1" ] || FAIL "not exact: $(ls "$HOME_DIR/flat")"
mkdir -p "$HOME_DIR/flat/uploads" 2>/dev/null
echo mine >"$HOME_DIR/flat/uploads/mine"
deploy flat 3
[ ! -e "$HOME_DIR/flat/stray" ] || FAIL "what does not belong stayed"
is page "page 3" "$(cat "$HOME_DIR/flat/index.html")"
is upload mine "$(cat "$HOME_DIR/flat/uploads/mine")"
expect 0 bmctl redeploy app --to flat --now --wait --no-follow
is page "page 2" "$(cat "$HOME_DIR/flat/index.html")"
is upload mine "$(cat "$HOME_DIR/flat/uploads/mine")"
is "nothing of ours" "bin empty index.html link only2 uploads" "$(echo $(ls -A "$HOME_DIR/flat"))"
echo precious >"$HOME_DIR/full/precious"
expect 1 bmctl deploy app 1.0/1 --to full --now --wait --no-follow
prints "$HOME_DIR/full"
prints "full is dirty: bmctl deploy app BUILD --to full --now mends it"
is "left alone" "precious" "$(echo $(ls -A "$HOME_DIR/full"))"
rm "$HOME_DIR/full/precious"
deploy full 1
OK "in place"

# Every name that a release may have is one, with a folder of its own.
for release in 1..2 9 A+b~c-d_e. a--b; do
    expect 0 bmctl build add app "$release" "site=$site"
    expect 0 bmctl deploy app "$release/1" --to testing --now --wait --no-follow
    is "current" "releases/$release-1" "$(readlink "$HOME_DIR/one/current")"
    is page "page 6" "$(cat "$HOME_DIR/one/releases/$release-1/index.html")"
done
OK "names of releases"
bmd_stop
