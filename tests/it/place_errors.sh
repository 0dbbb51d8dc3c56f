#!/bin/sh
# A target that is full, read-only, on another file system, a symbolic link, or whose user is gone: each works or
# is a clear error, and `current` is where it was.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/unshared.sh"
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"

disk=$HOME_DIR/disk
mkdir "$disk"
mount -t tmpfs -o size=1m,mode=755 tmpfs "$disk" || SKIP "no tmpfs here"
at_exit "umount -l '$disk'"
cp /etc/passwd "$HOME_DIR/passwd"
echo 'bmd-leaver:x:61234:61234::/:/bin/sh' >>"$HOME_DIR/passwd"
mount --bind "$HOME_DIR/passwd" /etc/passwd || SKIP "no bind mounts here"
at_exit "umount -l /etc/passwd"

mkdir "$disk/www"
ln -s "$disk/www" "$HOME_DIR/link"
ln -s "$HOME_DIR/nowhere/www" "$HOME_DIR/dangling"
application app <<CONF
    stages = {"dangling", "loop", "gone", "production"}
    stage "production" { plan = "web"  variables = {"ROOT=$HOME_DIR/link"} }
    stage "dangling" { plan = "web"  variables = {"ROOT=$HOME_DIR/dangling"} }
    stage "loop" { plan = "web"  variables = {"ROOT=$HOME_DIR/loop"} }
    stage "gone" { plan = "web"  user = "bmd-leaver"  variables = {"ROOT=$HOME_DIR/gone"} }
CONF
plan web <<'CONF'
    step "files" { deploy = "site"  to = '$ROOT' }
CONF
bmd_start
for n in 1 2 3; do
    mkdir "$HOME_DIR/site$n"
    echo "page $n" >"$HOME_DIR/site$n/index.html"
done
head -c 1500000 /dev/urandom >"$HOME_DIR/site2/big"
for n in 1 2 3; do bmctl build add app 1.0 "site=$HOME_DIR/site$n" >/dev/null 2>&1 || FAIL "build add"; done
deploy() { bmctl deploy app "1.0/$1" --to "$2" --now --wait; }
# fails BUILD STAGE SENTENCE: the job fails, and its message says so.
fails() {
    expect 1 deploy "$1" "$2"
    message=$(bmctl --json history app -n 1 | jq -r '.jobs[0].message')
    case $message in *"$3"*) OK "$message" ;; *) FAIL "$message, instead of $3" ;; esac
}

# A link as the target, to another file system than the store's.
expect 0 deploy 1 production
is "through the link" "page 1" "$(cat "$disk/www/current/index.html")"
[ -h "$HOME_DIR/link" ] || FAIL "the link was replaced"
OK "a target that is a link to another file system"

fails 2 production "No space left on device"
is "current" "page 1" "$(cat "$disk/www/current/index.html")"
[ -z "$(find "$disk/www" -name '.bmd-*')" ] || FAIL "a temporary is left"
mount -o remount,ro "$disk" || SKIP "no remount here"
fails 3 production "Read-only file system"
is "current" "page 1" "$(cat "$disk/www/current/index.html")"
mount -o remount,rw "$disk"
expect 0 deploy 3 production
is "current" "page 3" "$(cat "$disk/www/current/index.html")"
expect 0 bmctl redeploy app --now --wait
is "current" "page 1" "$(cat "$disk/www/current/index.html")"
OK "room again, writable again"

fails 1 dangling "$HOME_DIR/dangling"
ln -s loop "$HOME_DIR/loop"
fails 1 loop "Too many levels of symbolic links"

install -d -o 61234 -g 61234 "$HOME_DIR/gone"
expect 0 deploy 1 gone
is "owner" 61234 "$(stat -c %u "$HOME_DIR/gone/current/index.html")"
grep -v bmd-leaver /etc/passwd >"$HOME_DIR/without"
cat "$HOME_DIR/without" >"$HOME_DIR/passwd"
bmctl deploy app 1.0/3 --to gone --now --wait >"$HOME_DIR/out" 2>&1
case $? in 1 | 8) ;; *) cat "$HOME_DIR/out"; FAIL "the user is gone, and yet" ;; esac
job=$(bmctl --json queue app | jq -r '.jobs[-1].id // empty')
[ -z "$job" ] || job "$job" waits_for.text >>"$HOME_DIR/out"
grep -q bmd-leaver "$HOME_DIR/out" || { cat "$HOME_DIR/out"; FAIL "nothing names the user"; }
is "current" "page 1" "$(cat "$HOME_DIR/gone/current/index.html")"
OK "a user that is gone"
bmd_stop
