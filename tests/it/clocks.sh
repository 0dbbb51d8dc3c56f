# An application whose starts are lines of a ledger, and its jobs by a clock that the test sets. Sourced behind lib.sh and faketime.sh.
#   settle TIME                    clock-settle, for the next start or poke
#   clock_application [LINE]       its application "app", with a line more
#   at SECONDS STAGE [GRACE_US]    a job at this time of bmd's clock; its number.   now STAGE [GRACE_US]   one at once
settle() { configure "clock-settle = \"$1\"" 'horizon = "3650d"'; }
clock_application() {
    settle 60s
    application app <<CONF
    stages = {"testing", "production"}
    stage "testing" { plan = "note" }
    stage "production" { plan = "note" }
    ${1:-}
CONF
    plan note <<CONF
    step "note" { run = 'echo "\$BM_JOB" >>$HOME_DIR/ledger; while test -e $HOME_DIR/gate; do sleep 0.02; done' }
CONF
    : >"$HOME_DIR/ledger"
}
utc() { date -u -d "@$1" +%Y-%m-%dT%H:%M:%S.000000Z; }
# request STAGE MEMBERS: its job's number.
request() { ask Deploy "{\"key\":\"$(date +%s%N)\",\"application\":\"app\",\"release\":\"1.0\",\"build\":1,\"stage\":\"$1\",$2}" .job.id; }
at() { request "$2" "\"at\":\"$(utc "$1")\",\"grace_us\":${3:-7200000000},\"if_changed\":\"run\""; }
now() { request "$1" "\"now\":true${2:+,\"grace_us\":$2}"; }
text() { ask GetJob "{\"job\":$1}" .job.waits_for.text; }
contains() { case $2 in *"$3"*) ;; *) FAIL "$1: '$2' does not hold '$3'" ;; esac; }
YEAR=31536000
