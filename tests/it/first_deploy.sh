# One build, one plan of one step, from AddBuild to the recorded result, by socat and jq alone.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"
command -v socat >/dev/null && command -v jq >/dev/null || SKIP "needs socat and jq"

application shop <<CONF
    stages = {"production"}
    stage "production" { plan = "note"  variables = {"DIR=$HOME_DIR"} }
CONF
plan note <<'CONF'
    step "note" { exec = {"/bin/sh", "-c", 'echo "$BM_MODE $BM_RELEASE/$BM_BUILD from $BM_FROM_RELEASE/$BM_FROM_BUILD" | tee -a "$DIR/notes"'} }
CONF
bmd_start

build() { ask AddBuild "{\"key\":\"b$1\",\"application\":\"shop\",\"release\":\"1.0.$1\",\"artifacts\":[]}" '"\(.build.release)/\(.build.build) \(.created)"'; }
is "a build" "1.0.1/1 true" "$(build 1)"
is "the same key" "1.0.1/1 true" "$(build 1)"
is "another build" "1.0.2/1 true" "$(build 2)"
is "the same number, the same content" false \
    "$(ask AddBuild '{"key":"b3","application":"shop","release":"1.0.2","build":1,"artifacts":[]}' .created)"

deploy() { ask Deploy "{\"key\":\"d$1\",\"application\":\"shop\",\"release\":\"1.0.$1\",\"build\":1,\"stage\":\"production\",\"now\":true}" .job.id; }
ended() { call Wait "{\"jobs\":[$1],\"timeout_us\":30000000}" '"more":true' | tail -n 1 | jq -r .parameters.job.state; }
first=$(deploy 1)
is "the first job" succeeded "$(ended "$first")"
second=$(deploy 2)
is "the second job" succeeded "$(ended "$second")"
third=$(ask Redeploy '{"key":"r","now":true}' .job.id)
is "the redeploy" succeeded "$(ended "$third")"
printf '%s\n' 'deploy 1.0.1/1 from /' 'deploy 1.0.2/1 from 1.0.1/1' 'rollback 1.0.1/1 from 1.0.2/1' >"$HOME_DIR/want"
cmp "$HOME_DIR/want" "$HOME_DIR/notes" || { cat "$HOME_DIR/notes"; FAIL "the step saw something else"; }
is "steps" "note succeeded 0" "$(ask GetJob "{\"job\":$third}" '.job.steps[] | "\(.name) \(.state) \(.exit_code)"')"
is "live" "1.0.1/1 by $(id -un)" "$(ask GetStatus '{}' '.stages[0].live | "\(.release)/\(.build) by \(.by)"')"
is "the log" "rollback 1.0.1/1 from 1.0.2/1" \
    "$(call Log "{\"job\":$third,\"follow\":true}" '"more":true' | jq -r '.parameters.lines[] | select(.stream == "out") | .text')"
is "the history" "$third $second $first" "$(echo $(ask ListHistory '{}' '.jobs[].id'))"
bmd_stop
! grep -F "is not as the interface says" "$HOME_DIR/bmd.log" || FAIL "a reply was malformed"
OK "two deployments and the way back"
