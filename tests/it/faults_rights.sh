# Credentials that cannot be read mean no, root's too; a step that cannot become its user does not run at all.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"
. "$top_srcdir/tests/it/fail.sh"
[ "$(id -u)" = 0 ] || SKIP "to become somebody needs root"
EPERM=1 EAGAIN=11 ENOMEM=12 ENOPROTOOPT=92

# ---- SO_PEERCRED and SO_PEERGROUPS
begin
bmd_stop
for fault in "$ENOMEM 1 on" "$ENOPROTOOPT 1 on" "$EPERM 2 once"; do
    : >"$HOME_DIR/bmd.log"
    echo "peer $fault" >"$BMD.fault"
    bmd -c "$BMD_CONF" 2>>"$HOME_DIR/bmd.log" &
    BMD_PID=$!
    retry grep -q listening "$HOME_DIR/bmd.log" || FAIL "bmd does not start"
    expect 4 bmctl status
    case $fault in *on)
        expect 4 bmctl deploy shop 1.0/1 --to production --now --no-follow
        expect 4 bmctl build add shop 9.9
        [ "$(printf '{"method":"io.bmd.Control.ListQueue"}\0' | socat -t 5 - "UNIX-CONNECT:$BMD_SOCKET" | tr '\0' '\n' | jq -r .error)" = \
            org.varlink.service.PermissionDenied ] || FAIL "a question of nobody known is answered" ;;
    *) expect 0 bmctl status ;; # the next connection is read again
    esac
    [ -s "$BMD.struck" ] || FAIL "peer $fault was not come to"
    rm "$BMD.fault" "$BMD.struck"
    bmd_stop
done
bmd_start
is "what was asked by nobody known" 0 "$(bmctl --json history | jq '.jobs | length')"
is "builds" 2 "$(bmctl --json build list shop | jq '.builds | length')"
OK "credentials that cannot be read mean no"

# ---- setgroups, setresgid, setresuid
plan steps <<CONF
    step "who" { run = 'id -u >>$HOME_DIR/ran; id -G >>$HOME_DIR/ran'  user = "nobody" }
CONF
: >"$HOME_DIR/ran"
chmod 666 "$HOME_DIR/ran"
expect 0 bmctl reload
for code in $EPERM $EAGAIN; do
    for n in 1 2 3; do
        echo "setid $code $n once" >"$RUN.fault"
        other
        job=$(deploy "setid-$code-$n")
        is "a step that is not its user ($code, $n)" failed "$(ended "$job")"
        job "$job" message | grep -q 'could not become user nobody: ' || FAIL "why: $(job "$job" message)"
        [ -s "$RUN.struck" ] || FAIL "setid $code $n was not come to"
        rm "$RUN.struck" "$RUN.fault"
    done
done
is "what ran as somebody else" "" "$(cat "$HOME_DIR/ran")"
is "as itself" succeeded "$(ended "$(deploy setid-none)")"
is "who it was" "$(id -u nobody)" "$(head -n 1 "$HOME_DIR/ran")"
bmd_stop
OK "a step that cannot become its user does not run"
