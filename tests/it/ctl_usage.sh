# bmctl where no bmd runs: usage, help, suggestions, times, the check of files, and what it says when nobody answers.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"

# Usage errors: exit code 2 and one sentence that says what to write.
usage() { # usage TEXT ARGUMENTS…
    want_text=$1
    shift
    expect 2 bmctl "$@"
    says "$want_text"
    is "sentences of: $*" 1 "$(wc -l <"$HOME_DIR/err")"
}
usage 'say when: --now or --at TIME' redeploy
usage 'say when: --now or --at TIME' redeploy shop 1.0.2/3
usage 'say when: --now or --at TIME' deploy shop 1.0.2/3 --to testing
usage 'say when: --now or --at TIME' reschedule 42
usage '--now and --at exclude each other' redeploy --now --at 02:00
usage '--follow and --no-follow exclude each other' redeploy --now --follow --no-follow
usage '--to STAGE' deploy shop 1.0.2/3 --now
usage 'usage: bmctl deploy APP BUILD' deploy shop
usage 'usage: bmctl build add APP RELEASE' build add shop
usage "does not know what to do with 'c'" redeploy a b c --now
usage 'did you mean bmctl status?' statsu
usage 'did you mean bmctl redeploy?' redeplyo --now
usage 'did you mean bmctl build list?' build lsit shop
usage 'did you mean --now?' redeploy --nwo
usage 'did you mean --follow?' redeploy --now --folow
usage 'no option -now; did you mean --now?' redeploy -now
usage 'did you mean --to=testing?' redeploy -to=testing --now
usage 'takes no option --now' status --now
usage 'takes no option --stage; did you mean --to?' redeploy --stage production --now
usage 'takes no option --to; did you mean --stage?' history --to production
usage 'takes no option --until; did you mean --at?' reschedule 42 --until 02:00
usage 'did you mean bmctl log?' tail 42
# A time of several words that was not quoted.
usage "does not know what to do with '02:00'" deploy shop 1.0/1 --to testing --at tomorrow 02:00
usage "; a time of several words is quoted: 'tomorrow 02:00'" deploy shop 1.0/1 --to testing --at tomorrow 02:00
usage "; a time of several words is quoted: 'fri 22:00'" redeploy shop --at fri 22:00
usage "; a time of several words is quoted: 'tomorrow 18:00'" lock shop production --reason x --until tomorrow 18:00
usage 'an empty word is no path: bmctl check takes the main file' check ''
usage '--color is auto, always or never' status --color=blue
usage '--if-changed is hold, run or skip' redeploy --now --if-changed never
usage '--grace' redeploy --now --grace 5
usage '--timeout' redeploy --now --timeout soon
usage "'x' is no job" show x
usage "'0' is no job" wait 0
usage '--limit is a number' history -n 0
usage '--number is a number' build add shop 1.0 --number 0
usage '--var is NAME=VALUE' redeploy --now --var 1=2
usage '--var A is given twice' redeploy --now --var A=1 --var A=2
usage '--reason TEXT' lock shop production
usage '--reason TEXT' build reject shop 1.0/1
usage 'a BUILD, or --unknown' settle shop production --reason x
usage 'a BUILD, or --unknown' settle shop production 1.0/1 --unknown --reason x
usage '1.0.2/x' deploy shop 1.0.2/x --to testing --now
usage 'one JSON object' call GetStatus '[]'
usage 'release' build add shop 1.0/1
usage '/nowhere/site.tar' build add shop 1.0 /nowhere/site.tar
OK "usage errors"

# An error is an object on standard output too, when objects are asked for.
expect 2 bmctl --json redeploy
is "error object" io.bmd.Control.Usage "$(jq -r .error "$HOME_DIR/out")"
says 'bmctl: '
expect 5 bmctl status --json
is "error object" io.bmd.Control.Unreachable "$(jq -r .error "$HOME_DIR/out")"

# Help: each verb has its usage and an example that begins with the verb.
expect 0 bmctl --help
sed -n 's|^  \([a-z][a-z]*\( [a-z][a-z]*\)\{0,1\}\)  .*|\1|p' "$HOME_DIR/out" >"$HOME_DIR/verbs"
[ "$(wc -l <"$HOME_DIR/verbs")" -ge 26 ] || FAIL "--help lists too few verbs"
while read -r verb; do
    # shellcheck disable=SC2086
    expect 0 bmctl $verb --help
    prints "usage: bmctl $verb"
    prints "    bmctl $verb"
    # shellcheck disable=SC2086
    expect 0 bmctl help $verb
    prints "example:"
done <"$HOME_DIR/verbs"
expect 0 bmctl help
prints 'exit codes'
expect 0 bmctl help build
prints 'bmctl build verify'
expect 2 bmctl help redeplyo
says 'did you mean bmctl redeploy?'
expect 0 bmctl --version
prints 'bmctl '
OK "help of each verb"

# The completions know every verb and every option; the manual too.
while read -r verb; do
    for shell in bash zsh fish; do
        for word in $verb; do
            grep -qw -- "$word" "$top_srcdir/completions/bmctl.$shell" || FAIL "bmctl.$shell does not know $word"
        done
    done
    grep -q "^\.\(It \)\{0,1\}Cm $verb\b" "$top_srcdir/man/bmctl.1" || FAIL "bmctl(1) does not know $verb"
    # shellcheck disable=SC2086
    bmctl $verb --help | sed -n 's/^  .*--\([a-z-]*\).*/\1/p' >>"$HOME_DIR/options"
done <"$HOME_DIR/verbs"
for option in $(sort -u "$HOME_DIR/options"); do
    for shell in bash zsh fish; do
        grep -qw -e "$option" "$top_srcdir/completions/bmctl.$shell" || FAIL "bmctl.$shell does not know --$option"
    done
    grep -q "Fl Fl $option\b" "$top_srcdir/man/bmctl.1" || FAIL "bmctl(1) does not know --$option"
done
bash -n "$top_srcdir/completions/bmctl.bash" || FAIL "bmctl.bash"
OK "completions and manual"

# Times: no daemon is asked.
expect 0 bmctl at '2031-11-23 02:00:00+01:00 Europe/Berlin'
prints 'local:    2031-11-23 02:00:00+01:00 Europe/Berlin'
prints 'utc:      2031-11-23T01:00:00.000000Z'
prints 'distance: in '
expect 0 bmctl at 2031-11-23 02:00
prints '2031-11-23 02:00:00+01:00 Europe/Berlin'
expect 0 bmctl --json at '2031-11-23 02:00'
is "keys of at" '["local","note","time","zone"]' "$(jq -c keys "$HOME_DIR/out")"
is "time of at" 2031-11-23T01:00:00.000000Z "$(jq -r .time "$HOME_DIR/out")"
expect 0 bmctl at '2031-03-30 02:30'
prints 'note: '
prints '03:30:00+02:00'
expect 2 bmctl at '2001-01-01 00:00'
expect 2 bmctl at nonsense
expect 2 env TZ=Nowhere/Town bmctl at 02:00
says 'Nowhere/Town'
OK "times"

# Recurring times: no daemon is asked, and the clocks of the zone are followed.
expect 0 bmctl schedule preview 'Sun *-03-25..31 02:30 Europe/Berlin' -n 2
prints 'normalized: Sun *-03-25..31 02:30:00 Europe/Berlin'
prints 'Sun  20'
prints '03:30:00+02:00 Europe/Berlin  in '
prints 'note: 02:30 does not exist on'
expect 0 bmctl schedule preview 0 2 '*' '*' 1-5 Asia/Kathmandu
prints 'normalized: Mon..Fri *-*-* 02:00:00 Asia/Kathmandu'
is "lines of a preview" 11 "$(wc -l <"$HOME_DIR/out")"
expect 0 bmctl schedule preview 9998/1-01-01 UTC
prints 'Fri  9999-01-01 00:00:00+00:00 UTC'
prints 'and never again'
expect 0 bmctl --json schedule preview daily -n 3
is "keys of a preview" '["expression","normalized","times","zone"]' "$(jq -c keys "$HOME_DIR/out")"
is "keys of its times" '["local","note","time"]' "$(jq -c '.times[2] | keys' "$HOME_DIR/out")"
is "its times" 3 "$(jq '.times | length' "$HOME_DIR/out")"
is "its expression" 'daily *-*-* 00:00:00 Europe/Berlin' "$(jq -r '[.expression, .normalized, .zone] | join(" ")' "$HOME_DIR/out")"
expect 2 bmctl schedule preview 2001-01-01
says 'does not come after'
expect 2 bmctl schedule preview 'Fri..Mon 02:00'
says 'column 6'
expect 2 bmctl schedule preview daily -n 0
expect 2 env TZ=Nowhere/Town bmctl schedule preview daily
says 'Nowhere/Town'
expect 0 env TZ=Nowhere/Town bmctl schedule preview daily UTC
expect 2 bmctl schedule prewiev daily
says 'did you mean bmctl schedule preview?'
expect 0 bmctl help schedule
prints 'bmctl schedule preview'
OK "recurring times"

# Nobody there: 5, and the socket's name. A socket that refuses is not the same.
expect 5 bmctl
says "$BMD_SOCKET"
says 'is bmd running? systemctl status bmd'
expect 5 bmctl -s "$HOME_DIR/other" queue
says "$HOME_DIR/other"
expect 5 env BMD_SOCKET= bmctl --socket="$HOME_DIR/third" queue
says "$HOME_DIR/third"
expect 5 bmctl redeploy --now
says 'cannot reach bmd'
expect 5 bmctl version
prints 'bmctl '
expect 2 bmctl -s "$(printf '%0200d' 0)" status
says 'longer than'
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
    mkdir -m 700 "$HOME_DIR/closed"
    cp "$top_builddir/ctl/bmctl" "$HOME_DIR/bmctl"
    expect 4 setpriv --reuid=65534 --regid=65534 --clear-groups "$HOME_DIR/bmctl" -s "$HOME_DIR/closed/control" status
    says 'not permitted'
fi
OK "nobody there"

# The check of a file needs no daemon.
expect 1 bmctl check "$HOME_DIR/nowhere.conf"
configure
expect 0 bmctl check "$BMD_CONF"
echo 'max-runing = 4' >>"$BMD_CONF"
expect 1 bmctl check "$BMD_CONF"
prints "$BMD_CONF:"
OK "check of files"

# A full disk under standard output is an error, not silence.
if [ -w /dev/full ]; then
    bmctl --help >/dev/full 2>"$HOME_DIR/err"
    is "exit code with a full disk" 1 $?
fi
# A standard output that is closed neither, and what is opened then never takes its place.
bmctl version >&- 2>"$HOME_DIR/err"
is "exit code of nobody there" 5 $?
bmctl at 02:00 >&- 2>"$HOME_DIR/err"
is "exit code without a standard output" 1 $?
says 'bmctl: standard output: Bad file descriptor'
bmctl at nonsense 2>&-
is "exit code without a standard error" 2 $?
# A zone of the caller's that is unknown is an error where it matters, also for a time that has passed.
TZ=CET expect 2 bmctl at 02:00
says '$TZ is "CET"'
TZ=CET expect 2 bmctl history --since 02:00
says '$TZ is "CET"'
for text in '02:00 Europe/Berlin' @1999999999 +2h; do TZ=CET expect 0 bmctl at "$text"; done
expect 2 bmctl redeploy --dry
says 'did you mean --dry-run?'
# The built-in places are those of the manual.
if grep -q '^prefix = /usr/local$' "$top_builddir/Makefile"; then
    grep -q '^sysconfdir = /etc$' "$top_builddir/Makefile" || FAIL "the configuration is not in /etc/bmd"
fi
expect 2 bmctl -s '' status
says '--socket is empty'
exit 0
