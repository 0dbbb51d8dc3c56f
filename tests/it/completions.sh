#!/bin/sh
# The completions in their shells: bash, zsh and fish load them and are asked as if TAB were pressed, with a bmd that answers and
# with none. A shell that is not here is left out, and said so.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"

completions=$top_srcdir/completions
export HOME="$HOME_DIR" XDG_CONFIG_HOME="$HOME_DIR" XDG_DATA_HOME="$HOME_DIR"

# ask_SHELL LINE: what the shell offers for the word at the end of LINE, a word a line.
ask_bash() {
    bash --norc -c '
        . "$1"
        COMP_LINE=$2 COMP_POINT=${#2}
        COMP_WORDS=($2)
        [[ $2 == *" " ]] && COMP_WORDS+=("")
        COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
        _bmctl
        printf "%s\n" "${COMPREPLY[@]}"' bash "$completions/bmctl.bash" "$1" | sed 's/ *$//' | sort -u
}
ask_fish() { fish --no-config -c "source $completions/bmctl.fish; complete -C '$1'" | cut -f1 | sort -u; }
# A zsh on a terminal of its own; what is offered is printed by its own `compadd`, in the order of calls. zsh_offers FILE: for each of its
# lines; <end> stands behind the offers of each.
zsh_offers() {
    mkdir -p "$HOME_DIR/zsh"
    cp "$completions/bmctl.zsh" "$HOME_DIR/zsh/_bmctl"
    cat >"$HOME_DIR/offer.zsh" <<'ZSH'
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell "unsetopt beep; PS1=; PS2=; fpath=($1 \$fpath); autoload -Uz compinit; compinit -u -D"
zpty -w shell "zstyle ':completion:*' list-prompt ''; LISTMAX=10000; COLUMNS=200; LINES=1000"
zpty -w shell 'compadd() {
    local -a offered; local parameter=${@[(i)-[OAD]]}
    if [[ $parameter -le $# ]]; then builtin compadd "$@"; return; fi
    builtin compadd -O offered "$@"
    builtin compadd "$@"
    local r=$?
    [[ ${#offered} = 0 ]] || print -l -r -- "<offer>"${^offered} >>'"$2"'
    return r
}'
zpty -w shell 'after() { print -r -- "<end>" >>'"$2"'; zle kill-whole-line; }; zle -N after; bindkey "^X^A" after; bindkey "^I" complete-word; print ready >>'"$2"
while ! grep -q ready $2 2>/dev/null; do sleep 0.05; done
integer asked=0
while IFS= read -r line; do
    (( asked++ ))
    zpty -n -w shell "$line"$'\t\x18\x01'
    integer n=0
    while (( $(grep -c "<end>" $2) < asked && n++ < 600 )); do
        sleep 0.02
        while zpty -rt shell shown; do :; done # what it writes is read, or it stops
    done
done <$3
zpty -d shell
ZSH
    rm -f "$HOME_DIR/offered"
    timeout 300 zsh -f "$HOME_DIR/offer.zsh" "$HOME_DIR/zsh" "$HOME_DIR/offered" "$1" >/dev/null 2>&1 </dev/null
    sed -n 's/^<offer>//p; /^<end>/p' "$HOME_DIR/offered"
}
ask_zsh() {
    printf '%s|\n' "$1" | sed 's/|$//' >"$HOME_DIR/line"
    zsh_offers "$HOME_DIR/line" | grep -v '^<end>' | sort -u
}

# offers LINE WORD…: each shell offers at least these words for LINE.
offers() {
    line=$1
    shift
    for shell in $SHELLS; do
        got=$("ask_$shell" "$line")
        for word; do
            echo "$got" | grep -qxF -- "$word" || FAIL "$shell offers no $word for '$line': $(echo $got)"
        done
    done
}
SHELLS=
for shell in bash zsh fish; do
    if command -v $shell >/dev/null; then SHELLS="$SHELLS $shell"; else echo "skipped: $shell is not here"; fi
done

# All verbs and all options, from the tables that bmctl is made of: each shell offers for each verb its options and no others.
words=$("$top_builddir/tests/unit/vocabulary") || FAIL "no vocabulary"
echo "$words" | sed -n 's/^verb //p' >"$HOME_DIR/verbs"
[ "$(wc -l <"$HOME_DIR/verbs")" -ge 40 ] || FAIL "hardly any verbs"
sed 's/.*/bmctl & -/' "$HOME_DIR/verbs" >"$HOME_DIR/lines"
case $SHELLS in *zsh*) zsh_offers "$HOME_DIR/lines" >"$HOME_DIR/by_zsh" ;; esac
nth_zsh() { awk -v n="$1" '/^<end>/{i++; next} i == n - 1' "$HOME_DIR/by_zsh"; }
n=0
while read -r verb; do
    n=$((n + 1))
    word=${verb##* }
    group=${verb% *}
    [ "$group" != "$verb" ] || group=
    want=$(echo "$words" | sed -n "s/^takes \([a-z-]*\) $verb\$/--\1/p" | sort -u)
    for shell in $SHELLS; do
        [ $shell = zsh ] || "ask_$shell" "bmctl ${group:+$group }$word" </dev/null | grep -qx -- "$word" || FAIL "$shell offers no ${group:+$group }$word"
        if [ $shell = zsh ]; then got=$(nth_zsh $n); else got=$("ask_$shell" "bmctl $verb -" </dev/null); fi
        got=$(echo "$got" | grep '^--' | sort -u)
        [ "$want" = "$got" ] || FAIL "$shell offers for $verb:" $got "instead of" $want
    done
    grep -qw -- "$word" "$completions/bmctl.zsh" || FAIL "bmctl.zsh does not know $verb"
done <"$HOME_DIR/verbs"
# The word behind an option that has a value is no argument of the verb: bash and fish count them.
for option in $(echo "$words" | sed -n 's/^value \([a-z-]*\) .*/\1/p'); do
    for file in bash fish; do
        grep -qE -- "^ +(case )?(-.*[| ])?--$option( |\)|\$)" "$completions/bmctl.$file" || FAIL "bmctl.$file does not know that --$option has a value"
    done
done
OK "$(wc -l <"$HOME_DIR/verbs") verbs and their options"

application shop <<CONF
    stages = {"testing", "production"}
    stage "testing" { plan = "one" }
    stage "production" { plan = "one"
        zone = "UTC"  freezes = {'2026-12-24/2026-12-26 "year end"', '2030-01-01/2030-01-02 "audit"'} }
    schedule "nightly" { on = "03:00 UTC"  build = "live"  to = "testing" }
    notify "oncall" { exec = {"true"} }
CONF
plan one <<'CONF'
    step "note" { run = 'true'  artifacts = {"site", "tools"} }
CONF

# quick LINE MS: the best of three is at most so much longer than a line for which nobody is asked, with the start of the shell in both.
spent() { begun=$(date +%s%3N); "ask_$1" "$2" >/dev/null; echo $(($(date +%s%3N) - begun)); }
quick() {
    for shell in $SHELLS; do
        best=999999
        for _ in 1 2 3; do
            more=$(($(spent $shell "$1") - $(spent $shell 'bmctl lo')))
            [ $more -ge $best ] || best=$more
        done
        [ $best -le "$2" ] || FAIL "$shell takes $best ms longer for '$1'"
        echo "$shell: $best ms for '$1'"
    done
}

# Without a bmd: words that are known, and nothing that hangs.
offers 'bmctl re' redeploy reschedule release reload
offers 'bmctl build re' reject restore repair
offers 'bmctl schedule pre' preview
offers 'bmctl redeploy --override-w' --override-window
offers 'bmctl ado' adopt
offers 'bmctl adopt --cu' --current
offers 'bmctl notify te' test
offers 'bmctl drain --un' --undo
for shell in $SHELLS; do
    [ -z "$("ask_$shell" 'bmctl status sh')" ] || FAIL "$shell offers applications of nobody"
done
for line in 'bmctl status ' 'bmctl notify test '; do quick "$line" 500; done
OK "without a bmd:$SHELLS"

bmd_start
mkdir "$HOME_DIR/files"
echo one >"$HOME_DIR/files/page"
expect 0 bmctl build add shop 1.0 "site=$HOME_DIR/files" "tools=$HOME_DIR/files" "manuals=$HOME_DIR/files"
expect 0 bmctl deploy shop 1.0/1 --to testing --now --wait
expect 0 bmctl deploy shop 1.0/1 --to production --at +1h
job=$(bmctl --json queue | jq .jobs[0].id)
offers 'bmctl status sh' shop
offers 'bmctl redeploy shop 1' 1.0/1
offers 'bmctl deploy shop 1.0/1 --to p' production
offers 'bmctl lock shop t' testing
offers 'bmctl adopt shop t' testing
offers 'bmctl build show shop 1' 1.0/1
offers 'bmctl cancel ' "$job"
# What can be let go is held, what can be moved has not begun, what can be looked at may have ended.
expect 0 bmctl deploy shop 1.0/1 --to testing --at +1s
expect 0 bmctl build add shop 1.1 "site=$HOME_DIR/files" "tools=$HOME_DIR/files"
expect 0 bmctl deploy shop 1.1/1 --to testing --now --wait
held=$(bmctl --json queue | jq '.jobs[] | select(.due_text == "+1s") | .id')
retry in_state "$held" held || FAIL "no job is held: $(state "$held")"
for verb in release reschedule cancel wait show log; do offers "bmctl $verb " "$held"; done
for verb in reschedule cancel show; do offers "bmctl $verb " "$job"; done
ended=$(bmctl --json history -n 1 | jq '.jobs[0].id')
for verb in show log; do offers "bmctl $verb " "$ended"; done
for shell in $SHELLS; do
    ! "ask_$shell" 'bmctl release ' | grep -qx "$job" || FAIL "$shell lets go what is not held"
    ! "ask_$shell" 'bmctl cancel ' | grep -qx "$ended" || FAIL "$shell cancels what has ended"
done
# Names of freezes, also with a blank in them, in the quotes of the shell.
for verb in redeploy 'deploy shop 1.0/1 --to production' "reschedule $job"; do
    offers "bmctl $verb --override-freeze " audit
    offers "bmctl $verb --override-freeze au" audit
    for shell in $SHELLS; do
        "ask_$shell" "bmctl $verb --override-freeze ye" | grep -qxE 'year(\\)? end' || FAIL "$shell offers no \"year end\" for $verb: $("ask_$shell" "bmctl $verb --override-freeze ye")"
        ! "ask_$shell" "bmctl $verb --override-freeze ye" | grep -q audit || FAIL "$shell offers what does not begin so"
    done
done
offers 'bmctl build manifest shop 1.0/1 ' site tools manuals
offers 'bmctl build manifest shop 1.0/1 man' manuals
offers 'bmctl lo' log lock
offers 'bmctl -' --host
# Nobody is asked over ssh for the sake of a TAB.
mkdir "$HOME_DIR/bin"
printf '#!/bin/sh\ntouch %s\n' "$HOME_DIR/asked" >"$HOME_DIR/bin/ssh"
chmod +x "$HOME_DIR/bin/ssh"
PATH=$HOME_DIR/bin:$PATH
for shell in $SHELLS; do
    [ -z "$("ask_$shell" 'bmctl -H web status sh')" ] || FAIL "$shell offers this machine's names for another"
    [ -z "$(BMD_HOST=web "ask_$shell" 'bmctl status sh')" ] || FAIL "$shell offers this machine's names for that of BMD_HOST"
done
[ ! -e "$HOME_DIR/asked" ] || FAIL "ssh was started"
offers 'bmctl -H web lo' log lock
OK "live names:$SHELLS"

# Each kind of argument that the tables have, of each verb that has it, and of each option. What is only text is offered nothing.
value_of() { # value_of KIND: what must be offered; to type: what stands for it
    case $1 in
    APP | '[APP') echo shop ;;
    BUILD | A | B | 'BUILD|RELEASE|live') echo 1.0/1 ;;
    STAGE | S) echo testing ;;
    JOB) echo "$job" ;;
    'ID|NAME' | 'CALENDAR|ID|NAME') echo nightly ;;
    SECTION) echo oncall ;;
    METHOD) echo GetStatus ;;
    VERB) echo redeploy ;;
    R) echo 1.0 ;;
    '') ;;
    *) echo - ;;
    esac
}
echo "$words" | sed -n 's/^synopsis //p' >"$HOME_DIR/synopses"
: >"$HOME_DIR/wanted"
while IFS=: read -r verb synopsis; do
    line="bmctl $verb"
    # Options are looked at below; several of a kind are one.
    for kind in $(echo "$synopsis" | sed 's/\[*--[a-z-]*\( [A-Z=a-z]*\)*\(|--[a-z]*\( TIME\)*\)*\]*\(\.\.\.\)*//g; s/\[-[a-z]\( N\)*\]//g; s/\[OPTION\.\.\.\]//; s/\.\.\.//g; s/|--unknown.*//; s/|\( \|$\)/ /g' | tr -d '[]'); do
        value=$(value_of "$kind")
        [ "$verb $kind" != 'release JOB' ] || value=$held
        [ "$value" = - ] || echo "$value $line " >>"$HOME_DIR/wanted"
        [ "$value" != - ] || value=x
        line="$line $value"
    done
done <"$HOME_DIR/synopses"
for option in to:STAGE stage:STAGE application:APP release:R if-changed:hold color:never override-freeze:audit at:tomorrow until:tomorrow; do
    verb=$(echo "$words" | sed -n "s/^takes ${option%:*} //p" | grep -v '^schedule' | head -n 1)
    value=$(value_of "${option#*:}")
    [ "$value" != - ] || value=${option#*:}
    echo "$value bmctl $verb shop --${option%:*} " >>"$HOME_DIR/wanted"
done
[ "$(wc -l <"$HOME_DIR/wanted")" -ge 60 ] || { cat "$HOME_DIR/wanted"; FAIL "hardly any arguments"; }
sed 's/^[^ ]* //' "$HOME_DIR/wanted" >"$HOME_DIR/lines"
case $SHELLS in *zsh*) zsh_offers "$HOME_DIR/lines" >"$HOME_DIR/by_zsh" ;; esac
n=0
while IFS= read -r wanted; do
    n=$((n + 1))
    for shell in $SHELLS; do
        if [ $shell = zsh ]; then got=$(nth_zsh $n); else got=$("ask_$shell" "${wanted#* }" </dev/null); fi
        echo "$got" | grep -qxF -- "${wanted%% *}" || echo "$shell offers no ${wanted%% *} for '${wanted#* }': $(echo $got)"
    done
done <"$HOME_DIR/wanted" >"$HOME_DIR/lacks"
[ ! -s "$HOME_DIR/lacks" ] || { cat "$HOME_DIR/lacks"; FAIL "arguments are not offered"; }
OK "$n arguments"

# NAME= of what is added: of the plans; of what is repaired: of the build; and files, also behind it.
offers_name() { # offers_name LINE NAME…: as `site=` or, where the shell sets the = behind it itself, as `site`
    line=$1
    shift
    for shell in $SHELLS; do
        got=$("ask_$shell" "$line")
        for name; do
            echo "$got" | grep -qxE -- "$name=?" || FAIL "$shell offers no $name= for '$line': $(echo $got)"
        done
    done
}
cd "$HOME_DIR/files" || exit 99
offers_name 'bmctl build add shop 2.0 ' site tools
offers_name 'bmctl build add shop 2.0 si' site
offers_name 'bmctl build repair shop 1.0/1 ' site tools manuals
offers 'bmctl build repair shop 1.0/1 pa' page
for line in 'bmctl build add shop 2.0 site=pa' 'bmctl build repair shop 1.0/1 tools=pa'; do
    for shell in $SHELLS; do
        "ask_$shell" "$line" | grep -qxE '([a-z]*=)?page' || FAIL "$shell offers no page for '$line': $(echo $("ask_$shell" "$line"))"
    done
done
for shell in $SHELLS; do
    ! "ask_$shell" 'bmctl build add shop 2.0 ' | grep -qE '^manuals=?$' || FAIL "$shell offers what no plan uses"
done
cd / || exit 99
OK "names of artifacts:$SHELLS"

# A bmd that does not answer holds nobody up, whatever is asked for.
kill -STOP "$BMD_PID"
for shell in $SHELLS; do
    for line in 'status sh' 'audit a' 'schedule pause ' 'schedule preview ' 'notify test ' 'cancel ' 'deploy --to ' 'build show shop ' \
        'redeploy shop ' 'build add shop 1.0 '; do
        begun=$(date +%s)
        "ask_$shell" "bmctl $line" >"$HOME_DIR/stuck"
        took=$(($(date +%s) - begun))
        [ $took -lt 8 ] || FAIL "$shell: completing \"bmctl $line\" takes $took s"
        [ "$line" != 'status sh' ] || [ -z "$(cat "$HOME_DIR/stuck")" ] || FAIL "$shell has names from nowhere"
    done
done
for line in 'bmctl audit '; do quick "$line" 2500; done
kill -CONT "$BMD_PID"
OK "a bmd that is stuck:$SHELLS"
bmd_stop
