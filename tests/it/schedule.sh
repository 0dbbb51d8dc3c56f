#!/bin/sh
# Recurring deployments with a real bmd: each occurrence is a job, one waits, the build is chosen at the start; pause,
# resume, remove; sections of the configuration; what passed while bmd was down is one.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"

sections() {
    application app <<CONF
    stages = {"testing", "production"}
    stage "testing" { plan = "one" }
    stage "production" { plan = "one"  require-reason = true  confirm = true }
    $1
CONF
}
sections ''
plan one <<CONF
    step "note" { run = 'echo "\$BM_JOB \$BM_BUILD \$BM_REQUESTED_BY \$BM_REASON" >>$HOME_DIR/ran' }
CONF
bmd_start
for n in 1 2; do bmctl build add app 1.0 >/dev/null 2>&1 || FAIL "build add"; done
# list N FILTER: a value of schedule N.
list() { bmctl --json schedule list | jq -r ".schedules[] | select(.id == $1) | $2"; }
ran() { [ "$(cat "$HOME_DIR/ran" 2>/dev/null | wc -l)" -ge "$1" ]; }

# Each occurrence is a job of its own; never two of one, never two that wait.
expect 0 bmctl schedule add app 1.0 --to testing --on '*-*-* *:*:0/2' --reason again
prints 'schedule 1: app 1.0 to testing'
prints 'next: job 1 at '
prints 'undo: bmctl schedule remove 1'
expect 0 bmctl queue
prints '1.0 (now 1.0/2)'
prints 'schedule 1'
retry ran 1 || FAIL "nothing ran"
is "what ran" "1 2 schedule 1 again" "$(head -n 1 "$HOME_DIR/ran")"
bmctl build add app 1.0 >/dev/null 2>&1
newest() { [ "$(tail -n 1 "$HOME_DIR/ran" | cut -d' ' -f2)" = 3 ]; }
retry newest || FAIL "a newer build was not taken"
expect 0 bmctl build reject app 1.0/3 --reason bad
older() { [ "$(tail -n 1 "$HOME_DIR/ran" | cut -d' ' -f2)" = 2 ]; }
retry older || FAIL "a rejected build was not passed over"
OK "occurrences, and their builds"

expect 0 bmctl schedule pause 1 --reason inventory
prints 'schedule 1 is paused, its job '
prints 'undo: bmctl schedule resume 1'
settled() { [ "$(bmctl --json queue | jq '.jobs | length')" = 0 ]; }
retry settled || FAIL "a job of a paused schedule waits"
expect 0 bmctl schedule list
prints 'paused by '
prints 'inventory'
is "last" succeeded "$(bmctl --json history | jq -r '[.jobs[] | select(.state == "succeeded")][0].state')"
cancelled=$(bmctl --json history | jq -r '[.jobs[] | select(.state == "cancelled")][0].message')
is "why it was cancelled" "schedule 1 was paused: inventory" "$cancelled"
before=$(wc -l <"$HOME_DIR/ran")
expect 0 bmctl schedule resume 1
prints 'next: job '
retry ran $((before + 2)) || FAIL "a resumed schedule does not run"
expect 0 bmctl schedule remove 1
prints 'schedule 1 is removed'
retry settled || FAIL "a job of a removed schedule waits"
expect 3 bmctl schedule remove 1
says 'there is no schedule 1: bmctl schedule list'
OK "pause, resume, remove"

# No two jobs of one occurrence: all that came were due at different times.
is "occurrences that came twice" 0 "$(bmctl --json history -n 1000 |
    jq '[.jobs[] | select(.state != "cancelled") | .due] | length - (unique | length)')"
# What ran is what succeeded, once each.
is "runs" "$(bmctl --json history -n 1000 | jq '[.jobs[] | select(.started)] | length')" "$(sort -u "$HOME_DIR/ran" | wc -l)"
is "runs, once each" "$(wc -l <"$HOME_DIR/ran")" "$(cut -d' ' -f1 "$HOME_DIR/ran" | sort -u | wc -l)"
OK "each once"

# Cancelling the job of a schedule skips this one time.
expect 0 bmctl schedule add app live --to testing --on 'Mon 02:00 UTC'
job=$(list 2 .waiting.job)
due=$(list 2 .next)
expect 0 bmctl cancel "$job"
is "the next one" "$(date -ud "$due + 7 days" +%F)T02:00:00.000000Z" "$(list 2 .next)"
is "last" cancelled "$(list 2 .last.state)"
expect 0 bmctl schedule list
prints 'Mon 02:00 UTC'
prints "job $job cancelled"
prints ' UTC (in '
OK "cancelled: skipped once"

# What a stage asks for it asks once.
expect 8 bmctl schedule add app 1.0 --to production --on daily
says 'repeat: bmctl schedule add app 1.0 --to production --on daily --reason TEXT'
expect 8 bmctl schedule add app 1.0 --to production --on daily --reason nightly
expect 0 bmctl schedule add app 1.0 --to production --on '0 2 * * 1-5' --reason nightly --yes
expect 2 bmctl schedule add app 1.0 --to production --on '25:00' --reason x --yes
says 'column 1'
expect 2 bmctl schedule add app 1.0 --to production --reason x --yes
says '--on'
expect 3 bmctl schedule add app 2.0 --to production --on daily --reason x --yes
expect 3 bmctl schedule add app 1.0 --to nowhere --on daily
expect 0 env TZ=America/New_York bmctl schedule add app 1.0/1 --to testing --on '02:00' --grace 1h --if-changed skip --var A=1
id=$(bmctl --json schedule list | jq '.schedules[-1].id')
is zone America/New_York "$(list "$id" .zone)"
is grace 3600000000 "$(list "$id" .grace_us)"
is if_changed skip "$(list "$id" .if_changed)"
is variables '{"A":"1"}' "$(list "$id" '.variables | tostring')"
expect 0 bmctl schedule preview "$id" -n 2
prints 'America/New_York'
is "lines of a preview" 3 "$(wc -l <"$HOME_DIR/out")"
is "a key again" "$id" "$(ask AddSchedule '{"key":"k1","application":"app","live":true,"stage":"testing","calendar":"daily"}' .schedule.id |
    { read -r new; again=$(ask AddSchedule '{"key":"k1","application":"app","live":true,"stage":"testing","calendar":"daily"}' .schedule.id)
      [ "$new" = "$again" ] && echo $((new - 1)); })"
OK "what is asked, and refused"

# Sections.
sections 'schedule "nightly" { on = "02:30 Europe/Berlin"  build = "1.0/1"  to = "testing" }'
expect 0 bmctl reload
expect 0 bmctl schedule list app
prints 'nightly'
prints 'configuration'
job=$(bmctl --json schedule list | jq '.schedules[] | select(.name == "nightly") | .waiting.job')
expect 8 bmctl schedule remove nightly
says "$HOME_DIR/etc/applications.d/app.conf:5: take it away there, then bmctl reload"
expect 0 bmctl schedule preview app/nightly -n 400
prints 'note: '
expect 3 bmctl schedule pause fortnightly
expect 0 bmctl schedule pause nightly
is "its job" cancelled "$(state "$job")"
sections 'schedule "nightly" { on = "*-*-* *:*:0/2"  build = "1.0/1"  to = "testing" }'
expect 0 bmctl reload
is "still paused" null "$(bmctl --json schedule list | jq '.schedules[] | select(.name == "nightly") | .waiting')"
before=$(wc -l <"$HOME_DIR/ran")
expect 0 bmctl schedule resume nightly
retry ran $((before + 1)) || FAIL "the section does not run"

# Down, and up again: what passed is one, and the next one comes.
bmd_kill
mark=$(date +%s)
passed() { [ "$(date +%s)" -ge $((mark + 6)) ]; }
retry passed
before=$(wc -l <"$HOME_DIR/ran")
bmd_start
retry ran $((before + 2)) || FAIL "nothing runs after a restart"
grep -q 'of . occurrences this is the last: bmd was not running from ' "$HOME_DIR/bmd.log" || FAIL "what passed was not one"
is "occurrences that came twice" 0 "$(bmctl --json history -n 1000 |
    jq '[.jobs[] | select(.schedule != null and .state != "cancelled") | [.schedule, .due]] | length - (unique | length)')"
sections ''
expect 0 bmctl reload
expect 3 bmctl schedule resume nightly
is "jobs of it" 0 "$(bmctl --json queue | jq '[.jobs[] | select(.due_text == "*-*-* *:*:0/2" and .state != "running")] | length')"
OK "sections of the configuration"

# A broken reload changes nothing.
count=$(bmctl --json schedule list | jq '.schedules | length')
sections 'schedule "nightly" { on = "25:00"  build = "1.0/1"  to = "testing" }'
expect 1 bmctl reload
says 'app.conf:5: on: recurring time "25:00", column 1'
is "schedules" "$count" "$(bmctl --json schedule list | jq '.schedules | length')"
bmd_stop
OK "a broken reload"
if command -v sqlite3 >/dev/null; then
    is "audit" 'AddSchedule|schedule 1: 1.0, *-*-* *:*:0/2: again
PauseSchedule|schedule 1: 1.0, *-*-* *:*:0/2: inventory' \
        "$(sqlite3 "$HOME_DIR/state/bmd.db" "SELECT what, text FROM audit WHERE what LIKE '%Schedule' AND refused = 0 ORDER BY id LIMIT 2")"
    OK "the audit"
fi
