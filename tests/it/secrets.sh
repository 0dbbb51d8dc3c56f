#!/bin/sh
# Secrets: a step gets a file of its own, never an argument or a value in its environment; no log, database, run folder or message holds one.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"
secrets=$HOME_DIR/etc/secrets
mkdir -p "$secrets"
umask 077
password='correct-horse-battery'
token='staple-of-the-house'
printf '%s\n' "$password" >"$secrets/password"
printf '%s' "$token" >"$secrets/token"
printf 'first line of key\nsecond line of key\nshort\n' >"$secrets/key"
printf '\000\001\002binary\377\376\000\003' >"$secrets/binary"
printf 'horse-battery-and-more' >"$secrets/overlap"
umask 022

application shop <<CONF
    stages = {"testing"}
    secrets = {"PASSWORD=$secrets/nowhere", "TOKEN=$secrets/token", "KEY=$secrets/key", "BINARY=$secrets/binary",
        "OVERLAP=$secrets/overlap"}
    stage "testing" { plan = "web" secrets = {"PASSWORD=$secrets/password"} open = {"WHAT", "PASSWORD_FILE"} variables = {"WHAT=nothing"} }
CONF
# WHAT says which case is printed.
plan web <<'CONF'
    step "given" { secrets = {"PASSWORD", "TOKEN", "KEY", "BINARY", "OVERLAP"}
        run = '
            case $WHAT in
            plain) cat "$PASSWORD_FILE"; cat "$PASSWORD_FILE" "$TOKEN_FILE" >&2 ;;
            split) LC_ALL=C awk "BEGIN { RS = \"\" } { for (i = 1; i <= length(\$0); i++) { printf \"%s\", substr(\$0, i, 1); fflush() } }" "$PASSWORD_FILE"; echo " end" ;;
            slowly) printf corr; sleep 0.3; printf "ect-horse"; sleep 0.3; echo "-battery!" ;;
            overlap) echo "$(cat "$PASSWORD_FILE")-and-more!" ;;
            end) printf "at the end: "; cat "$TOKEN_FILE" ;;
            part) printf "a part: staple-of" ;;
            lines) cat "$KEY_FILE"; echo; tail -n +2 "$KEY_FILE" ;;
            binary) printf "<"; cat "$BINARY_FILE"; printf ">" ;;
            flood) i=0; while [ $i -lt 3000 ]; do printf "%s%s" "$(cat "$PASSWORD_FILE")" "$(cat "$PASSWORD_FILE")"; i=$((i + 1)); done; echo ;;
            environment) env | sort; tr "\000" " " </proc/$$/cmdline; echo ;;
            again) cat "$TOKEN_FILE" "$TOKEN_FILE" | wc -c ;;
            change) (echo x >"$TOKEN_FILE") 2>/dev/null && echo written || echo refused ;;
            esac'
    }
    step "named"  { exec = {"sh", "-c", 'wc -c <"$$1"', "sh", '$TOKEN_FILE'} secrets = {"TOKEN"} }
    step "others" { run = 'echo "others: ${PASSWORD_FILE-unset} ${TOKEN_FILE-unset}"; echo "secrets that it holds: $(ls -l /proc/$$/fd | grep -c memfd)"; [ "$WHAT" != plain ] || echo "staple""-of-the-house too"' }
CONF
bmd_start
expect 0 bmctl build add shop 1.0
submit() { # WHAT: JOB, and its log in out
    expect 0 bmctl --json deploy shop 1.0/1 --to testing --var WHAT="$1" --now --wait
    JOB=$(jq .job.id "$HOME_DIR/out")
    bmctl --json log "$JOB" | jq -r 'select(.lines) | .lines[] | "\(.step) \(.stream) \(.text)"' >"$HOME_DIR/out"
}

submit plain
prints 'given out ***'
prints 'given err ***'
is "of another step, which has none" "others out ***" "$(grep 'others out' "$HOME_DIR/out" | grep -o 'others out \*\*\*' )"
OK "replaced in both streams, and in those of other steps"
submit split
prints 'given out *** end'
submit slowly
prints 'given out ***!'
OK "however it is split"
submit overlap
prints 'given out ***!'
OK "two that overlap"
submit end
prints 'given out at the end: ***'
submit part
prints 'given out a part: staple-of'
OK "at the end of a stream"
submit lines
is "a whole key, and lines of it" "given out ***
given out 
given out ***
given out short" "$(grep '^given out' "$HOME_DIR/out")"
OK "of several lines"
submit binary
prints 'given out <***>'
submit flood
is "a flood of it" 'given out ***' "$(grep '^given' "$HOME_DIR/out")"
OK "binary, and many"

submit environment
for name in PASSWORD TOKEN KEY BINARY; do
    grep -qE "^given out ${name}_FILE=/dev/fd/[0-9]+$" "$HOME_DIR/out" || { cat "$HOME_DIR/out"; FAIL "no ${name}_FILE"; }
done
! grep -qE '\*\*\*' "$HOME_DIR/out" || { cat "$HOME_DIR/out"; FAIL "a secret stands in the environment or the arguments"; }
prints "others out others: unset unset"
prints "others out secrets that it holds: 0"
submit again
prints "given out $((${#token} * 2))"
prints "named out ${#token}"
submit change
[ "$(id -u)" = 0 ] && grep -q 'refused' "$HOME_DIR/out" || prints "given out refused"
OK "a file that can be read again and not changed"

# A job cannot put another file in its place, whatever is open.
expect 8 bmctl deploy shop 1.0/1 --to testing --var PASSWORD_FILE=/etc/hostname --now --no-follow
OK "no variable takes its place"

# ---- nowhere else
for place in "$HOME_DIR/state" "$HOME_DIR/bmd.log"; do
    for secret in "$password" "$token" "second line of key" "horse-battery"; do
        ! grep -rqF -- "$secret" "$place" || { grep -rlF -- "$secret" "$place"; FAIL "$place holds a secret"; }
    done
done
OK "nowhere else"

# ---- what is refused: the job is held and says why
refused() { # SENTENCE
    expect 8 bmctl --json deploy shop 1.0/1 --to testing --now --wait
    text=$(jq -r .job.waits_for.text "$HOME_DIR/out")
    case $text in *"$1"*) ;; *) FAIL "$text" ;; esac
    case $text in *"$password"*) FAIL "the sentence tells the secret" ;; esac
}
chmod 640 "$secrets/password"
refused "secret PASSWORD: group or others can read or change $secrets/password: chmod go= $secrets/password"
chmod 600 "$secrets/password"
printf 'seven77\n' >"$secrets/password"
refused "secret PASSWORD: it has fewer than 8 bytes"
rm "$secrets/password"
refused "secret PASSWORD: cannot read $secrets/password: No such file"
mkfifo -m 600 "$secrets/password"
refused "$secrets/password is not a regular file"
rm "$secrets/password"
head -c 70000 /dev/zero >"$secrets/password"
chmod 600 "$secrets/password"
refused "has more than 65536 bytes"
printf '%s\n' "$password" >"$secrets/password"
if [ "$(id -u)" = 0 ]; then
    chown daemon "$secrets/password"
    refused "belongs to uid"
    chown root "$secrets/password"
fi
expect 0 bmctl deploy shop 1.0/1 --to testing --now --wait
OK "refused"
bmd_stop

# ---- credentials, and a step that is another user
if [ "$(id -u)" = 0 ] && getent passwd daemon >/dev/null; then
    CREDENTIALS_DIRECTORY=$secrets
    export CREDENTIALS_DIRECTORY
    application shop <<'CONF'
    stages = {"testing"}
    secrets = {"TOKEN=credential:token"}
    stage "testing" { plan = "user" }
CONF
    plan user <<'CONF'
    step "one" { run = 'id -un; wc -c <"$TOKEN_FILE"; wc -c <"$TOKEN_FILE"' secrets = {"TOKEN"} user = "daemon" }
    step "two" { run = 'id -un; wc -c <"$TOKEN_FILE"' secrets = {"TOKEN"} user = "games" }
CONF
    bmd_start
    expect 0 bmctl deploy shop 1.0/1 --to testing --now --wait
    bmctl --json log "$(bmctl --json history -n 1 | jq '.jobs[0].id')" | jq -r 'select(.lines) | [.lines[].text] | join(" ")' >"$HOME_DIR/out"
    prints "daemon ${#token} ${#token} games ${#token}"
    bmd_stop
    OK "a credential, for other users"
fi
