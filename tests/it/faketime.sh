# A bmd whose wall clock the test sets (libfaketime); CLOCK_MONOTONIC and CLOCK_BOOTTIME are the real ones. Sourced behind lib.sh.
#   set_clock '+3600'   so many seconds from the real time, now and for whoever is started
#   fake_start          a bmd by that clock;   fake COMMAND…: any other program
#   poke                bmd sleeps by the real clock and does not see that its own was set: it is made to look
lib=$(find /usr/lib -name 'libfaketime.so.1' 2>/dev/null | head -n 1)
[ -n "$lib" ] || SKIP "needs libfaketime"
[ -z "${BMD_SANITIZED:-}" ] || SKIP "libfaketime and a sanitizer do not go together"
FAKE=$HOME_DIR/clock
set_clock() { printf '%+d\n' "$1" >"$FAKE.new" && mv "$FAKE.new" "$FAKE"; }
set_clock +0
fake() {
    env LD_PRELOAD="$lib" FAKETIME_TIMESTAMP_FILE="$FAKE" FAKETIME_NO_CACHE=1 FAKETIME_DONT_FAKE_MONOTONIC=1 "$@"
}
fake_start() {
    [ -f "$BMD_CONF" ] || configure
    LD_PRELOAD=$lib FAKETIME_TIMESTAMP_FILE=$FAKE FAKETIME_NO_CACHE=1 FAKETIME_DONT_FAKE_MONOTONIC=1 \
        bmd -c "$BMD_CONF" 2>>"$HOME_DIR/bmd.log" &
    BMD_PID=$!
    bmd_answers() { ! kill -0 "$BMD_PID" 2>/dev/null || call GetStatus | grep -q parameters; }
    retry bmd_answers && kill -0 "$BMD_PID" 2>/dev/null || FAIL "bmd did not start"
}
poke() {
    call Reload "{\"key\":\"poke-$(date +%s%N)\"}" >"$HOME_DIR/poked"
    grep -q "\"applications\"" "$HOME_DIR/poked" || FAIL "bmd does not look: $(cat "$HOME_DIR/poked")"
}
# What bmd says of its clock: a warning of status, or nothing.
doubt() { ask GetStatus '{}' '[.warnings[] | select(test("timed jobs wait until"))] | first // ""'; }
trusts() { poke; [ -z "$(doubt)" ]; }
