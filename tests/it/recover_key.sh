# What was answered before bmd was killed is answered again under the same key, and nothing is done twice.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"
. "$top_srcdir/tests/it/recover.sh"
: >"$HOME_DIR/go"

later() { call Deploy "{\"key\":\"$1\",\"application\":\"shop\",\"release\":\"1.0.0\",\"build\":1,\"stage\":\"production\",\"at\":\"$2\"}"; }
at=$(date -u -d '+1 day' +%Y-%m-%dT%H:%M:%S.000000Z)
bmd_start
add_build
first=$(later k1 "$at")
bmd_kill
bmd_start
is "the same answer" "$first" "$(later k1 "$at")"
is "jobs in the queue" 1 "$(ask ListQueue '{}' '.jobs | length')"
is "another body" io.bmd.Control.KeyReused \
    "$(call Deploy '{"key":"k1","application":"shop","release":"1.0.0","build":1,"stage":"production","now":true}' | jq -r .error)"
bmd_stop
OK "a key answers the same after a crash"
