# Sourced behind lib.sh: bmd and its helpers that die, or stop, where they are told to (tests/campaign/failpoint.c).
BMD=$HOME_DIR/tree/daemon/bmd RUN=$HOME_DIR/tree/runner/bmd-run IMPORT=$HOME_DIR/tree/import/bmd-import
own_programs campaign

# arm PROGRAM POINT [N [SIGNAL]]; hit PROGRAM: has it struck?
arm() {
    program=$1; shift
    echo "$*" >"$program.new" && mv "$program.new" "$program.fail"
}
hit() { [ ! -e "$1.fail" ]; }
dead() { ! kill -0 "$BMD_PID" 2>/dev/null; }
