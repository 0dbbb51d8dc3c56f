#!/bin/sh
# The figures of files: import, placing, placing again, disk and memory, each beside what everybody has. Each pair is
# measured in turns in one run; medians. Run by `make bench-files`.
#   N=5   rounds of each     BIG_MIB=1024   the large file
# What is compared reads from and writes to the same disk; each round ends with its data on it (bmd's own fsyncs,
# or sync -f for the others), so that nobody is measured against a page cache.
. "$top_srcdir/tests/it/lib.sh"
N=${N:-5} BIG_MIB=${BIG_MIB:-1024}
row() { printf '| %s | %s | %s |\n' "$1" "$2" "$3"; }
median() { sort -n | awk '{ v[NR] = $1 } END { printf "%.3f\n", v[int((NR + 1) / 2)] }'; }
# measure NAME COMMAND…: its seconds into $HOME_DIR/t.NAME
measure() {
    name=$1
    shift
    sync -f "$HOME_DIR"
    t0=$(date +%s.%N)
    "$@" >/dev/null 2>"$HOME_DIR/err" || { cat "$HOME_DIR/err"; FAIL "$name"; }
    t1=$(date +%s.%N)
    echo "$t0 $t1" | awk '{ printf "%.4f\n", $2 - $1 }' >>"$HOME_DIR/t.$name"
}
seconds() { [ -f "$HOME_DIR/t.$1" ] && median <"$HOME_DIR/t.$1" || echo none; }
ratio() { echo "$(seconds "$1") $(seconds "$2")" | awk '{ printf "%.2f", $1 / $2 }'; }
beside() { # NAME OF TEXT: "TEXT 0.123 s (bmd: 1.20 times)"
    [ -f "$HOME_DIR/t.$2" ] && echo "$3 $(seconds "$2") s (bmd: $(ratio "$1" "$2") times)" || echo "$3 not here"
}

configure 'upload-ratio = 1000000'
application app <<CONF
    stages = {"production"}
    stage "production" { plan = "files" }
CONF
plan files <<CONF
    step "files" { deploy = "site"  to = '$HOME_DIR/www' }
CONF
bmd_start

# 5,000 files of 100 MB together, in 50 folders, as a folder and as an archive; a second one that differs in
# 1 %; and a large file.
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
head -c "${BIG_MIB}M" /dev/urandom >"$HOME_DIR/big"
tar -C "$HOME_DIR" -cf "$HOME_DIR/big.tar" big

# As each of the others would do it: unpacked, hashed, on disk.
unpack_and_hash() { # ARCHIVE
    rm -rf "$HOME_DIR/unpacked" && mkdir "$HOME_DIR/unpacked" && tar -xf "$1" -C "$HOME_DIR/unpacked" &&
        find "$HOME_DIR/unpacked" -type f -print0 | xargs -0 sha256sum >"$HOME_DIR/sums" && sync -f "$HOME_DIR/unpacked"
}
unpack() { tar -xf "$1" -C "$HOME_DIR/unpacked" && sync -f "$HOME_DIR/unpacked"; }
fresh() { rm -rf "$HOME_DIR/unpacked" "$HOME_DIR/copied"; mkdir "$HOME_DIR/unpacked"; }
copy() { cp -r "$tree" "$HOME_DIR/copied" && sync -f "$HOME_DIR/copied"; }
empty_store() { # a new state: nothing is stored yet
    bmd_stop
    rm -rf "$HOME_DIR/state"
    bmd_start
}
ostree_new() {
    rm -rf "$HOME_DIR/ostree"
    ostree --repo="$HOME_DIR/ostree" init --mode=bare-user >/dev/null 2>&1
}
ostree_commit() { ostree --repo="$HOME_DIR/ostree" commit -b main --tree="$1" && sync -f "$HOME_DIR/ostree"; }

for n in $(seq "$N"); do
    fresh
    measure unpack-hash unpack_and_hash "$HOME_DIR/tree.tar"
    empty_store
    measure import-tar bmctl build add app 1.0 "site=$HOME_DIR/tree.tar"
    empty_store
    measure import-tree bmctl build add app 1.0 "site=$tree"
    measure import-again bmctl build add app 1.0 "site=$tree"
    if command -v ostree >/dev/null; then
        ostree_new
        measure ostree ostree_commit "tar=$HOME_DIR/tree.tar"
    fi
done
row "import of 5,000 files, 100 MB, as a tar" "$(seconds import-tar) s" \
    "$(beside import-tar unpack-hash 'tar x + sha256sum'); $(beside import-tar ostree 'ostree commit')"
row "the same as a folder" "$(seconds import-tree) s" "$(beside import-tree unpack-hash 'tar x + sha256sum')"
row "the same again, when all of it is stored" "$(seconds import-again) s" ""

# Placing: the run's own times, from its request to its result, so that the client's start is in both.
go() { bmctl deploy app "$1" --to production --now --wait; }
mkdir "$HOME_DIR/second"
cp -r "$tree/." "$HOME_DIR/second/"
for f in $(find "$HOME_DIR/second" -type f | sort | awk 'NR % 100 == 0'); do echo changed >"$f"; done
bmctl build add app 2.0 "site=$HOME_DIR/second" >/dev/null 2>&1 || FAIL "add"
bare() { sh -eu -c true; }
for n in $(seq "$N"); do
    rm -rf "$HOME_DIR/www" "$HOME_DIR/state/runs/places"
    measure place go 1.0/1
    measure place-second go 2.0/1
    measure again go 1.0/1
    measure again go 2.0/1
    fresh
    measure unpack unpack "$HOME_DIR/tree.tar"
    measure copy copy
done
grep -q "(0 of 5000 hashed" <<LOG || echo "stamps are not believed on this file system: placing again hashes all"
$(bmctl log "$(bmctl --json history app -n 1 | jq '.jobs[0].id')")
LOG
row "first placing, verified, 5,000 files, 100 MB (a whole \`bmctl deploy --wait\`)" "$(seconds place) s" \
    "$(beside place unpack 'tar x'); $(beside place copy 'cp -r')"
row "placing again, unchanged" "$(seconds again) s" "$(beside again unpack 'tar x'); $(beside again copy 'cp -r')"
sed -i 's/plan = "files"/plan = "files"  verify = "always"/' "$HOME_DIR/etc/applications.d/app.conf"
bmctl reload >/dev/null || FAIL "reload"
for n in $(seq "$N"); do measure always go 1.0/1; measure always go 2.0/1; done
row 'placing again, unchanged, `verify = "always"`' "$(seconds always) s" "$(beside always unpack 'tar x')"

# Ten builds, each 1 % away from the one before it, beside ten tars.
empty_store
used() { du -sk "$1" | cut -f1; }
rm -rf "$HOME_DIR/second"
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

# A large file, and how much memory each program takes with it.
peak() { # PID: its VmHWM in KiB, again and again until it ends, the largest into $HOME_DIR/peak.NAME
    while kb=$(awk '/^VmHWM/ { print $2 }' "/proc/$1/status" 2>/dev/null) && [ -n "$kb" ]; do
        echo "$kb" >"$HOME_DIR/peak.$2"
        sleep 0.02
    done
}
# peaks NAME COMMAND…: runs it, with the largest memory of it, of bmd and of what bmd starts.
peaks() {
    "$@" >/dev/null 2>&1 &
    client=$!
    peak $client client &
    seen=
    while kill -0 $client 2>/dev/null; do
        for pid in $(cat /proc/"$BMD_PID"/task/*/children 2>/dev/null); do
            for p in $pid $(cat /proc/"$pid"/task/*/children 2>/dev/null); do
                case " $seen " in *" $p "*) ;; *) seen="$seen $p"; peak "$p" "helper.$p" & ;; esac
            done
        done
        sleep 0.02
    done
    wait $client || FAIL "$*"
    sleep 0.1
    awk '/^VmHWM/ { print $2 }' "/proc/$BMD_PID/status" >"$HOME_DIR/peak.bmd"
    helper=$(cat "$HOME_DIR"/peak.helper.* 2>/dev/null | sort -n | tail -n 1)
    echo "bmctl $(($(cat "$HOME_DIR/peak.client") / 1024)), bmd $(($(cat "$HOME_DIR/peak.bmd") / 1024)), the largest of its helpers $((${helper:-0} / 1024)) MiB"
    rm -f "$HOME_DIR"/peak.*
}
rm -rf "$HOME_DIR/second"
for n in $(seq "$N"); do
    fresh
    measure big-hash unpack_and_hash "$HOME_DIR/big.tar"
    empty_store
    measure big bmctl build add app 1.0 "site=$HOME_DIR/big.tar"
done
row "import of one file of $BIG_MIB MiB, as a tar" "$(seconds big) s" "$(beside big big-hash 'tar x + sha256sum')"
rm -f "$HOME_DIR/big.tar" "$HOME_DIR/big"
fresh
truncate -s 1G "$HOME_DIR/sparse"
empty_store
row "peak memory, upload of a sparse file of 1 GiB" "$(peaks bmctl build add app 1.0 "site=$HOME_DIR/sparse")" ""
row "peak memory, placing it" "$(peaks bmctl deploy app 1.0/1 --to production --now --wait)" ""
empty_store
row "peak memory, upload of 5,000 files" "$(peaks bmctl build add app 1.0 "site=$HOME_DIR/tree.tar")" ""
bmd_stop
