# A job that is cancelled while its bmd-run gets ready never begins a step; bmd-run that is never ready is given up.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"
. "$top_srcdir/tests/it/recover.sh"
: >"$HOME_DIR/go"

# A build tree whose bmd-run waits until it may.
mkdir -p "$HOME_DIR/tree/daemon" "$HOME_DIR/tree/runner" "$HOME_DIR/tree/import"
cp "$top_builddir/daemon/bmd" "$HOME_DIR/tree/daemon/bmd"
cp "$top_builddir/import/bmd-import" "$HOME_DIR/tree/import/bmd-import"
cat >"$HOME_DIR/tree/runner/bmd-run" <<RUN
#!/bin/sh
: >"$HOME_DIR/launched"
until [ -e "$HOME_DIR/ready" ]; do sleep 0.05; done
exec "$top_builddir/runner/bmd-run" "\$@"
RUN
chmod 755 "$HOME_DIR/tree/runner/bmd-run"
PATH=$HOME_DIR/tree/daemon:$PATH
bmd_start
add_build
job=$(deploy run)
retry test -e "$HOME_DIR/launched" || FAIL "bmd-run was not launched"
is "on its way" queued "$(state "$job")"
ask Cancel "{\"key\":\"c\",\"job\":$job}" .job.id >/dev/null
is "its end" cancelled "$(ended "$job")"
: >"$HOME_DIR/ready"
next=$(deploy next)
is "the next" succeeded "$(ended "$next")"
is "starts of the step" 1 "$(wc -l <"$HOME_DIR/began")"
[ ! -e "$HOME_DIR/state/runs/$job/started" ] || FAIL "the cancelled run was claimed"
is "clean" null "$(ask GetStatus '{}' '.stages[0].dirty')"
bmd_stop
OK "cancelled before it began"
