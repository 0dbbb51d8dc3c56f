#!/bin/sh
# Notices: who asked to be told is told, of what was asked for, with the event as environment and on standard input; a command that fails or
# hangs is tried again with the same id, also by the next bmd after a crash; what fails for too long is given up and shown.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"
command -v sqlite3 >/dev/null || SKIP "no sqlite3"
[ "$(id -u)" = 0 ] && NOBODY=nobody || NOBODY=
AS=${NOBODY:+user = \"nobody\"}

mkdir "$HOME_DIR/got"
chmod 777 "$HOME_DIR/got"
# Keeps what it gets as got/SECTION.EVENT.JOB.ATTEMPT; fails while the file "down" is there, hangs while "slow" is.
cat >"$HOME_DIR/receive" <<CONF
#!/bin/sh
name=$HOME_DIR/got/\$1.\$BM_EVENT.\${BM_JOB:-none}.\$BM_ATTEMPT
cat >\$name.body
env | sort >\$name.env
if [ -e $HOME_DIR/slow ]; then sleep 1000 & echo \$! >$HOME_DIR/got/sleeper; wait; fi
if [ -e $HOME_DIR/down ]; then echo "first line" >&2; echo "the receiver is down" >&2; exit 7; fi
CONF
chmod 755 "$HOME_DIR/receive"
configure 'operators = {"user:daemon"}' "notify \"all\" { exec = {\"$HOME_DIR/receive\", \"all\", '\$BM_EVENT of \$BM_APPLICATION'}  $AS
    on = {\"failed\", \"lost\", \"missed\", \"held\", \"recovered\", \"succeeded\"} environment = {\"CHANNEL=ops\"} }" \
    "notify \"brief\" { exec = {\"$HOME_DIR/receive\", \"brief\"}  $AS  on = {\"failed\"}  applications = {\"app\"}
    stages = {\"production\"}  give-up = \"1s\"  timeout = \"1s\" }" \
    "notify \"absent\" { exec = {\"/nonexistent/program\"} on = {\"missed\"}  applications = {\"app\"} stages = {\"none\"} }"
application app <<CONF
    stages = {"testing", "production", "none"}
    stage "testing" { plan = "switch" }
    stage "production" { plan = "switch" }
    stage "none" { plan = "switch" }
    notify "team" { exec = {"$HOME_DIR/receive", "team"}  stages = {"testing"}  on = {"succeeded"} }
CONF
plan switch <<CONF
    step "go" { run = 'while [ -e $HOME_DIR/hold ]; do sleep 0.05; done; ! [ -e $HOME_DIR/broken ]' }
CONF
got() { [ -s "$HOME_DIR/got/$1.env" ]; }
told() { retry got "$1" || { ls "$HOME_DIR/got"; FAIL "nobody was told: $1"; }; }
body() { jq -r "$2" "$HOME_DIR/got/$1.body"; }
value() { sed -n "s/^$2=//p" "$HOME_DIR/got/$1.env"; }
notices() { bmctl --json status | jq -r ".notices.$1"; }
nothing_waits() { [ "$(notices waiting)" = 0 ]; }
bmd_start
for n in 1 2 3; do expect 0 bmctl build add app 1.0; done

# What was asked for, and nothing else.
expect 0 bmctl deploy app 1.0/1 --to testing --now --wait --reason "as planned"
told all.succeeded.1.1
told team.succeeded.1.1
retry nothing_waits || FAIL "a notice waits: $(bmctl notify list)"
is "the event" "bmd.succeeded succeeded app testing 1.0 1 switch succeeded" \
    "$(body all.succeeded.1.1 '"\(.type) \(.data.event) \(.data.application) \(.data.stage) \(.data.release) \(.data.build) \(.data.plan) \(.data.result)"')"
is "who asked" "$(id -un)" "$(body all.succeeded.1.1 .data.requested_by)"
is "the job is a number" 1 "$(body all.succeeded.1.1 .data.job)"
is "environment" "succeeded 1 app testing 1.0 1 switch ops 1" "$(for v in BM_EVENT BM_JOB BM_APPLICATION BM_STAGE BM_RELEASE BM_BUILD BM_PLAN CHANNEL BM_ATTEMPT; do
    value all.succeeded.1.1 $v; done | tr '\n' ' ' | sed 's/ $//')"
is "the id" "$(value all.succeeded.1.1 BM_NOTICE)" "$(body all.succeeded.1.1 .id)"
is "the time" "$(value all.succeeded.1.1 BM_TIME)" "$(body all.succeeded.1.1 .timestamp)"
value all.succeeded.1.1 BM_TEXT | grep -qx "job 1: deploy app 1.0/1 to testing: succeeded" || FAIL "the text: $(value all.succeeded.1.1 BM_TEXT)"
[ "$(value all.succeeded.1.1 BM_NOTICE)" != "$(value team.succeeded.1.1 BM_NOTICE)" ] || FAIL "two notices have one id"
[ -z "$NOBODY" ] || is "its user" nobody "$(value all.succeeded.1.1 USER)"
grep -q '^BMD_SOCKET=\|^TZ=' "$HOME_DIR/got/all.succeeded.1.1.env" && FAIL "it inherited the environment of bmd"
is "the state" delivered "$(bmctl --json notify list | jq -r '.notices[] | select(.job == 1 and .section == "team") | "\(.state)"')"
expect 0 bmctl notify list
prints "all is told of: failed, lost, missed, held, recovered, succeeded"
prints "team of app is told of: succeeded"
OK "who asked to be told is told"

# Each event.
expect 0 bmctl deploy app 1.0/3 --to production --at +600ms --no-follow
expect 0 bmctl settle app production 1.0/1 --reason "looked at it"
expect 8 bmctl wait 2
told all.held.2.1
expect 0 bmctl cancel 2
touch "$HOME_DIR/broken"
expect 1 bmctl deploy app 1.0/2 --to production --now --wait
told all.failed.3.1
told brief.failed.3.1
is "the step" go "$(value all.failed.3.1 BM_STEP)"
rm "$HOME_DIR/broken"
expect 0 bmctl deploy app 1.0/2 --to production --now --wait
told all.recovered.4.1
told all.succeeded.4.1
expect 0 bmctl lock app production --reason x
expect 0 bmctl unlock app production
touch "$HOME_DIR/hold"
expect 0 bmctl deploy app 1.0/3 --to production --now --no-follow
retry in_state 5 running || FAIL "job 5 does not run"
expect 0 bmctl deploy app 1.0/2 --to production --at +200ms --grace 1s --no-follow
expect 6 bmctl wait 6
told all.missed.6.1
for pid in $(run_pids); do kill_tree "$pid"; done
expect 6 bmctl wait 5
told all.lost.5.1
rm "$HOME_DIR/hold"
[ ! -e "$HOME_DIR/got/brief.held.2.1.env" ] && [ ! -e "$HOME_DIR/got/team.succeeded.4.1.env" ] || FAIL "somebody was told of what he did not ask for"
retry nothing_waits || FAIL "a notice waits: $(bmctl notify list)"
expect 0 bmctl redeploy app 1.0/2 --to production --now --wait --reason mend
OK "failed, held, recovered, missed, lost"

# A receiver that fails: again with the same id, and status says so meanwhile.
told all.succeeded.7.1
retry nothing_waits || FAIL "a notice waits: $(bmctl notify list)"
touch "$HOME_DIR/down"
expect 0 bmctl deploy app 1.0/2 --to testing --now --wait
fails() { [ "$(notices failing)" = 2 ]; }
retry fails || FAIL "no notice fails: $(bmctl notify list)"
expect 0 bmctl status
prints "notices: 2 cannot be delivered yet"
expect 0 bmctl notify list
prints "1 attempt, again in "
grep -q 'notice to all of "succeeded" of app, attempt 1: .*receive exited with 7: first line; the receiver is down; again in 5 s' "$HOME_DIR/bmd.log" || FAIL "the log does not say it"
rm "$HOME_DIR/down"
told all.succeeded.8.2
told team.succeeded.8.2
is "the id of the second attempt" "$(value all.succeeded.8.1 BM_NOTICE)" "$(value all.succeeded.8.2 BM_NOTICE)"
is "its number" 2 "$(value all.succeeded.8.2 BM_ATTEMPT)"
cmp -s "$HOME_DIR/got/all.succeeded.8.1.body" "$HOME_DIR/got/all.succeeded.8.2.body" || FAIL "the second attempt says something else"
retry nothing_waits || FAIL "a notice waits: $(bmctl notify list)"
OK "tried again with the same id"

# Given up: said, and shown.
touch "$HOME_DIR/down" "$HOME_DIR/broken"
expect 1 bmctl deploy app 1.0/2 --to production --now --wait
given_up() { [ "$(notices given_up)" = 1 ]; }
retry given_up || FAIL "nothing was given up: $(bmctl notify list)"
grep -q 'notice to brief of "failed" of app was given up after 1 attempt: .*the receiver is down' "$HOME_DIR/bmd.log" || FAIL "the log does not say it"
expect 0 bmctl status
prints "1 given up within a day: bmctl notify list"
expect 0 bmctl notify list
prints "given up"
rm "$HOME_DIR/down" "$HOME_DIR/broken"
OK "given up"

# Over a crash: one that waited, and one whose command was at work.
retry nothing_waits || FAIL "a notice waits: $(bmctl notify list)"
touch "$HOME_DIR/slow"
expect 0 bmctl deploy app 1.0/1 --to testing --now --wait
told team.succeeded.10.1
bmd_kill
rm "$HOME_DIR/slow"
mv "$HOME_DIR/got/team.succeeded.10.1.env" "$HOME_DIR/first.env"
bmd_start
told team.succeeded.10.1
is "the id after a crash" "$(sed -n 's/^BM_NOTICE=//p' "$HOME_DIR/first.env")" "$(value team.succeeded.10.1 BM_NOTICE)"
retry nothing_waits || FAIL "a notice waits: $(bmctl notify list)"
# The events of a run that ended while bmd was down are told too.
touch "$HOME_DIR/hold"
expect 0 bmctl deploy app 1.0/2 --to testing --now --no-follow
retry in_state 11 running || FAIL "job 11 does not run"
bmd_kill
rm "$HOME_DIR/hold"
retry test -e "$HOME_DIR/state/runs/11/result" || FAIL "no result"
bmd_start
told all.succeeded.11.1
OK "over a crash"

# One that hangs is ended with all that it began, and bmd answers meanwhile.
retry nothing_waits || FAIL "a notice waits: $(bmctl notify list)"
touch "$HOME_DIR/slow" "$HOME_DIR/broken"
rm -f "$HOME_DIR/got/sleeper"
expect 1 bmctl deploy app 1.0/1 --to production --now --wait
told brief.failed.12.1
expect 0 bmctl status
timed_out() { grep -q 'notice to brief of "failed" of app was given up after 1 attempt: .*did not end within 1 s' "$HOME_DIR/bmd.log"; }
retry timed_out || FAIL "it is not ended: $(bmctl notify list)"
rm "$HOME_DIR/slow" "$HOME_DIR/broken"
OK "a command that hangs"

# A trial.
expect 0 bmctl notify test all
prints "delivered to all as "
is "of a test" "test test" "$(value all.test.none.1 BM_EVENT) $(body all.test.none.1 .data.event)"
expect 0 bmctl notify test team --application app
expect 1 bmctl notify test absent
says "the notice to absent was not delivered: "
says "/nonexistent/program"
expect 1 bmctl notify test nosuch
says 'no notify section "nosuch" is configured'
expect 1 bmctl notify test team
expect 2 bmctl notify test
touch "$HOME_DIR/down"
expect 1 bmctl notify test all
says "the receiver is down"
is "a test that failed is not repeated" given_up "$(bmctl --json notify list -n 1 | jq -r '.notices[0].state')"
rm "$HOME_DIR/down"
[ -z "$NOBODY" ] || expect 4 setpriv --reuid nobody --regid nogroup --clear-groups bmctl -s "$BMD_SOCKET" notify test all
# Each runs a command: a user has ten of them in a minute, and another user his own.
n=0
while bmctl notify test all >/dev/null 2>"$HOME_DIR/err"; do
    n=$((n + 1))
    [ $n -le 10 ] || FAIL "trials without end"
done
is "trials of this minute that were left" 6 $n
says "10 notices were tested within a minute: try again in "
is "of these, rows" 0 "$(bmctl --json notify list | jq '[.notices[] | select(.event == "test" and .state == "waiting")] | length')"
[ -z "$NOBODY" ] || expect 0 setpriv --reuid daemon --regid daemon --clear-groups "$(command -v bmctl)" -s "$BMD_SOCKET" notify test all
is "in the audit" "TestNotice" "$(bmctl --json audit -n 30 | jq -r '[.rows[] | select(.method == "TestNotice" and .refused == 0)][0].method')"
OK "a trial"

# A section that is gone by the time.
touch "$HOME_DIR/down"
expect 0 bmctl deploy app 1.0/1 --to testing --now --wait
fails() { [ "$(notices failing)" -ge 2 ]; }
retry fails || FAIL "no notice fails: $(bmctl notify list)"
sed -i '/notify "team"/d' "$HOME_DIR/etc/applications.d/app.conf"
expect 0 bmctl reload
rm "$HOME_DIR/down"
gone() { grep -q 'notice to team of app of "succeeded" of app was given up after 2 attempts: it is not configured any more' "$HOME_DIR/bmd.log"; }
retry gone || FAIL "it is still tried: $(bmctl notify list)"
OK "a section that is gone"
retry nothing_waits || FAIL "a notice waits: $(bmctl notify list)"
bmd_stop

# The outbox is bounded: of more than it holds the oldest are given up, and said.
sqlite3 "$HOME_DIR/state/bmd.db" "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10005)
    INSERT INTO notices (uid, scope, name, event, application, stage, job, body, created_us, state, attempts, next_us, tried_us)
    SELECT printf('%032x', i), '', 'absent', 'missed', 'app', 'none', i, '{}', strftime('%s') * 1000000, 'waiting', 1,
        (strftime('%s') + 300) * 1000000, strftime('%s') * 1000000 FROM n; DELETE FROM seals" || FAIL "sqlite3"
bmd_start
retry grep -q '5 notices were given up: more than 10000 wait' "$HOME_DIR/bmd.log" || FAIL "nothing is given up: $(bmctl --json status | jq -c .notices)"
is "what waits" 10000 "$(notices waiting)"
expect 0 bmctl status
prints "notices: 10000 cannot be delivered yet"
expect 0 bmctl notify test all
prints "delivered to all as "
OK "an outbox that is full"
bmd_stop
is "the integrity of the database" ok "$(sqlite3 "$HOME_DIR/state/bmd.db" 'PRAGMA integrity_check')"
