#!/bin/sh
# Where the file system can share extents, a placed file shares those of the store: it costs no room, is read back and
# hashed all the same, and whoever writes into it changes his own copy alone.
if [ "${BMD_UNSHARED:-}" != yes ]; then
    BMD_UNSHARED=yes
    export BMD_UNSHARED
    unshare -m true 2>/dev/null || { echo "skipped: no mount namespace here (needs root)"; exit 77; }
    exec unshare -m "$0" "$@"
fi
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"
for tool in mkfs.xfs filefrag; do
    command -v $tool >/dev/null || SKIP "$tool is not installed"
done

image=$(mktemp "${TMPDIR:-/tmp}/bmd-xfs.XXXXXX") || exit 99
at_exit "rm -f '$image'"
truncate -s 400M "$image"
mkfs.xfs -q -m reflink=1 "$image" || SKIP "no XFS that shares extents"
mount -o loop "$image" "$HOME_DIR" || SKIP "no loop mounts here"
at_exit "umount -l '$HOME_DIR'"
chmod 755 "$HOME_DIR"

application app <<CONF
    stages = {"testing", "production"}
    stage "testing" { plan = "web"  variables = {"ROOT=$HOME_DIR/www-testing"} }
    stage "production" { plan = "web"  variables = {"ROOT=$HOME_DIR/www"} }
CONF
plan web <<'CONF'
    step "files" { deploy = "site"  to = '$ROOT' }
CONF
mkdir "$HOME_DIR/site"
head -c 20000000 /dev/urandom >"$HOME_DIR/site/big"
digest=$(sha256sum <"$HOME_DIR/site/big" | cut -c 1-64)
stored=$HOME_DIR/state/store/objects/$(echo "$digest" | cut -c 1-2)/$(echo "$digest" | cut -c 3-)
placed=$HOME_DIR/www/current/big
bmd_start
bmctl build add app 1.0 "site=$HOME_DIR/site" >/dev/null 2>&1 || FAIL "build add"
expect 0 bmctl deploy app 1.0 --to production --now --wait

cmp "$placed" "$HOME_DIR/site/big" || FAIL "other bytes"
filefrag -v "$placed" | grep -q shared || FAIL "no extent of $placed is shared"
[ "$(stat -c %i "$placed")" != "$(stat -c %i "$stored")" ] || FAIL "a hard link of the stored file"
OK "placed by sharing extents"

printf 'a line of a careless program' | dd of="$placed" conv=notrunc 2>/dev/null
is "digest of the stored file" "$digest" "$(sha256sum <"$stored" | cut -c 1-64)"
expect 0 bmctl build verify app 1.0
OK "who writes into his folder does not write into the store"

chmod 644 "$stored"
printf 'rot' | dd of="$stored" bs=1 seek=10000000 conv=notrunc 2>/dev/null
chmod 444 "$stored"
expect 1 bmctl deploy app 1.0 --to testing --now --wait
job 2 message | grep -q "$digest" || FAIL "it does not name the file: $(job 2 message)"
[ ! -e "$HOME_DIR/www-testing/current" ] || FAIL "a damaged file went live"
OK "what is shared is read back and hashed"
bmd_stop
