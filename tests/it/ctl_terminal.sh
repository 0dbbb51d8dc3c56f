# bmctl on a terminal: questions, colours, cells that are cut, the log as the default, Ctrl-C. socat stands in for bmd.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"
for program in socat script; do command -v $program >/dev/null || SKIP "no $program"; done
TERM=xterm
export TERM

SERVER=
serve() { # standard input: a shell script that is run for each connection, the call in $call
    [ -z "$SERVER" ] || { kill "$SERVER"; wait "$SERVER" 2>/dev/null; rm -f "$BMD_SOCKET"; }
    {
        cat <<'HEAD'
reply() { for frame; do printf '%s\0' "$frame"; done; }
call=$(head -zn1 | tr -d '\0')
printf '%s\n' "$call" >>"$HOME_DIR/calls"
HEAD
        cat
    } >"$HOME_DIR/serve"
    socat "UNIX-LISTEN:$BMD_SOCKET,fork" "EXEC:sh $HOME_DIR/serve" 2>/dev/null &
    SERVER=$!
    retry test -S "$BMD_SOCKET" || FAIL "socat does not listen"
}
export HOME_DIR
at_exit 'kill $SERVER 2>/dev/null; wait $SERVER 2>/dev/null'
# terminal CODE COMMAND [LINE…]: runs it on a terminal of its own, where these lines are typed.
terminal() {
    want=$1 command=$2
    shift 2
    printf '%s\n' "$@" >"$HOME_DIR/typed"
    script -qec "stty cols 60; $command" /dev/null <"$HOME_DIR/typed" >"$HOME_DIR/out"
    is "exit code of $command" "$want" $?
    tr -d '\r' <"$HOME_DIR/out" >"$HOME_DIR/lines" && mv "$HOME_DIR/lines" "$HOME_DIR/out"
}

job='"id":42,"application":"shop","release":"1.0.2","build":3,"stage":"production","plan":"web","redeploy":true,"due":"2020-01-01T00:00:00.000000Z"'
serve <<SERVE
case \$call in
*'"dry_run":true'*)
    reply '{"parameters":{"job":null,"preview":{"application":"shop","stage":"production","from":null,"to":{"release":"1.0.2","build":3},"mode":"rollback","at":"2020-01-01T00:00:00.000000Z"},"replacing":{"release":"1.0.3","build":1,"since":"2020-01-01T00:00:00.000000Z","by":"ana"},"not_undone":[{"step":"migrate","release":"1.0.3","build":1,"job":4}],"ahead":[],"warnings":[]}}' ;;
*Redeploy*'"reason":"all is lost"'*'"confirmed":true'* | *Redeploy*'"confirmed":true'*'"reason":"all is lost"'*)
    reply '{"parameters":{"job":{$job,"state":"queued"},"replacing":null,"not_undone":[],"ahead":[],"warnings":[]}}' ;;
*Redeploy*'"reason":"all is lost"'*)
    reply '{"error":"io.bmd.Control.ConfirmationRequired","parameters":{"message":"confirm","application":"shop","stage":"production"}}' ;;
*Redeploy*)
    reply '{"error":"io.bmd.Control.ReasonRequired","parameters":{"message":"why","application":"shop","stage":"production"}}' ;;
*Control.Log*)
    reply '{"parameters":{"lines":[{"time":"2026-11-23T01:02:03.000000Z","step":"check","stream":"out","text":"one"},{"time":"2026-11-23T01:02:04.000000Z","step":"check","stream":"err","text":"two \\u001b[2J"}],"next":10},"continues":true}'
    reply '{"parameters":{"lines":[],"next":10,"job":{$job,"state":"failed","failed_step":"check","exit_code":3,"started":"2026-11-23T01:02:03.000000Z"}}}' ;;
*Control.Wait*) sleep 1 ;;
*GetStatus*)
    reply '{"parameters":{"stages":[{"application":"shop","stage":"production","dirty":{"job":42,"since":"2026-11-23T01:02:03.000000Z"}}]}}' ;;
*ListHistory*)
    reply '{"parameters":{"jobs":[{$job,"state":"failed","failed_step":"check","exit_code":3,"reason":"a very long reason that does not fit on the line of this terminal"}]}}' ;;
esac
SERVE

# A reason and a confirmation are asked for, and then the log is followed to the end.
terminal 1 'bmctl redeploy shop --now' 'all is lost' 'y'
prints 'shop production wants a reason:'
prints 'rollback shop 1.0.2/3 to production, replacing 1.0.3/1 (live '
prints 'not undone: migrate of 1.0.3/1'
prints 'shop production asks for confirmation: go on? [y/N]'
# The build that was shown is the one that is asked for.
is "the confirmed build" '1.0.2/3' \
    "$(grep confirmed "$HOME_DIR/calls" | jq -r '.parameters | "\(.release)/\(.build)"')"
prints 'job 42: redeploy shop 1.0.2/3 to production'
prints '02:02:03 check | one'
grep -q '02:02:04 check ! .*two \\x1b\[2J' "$HOME_DIR/out" || { cat "$HOME_DIR/out"; FAIL "standard error is not marked"; }
prints 'job 42 failed at step check: exited with 3 (bmctl log 42; production is dirty: bmctl redeploy shop --to production --now mends it)'
OK "asked, followed, told"

# No answer is a no: refused, and nothing is sent again.
terminal 8 'bmctl redeploy shop --now' ''
: >"$HOME_DIR/calls"
terminal 8 'bmctl redeploy shop --now' 'all is lost' 'n'
prints 'bmctl: it was not confirmed: nothing was done'
is "requests" 2 "$(grep Redeploy "$HOME_DIR/calls" | grep -vc dry_run)"
is "keys" 2 "$(grep -v dry_run "$HOME_DIR/calls" | jq -r .parameters.key | sort -u | wc -l)"
terminal 8 'bmctl redeploy shop --now' ''
prints 'bmctl: no reason was given: nothing was done'
for answer in ya 'yes no' '' 0; do terminal 8 'bmctl redeploy shop --now' 'all is lost' "$answer"; done
OK "no answer is a no"
# A yes is one in any case.
for answer in Y Yes YES ' yes '; do terminal 0 'bmctl redeploy shop --now --no-follow' 'all is lost' "$answer"; done
OK "a yes is a yes"

# Colours and cut cells on a terminal only.
terminal 0 'bmctl history'
prints "$(printf '\033[31mfailed\033[0m')"
prints '…'
NO_COLOR=1 terminal 0 'bmctl history'
grep -q "$(printf '\033')" "$HOME_DIR/out" && FAIL "NO_COLOR is not heard"
terminal 0 'bmctl --color=never history'
grep -q "$(printf '\033')" "$HOME_DIR/out" && FAIL "--color=never is not heard"
bmctl history >"$HOME_DIR/out"
grep -q "$(printf '\033')" "$HOME_DIR/out" && FAIL "colours in a file"
prints 'a very long reason that does not fit on the line of this terminal'
bmctl --color=always history >"$HOME_DIR/out"
prints "$(printf '\033[31mfailed\033[0m')"
OK "colours and widths"

# --no-follow returns at once; with --json nothing is followed that nobody asked to follow.
terminal 0 'bmctl redeploy shop --now --no-follow' 'all is lost' 'y'
terminal 0 'bmctl --json redeploy shop --now' 'all is lost' 'y'
# --json --follow: the reply, then each piece of the log, the last one with the job.
expect 1 bmctl --json redeploy shop --now --reason 'all is lost' --yes --follow
is "objects" 3 "$(wc -l <"$HOME_DIR/out")"
is "first" 42 "$(head -n1 "$HOME_DIR/out" | jq .job.id)"
is "last" failed "$(tail -n1 "$HOME_DIR/out" | jq -r .job.state)"
exit 0
