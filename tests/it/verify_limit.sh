#!/bin/sh
# Two verifications at a time: a third is refused with a sentence, and an ended one makes room. bmd-import is a script
# here that lasts for as long as the test wants.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"

own_programs
cat >"$HOME_DIR/tree/import/bmd-import" <<SCRIPT
#!/bin/sh
case "\$*" in
*--verify*) while [ -e "$HOME_DIR/gate" ]; do sleep 0.05; done ;;
esac
exec "$top_builddir/import/bmd-import" "\$@"
SCRIPT
application app <<'CONF'
    stages = {"production"}
    stage "production" { plan = "one" }
CONF
plan one <<'CONF'
    step "one" { run = 'true' }
CONF
bmd_start
echo text >"$HOME_DIR/file"
expect 0 bmctl build add app 1.0 "file=$HOME_DIR/file"
touch "$HOME_DIR/gate"
bmctl build verify app >"$HOME_DIR/one" 2>&1 &
one=$!
bmctl build verify app >"$HOME_DIR/two" 2>&1 &
two=$!
both() { [ "$(pgrep -c -P "$BMD_PID" -f verify)" = 2 ]; }
retry both || FAIL "there are not two at a time"
expect 1 bmctl build verify app
says "2 verifications are going on"
rm "$HOME_DIR/gate"
wait "$one" || FAIL "the first: $(cat "$HOME_DIR/one")"
wait "$two" || FAIL "the second: $(cat "$HOME_DIR/two")"
again() { bmctl build verify app; }
retry again || FAIL "no room again"
OK "two at a time, and then there is room again"
bmd_stop
