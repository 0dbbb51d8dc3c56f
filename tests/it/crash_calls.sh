#!/bin/sh
# bmd-import, and then bmd-run, are killed as they enter their 1st, 2nd, 3rd … call that touches files: after each, the
# store has nothing or whole objects, the next start sweeps the rest and the same upload is taken; `current` is
# whole and the old or the new release, and the same deployment succeeds. Here every STRIDE-th call from FIRST on;
# `make check-store` takes every one.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"

STRIDE=${STRIDE:-19} FIRST=${FIRST:-7}
CALLS=openat,mkdir,mkdirat,write,pwrite64,fchmod,fchmodat,fchown,fsync,fdatasync,syncfs,rename,renameat,renameat2,linkat,symlinkat,unlink,unlinkat,ftruncate,fallocate,copy_file_range,utimensat,flock
strace -qq -o /dev/null true 2>/dev/null || SKIP "strace cannot trace here"
# struck N COMMAND…: killed as it enters the Nth of these calls; 137 then.
struck() {
    when=$1
    shift
    strace -f -qq -o "$HOME_DIR/trace" -e "trace=$CALLS" -e "inject=$CALLS:signal=KILL:when=$when" "$@"
}

# ---- an upload
mkdir -p "$HOME_DIR/site/sub"
for n in 1 2 3; do echo "page $n" >"$HOME_DIR/site/page$n"; done
head -c 100000 /dev/zero >"$HOME_DIR/site/sub/large"
ln -s page1 "$HOME_DIR/site/link"
tar -C "$HOME_DIR/site" -czf "$HOME_DIR/site.tar.gz" .
size=$(stat -c %s "$HOME_DIR/site.tar.gz")
{
    printf C
    printf "\\$(printf %03o $((size >> 24 & 255)))\\$(printf %03o $((size >> 16 & 255)))"
    printf "\\$(printf %03o $((size >> 8 & 255)))\\$(printf %03o $((size & 255)))"
    cat "$HOME_DIR/site.tar.gz"
    printf 'E\0\0\0\0'
} >"$HOME_DIR/stream"

whole_store() {
    for object in "$HOME_DIR"/state/store/objects/??/* "$HOME_DIR"/state/store/manifests/*; do
        [ -f "$object" ] || continue
        name=${object#"$HOME_DIR"/state/store/manifests/}
        name=$(echo "${name#"$HOME_DIR"/state/store/objects/}" | tr -d /)
        is "call $1: an object" "$name" "$(sha256sum "$object" | cut -d' ' -f1)"
    done
    for manifest in "$HOME_DIR"/state/store/manifests/*; do
        [ -f "$manifest" ] || continue
        basename "$manifest" | "$top_builddir/import/bmd-import" --state "$HOME_DIR/state" --verify |
            tr '\0' '\n' >"$HOME_DIR/verified"
        grep -q '"done"' "$HOME_DIR/verified" && ! grep -q '"problem"' "$HOME_DIR/verified" ||
            { cat "$HOME_DIR/verified"; FAIL "call $1: a manifest without its objects"; }
    done
}
application app <<CONF
    stages = {"production"}
    stage "production" { plan = "web"  variables = {"ROOT=$HOME_DIR/www"} }
CONF
plan web <<'CONF'
    step "files" { deploy = "site"  to = '$ROOT' }
CONF
n=$FIRST times=0
while :; do
    rm -rf "$HOME_DIR/state"
    mkdir "$HOME_DIR/state"
    struck "$n" "$top_builddir/import/bmd-import" --state "$HOME_DIR/state" tar \
        <"$HOME_DIR/stream" >"$HOME_DIR/answer" 2>/dev/null
    ! grep -q '"digest"' "$HOME_DIR/answer" || grep -q SIGKILL "$HOME_DIR/trace" || break
    times=$((times + 1))
    whole_store "$n"
    bmd_start
    is "call $n: what the start leaves" "" "$(ls "$HOME_DIR/state/store/incoming")"
    expect 0 bmctl build add app 1.0 "site=$HOME_DIR/site.tar.gz"
    expect 0 bmctl build verify app
    bmd_stop
    n=$((n + STRIDE))
done
[ $times -gt 2 ] || FAIL "killed only $times times"
OK "an upload: killed $times times, up to call $n"

# ---- placing
own_programs
cp "$top_builddir/runner/bmd-run" "$HOME_DIR/tree/real"
cat >"$HOME_DIR/tree/runner/bmd-run" <<SCRIPT
#!/bin/sh
[ -e "$HOME_DIR/strike" ] || exec "$HOME_DIR/tree/real" "\$@"
n=\$(cat "$HOME_DIR/strike")
rm "$HOME_DIR/strike"
exec strace -f -qq -o "$HOME_DIR/trace" -e "trace=$CALLS" -e "inject=$CALLS:signal=KILL:when=\$n" \
    "$HOME_DIR/tree/real" "\$@"
SCRIPT
rm -rf "$HOME_DIR/state"
bmd_start
for n in 1 2; do
    mkdir "$HOME_DIR/site$n" "$HOME_DIR/site$n/sub"
    for file in a b sub/c; do echo "release $n" >"$HOME_DIR/site$n/$file"; done
    expect 0 bmctl build add app 1.0 "site=$HOME_DIR/site$n"
done
expect 0 bmctl deploy app 1.0/1 --to production --now --wait
# The number that every file of the live release holds.
live_files() {
    (cd "$HOME_DIR/www/current" && [ "$(find . -type f | wc -l)" = 3 ] && cat a b sub/c) | sort -u | sed 's/release //'
}
n=$FIRST times=0
while :; do
    is "before call $n" 1 "$(live_files)"
    echo "$n" >"$HOME_DIR/strike"
    : >"$HOME_DIR/trace"
    bmctl deploy app 1.0/2 --to production --now --wait >"$HOME_DIR/out" 2>&1
    code=$?
    grep -q SIGKILL "$HOME_DIR/trace" || break
    times=$((times + 1))
    after=$(live_files)
    case $code/$after in
    0/2 | [16]/[12]) ;;
    *) cat "$HOME_DIR/out"; FAIL "call $n: exit code $code, and current holds '$after'" ;;
    esac
    expect 0 bmctl deploy app 1.0/2 --to production --now --wait
    is "call $n, deployed again" 2 "$(live_files)"
    expect 0 bmctl redeploy app 1.0/1 --to production --now --wait
    rm -rf "$HOME_DIR/www/releases/1.0-2"
    n=$((n + STRIDE))
done
[ $times -gt 2 ] || FAIL "killed only $times times"
bmd_stop
OK "placing: killed $times times, up to call $n"
