# A second bmd on the same state, or on the same socket, is refused, and the first goes on. A state folder that others may
# write, and missing helper programs, are refused as well.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"
. "$top_srcdir/tests/it/recover.sh"

bmd_start
sed "s|^socket.*|socket = \"$HOME_DIR/other\"|" "$BMD_CONF" >"$HOME_DIR/etc/second.conf"
expect 1 bmd -c "$HOME_DIR/etc/second.conf"
says "$HOME_DIR/state"
sed "s|^state-directory.*|state-directory = \"$HOME_DIR/state2\"|" "$BMD_CONF" >"$HOME_DIR/etc/third.conf"
expect 1 bmd -c "$HOME_DIR/etc/third.conf"
says "$BMD_SOCKET"
add_build
is "the first goes on" 1 "$(ask ListBuilds '{"application":"shop"}' '.builds | length')"
bmd_stop

# What a bmd that was killed leaves between fork and exec holds the folder for a moment: it is waited for.
flock "$HOME_DIR/state" sleep 0.5 &
retry test -d "/proc/$!/task"
bmd_start
bmd_stop

chmod 777 "$HOME_DIR/state"
expect 1 bmd -c "$BMD_CONF"
says "$HOME_DIR/state"
chmod 711 "$HOME_DIR/state"
mkdir -p "$HOME_DIR/tree/daemon"
cp "$top_builddir/daemon/bmd" "$HOME_DIR/tree/daemon/bmd"
mkdir -p "$HOME_DIR/tree/runner"
cp "$top_builddir/runner/bmd-run" "$HOME_DIR/tree/runner/bmd-run"
expect 1 "$HOME_DIR/tree/daemon/bmd" -c "$BMD_CONF"
says "bmd-import"
expect 64 bmd --nonsense
for option in -V --version; do
    expect 0 bmd $option
    prints "bmd "
done
for option in -h --help; do
    expect 0 bmd $option
    prints "usage: bmd"
done
# A file that cannot be taken is named with the check of that very file.
expect 1 bmd -c "$HOME_DIR/nowhere.conf"
says "mend it, then bmd -n -c $HOME_DIR/nowhere.conf"
OK "one bmd a state"
