# A damaged database, a foreign one and an empty one refuse to start, say how to go on, and are never replaced.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"
. "$top_srcdir/tests/it/recover.sh"

bmd_start
add_build
bmd_stop
cp "$HOME_DIR/state/bmd.db" "$HOME_DIR/good.db"
refused() {
    before=$(sha256sum <"$HOME_DIR/state/bmd.db")
    expect 1 bmd -c "$BMD_CONF"
    says "bmd.db"
    is "the file of a $1 database" "$before" "$(sha256sum <"$HOME_DIR/state/bmd.db")"
}
printf 'this is not a database at all, and long enough to be looked at as one: %4000s' x >"$HOME_DIR/state/bmd.db"
refused foreign
: >"$HOME_DIR/state/bmd.db"
refused empty
cp "$HOME_DIR/good.db" "$HOME_DIR/state/bmd.db"
size=$(stat -c %s "$HOME_DIR/state/bmd.db")
head -c $((size / 2)) "$HOME_DIR/good.db" >"$HOME_DIR/state/bmd.db"
refused "cut"
cp "$HOME_DIR/good.db" "$HOME_DIR/state/bmd.db"
bmd_start
is "the build" 1 "$(ask ListBuilds '{"application":"shop"}' '.builds | length')"
bmd_stop
OK "a damaged database is never replaced"
