# bmd dies between *starting* and `ready`: no step ran, the job goes back to the queue and runs once.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"
. "$top_srcdir/tests/it/recover.sh"
: >"$HOME_DIR/go"

# A bmd-run that kills the bmd that starts it, the first time.
own_programs
cat >"$HOME_DIR/tree/runner/bmd-run" <<RUN
#!/bin/sh
if [ ! -e "$HOME_DIR/killed" ]; then
    : >"$HOME_DIR/killed"
    kill -KILL \$PPID
fi
exec "$top_builddir/runner/bmd-run" "\$@"
RUN
bmd_start
add_build
deploy run >"$HOME_DIR/job" 2>/dev/null
wait "$BMD_PID" 2>/dev/null
BMD_PID=
[ -e "$HOME_DIR/killed" ] || FAIL "bmd was not killed"
bmd_start
job=$(deploy run)
is "its end" succeeded "$(ended "$job")"
is "starts of the step" 1 "$(wc -l <"$HOME_DIR/began")"
is "jobs in the history" 1 "$(ask ListHistory '{}' '.jobs | length')"
bmd_stop
OK "a run that never began is begun again"
