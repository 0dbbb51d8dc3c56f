# Sourced by the plays of the failpoints: an application of two steps, and programs that die where they are told
# to (tests/campaign/failpoint.c). What the steps themselves write stands in $HOME_DIR/ran: "JOB STEP".
command -v socat >/dev/null && command -v jq >/dev/null || SKIP "needs socat and jq"
application shop <<CONF
    stages = {"production"}
    stage "production" { plan = "steps"  variables = {"DIR=$HOME_DIR"}  on-failure = "continue" }
CONF
plan steps <<'CONF'
    step "files" { deploy = "site"  to = '$DIR/srv'  attempts = 2  delay = "10ms" }
    step "one" { run = 'echo "$BM_JOB one" >>"$DIR/ran"; if [ -e "$DIR/slow" ]; then sleep 0.1; fi; while [ -e "$DIR/gate" ]; do sleep 0.02; done' }
    step "two" { run = 'echo "$BM_JOB two" >>"$DIR/ran"' }
CONF
. "$top_srcdir/tests/it/programs.sh"
: >"$HOME_DIR/ran"

ran() { grep -cx "$1 $2" "$HOME_DIR/ran"; }
# deploy KEY: asks for the build $BUILD; prints the job, or nothing when the answer was lost. other: now the other build.
deploy() { ask Deploy "{\"key\":\"$1\",\"application\":\"shop\",\"release\":\"1.0\",\"build\":$BUILD,\"stage\":\"production\",\"now\":true}" .job.id; }
BUILD=1
other() { BUILD=$((3 - BUILD)); }
ended() { call Wait "{\"jobs\":[$1],\"timeout_us\":30000000}" '"more":true' | tail -n 1 | jq -r .parameters.job.state; }
occupied() { ask GetStatus '{}' '.stages[0].occupied_by'; }
# Waits until bmd died of its point, and starts it again.
bmd_again() {
    retry dead || FAIL "bmd did not die at $1"
    wait "$BMD_PID" 2>/dev/null
    BMD_PID=
    bmd_start
}
# whole JOB: it succeeded, and each of its steps ran once.
whole() {
    is "$2: the end of job $1" succeeded "$(ended "$1")"
    is "$2: starts of its steps" "1 1" "$(ran "$1" one) $(ran "$1" two)"
    is "$2: what is placed" "build $BUILD" "$(cat "$HOME_DIR/srv/current/file")"
    is "$2: occupied by" null "$(occupied)"
}
begin() {
    bmd_start
    for n in 1 2; do
        mkdir -p "$HOME_DIR/build"
        echo "build $n" >"$HOME_DIR/build/file"
        bmctl build add shop 1.0 site="$HOME_DIR/build" >/dev/null 2>&1 || FAIL "build add"
    done
}

# play_bmd POINT [N]: bmd dies at its N-th passage; asked again with the same key, it is one job that runs once.
# Returns 1 when the whole run passes without an N-th passage.
play_bmd() {
    # Events are committed 20 times a second: a shorter run has none.
    case $1 in event-*) : >"$HOME_DIR/slow" ;; *) rm -f "$HOME_DIR/slow" ;; esac
    arm "$BMD" "$1" "${2:-1}"
    key=$1-${2:-1}
    other
    deploy "$key" >"$HOME_DIR/job" 2>/dev/null
    over() { hit "$BMD" || [ -n "$(state "$(cat "$HOME_DIR/job")" | grep -E 'succeeded|failed')" ]; }
    retry over || FAIL "$key is not hit, and nothing ends"
    if hit "$BMD"; then
        bmd_again "$key"
        job=$(deploy "$key")
        [ ! -s "$HOME_DIR/job" ] || is "$key: the same key" "$(cat "$HOME_DIR/job")" "$job"
        whole "$job" "$key"
        return 0
    fi
    rm -f "$BMD.fail"
    whole "$(cat "$HOME_DIR/job")" "$key, not hit"
    return 1
}
