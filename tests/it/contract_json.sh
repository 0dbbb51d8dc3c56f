#!/bin/sh
# The keys that every tool may rely on, and that --json is the protocol's reply, one object.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"

application shop <<CONF
    stages = {"testing", "production"}
    stage "testing"    { plan = "web" }
    stage "production" { plan = "web" }
CONF
plan web <<'CONF'
    step "one" { run = 'echo hello; echo oops >&2' }
CONF
bmd_start
mkdir "$HOME_DIR/site"
echo page >"$HOME_DIR/site/index.html"
keys() { # FILTER KEY…: the object has each of them
    filter=$1
    shift
    for key; do
        jq -e "$filter | has(\"$key\")" "$HOME_DIR/out" >/dev/null || { cat "$HOME_DIR/out"; FAIL "no key $key in $filter"; }
    done
    is "objects" 1 "$(jq -s length "$HOME_DIR/out")"
}
job_keys="id state application release build stage plan mode from reason requested_by uid created due started finished
    ended_by exit_code failed_step message waits_for lateness_us"
stage_keys="application stage live previous_good locked dirty running next last_failed"
build_keys="application release build status rejected created created_by note variables artifacts"

expect 0 bmctl --json build add shop 1.0.2 site="$HOME_DIR/site" --note hello --var A=b
keys .build $build_keys
keys '.build.artifacts[0]' name digest files bytes
is build 1 "$(jq .build.build "$HOME_DIR/out")"
is variable b "$(jq -r .build.variables.A "$HOME_DIR/out")"
expect 0 bmctl --json deploy shop 1.0.2 --to production --now --wait
jq -s -e '.[0] | has("job")' "$HOME_DIR/out" >/dev/null || FAIL "deploy does not answer a job"
id=$(jq -s -r '.[0].job.id' "$HOME_DIR/out")
expect 0 bmctl --json show "$id"
keys .job $job_keys steps
keys '.job.steps[0]' name state started finished exit_code signal
is state '"succeeded"' "$(jq .job.state "$HOME_DIR/out")"
is exit_code 0 "$(jq .job.exit_code "$HOME_DIR/out")"
is build 1 "$(jq .job.build "$HOME_DIR/out")"
jq -r '.job.created, .job.due, .job.started, .job.finished' "$HOME_DIR/out" |
    grep -vE '^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z$' && FAIL "a time of another form"
expect 0 bmctl --json status
keys '.stages[0]' $stage_keys
keys '.stages[1].live' release build job since
expect 0 bmctl --json queue
is queue '[]' "$(jq -c .jobs "$HOME_DIR/out")"
expect 0 bmctl --json history shop
keys '.jobs[0]' $job_keys
expect 0 bmctl --json build list shop
keys '.builds[0]' $build_keys
expect 0 bmctl --json build show shop 1.0.2/1
keys .build $build_keys
expect 0 bmctl --json at "2099-07-01 02:00 Europe/Berlin"
keys . time local zone note
is time 2099-07-01T00:00:00.000000Z "$(jq -r .time "$HOME_DIR/out")"
expect 0 bmctl --json redeploy shop 1.0.2/1 --at +1h --no-follow
keys .job $job_keys
is waits_for time "$(jq -r .job.waits_for.kind "$HOME_DIR/out")"
expect 0 bmctl --json cancel "$(jq .job.id "$HOME_DIR/out")"
# An error is the protocol's error object on standard output, besides the sentence.
expect 3 bmctl --json show 4711
is error io.bmd.Control.NoSuchJob "$(jq -r .error "$HOME_DIR/out")"
is job 4711 "$(jq -r .parameters.job "$HOME_DIR/out")"
says 4711
OK "keys"

# The same bytes by hand, with an independent client.
ask() { printf '%s\0' "$1" | socat -t 5 - "UNIX-CONNECT:$BMD_SOCKET" | tr '\0' '\n'; }
is vendor true "$(ask '{"method":"org.varlink.service.GetInfo"}' | jq '.parameters.interfaces | index("io.bmd.Control") != null')"
ask '{"method":"org.varlink.service.GetInterfaceDescription","parameters":{"interface":"io.bmd.Control"}}' |
    jq -j .parameters.description | cmp - "$top_srcdir/common/io.bmd.Control.varlink" || FAIL "another description"
is bad org.varlink.service.InvalidParameter "$(ask '{"method":"io.bmd.Control.GetJob","parameters":{"job":"1"}}' | jq -r .error)"
is unknown org.varlink.service.MethodNotFound "$(ask '{"method":"io.bmd.Control.Frobnicate"}' | jq -r .error)"
same='{"method":"io.bmd.Control.Deploy","parameters":{"key":"k-1","application":"shop","release":"1.0.2","stage":"testing","now":true}}'
one=$(ask "$same" | jq .parameters.job.id)
is "the same key" "$one" "$(ask "$same" | jq .parameters.job.id)"
is "another body" io.bmd.Control.KeyReused \
    "$(ask "$(echo "$same" | sed s/testing/production/)" | jq -r .error)"
bmd_kill
bmd_start
is "the same key after a crash" "$one" "$(ask "$same" | jq .parameters.job.id)"
expect 0 bmctl wait "$one"
OK "an independent client, and keys"
bmd_stop
