#!/bin/sh
# keep-builds, pins and gc: what is needed stays whole, the rest goes with its files, and an upload meanwhile loses nothing.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"

shop() { # shop LINE…: the application, with lines of its own
    { echo '    stages = {"production"}'; for line; do echo "    $line"; done
      echo "    stage \"production\" { plan = \"web\"  variables = {\"ROOT=$HOME_DIR/www\"} }"; } | application shop
}
shop
plan web <<'CONF'
    step "files" { deploy = "site"  to = '$ROOT' }
CONF
bmd_start
STORE=$HOME_DIR/state/store
mkdir "$HOME_DIR/site"
echo "the same in all" >"$HOME_DIR/site/common"
add() { # add CONTENT: one more build
    echo "$1" >"$HOME_DIR/site/index.html"
    expect 0 bmctl build add shop 1.0 "site=$HOME_DIR/site"
}
object() { sum=$(sha256sum | cut -d' ' -f1); echo "$STORE/objects/$(echo "$sum" | cut -c1-2)/$(echo "$sum" | cut -c3-)"; }
page() { echo "page $1" | object; }
fate() { jq -r ".builds[] | select(.build == $1) | .rule" "$HOME_DIR/out"; }
digest() { bmctl --json build show shop "1.0/$1" | jq -r '.build.artifacts[0].digest'; }
# Uploaded two days ago: too old to be waiting for its build.
age() { for digest; do touch -d '2 days ago' "$STORE/manifests/$digest"; done; }

for n in 1 2 3 4 5 6 7; do add "page $n"; done
for n in 1 2 3 4; do expect 0 bmctl deploy shop 1.0/$n --to production --now --wait; done
expect 0 bmctl redeploy shop 1.0/2 --now --wait
age $(ls "$STORE/manifests")
four=$(digest 4)

# Without keep-builds nothing is given up.
expect 0 bmctl gc --dry-run
prints 'keep-builds is not set for shop'
expect 8 bmctl gc
says 'keep-builds'
is "manifests" 7 "$(ls "$STORE/manifests" | wc -l)"
OK "not asked for"

shop 'keep-builds = 1'
expect 0 bmctl reload
expect 0 bmctl build pin shop 1.0/5 --reason audited
prints 'shop 1.0/5 is pinned'
is "the pin" "root audited" "$(bmctl --json build show shop 1.0/5 | jq -r '.build.pinned | "\(.by) \(.reason)"' | sed "s/^$(id -un)/root/")"
expect 0 bmctl build show shop 1.0/5
prints 'audited'
expect 0 bmctl build list shop
prints 'pinned: audited'
expect 0 bmctl deploy shop 1.0/6 --to production --at +2h
expect 0 bmctl --json gc --dry-run shop
for pair in 1:previous-good 2:live 3:old 4:old 5:pinned 6:waiting 7:newest; do
    is "the rule of ${pair%%:*}" "${pair#*:}" "$(fate "${pair%%:*}")"
done
expect 0 bmctl build show shop 1.0/3
expect 0 bmctl gc
prints '5 builds kept, 2 freed'
for n in 1 2 5 6 7; do [ -f "$(page $n)" ] || FAIL "page $n is gone"; done
for n in 3 4; do [ ! -e "$(page $n)" ] || FAIL "page $n is still there"; done
[ ! -e "$STORE/manifests/$four" ] || FAIL "the manifest of 1.0/4 is still there"
[ -f "$(echo 'the same in all' | object)" ] || FAIL "what all share is gone"
expect 0 bmctl build verify shop
OK "what is needed stays, the rest goes"

# What is left of a collected build: its history, and its number, which is never given again.
expect 3 bmctl build show shop 1.0/3
says 'was collected'
expect 0 bmctl --json build list shop
is "listed" "7 6 5 2 1" "$(jq -r '[.builds[].build] | join(" ")' "$HOME_DIR/out")"
expect 0 bmctl history shop
prints '1.0/3'
expect 3 bmctl redeploy shop 1.0/4 --now
says 'was collected'
expect 8 bmctl build add shop 1.0 --number 3 "site=$HOME_DIR/site"
says 'never given again'
expect 0 bmctl build unpin shop 1.0/5
expect 0 bmctl gc
prints '4 builds kept, 1 freed'
expect 0 bmctl gc
prints '4 builds kept, 0 freed'
prints 'removed 0 stored files'
OK "what is left of it"

# The same after a restart: the number, and that it was collected.
bmd_stop
bmd_start
expect 3 bmctl build show shop 1.0/5
says 'was collected'
OK "and after a restart"

# gc while an upload is under way that counts on a file which only a collected build had.
add 'page 8'
expect 0 bmctl gc
age $(ls "$STORE/manifests")
mkdir "$HOME_DIR/large"
echo 'page 7' >"$HOME_DIR/large/again"
head -c 48000000 /dev/zero >"$HOME_DIR/large/zeros"
bmctl build add shop 2.0 "site=$HOME_DIR/large" >"$HOME_DIR/added" 2>&1 &
UPLOAD=$!
at_exit 'kill -KILL $UPLOAD 2>/dev/null'
staging() { [ -n "$(ls "$STORE/incoming")" ] || ! kill -0 "$UPLOAD" 2>/dev/null; }
retry staging
kill -STOP "$UPLOAD" 2>/dev/null
bmctl gc >"$HOME_DIR/gc" 2>&1 &
GC=$!
collecting() { pgrep -f "$HOME_DIR/state .*--gc" || ! kill -0 "$GC" 2>/dev/null; }
retry collecting
kill -CONT "$UPLOAD" 2>/dev/null
wait "$UPLOAD" || { cat "$HOME_DIR/added"; FAIL "the upload"; }
wait "$GC" || { cat "$HOME_DIR/gc"; FAIL "gc"; }
expect 0 bmctl build verify shop
expect 0 bmctl deploy shop 2.0/1 --to production --now --wait
is "what was deployed" "page 7" "$(cat "$HOME_DIR/www/current/again")"
OK "an upload meanwhile"

# While the store is swept, an artifact that no build names and that came long ago is not taken; a fresh one, and one that a build
# names, are.
printf orphan >"$HOME_DIR/site/index.html"
expect 0 bmctl build add shop 3.0 "site=$HOME_DIR/site"
orphan=$(bmctl --json build show shop 3.0/1 | jq -r '.build.artifacts[0].digest')
add 'page 9'
shop 'keep-builds = 1'
expect 0 bmctl gc
[ -f "$STORE/manifests/$orphan" ] || FAIL "a young manifest is gone"
expect 3 bmctl build show shop 3.0/1
exec 8<"$STORE"
flock -n -x 8 || FAIL "the store is locked"
add_orphan() { bmctl --json call AddBuild "{\"key\":\"$1\",\"application\":\"shop\",\"release\":\"4.0\",\"artifacts\":[{\"name\":\"site\",\"digest\":\"$orphan\"}]}"; }
age "$orphan"
expect 1 add_orphan k1
says 'upload it again'
touch "$STORE/manifests/$orphan"
expect 0 add_orphan k2
age "$orphan"
expect 0 add_orphan k3
exec 8<&-
# A mark of damage goes with its manifest; of one that stays it stays, until it is verified.
mkdir -p "$STORE/damaged"
gone=$(printf gone | sha256sum | cut -d' ' -f1)
for mark in "$gone" "$orphan"; do printf 'damaged\t%s\t4\tfile\n' "$gone" >"$STORE/damaged/$mark"; done
expect 0 bmctl gc
is "marks of damage" "$orphan" "$(ls "$STORE/damaged")"
expect 0 bmctl build verify shop
is "marks of damage" "" "$(ls "$STORE/damaged")"
OK "builds that are added meanwhile"
bmd_stop
