#!/bin/sh
# The figures of files: import, placing, placing again, differences, disk and memory, each beside what everybody has, in one run.
# Run by `make bench-files`; it prints a table in Markdown. Eight minutes on two quiet cores.
#   N=5   pairs of each   BIG_N=3   pairs of the large file   BIG_MIB=1908   the large file (2 GB)   FILES=100000   of a difference
#
# Both sides of a pair read from and write to the same disk, one right after the other; which comes first changes with each
# pair, what was written before is flushed before each, and one pair that does not count goes ahead. Each writes into a folder
# that is new, and nothing is removed before the large file has its turn: on an ext4 without a journal a file that is made within
# minutes after others were removed costs five times as much. Hence it takes 8 GB of disk, and 6 times the large file. bmd's side ends with everything durable: files, names, manifest, row. The
# others are timed twice in one go: as they end, and when sync -f has made their files durable, too; only the second does what
# bmd does. A ratio is the median of the pairs' own, with the smallest and the largest. CPU is user and system time of all
# processes of a side: it says what load by others cannot blur.
. "$top_srcdir/tests/it/lib.sh"
N=${N:-5} BIG_N=${BIG_N:-3} BIG_MIB=${BIG_MIB:-1908} FILES=${FILES:-100000}
began=$(date +%s)
TABLE=$HOME_DIR/table
row() {
    printf '| %s | %s | %s |\n' "$1" "$2" "$3" >>"$TABLE"
    echo "$(($(date +%s) - began)) s: $1: $2; $3" >&2
}
median() { sort -n | awk '{ v[NR] = $1 } END { printf "%.3f\n", (v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2 }'; }
# Ticks of this shell's dead children, of bmd and of bmd's dead children.
ticks() {
    {
        awk '{ sub(/.*\) /, ""); print $14 + $15 }' "/proc/$$/stat"
        [ -z "$BMD_PID" ] || awk '{ sub(/.*\) /, ""); print $12 + $13 + $14 + $15 }' "/proc/$BMD_PID/stat"
    } | awk '{ n += $1 } END { print n }'
}
hz=$(getconf CLK_TCK)
# measure NAME COMMAND…: its seconds into t.NAME, of CPU into c.NAME; what COMMAND writes into $HOME_DIR/undurable is a
# moment on the way, whose seconds go into t.NAME.undurable.
measure() {
    name=$1
    shift
    : >"$HOME_DIR/undurable"
    sync -f "$HOME_DIR"
    ticks0=$(ticks)
    t0=$(date +%s.%N)
    "$@" >/dev/null 2>"$HOME_DIR/err" || { cat "$HOME_DIR/err"; FAIL "$name"; }
    t1=$(date +%s.%N)
    # What a helper has worked counts when bmd has buried it.
    for pid in $(pgrep -P "${BMD_PID:-1}" -f -- '--lists'); do kill -KILL "$pid"; done
    [ -z "$BMD_PID" ] || retry childless || FAIL "$name: a helper stays"
    [ "$COUNTS" ] || return 0
    echo "$t0 $t1" | awk '{ printf "%.4f\n", $2 - $1 }' >>"$HOME_DIR/t.$name"
    echo "$ticks0 $(ticks) $hz" | awk '{ printf "%.2f\n", ($2 - $1) / $3 }' >>"$HOME_DIR/c.$name"
    [ ! -s "$HOME_DIR/undurable" ] || echo "$t0 $(cat "$HOME_DIR/undurable")" |
        awk '{ printf "%.4f\n", $2 - $1 }' >>"$HOME_DIR/t.$name.undurable"
}
childless() { ! pgrep -P "$BMD_PID"; }
mark() { date +%s.%N >"$HOME_DIR/undurable"; }
# pairs COUNT OURS OTHER…: functions; ours in turn before and after each other.
pairs() {
    count=$1 ours=$2
    shift 2
    for other; do
        for n in $(seq 0 "$count"); do
            COUNTS=$([ "$n" = 0 ] || echo yes)
            if [ $((n % 2)) = 0 ]; then $ours "$ours.$other"; $other "$other"; else $other "$other"; $ours "$ours.$other"; fi
        done
    done
    COUNTS=yes
}
COUNTS=yes
seconds() { median <"$HOME_DIR/t.$1"; }
cpu() { median <"$HOME_DIR/c.$1"; }
ratio() { # OURS OTHER: "0.73 (0.70-0.81)"
    paste "$HOME_DIR/t.$1" "$HOME_DIR/t.$2" | awk '{ printf "%.4f\n", $1 / $2 }' | sort -n |
        awk '{ v[NR] = $1 } END { printf "%.2f (%.2f-%.2f)", (v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2, v[1], v[NR] }'
}
# beside OURS OTHER TEXT: how OTHER did, and how OURS compares.
beside() {
    [ -f "$HOME_DIR/t.$2" ] || { echo "$3: not here"; return; }
    sync=
    [ ! -f "$HOME_DIR/t.$2.undurable" ] || {
        printf '%s %s s: bmd %s times; ' "$3" "$(seconds "$2.undurable")" "$(ratio "$1.$2" "$2.undurable")"
        sync=' + sync'
    }
    printf '%s%s %s s, CPU %s s: bmd %s times' "$3" "$sync" "$(seconds "$2")" "$(cpu "$2")" "$(ratio "$1.$2" "$2")"
}
ours() { cat "$HOME_DIR/t.$1".[a-z]* | median; }
ours_cpu() { cat "$HOME_DIR/c.$1".[a-z]* | median; }
# A name that is new.
number=0
fresh() { number=$((number + 1)); NEW=$HOME_DIR/new/$number; mkdir -p "$NEW"; }
clear_old() { rm -rf "$HOME_DIR/new" "$HOME_DIR/old"; mkdir "$HOME_DIR/old"; sync -f "$HOME_DIR"; }
empty_store() { # a new state: nothing is stored yet
    [ -z "$BMD_PID" ] || bmd_stop
    number=$((number + 1))
    mkdir -p "$HOME_DIR/old"
    [ ! -d "$HOME_DIR/state" ] || mv "$HOME_DIR/state" "$HOME_DIR/old/$number"
    bmd_start
}

configure 'upload-ratio = 1000000'
application app <<CONF
    stages = {"production"}
    stage "production" { plan = "files" }
CONF
plan files <<CONF
    step "files" { deploy = "site"  to = '$HOME_DIR/www' }
CONF

# 5,000 files of 100 MB together, in 50 folders, as a folder and as an archive; a second one that differs in 1 %.
tree=$HOME_DIR/tree
head -c 100000000 /dev/urandom >"$HOME_DIR/random"
for d in $(seq 50); do mkdir -p "$tree/d$d"; done
split -n 5000 -a 4 -d "$HOME_DIR/random" "$tree/f"
i=0
for f in "$tree"/f*; do
    i=$((i + 1))
    mv "$f" "$tree/d$((i % 50 + 1))/"
done
rm "$HOME_DIR/random"
tar -C "$tree" -cf "$HOME_DIR/tree.tar" .

# As each of the others would do it.
hashed() { # ARCHIVE: unpacked, hashed, on disk
    tar -xf "$1" -C "$NEW" && find "$NEW" -type f -print0 | xargs -0 sha256sum >"$HOME_DIR/sums" && mark && sync -f "$NEW"
}
unpacked() { tar -xf "$HOME_DIR/tree.tar" -C "$NEW" && mark && sync -f "$NEW"; }
copied() { cp -r "$tree" "$NEW/copied" && mark && sync -f "$NEW"; }
committed() { ostree --repo="$NEW/ostree" commit -b main --tree="$1" && mark && sync -f "$NEW"; }
fresh_ostree() { fresh; ostree --repo="$NEW/ostree" init --mode=bare-user >/dev/null 2>&1; }
if_ostree() { command -v ostree >/dev/null && echo "$1"; }

import_tar() { empty_store; measure "$1" bmctl build add app 1.0 "site=$HOME_DIR/tree.tar"; }
import_tree() {
    empty_store
    measure "$1" bmctl build add app 1.0 "site=$tree"
    measure import-again bmctl build add app 1.0 "site=$tree"
}
import_big() { rm -rf "$HOME_DIR/old" "$HOME_DIR/new"; empty_store; measure "$1" bmctl build add app 1.0 "site=$HOME_DIR/big.tar"; }
unpack_hash() { fresh; measure "$1" hashed "$HOME_DIR/tree.tar"; }
unpack_hash_big() { fresh; measure "$1" hashed "$HOME_DIR/big.tar"; }
commit_tar() { fresh_ostree; measure "$1" committed "tar=$HOME_DIR/tree.tar"; }

pairs "$N" import_tar unpack_hash $(if_ostree commit_tar)
row "import of 5,000 files, 100 MB, as a tar" "$(ours import_tar) s, CPU $(ours_cpu import_tar) s" \
    "$(beside import_tar unpack_hash '`tar x` + `sha256sum`'); $(beside import_tar commit_tar '`ostree commit`')"
rm -f "$HOME_DIR"/[tc].unpack_hash*
pairs "$N" import_tree unpack_hash
row "the same as a folder" "$(ours import_tree) s, CPU $(ours_cpu import_tree) s" "$(beside import_tree unpack_hash '`tar x` + `sha256sum`')"
row "the same again, when all of it is stored" "$(seconds import-again) s, CPU $(cpu import-again) s" ""

# Placing: a whole client from its request to the result, bmd's own commits and syncs included.
go() { bmctl deploy app "$1" --to production --now --wait; }
empty_store
mkdir "$HOME_DIR/second"
cp -r "$tree/." "$HOME_DIR/second/"
for f in $(find "$HOME_DIR/second" -type f | sort | awk 'NR % 100 == 0'); do echo changed >"$f"; done
bmctl build add app 1.0 "site=$tree" >/dev/null 2>&1 || FAIL "add"
bmctl build add app 2.0 "site=$HOME_DIR/second" >/dev/null 2>&1 || FAIL "add"
place() {
    number=$((number + 1))
    mkdir -p "$HOME_DIR/old/$number"
    for f in "$HOME_DIR/www" "$HOME_DIR/state/runs/places"; do [ ! -e "$f" ] || mv "$f" "$HOME_DIR/old/$number/"; done
    measure "$1" go 1.0/1
}
unpack() { fresh; measure "$1" unpacked; }
copy() { fresh; measure "$1" copied; }
# The way back to a build whose folder is there, and of that the step alone.
again() {
    go 2.0/1 >/dev/null 2>&1 || FAIL "deploy"
    measure "$1" go 1.0/1
    [ -z "$COUNTS" ] || bmctl --json show "$(bmctl --json history app -n 1 | jq '.jobs[0].id')" | jq '
        def s: (.[0:19] + "Z" | fromdate) + ("0." + .[20:26] | tonumber);
        .job.steps[0] | (.finished | s) - (.started | s)' >>"$HOME_DIR/t.step"
}
pairs "$N" place unpack copy
row "first placing, verified, 5,000 files, 100 MB (a whole \`bmctl deploy --wait\`)" "$(ours place) s, CPU $(ours_cpu place) s" \
    "$(beside place unpack '`tar x`'); $(beside place copy '`cp -r`')"
rm -f "$HOME_DIR"/[tc].unpack*
pairs "$N" again unpack
grep -q "(0 of 5000 hashed" <<LOG || echo "stamps are not believed on this file system: placing again hashes all"
$(bmctl log "$(bmctl --json history app -n 1 | jq '.jobs[0].id')")
LOG
row "placing again, unchanged (a whole \`bmctl deploy --wait\`)" "$(ours again) s, CPU $(ours_cpu again) s, of that the step $(seconds step) s" \
    "$(beside again unpack '`tar x`')"
sed -i 's/plan = "files"/plan = "files"  verify = "always"/' "$HOME_DIR/etc/applications.d/app.conf"
bmctl reload >/dev/null || FAIL "reload"
for n in $(seq "$N"); do go 2.0/1 >/dev/null 2>&1; measure always go 1.0/1; done
row 'placing again, unchanged, `verify = "always"`' "$(seconds always) s, CPU $(cpu always) s" ""

# Ten builds, each 1 % away from the one before it, beside ten tars.
empty_store
used() { du -sk "$1" | cut -f1; }
mv "$HOME_DIR/second" "$HOME_DIR/old/"
cp -r "$tree" "$HOME_DIR/second"
for b in $(seq 10); do
    [ "$b" = 1 ] || find "$HOME_DIR/second" -type f | sort | awk -v b="$b" 'NR % 100 == b' |
        while read -r f; do head -c 20000 /dev/urandom >"$f"; done
    bmctl build add app 1.0 "site=$HOME_DIR/second" >/dev/null 2>&1 || FAIL "add $b"
    [ "$b" != 1 ] || one=$(used "$HOME_DIR/state/store")
done
ten=$(used "$HOME_DIR/state/store")
tar_kib=$(used "$HOME_DIR/tree.tar")
row "disk of ten builds that differ in 1 % of their files" "$((ten / 1024)) MiB" \
    "$(echo "$ten $one" | awk '{ printf "%.2f times one", $1 / $2 }'); ten tars: $((tar_kib * 10 / 1024)) MiB"

# Two lists of files of which each one differs, put into the store as an upload would.
list() { # list WORD RELEASE
    awk -v digest="$(echo "$1" | sha256sum | cut -d' ' -f1)" -v n="$FILES" 'BEGIN {
        print "bmd manifest 1"
        for (i = 0; i < n; i++) printf "0644\t2\t%s\tfolder%06d/and/below/file-%d.html\n", digest, int(i / 1000), i % 1000 + 1000
    }' >"$HOME_DIR/list"
    digest=$(sha256sum <"$HOME_DIR/list" | cut -d' ' -f1)
    cp "$HOME_DIR/list" "$HOME_DIR/list.$2"
    mv "$HOME_DIR/list" "$HOME_DIR/state/store/manifests/$digest"
    call AddBuild "{\"key\":\"$2\",\"application\":\"app\",\"release\":\"$2\",\"artifacts\":[{\"name\":\"site\",\"digest\":\"$digest\"}]}" |
        grep -q '"build":1' || FAIL "the build with a long list"
}
list one long1
list two long2
differ() { measure "$1" bmctl diff app long1/1 long2/1; }
first_page() { call Diff '{"application":"app","a":{"release":"long1","build":1},"b":{"release":"long2","build":1}}'; }
text_diff() { measure "$1" sh -c "diff '$HOME_DIR/list.long1' '$HOME_DIR/list.long2' || [ \$? = 1 ]"; }
on_cpu() { cut -d' ' -f1 "/proc/$BMD_PID/schedstat"; }
for n in $(seq "$N"); do
    before=$(on_cpu)
    measure page first_page
    echo "$before $(on_cpu)" | awk '{ printf "%.4f\n", ($2 - $1) / 1e9 }' >>"$HOME_DIR/t.loop"
done
pairs "$N" differ text_diff
row "\`bmctl diff\` of two builds of $FILES files, all of which differ" "$(ours differ) s, CPU $(ours_cpu differ) s" \
    "$(beside differ text_diff '`diff` of the two lists')"
row "its first page" "$(seconds page) s, of that bmd's own loop $(seconds loop) s" ""

# How much memory each program takes; check-bulk does the same with as much as one likes.
peaks() {
    "$top_builddir/tests/campaign/peak" "$BMD_PID" "$@" 2>/dev/null >"$HOME_DIR/peaks" || FAIL "$*"
    awk -F '\t' '($1 == "bmctl" || $1 ~ /^bmd/) && $2 > 99 { row = row (row == "" ? "" : ", ") sprintf("%s %.1f", $1, $2 / 1024) }
        END { print row " MiB" }' "$HOME_DIR/peaks"
}
mv "$HOME_DIR/www" "$HOME_DIR/old/"
empty_store
row "peak memory, upload of 5,000 files" "$(peaks bmctl build add app 1.0 "site=$HOME_DIR/tree.tar")" ""
row "peak memory, placing them" "$(peaks bmctl deploy app 1.0/1 --to production --now --wait)" ""

# The large file, last, because it fills the page cache.
rm -rf "$HOME_DIR/second"
clear_old
mkdir "$HOME_DIR/big"
head -c "${BIG_MIB}M" /dev/urandom >"$HOME_DIR/big/file"
tar -C "$HOME_DIR/big" -cf "$HOME_DIR/big.tar" .
rm -r "$HOME_DIR/big" "$HOME_DIR/www"
commit_big() { fresh_ostree; measure "$1" committed "tar=$HOME_DIR/big.tar"; }
pairs "$BIG_N" import_big unpack_hash_big $(if_ostree commit_big)
row "import of one file of $((BIG_MIB * 1048576 / 1000000)) MB, as a tar" "$(ours import_big) s, CPU $(ours_cpu import_big) s" \
    "$(beside import_big unpack_hash_big '`tar x` + `sha256sum`'); $(beside import_big commit_big '`ostree commit`')"
empty_store
row "peak memory, upload of it" "$(peaks bmctl build add app 1.0 "site=$HOME_DIR/big.tar")" ""
row "peak memory, placing it" "$(peaks bmctl deploy app 1.0/1 --to production --now --wait)" ""
bmd_stop

printf 'By `make bench-files N=%s BIG_N=%s` on %s cores; medians of %s pairs (%s of the large file), ratios with the smallest and the largest.\n\n' \
    "$N" "$BIG_N" "$(nproc)" "$N" "$BIG_N"
echo '| what | bmd | beside |'
echo '|---|---|---|'
cat "$TABLE"
echo "$(($(date +%s) - began)) s in all" >&2
