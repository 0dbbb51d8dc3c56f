#!/bin/sh
# An upload that is broken off leaves nothing; two of the same build at once end as one; and a large one takes no more
# memory than a small one, in each program that it passes through.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"

application app <<CONF
    stages = {"production"}
    stage "production" { plan = "web" }
CONF
plan web <<CONF
    step "files" { deploy = "site"  to = '$HOME_DIR/www' }
CONF
# All that bmd starts, and bmctl, must do with this much address space: half of the upload.
size=96
case ${BMD_SANITIZERS:-}$(grep -c fsanitize "$top_builddir/config.status" 2>/dev/null) in
0) ulimit -v $((48 * 1024)) 2>/dev/null ;;
esac
configure 'upload-ratio = 1000000'
bmd_start
incoming() { find "$HOME_DIR/state/store/incoming" -mindepth 1 | wc -l; }
objects() { find "$HOME_DIR/state/store/objects" -type f | wc -l; }
nothing_left() { [ "$(incoming)" = 0 ]; }

# A fifo gives the archive, so that it can be cut where it is wanted.
mkdir "$HOME_DIR/site"
head -c 3000000 /dev/urandom >"$HOME_DIR/site/data"
tar -C "$HOME_DIR/site" -cf "$HOME_DIR/site.tar" .
head -c 2000000 "$HOME_DIR/site.tar" >"$HOME_DIR/cut.tar"
expect 1 bmctl build add app 1.0 "site=$HOME_DIR/cut.tar"
retry nothing_left || FAIL "staged files are left"
is "objects" 0 "$(objects)"

# The client is killed while it sends: the socket takes no more than its buffers hold, so it is in the middle.
truncate -s 200M "$HOME_DIR/big"
bmctl build add app 1.0 "site=$HOME_DIR/big" >/dev/null 2>&1 &
client=$!
staged() { [ "$(incoming)" -gt 1 ]; }
retry staged || FAIL "nothing is staged"
kill -KILL $client
wait $client 2>/dev/null
retry nothing_left || FAIL "staged files are left"
is "objects" 0 "$(objects)"
is "builds" 0 "$(bmctl --json build list app | jq '.builds | length')"
OK "an upload that is broken off leaves nothing"

# On a terminal, and only there, it says how far it is, how fast, and how much time is left.
expect 0 bmctl build add app 1.1 "site=$HOME_DIR/big"
! grep -q '/s' "$HOME_DIR/err" || FAIL "progress where there is no terminal"
if command -v script >/dev/null; then
    # So large that no machine is done with it before the first line, which comes after 0.2 s.
    truncate -s 900M "$HOME_DIR/huge"
    script -qec "bmctl build add app 1.2 site=$HOME_DIR/huge" /dev/null </dev/null >"$HOME_DIR/out"
    tr '\r' '\n' <"$HOME_DIR/out" | grep -qE '^site: [0-9.]+ [KM]iB of 900.0 MiB, [0-9.]+ [KMG]iB/s, [0-9a-z ]+ left' ||
        { tr '\r' '\n' <"$HOME_DIR/out"; FAIL "no progress on a terminal"; }
    prints 'app 1.2/1'
fi
OK "progress"

before=$(objects)
for i in 1 2 3; do
    bmctl build add app 2.0 --number 7 "site=$HOME_DIR/site" >"$HOME_DIR/answer$i" 2>/dev/null &
    eval "client$i=\$!"
done
for i in 1 2 3; do
    eval "wait \$client$i" || FAIL "upload $i"
    is "answer $i" "app 2.0/7" "$(cat "$HOME_DIR/answer$i")"
done
is "builds" 1 "$(bmctl --json build list app --release 2.0 | jq '.builds | length')"
is "objects" $((before + 1)) "$(objects)"
nothing_left || FAIL "staged files are left"
OK "the same build three times at once is one"

rm "$HOME_DIR/big"
truncate -s ${size}M "$HOME_DIR/big"
expect 0 bmctl build add app 3.0 "site=$HOME_DIR/big"
tar -cSf "$HOME_DIR/big.tar" -C "$HOME_DIR" big
expect 0 bmctl build add app 3.1 "site=$HOME_DIR/big.tar"
is "bytes" $((size * 1024 * 1024)) "$(bmctl --json build show app 3.1/1 | jq '.build.artifacts[0].bytes')"
expect 0 bmctl deploy app 3.0/1 --to production --now --wait
expect 0 bmctl build verify app 3.0/1
OK "$size MiB in 48 MiB"
bmd_stop
