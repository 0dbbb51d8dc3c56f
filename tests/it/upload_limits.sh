#!/bin/sh
# What an upload may be at most stands in bmd.conf; each limit has its own sentence, and a refused upload
# leaves nothing. A reload brings new limits.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"

application shop <<CONF
    stages = {"production"}
    stage "production" { plan = "web" }
CONF
plan web <<CONF
    step "files" { deploy = "site"  to = '$HOME_DIR/www' }
CONF
configure 'upload-bytes = "100B"' 'upload-file = "60B"' 'upload-files = 5' 'upload-depth = 3' 'upload-path = 20'
bmd_start

tree=$HOME_DIR/tree
# refused SENTENCE: the tree is refused as a folder and as an archive, with this sentence.
refused() {
    tar -C "$tree" -cf "$HOME_DIR/site.tar" .
    for upload in "$tree" "$HOME_DIR/site.tar"; do
        expect 1 bmctl build add shop 1.0.0 "site=$upload"
        says "$1"
    done
    rm -rf "$tree"
    OK "$1"
}
text() { head -c "$1" /dev/zero | tr '\0' x; }

mkdir -p "$tree"; text 61 >"$tree/big"
# The archive itself is larger than 100 bytes already: it is the folder that shows the single file.
expect 1 bmctl build add shop 1.0.0 "site=$tree"
says "big: the file is larger than 60 bytes"
text 50 >"$tree/big"; text 51 >"$tree/other"
expect 1 bmctl build add shop 1.0.0 "site=$tree"
says "together larger than 100 bytes"
rm -rf "$tree"

configure 'upload-files = 5' 'upload-depth = 3' 'upload-path = 20'
bmctl reload >/dev/null || FAIL "reload"
mkdir -p "$tree"; for i in 1 2 3 4 5 6; do echo $i >"$tree/$i"; done
refused "more than 5 files"
mkdir -p "$tree/a/b/c"; : >"$tree/a/b/c/d"
refused "deeper than 3 folders"
mkdir -p "$tree"; : >"$tree/012345678901234567890"
refused "longer than 20 bytes"

configure 'upload-ratio = 2'
bmctl reload >/dev/null || FAIL "reload"
mkdir "$tree"; truncate -s 66M "$tree/zeros"
tar -C "$tree" -czf "$HOME_DIR/site.tar.gz" .
expect 1 bmctl build add shop 1.0.0 "site=$HOME_DIR/site.tar.gz"
says "more than 2 times its size"

is "objects" 0 "$(find "$HOME_DIR/state/store/objects" -type f | wc -l)"
is "leftovers" 0 "$(find "$HOME_DIR/state/store/incoming" -type f | wc -l)"
