#!/bin/sh
# Notices and the wall clock: pauses between attempts are real time, whatever the clock is set to, also by the next bmd; a receiver that is
# back in time is told with the same id, one that is not is given up, and that is said; how long that takes is real time, too.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"
. "$top_srcdir/tests/it/faketime.sh"

mkdir "$HOME_DIR/got"
# Keeps what it gets as got/JOB.ATTEMPT, and fails while the file "down" is there.
cat >"$HOME_DIR/receive" <<CONF
#!/bin/sh
echo "\$BM_NOTICE" >$HOME_DIR/got/\$BM_JOB.\$BM_ATTEMPT
! [ -e $HOME_DIR/down ] || { echo "the receiver is down"; exit 1; }
CONF
chmod 755 "$HOME_DIR/receive"
configure 'clock-settle = "0s"' "notify \"all\" { exec = {\"$HOME_DIR/receive\"}  on = {\"succeeded\"} }"
application app <<'CONF'
    stages = {"testing"}
    stage "testing" { plan = "one" }
CONF
plan one <<'CONF'
    step "one" { run = 'true' }
CONF
told() { retry test -s "$HOME_DIR/got/$1" || { ls "$HOME_DIR/got"; fake bmctl notify list; FAIL "nobody was told: $1"; }; }
attempts() { [ "$(bmctl --json notify list -n 1 | jq '.notices[0].attempts')" = "$1" ]; }
outcome() { bmctl --json notify list -n 1 | jq -r '.notices[0].state'; }
fake_start
expect 0 fake bmctl build add app 1.0
touch "$HOME_DIR/down"

# The clock is set back by less than the longest pause, and by more: the second attempt comes five seconds after the first.
for back in 300 7200; do
    expect 0 fake bmctl deploy app 1.0/1 --to testing --now --wait
    job=$(bmctl --json history -n 1 | jq .jobs[0].id)
    told "$job.1"
    retry attempts 1 || FAIL "no outcome"
    set_clock "-$back"
    poke
    next=$(bmctl --json notify list -n 1 | jq -r '.notices[0].next')
    [ "$next" \< "$(fake date -u -d '+20 seconds' +%FT%T)" ] || FAIL "the next attempt is shown for $next"
    rm "$HOME_DIR/down"
    told "$job.2"
    is "the id" "$(cat "$HOME_DIR/got/$job.1")" "$(cat "$HOME_DIR/got/$job.2")"
    touch "$HOME_DIR/down"
    set_clock +0
    poke
done
OK "the clock was set back"

# The same while bmd was down.
expect 0 fake bmctl deploy app 1.0/1 --to testing --now --wait
job=$(bmctl --json history -n 1 | jq .jobs[0].id)
told "$job.1"
retry attempts 1 || FAIL "no outcome"
bmd_stop
set_clock -400
rm "$HOME_DIR/down"
fake_start
told "$job.2"
OK "the clock was set back while bmd was down"

# How old a notice is does not go by the wall clock either: one that is set forward by a day gives up nothing …
set_clock +0
poke
touch "$HOME_DIR/down"
expect 0 fake bmctl deploy app 1.0/1 --to testing --now --wait
job=$(bmctl --json history -n 1 | jq .jobs[0].id)
told "$job.1"
retry attempts 1 || FAIL "no outcome"
set_clock +90000
poke
told "$job.2"
retry attempts 2 || FAIL "no outcome"
is "after a clock that was set forward by 25 hours" waiting "$(outcome)"
expect 0 fake bmctl status
prints "notices: 1 cannot be delivered yet"
# … also when that was while bmd was down …
bmd_stop
set_clock +180000
fake_start
told "$job.3"
retry attempts 3 || FAIL "no outcome"
is "after 25 hours more, while bmd was down" waiting "$(outcome)"
OK "the clock was set forward"

# … and one that is set back keeps nothing longer than the section says: the third attempt would be 15 s after the first.
configure 'clock-settle = "0s"' "notify \"all\" { exec = {\"$HOME_DIR/receive\"}  on = {\"succeeded\"}  give-up = \"12s\" }"
poke
expect 0 fake bmctl deploy app 1.0/1 --to testing --now --wait
job=$(bmctl --json history -n 1 | jq '[.jobs[].id] | max')
told "$job.1"
set_clock +90000
poke
told "$job.2"
given_up() { [ "$(outcome)" = given_up ]; }
retry given_up || FAIL "it is $(outcome) after twelve seconds"
grep -q 'notice to all of "succeeded" of app was given up after 2 attempts: .*the receiver is down' "$HOME_DIR/bmd.log" || FAIL "the log does not say it"
expect 0 fake bmctl status
prints "1 given up within a day: bmctl notify list"
rm "$HOME_DIR/down"
expect 0 fake bmctl deploy app 1.0/1 --to testing --now --wait
told "$((job + 1)).1"
OK "a receiver that is down for too long"
bmd_stop
