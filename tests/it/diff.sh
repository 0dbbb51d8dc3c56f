#!/bin/sh
# diff: what two builds differ in; and of very long lists bmd itself reads nothing, so that it answers others meanwhile.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"

application shop <<'CONF'
    stages = {"production"}
    stage "production" { plan = "none" }
CONF
plan none <<'CONF'
    step "nothing" { run = 'true' }
CONF
bmd_start
site=$HOME_DIR/site
mkdir -p "$site/folder"
echo old >"$site/changed"
echo same >"$site/same"
echo goes >"$site/folder/goes"
expect 0 bmctl build add shop 1.0 "site=$site" "tools=$site/same"
rm "$site/folder/goes"
printf 'longer than before' >"$site/changed"
ln -s same "$site/folder/link"
expect 0 bmctl build add shop 2.0 "site=$site"
expect 0 bmctl --json diff shop 1.0/1 2.0/1
is "what differs" "site changed changed 4 18
site folder/goes removed 5 null
site folder/link added null 0
tools same removed 5 null" "$(jq -r '.changes[] | "\(.artifact) \(.path) \(.change) \(.old_bytes) \(.new_bytes)"' "$HOME_DIR/out")"
is "the counts" "1 1 2" "$(jq -r '"\(.added) \(.changed) \(.removed)"' "$HOME_DIR/out")"
expect 0 bmctl --color=always diff shop 1.0/1 2.0/1
prints "$(printf '\033[31mremoved')"
prints "$(printf '\033[32madded')"
prints '18 B'
prints 'from 1.0/1 to 2.0/1: 1 added, 1 changed, 2 removed'
expect 3 bmctl diff shop 1.0/1
says 'nothing is live on shop production'
expect 0 bmctl deploy shop 2.0/1 --to production --now --wait
expect 0 bmctl diff shop 1.0/1
prints 'from 1.0/1 to 2.0/1'
expect 0 bmctl diff shop 2.0/1 2.0/1
prints '0 added, 0 changed, 0 removed'
expect 3 bmctl diff shop 2.0/1 9.9/9
OK "what two builds differ in"

# Two lists of 100,000 files of which every one differs, put into the store as an upload would.
list() { # list DIGEST RELEASE
    awk -v digest="$1" 'BEGIN {
        print "bmd manifest 1"
        for (i = 100000; i < 200000; i++) printf "0644\t2\t%s\tfolder%d/and/below/file-%d.html\n", digest, int(i / 1000), i
    }' >"$HOME_DIR/list"
    name=$(sha256sum <"$HOME_DIR/list" | cut -d' ' -f1)
    mv "$HOME_DIR/list" "$HOME_DIR/state/store/manifests/$name"
    call AddBuild "{\"key\":\"$2\",\"application\":\"shop\",\"release\":\"$2\",\"artifacts\":[{\"name\":\"site\",\"digest\":\"$name\"}]}" |
        grep -q '"build":1' || FAIL "the build with a long list"
}
list "$(echo 1 | sha256sum | cut -d' ' -f1)" long1
list "$(echo 2 | sha256sum | cut -d' ' -f1)" long2
# Nanoseconds that bmd has been on a processor.
on_cpu() { cut -d' ' -f1 "/proc/$BMD_PID/schedstat"; }
before=$(on_cpu)
is "of the first page" "100 100000" \
    "$(ask Diff '{"application":"shop","a":{"release":"long1","build":1},"b":{"release":"long2","build":1}}' '"\(.changes | length) \(.changed)"')"
[ "$(($(on_cpu) - before))" -lt 50000000 ] || FAIL "bmd worked $(($(on_cpu) - before)) ns for a page"
before=$(on_cpu)
expect 0 bmctl build manifest shop long1/1 site
is "lines" 100001 "$(wc -l <"$HOME_DIR/out")"
expect 0 bmctl --json diff shop long1/1 long2/1
is "all pages" "100000 folder199/and/below/file-199999.html" "$(jq -r '"\(.changes | map(.path) | unique | length) \(.changes[-1].path)"' "$HOME_DIR/out")"
OK "long lists"

# While the helper that reads the lists does nothing, bmd answers others, and forgets who has gone.
helper() { pgrep -P "$BMD_PID" -f -- '--lists'; }
expect 0 bmctl diff shop 1.0/1
kill -STOP "$(helper)"
bmctl diff shop 1.0/1 2.0/1 >/dev/null 2>&1 &
GONE=$!
bmctl --json diff shop long1/1 long2/1 >"$HOME_DIR/long" 2>&1 &
LONG=$!
bmctl build manifest shop 1.0/1 tools >"$HOME_DIR/tools" 2>&1 &
TOOLS=$!
at_exit 'kill -KILL $GONE $LONG $TOOLS 2>/dev/null'
for n in 1 2 3 4 5; do
    expect 0 timeout 5 bmctl status
    expect 0 timeout 5 bmctl build show shop 1.0/1
done
kill -KILL "$GONE"
kill -CONT "$(helper)"
wait "$LONG" || { cat "$HOME_DIR/long"; FAIL "the long difference"; }
is "its changes" 100000 "$(jq '.changes | length' "$HOME_DIR/long")"
wait "$TOOLS" || { cat "$HOME_DIR/tools"; FAIL "the list of files"; }
grep -q same "$HOME_DIR/tools" || FAIL "the list of files is another"
OK "bmd answers meanwhile"

# A helper that dies takes its questions with it; the next one has another.
kill -STOP "$(helper)"
bmctl diff shop 1.0/1 2.0/1 >"$HOME_DIR/lost" 2>&1 &
LOST=$!
# It sleeps and bmd has its connection: the question is asked.
asked() { grep -q '^State:.S' "/proc/$LOST/status" && [ "$(grep -c "$BMD_SOCKET" /proc/net/unix)" -ge 2 ]; }
retry asked
kill -KILL "$(helper)"
wait "$LOST"
is "exit code" 1 $?
grep -q 'bmd-import ended early' "$HOME_DIR/lost" || { cat "$HOME_DIR/lost"; FAIL "nothing says why"; }
expect 0 bmctl diff shop 1.0/1 2.0/1
gone() { ! helper; }
retry gone || FAIL "the helper stays"
expect 0 bmctl diff shop 1.0/1 2.0/1
OK "a helper that dies, and one that has nothing to do"
bmd_stop
