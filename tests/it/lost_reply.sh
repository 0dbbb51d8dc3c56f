#!/bin/sh
# A reply that is lost, and the same key a hundred times: of each request one job, the same answer whenever one is heard, also over a crash of
# bmd in between; the same key with another body is refused. What is asked by twenty clients at once is done once as well.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"
. "$top_srcdir/tests/it/recover.sh"
: >"$HOME_DIR/go"

at=$(date -u -d '+1 day' +%Y-%m-%dT%H:%M:%S.000000Z)
body() { echo "{\"key\":\"$1\",\"application\":\"shop\",\"release\":\"1.0.0\",\"build\":1,\"stage\":\"production\",\"at\":\"$at\",\"reason\":\"${2:-$1}\"}"; }
# lost KEY: asks, and is gone before the answer.
lost() { printf '{"method":"io.bmd.Control.Deploy","parameters":%s}\0' "$(body "$1")" | socat -u - "UNIX-CONNECT:$BMD_SOCKET"; }
jobs() { ask ListQueue '{"limit":200}' "[.jobs[] | select(.reason == \"$1\")] | length"; }

bmd_start
add_build
for n in $(seq 100); do lost once; done
is "jobs of one key, asked a hundred times" 1 "$(jobs once)"
first=$(call Deploy "$(body once)")
for n in $(seq 100); do
    [ $n != 30 ] && [ $n != 60 ] || { lost once; bmd_kill; bmd_start; }
    is "answer $n" "$first" "$(call Deploy "$(body once)")"
done
is "jobs after two crashes" 1 "$(jobs once)"
is "another body" io.bmd.Control.KeyReused "$(call Deploy "$(body once other)" | jq -r .error)"
OK "the same key a hundred times"

# A hundred keys, each lost once, some of them over a crash, then asked until there is an answer.
for n in $(seq 100); do
    lost "key-$n"
    [ $((n % 25)) != 0 ] || { bmd_kill; bmd_start; }
done
for n in $(seq 100); do call Deploy "$(body "key-$n")" | jq -r .parameters.job.id; done >"$HOME_DIR/ids"
is "jobs of a hundred keys" 100 "$(sort -u "$HOME_DIR/ids" | grep -cx '[0-9]*')"
is "jobs that wait" 101 "$(ask ListQueue '{"limit":200}' '.jobs | length')"
OK "a hundred replies that were lost"

for n in $(seq 20); do call Deploy "$(body together)" >"$HOME_DIR/together.$n" & echo $!; done >"$HOME_DIR/pids"
wait $(cat "$HOME_DIR/pids")
is "answers of twenty at once" 1 "$(cat "$HOME_DIR"/together.* | sort -u | wc -l)"
is "their jobs" 1 "$(jobs together)"
OK "twenty clients, one key"
bmd_stop
