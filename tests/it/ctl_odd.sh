#!/bin/sh
# Answers of a bmd of another version, or of no bmd at all: members that lack, are null or of another type. Whatever the verb, bmctl
# does not crash over them. socat stands in for bmd.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"
command -v socat >/dev/null || SKIP "no socat"

SERVER=
at_exit 'kill $SERVER 2>/dev/null; wait $SERVER 2>/dev/null'
cat >"$HOME_DIR/serve" <<SERVE
head -zn1 >/dev/null
cat "$HOME_DIR/frame"
SERVE
socat "UNIX-LISTEN:$BMD_SOCKET,fork" "EXEC:sh $HOME_DIR/serve" 2>/dev/null &
SERVER=$!
retry grep -q " 00010000 .* $BMD_SOCKET\$" /proc/net/unix || FAIL "socat does not listen"
cd "$HOME_DIR" || exit 99
mkdir release
echo one >release/page
ln -s release current

lines='status
status --limits
queue
history
audit
audit verify
show 1
log 1
log 1 -f --timeout 100ms
wait 1 --timeout 100ms
deploy shop 1/1 --to production --now
deploy shop 1/1 --to production --now --wait --timeout 100ms
deploy shop 1/1 --to production --dry-run
redeploy shop --at 02:00
redeploy --now --follow --timeout 100ms
cancel 1
reschedule 1 --now
release 1
lock shop production --reason x
unlock shop production
settle shop production 1/1 --reason x
settle shop production --unknown --reason x
adopt shop production --current current
build add shop 1
build add shop 1 site=release
build list shop
build show shop 1/1
build manifest shop 1/1
build reject shop 1/1 --reason x
build restore shop 1/1
build pin shop 1/1
build unpin shop 1/1
build verify
build repair shop 1/1 site=release
diff shop 1 2
gc
backup
check
reload
drain
drain --wait --timeout 100ms
notify list
notify test x --timeout 100ms
metrics
schedule add shop live --to production --on daily
schedule list
schedule remove 1
schedule pause 1
schedule resume 1
schedule preview 1
call GetStatus
version'
echo "$lines" >lines
# Every verb that asks bmd is among them.
"$top_builddir/tests/unit/vocabulary" | sed -n 's/^verb //p' | grep -vxE 'at|help|bridge|rollback' >verbs
[ "$(wc -l <verbs)" -ge 40 ] || FAIL "hardly any verbs"
while IFS= read -r verb; do grep -qE "^$verb( |\$)" lines || FAIL "no line of bmctl $verb"; done <verbs
while IFS= read -r parameters; do
    printf '{"parameters":%s}\0' "$parameters" >frame
    while IFS= read -r line; do
        timeout 20 bmctl $line </dev/null >out 2>err
        code=$?
        [ $code -lt 124 ] || FAIL "exit code $code: bmctl $line, of $parameters: $(cat err)"
    done <lines
    OK "$(wc -l <lines) lines: $parameters"
done <<'REPLIES'
{}
{"job":5,"stages":5,"jobs":5,"builds":5,"build":5,"stage":5,"rows":5,"lines":5,"preview":5,"schedule":5,"schedules":5,"warnings":5,"next":5}
{"job":{},"jobs":[{}],"stages":[{}],"builds":[{}],"build":{},"stage":{},"rows":[{}],"lines":[{}],"schedules":[{}],"schedule":{},"notices":[{}],"changes":[{}],"preview":{},"sections":[{}],"limits":[{}],"replacing":{},"unfinished":{},"not_undone":[{}],"ahead":[{}],"window":{}}
{"job":{"state":"failed","started":"x","waits_for":5},"jobs":[null],"stages":[null],"builds":[null],"rows":[null],"lines":[null],"schedules":[null],"notices":[null],"preview":{"steps":[null],"problems":[null],"files":null},"sections":[null],"warnings":[null],"limits":[null],"artifacts":[null],"not_undone":[null]}
REPLIES
exit 0
