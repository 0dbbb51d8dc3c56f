#!/bin/sh
# Notices on a full disk: an event is written with what it tells or not at all, so a result that cannot be recorded yet is told when it
# is; what was delivered while its outcome could not be written is not delivered again.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/unshared.sh"
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"
. "$top_srcdir/tests/it/recover.sh"
mkdir "$HOME_DIR/got"
small_state 8m
cat >"$HOME_DIR/receive" <<CONF
#!/bin/sh
echo "\$BM_EVENT" >$HOME_DIR/got/\$BM_JOB.\$BM_ATTEMPT
while [ -e $HOME_DIR/slow ]; do sleep 0.05; done
CONF
chmod 755 "$HOME_DIR/receive"
configure "notify \"all\" { exec = {\"$HOME_DIR/receive\"}  on = {\"succeeded\", \"failed\"}  timeout = \"2min\" }"
fill_database() { # until a change is refused
    n=$((n + 1))
    call Lock "{\"key\":\"f$n\",\"application\":\"shop\",\"stage\":\"production\",\"reason\":\"$(head -c 3000 /dev/zero | tr '\0' x)\"}" | grep -q NoSpace
}
n=0
fill() {
    dd if=/dev/zero of="$HOME_DIR/state/filler" bs=64k 2>/dev/null
    dd if=/dev/zero of="$HOME_DIR/state/filler2" bs=1 count=65536 2>/dev/null
    retry fill_database || FAIL "no change was ever refused"
}
room() { rm "$HOME_DIR/state/filler" "$HOME_DIR/state/filler2"; }
notice() { ask ListNotices '{"limit":1}' ".notices[0] | \"$1\""; }
told() { [ "$(ls "$HOME_DIR/got" | tr '\n' ' ')" = "$1" ]; }

begin_run
fill
: >"$HOME_DIR/go"
retry test -s "$HOME_DIR/state/runs/$job/result" || FAIL "the run could not write its result on a full disk"
is "while the disk is full" running "$(state "$job")"
is "told by then" "" "$(ls "$HOME_DIR/got")"
room
is "with room again" succeeded "$(ended "$job")"
retry told "$job.1 " || FAIL "nobody is told: $(ls "$HOME_DIR/got")"
is "of what" succeeded "$(cat "$HOME_DIR/got/$job.1")"
delivered() { [ "$(notice '\(.state) \(.attempts)')" = "delivered 1" ]; }
retry delivered || FAIL "the outcome: $(notice '\(.state) \(.attempts)')"
is "rows" 1 "$(ask ListNotices '{}' '.notices | length')"
OK "an event of a full disk"

# The disk fills while the command is at work.
: >"$HOME_DIR/slow"
ask Unlock '{"key":"u1","application":"shop","stage":"production"}' . >/dev/null
job=$(deploy run2)
is "the second run" succeeded "$(ended "$job")"
retry test -e "$HOME_DIR/got/$job.1" || FAIL "nobody is told"
fill
rm "$HOME_DIR/slow"
left() { ! pgrep -f "$HOME_DIR/receive" >/dev/null; }
retry left || FAIL "the command does not end"
# What is reserved for results of runs may do for the outcome; else it is written when there is room.
case $(notice '\(.state) \(.attempts)') in "waiting 0" | "delivered 1") ;; *) FAIL "the outcome on a full disk: $(notice '\(.state) \(.attempts)')" ;; esac
room
retry delivered || FAIL "the outcome: $(notice '\(.state) \(.attempts)')"
[ ! -e "$HOME_DIR/got/$job.2" ] || FAIL "what was delivered is delivered again"
OK "an outcome of a full disk"
bmd_stop
