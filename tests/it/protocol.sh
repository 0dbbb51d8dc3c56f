# The protocol as an independent client sees it: socat and jq.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"
. "$top_srcdir/tests/it/recover.sh"
: >"$HOME_DIR/go"
bmd_start

raw() { printf '%s\0' "$@" | socat -t 30 - "UNIX-CONNECT:$BMD_SOCKET" | tr '\0' '\n'; }
error() { call "$@" | jq -r '"\(.error | sub(".*\\."; "")) \(.parameters.parameter // .parameters.rule // "")"' | sed 's/ $//'; }

# What it is.
is "the service" "bmd io.bmd.Control" \
    "$(raw '{"method":"org.varlink.service.GetInfo"}' | jq -r '.parameters | "\(.vendor) \(.interfaces[1])"')"
raw '{"method":"org.varlink.service.GetInterfaceDescription","parameters":{"interface":"io.bmd.Control"}}' |
    jq -j .parameters.description | cmp - "$top_srcdir/common/io.bmd.Control.varlink" || FAIL "another interface is served"
is "an unknown interface" org.varlink.service.InterfaceNotFound "$(raw '{"method":"no.such.Thing"}' | jq -r .error)"

# What is wrong is said before anything is done.
is "an unknown method" MethodNotFound "$(error Explode)"
is "a missing parameter" "InvalidParameter job" "$(error GetJob)"
is "an unknown parameter" "InvalidParameter jop" "$(error GetJob '{"job":1,"jop":2}')"
is "a wrong type" "InvalidParameter job" "$(error GetJob '{"job":"1"}')"
is "no key" "InvalidParameter key" "$(error Cancel '{"job":1}')"
is "a bad key" "InvalidParameter key" "$(error Cancel '{"job":1,"key":"a b"}')"
is "no such job" NoSuchJob "$(error GetJob '{"job":1}')"
is "no such application" NoSuchApplication "$(error ListBuilds '{"application":"shup"}')"
is "its suggestion" shop "$(call ListBuilds '{"application":"shup"}' | jq -r .parameters.suggestion)"
is "no time" "InvalidParameter at" "$(error Deploy '{"key":"k","application":"shop","release":"1.0.0","stage":"production"}')"
is "a bad time" BadTime "$(error Deploy '{"key":"k","application":"shop","release":"1.0.0","stage":"production","at":"02:00"}')"
is "no upload yet" UploadRefused "$(error AddBuild "{\"key\":\"k\",\"application\":\"shop\",\"release\":\"1.0.0\",\"artifacts\":[{\"name\":\"site\",\"digest\":\"$(printf '' | sha256sum | cut -c1-64)\"}]}")"
is "upgrade where there is none" InvalidParameter "$(error GetStatus '{}' '"upgrade":true')"
is "Wait for several without more" ExpectedMore "$(add_build; one=$(deploy a); ended "$one" >/dev/null; error Wait "{\"jobs\":[$one,$one]}")"

# Pipelined calls are answered in order; a oneway call not at all.
is "pipelined" "1 2" "$(echo $(raw '{"method":"io.bmd.Control.GetJob","parameters":{"job":1}}' \
    '{"method":"io.bmd.Control.GetStatus","oneway":true}' \
    '{"method":"io.bmd.Control.ListHistory","parameters":{"limit":1}}' | jq -r 'if .parameters.job then 1 else 2 end'))"

# Lists are paged.
for n in 1 2 3 4 5; do
    ask AddBuild "{\"key\":\"p$n\",\"application\":\"shop\",\"release\":\"2.0.$n\",\"artifacts\":[]}" .created >/dev/null
    ask Deploy "{\"key\":\"q$n\",\"application\":\"shop\",\"release\":\"2.0.$n\",\"stage\":\"production\",\"at\":\"$(date -u -d "+$n hours" +%Y-%m-%dT%H:%M:%S.000000Z)\"}" .job.id >>"$HOME_DIR/queued"
done
paged() { # METHOD PARAMETERS LIST KEY
    after=
    while :; do
        page=$(call "$1" "{$2\"limit\":2${after:+,\"after\":\"$after\"}}")
        printf '%s\n' "$page" | jq -r ".parameters.$3[].$4"
        after=$(printf '%s\n' "$page" | jq -r '.parameters.next // ""')
        [ -n "$after" ] || break
    done
}
is "the queue in pages" "$(echo $(cat "$HOME_DIR/queued"))" "$(echo $(paged ListQueue '' jobs id))"
is "the builds in pages" "2.0.5 2.0.4 2.0.3 2.0.2 2.0.1 1.0.0" \
    "$(echo $(paged ListBuilds '"application":"shop",' builds release))"
for n in $(cat "$HOME_DIR/queued"); do ask Cancel "{\"key\":\"x$n\",\"job\":$n}" .job.state; done | sort -u >"$HOME_DIR/out"
is "cancelled" cancelled "$(cat "$HOME_DIR/out")"
is "the history in pages" 6 "$(paged ListHistory '' jobs id | sort -un | wc -l)"
is "a cancelled job stays" "Refused final" "$(error Reschedule "{\"key\":\"z\",\"job\":$n,\"now\":true}")"

# Wait for several: a reply each, the last without continues.
is "waited" "true null" "$(echo $(call Wait "{\"jobs\":[1,$n]}" '"more":true' | jq -r .continues))"
# A dry run needs no key and changes nothing.
before=$(call ListQueue | jq -c .)
is "a dry run" "redeploy 1.0.0" "$(ask Redeploy '{"dry_run":true,"release":"1.0.0"}' '.preview | "\(.mode) \(.to.release)"')"
is "after it" "$before" "$(call ListQueue | jq -c .)"
is "lock" "looked at" "$(ask Lock '{"key":"l","application":"shop","stage":"production","reason":"looked at"}' .stage.locked.reason)"
is "unlock" null "$(ask Unlock '{"key":"u","application":"shop","stage":"production"}' .stage.locked)"
is "reject" rejected "$(ask RejectBuild '{"key":"j","application":"shop","release":"2.0.5","reason":"bad"}' .build.status)"
is "a rejected build" "Refused rejected" "$(error Deploy '{"key":"m","application":"shop","release":"2.0.5","build":1,"stage":"production","now":true}')"
is "restore" active "$(ask RestoreBuild '{"key":"o","application":"shop","release":"2.0.5"}' .build.status)"
is "diff" "0 0 0" "$(ask Diff '{"application":"shop","a":{"release":"2.0.5"}}' '"\(.added) \(.changed) \(.removed)"')"
is "check" "$BMD_CONF" "$(ask Check '{}' .configuration)"
is "verify" 0 "$(ask VerifyBuilds '{}' .files)"
bmd_stop
! grep -F "is not as the interface says" "$HOME_DIR/bmd.log" || FAIL "a reply was malformed"
OK "the protocol, by another client"
