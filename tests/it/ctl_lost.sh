# bmctl and a bmd that is not one: answers that are lost, cut, foreign or hostile. socat stands in for it.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"
command -v socat >/dev/null || SKIP "no socat"

SERVER=
# serve COMMAND: each connection is handed to COMMAND.
serve() {
    [ -z "$SERVER" ] || { kill "$SERVER"; wait "$SERVER" 2>/dev/null; rm -f "$BMD_SOCKET"; }
    printf '%s\n' "$1" >"$HOME_DIR/serve"
    socat "UNIX-LISTEN:$BMD_SOCKET,fork" "EXEC:sh $HOME_DIR/serve" 2>/dev/null &
    SERVER=$!
    # The kernel's list says whether it listens; a socket that is only bound refuses.
    retry grep -q " 00010000 .* $BMD_SOCKET\$" /proc/net/unix || FAIL "socat does not listen"
}
at_exit 'kill $SERVER 2>/dev/null; wait $SERVER 2>/dev/null'
# answer JSON…: reads one call, then sends these frames.
answer() {
    for frame; do printf '%s\0' "$frame"; done >"$HOME_DIR/frames"
    serve "head -zn1 >>$HOME_DIR/calls; cat $HOME_DIR/frames"
}

# The connection breaks twice: a change may have been accepted, and both tries had the same key.
serve "head -zn1 >>$HOME_DIR/calls"
expect 5 bmctl redeploy shop 1.0.2/3 --now
says 'may have been accepted: bmctl queue'
is "tries" 2 "$(tr '\0' '\n' <"$HOME_DIR/calls" | wc -l)"
is "keys" 1 "$(tr '\0' '\n' <"$HOME_DIR/calls" | jq -r .parameters.key | sort -u | wc -l)"
expect 5 bmctl queue
grep -q 'may have been accepted' "$HOME_DIR/err" && FAIL "a question is nothing that could be accepted"

# It breaks once: the second try is answered, and nobody hears of the first.
rm -f "$HOME_DIR/calls"
printf '%s\0' '{"parameters":{"job":{"id":42,"state":"cancelled"}}}' >"$HOME_DIR/frames"
serve "head -zn1 >>$HOME_DIR/calls; [ -e $HOME_DIR/second ] && cat $HOME_DIR/frames; touch $HOME_DIR/second"
expect 0 bmctl cancel 42
prints 'job 42 is cancelled'
is "tries" 2 "$(tr '\0' '\n' <"$HOME_DIR/calls" | wc -l)"
OK "a lost answer"

# Errors become sentences and exit codes by their names; their text cannot drive the terminal.
while read -r code name; do
    answer "{\"error\":\"$name\",\"parameters\":{\"message\":\"what \\u001b[31m it is\"}}"
    expect "$code" bmctl status
    says 'bmctl: what \x1b[31m it is'
done <<'CODES'
1 io.bmd.Control.Failed
3 io.bmd.Control.NoSuchApplication
3 io.bmd.Control.NothingToRedeploy
2 io.bmd.Control.Ambiguous
8 io.bmd.Control.Refused
8 io.bmd.Control.KeyReused
4 org.varlink.service.PermissionDenied
CODES
answer '{"error":"io.bmd.Control.ReasonRequired","parameters":{"message":"production wants a reason","application":"shop","stage":"production"}}'
expect 8 bmctl redeploy shop --at 02:00
says 'repeat: bmctl redeploy shop --at 02:00 --reason TEXT'
answer '{"error":"io.bmd.Control.ConfirmationRequired","parameters":{"message":"production asks","application":"shop","stage":"production"}}'
expect 8 bmctl redeploy 'it is' --now
says "repeat: bmctl redeploy 'it is' --now --yes"
# All that lacks is in the line to repeat, and what was given and says nothing is not; the line comes behind the sentence.
answer '{"error":"io.bmd.Control.ReasonRequired","parameters":{"message":"production asks","application":"shop","stage":"production","wants":{"reason":true,"confirmed":true}}}'
expect 8 bmctl redeploy shop --at 'fri 22:00'
is "what is said" "bmctl: production asks|repeat: bmctl redeploy shop --at 'fri 22:00' --reason TEXT --yes" "$(paste -sd'|' "$HOME_DIR/err")"
for blank in '--reason=' '--reason=  '; do
    expect 8 bmctl redeploy shop "$blank" --now
    says 'repeat: bmctl redeploy shop --now --reason TEXT --yes'
done
expect 8 bmctl redeploy shop --reason ' ' --now
says 'repeat: bmctl redeploy shop --now --reason TEXT --yes'
answer '{"error":"io.bmd.Control.ConfirmationRequired","parameters":{"message":"production asks","application":"shop","stage":"production","wants":{"reason":false,"confirmed":true}}}'
expect 8 bmctl redeploy shop --reason 'it is' --now
says "repeat: bmctl redeploy shop --reason 'it is' --now --yes"
answer '{"error":"io.bmd.Control.ConfigurationError","parameters":{"message":"the configuration stays as it was","problems":["a.conf:3: x","b.conf:4: y"]}}'
expect 1 bmctl reload
says 'a.conf:3: x'
says 'b.conf:4: y'
OK "errors"

# What is no bmd.
serve 'head -zn1 >/dev/null; printf "HTTP/1.0 400 Bad Request\r\n\0"'
expect 1 bmctl status
says 'is not bmd'
serve 'head -c 2000000 /dev/zero | tr "\0" x'
expect 1 bmctl status
says 'more than a message may hold'

# A request in words.
job='"id":42,"state":"queued","application":"shop","release":"1.0.2","build":3,"stage":"production","plan":"web","redeploy":true'
request="{\"parameters\":{\"job\":{$job,\"due\":\"2020-01-01T00:00:00.000000Z\"},\"replacing\":{\"release\":\"1.0.3\",\"build\":1,\"job\":41,\"since\":\"2020-01-01T00:00:00.000000Z\",\"by\":\"ana\"},\"not_undone\":[{\"step\":\"migrate\",\"release\":\"1.0.3\",\"build\":1,\"job\":41}],\"ahead\":[40,41],\"warnings\":[\"a bad\\u0007 word\"]}}"
answer "$request"
expect 0 bmctl redeploy --now
prints 'job 42: redeploy shop 1.0.2/3 to production, replacing 1.0.3/1 (live '
prints ', by ana), now'
prints 'ahead on production: job 40, job 41'
prints 'not undone: migrate of 1.0.3/1'
prints 'accepted, not awaited: bmctl wait 42'
is "last line" 'afterwards, undo: bmctl redeploy shop 1.0.3/1 --to production --now' "$(tail -n1 "$HOME_DIR/out")"
says 'warning: a bad\x07 word'
expect 0 bmctl --json redeploy --now
is "reply" "$(printf %s "$request" | jq -cS .parameters)" "$(jq -cS . "$HOME_DIR/out")"
is "lines" 1 "$(wc -l <"$HOME_DIR/out")"
sed -z -n 's/.*"parameters": *//p' "$HOME_DIR/calls" >/dev/null

# Waiting: the exit code is the job's, and of several the first in the order given that is not 0.
end() { printf '{"parameters":{"job":{"id":%s,"application":"shop","release":"1.0.2","build":3,"stage":"production","state":"%s","message":"so"}},"continues":%s}' "$1" "$2" "$3"; }
while read -r code state; do
    answer "$(end 42 "$state" false)"
    expect "$code" bmctl wait 42
    expect "$code" bmctl wait 42 --json
    is "state" "$state" "$(jq -r .job.state "$HOME_DIR/out")"
done <<'STATES'
0 succeeded
1 failed
6 cancelled
6 missed
6 superseded
6 lost
8 held
STATES
answer "$(end 3 failed true)" "$(end 1 succeeded true)" "$(end 2 held false)"
expect 8 bmctl wait 1 2 3
expect 1 bmctl wait 1 3 2
serve 'head -zn1 >/dev/null; exec cat >/dev/null'
expect 7 bmctl wait 42 --timeout 50ms
says 'job 42 goes on: bmctl wait 42'
serve "head -zn1 >>$HOME_DIR/waiting; exec cat >/dev/null"
bmctl wait 42 >"$HOME_DIR/out" 2>"$HOME_DIR/err" &
waiting=$!
retry test -s "$HOME_DIR/waiting" || FAIL "wait was not asked for"
kill -INT $waiting
wait $waiting
case $? in
130) says 'detached: job 42 goes on: bmctl wait 42, bmctl cancel 42' ;;
*) FAIL "Ctrl-C" ;;
esac
OK "waiting"

# A stream that is cut is taken up again.
rm -f "$HOME_DIR/second"
printf '%s\0' "$(end 42 succeeded false)" >"$HOME_DIR/frames"
serve "head -zn1 >/dev/null; [ -e $HOME_DIR/second ] && cat $HOME_DIR/frames; touch $HOME_DIR/second"
expect 0 bmctl wait 42
OK "a cut stream"
exit 0
