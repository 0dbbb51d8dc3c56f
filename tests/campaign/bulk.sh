#!/bin/sh
# A large upload takes no more memory than a small one, in each program that it passes through: as a folder, a tar,
# a tar.gz and a zip; and neither do placing and hashing it again.
#
#   N=     GiB of the one file that is uploaded (a short form of 96 MiB without it); twice as much is on the disk for a while
#   BOUND= MiB of memory that no program may pass (default 32)
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"

MIB=${N:+$((N * 1024))} MIB=${MIB:-96} BOUND=${BOUND:-32}
case $(grep -c fsanitize "$top_builddir/config.status" 2>/dev/null) in
0) ;;
*) SKIP "sanitizers take memory of their own" ;;
esac
free=$(df -Pm "$HOME_DIR" | awk 'NR == 2 { print $4 }')
[ "$free" -gt $((MIB * 2 + 100)) ] || SKIP "$HOME_DIR has not the $((MIB * 2)) MiB that this takes"

configure 'upload-ratio = 1000000'
application app <<CONF
    stages = {"production"}
    stage "production" { plan = "files" }
CONF
plan files <<CONF
    step "files" { deploy = "site"  to = '$HOME_DIR/www'  timeout = "1h" }
CONF

# What is uploaded takes no room: zeros that are a hole. A tar is its header, the hole and its end; a gzip of such a tar
# is made of members of 32 MiB, for many in a row are a gzip, too.
source=$HOME_DIR/source
mkdir "$source"
truncate -s "${MIB}M" "$source/big"
header() { tar -C "$source" -cf - big 2>/dev/null | head -c 512; }
{ header; } >"$HOME_DIR/big.tar"
truncate -s $((512 + MIB * 1048576 + 1024)) "$HOME_DIR/big.tar"
part() { gzip -1 -n >>"$HOME_DIR/big.tar.gz"; }
header | part
head -c 33554432 /dev/zero | gzip -1 -n >"$HOME_DIR/part"
for i in $(seq $((MIB / 32))); do cat "$HOME_DIR/part"; done >>"$HOME_DIR/big.tar.gz"
head -c 1024 /dev/zero | part
(cd "$source" && zip -1 -q "$HOME_DIR/big.zip" big) || FAIL "zip"

# measured WHAT COMMAND…: how much memory each program took at most, one row.
measured() {
    what=$1
    shift
    "$top_builddir/tests/campaign/peak" "$BMD_PID" "$@" >"$HOME_DIR/out" 2>"$HOME_DIR/err" ||
        { cat "$HOME_DIR/err"; FAIL "$what"; }
    awk -F '\t' -v what="$what" '
        ($1 == "bmctl" || $1 ~ /^bmd/) && $2 > 99 { row = row (row == "" ? "" : ", ") sprintf("%s %.1f", $1, $2 / 1024) }
        END { printf "| %s | %s MiB |\n", what, row }' "$HOME_DIR/out"
    awk -F '\t' -v bound="$BOUND" '($1 == "bmctl" || $1 ~ /^bmd/) && $2 > bound * 1024 { print $1, $2; bad = 1 }
        END { exit bad }' "$HOME_DIR/out" || FAIL "$what: more than $BOUND MiB"
}
seen() { grep -q "^$1	" "$HOME_DIR/out" || { cat "$HOME_DIR/out"; FAIL "$1 was not looked at"; }; }

for upload in source big.tar big.tar.gz big.zip; do
    bmd_start
    measured "upload of $MIB MiB, $([ $upload = source ] && echo folder || echo "${upload#big.}")" \
        bmctl build add app 1.0 "site=$HOME_DIR/$upload"
    for program in bmctl bmd bmd-import; do seen $program; done
    [ $upload = source ] || seen "bmd-import's child"
    is "bytes" $((MIB * 1048576)) "$(bmctl --json build show app 1.0/1 | jq '.build.artifacts[0].bytes')"
    [ $upload = big.zip ] && break
    bmd_stop
    rm -rf "$HOME_DIR/state"
done
measured "placing it" bmctl deploy app 1.0/1 --to production --now --wait
seen bmd-run
rm -rf "$HOME_DIR/www"
measured "hashing it again" bmctl build verify app 1.0/1
bmd_stop
OK "$MIB MiB within $BOUND MiB of memory in each program"
