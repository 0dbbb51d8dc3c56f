# Sourced by the tests of recovery: one application whose step says that it began, and waits for $HOME_DIR/go.
command -v socat >/dev/null && command -v jq >/dev/null || SKIP "needs socat and jq"
application shop <<CONF
    stages = {"production"}
    stage "production" { plan = "hold"  variables = {"DIR=$HOME_DIR"} }
CONF
plan hold <<'CONF'
    step "hold" { run = 'echo began >>"$DIR/began"; until [ -e "$DIR/go" ]; do sleep 0.05; done' }
CONF

ended() { call Wait "{\"jobs\":[$1],\"timeout_us\":30000000}" '"more":true' | tail -n 1 | jq -r .parameters.job.state; }
live_build() { ask GetStatus '{}' '.stages[0].live | "\(.release)/\(.build)"'; }
add_build() { ask AddBuild '{"key":"build","application":"shop","release":"1.0.0","artifacts":[]}' .build.build >/dev/null; }
# deploy KEY: the id of the job.
deploy() { ask Deploy "{\"key\":\"$1\",\"application\":\"shop\",\"release\":\"1.0.0\",\"build\":1,\"stage\":\"production\",\"now\":true}" .job.id; }
# Starts bmd and a run, and waits until its step began: prints the job.
begin_run() {
    bmd_start
    add_build
    deploy run >"$HOME_DIR/job"
    retry test -s "$HOME_DIR/began" || FAIL "the step did not begin"
    retry in_state "$(cat "$HOME_DIR/job")" running
    job=$(cat "$HOME_DIR/job")
}
run_pid() { jq -r .pid "$HOME_DIR/state/runs/$1/started"; }
