# bash completion for bmctl                                     -*- shell-script -*-
# The verbs and options are those of `bmctl --help`; a test compares. Names come from a bmd that answers.

# _bmctl_ask VERB…: what bmd answers, if it does so soon; a bmd that hangs must not hang the shell.
_bmctl_ask() { timeout 1 bmctl "${socket[@]}" --json "$@" 2>/dev/null; }

_bmctl_names() { # _bmctl_names KEY: the values of KEY in the answer on standard input
    grep -o "\"$1\":\"[^\"]*\"" | cut -d'"' -f4 | sort -u
}

_bmctl_schedules() { # numbers and names
    _bmctl_ask schedule list | grep -o '"id":[0-9]*,"name":[^,]*' | sed 's/"id"://; s/,"name":/ /; s/"//g; s/ null//'
}

# _bmctl_jobs [STATE…]: those that wait and run, or of them those in one of these states.
_bmctl_jobs() {
    local IFS='|'
    _bmctl_ask queue | grep -oE "\"id\":[0-9]+,\"state\":\"(${*:-[a-z]*})\"" | grep -o '[0-9]*'
}
_bmctl_past() { _bmctl_ask history -n 20 | grep -o '"id":[0-9]*' | cut -d: -f2; }

# Names of freezes, which may have blanks: quoted, unless the word has been begun with a quote.
_bmctl_freezes() {
    local name IFS=$'\n' begun=${cur//\\/}
    for name in $(_bmctl_ask status | grep -o '"freezes":\[[^]]*\]' | sed 's/^"freezes"://' | grep -o '"[^"]*"' | tr -d '"' | sort -u); do
        case $cur in
        [\"\']*) [[ $name != "${begun:1}"* ]] || COMPREPLY+=("$name") ;;
        *) [[ $name != "$begun"* ]] || COMPREPLY+=("$(printf %q "$name")") ;;
        esac
    done
}

# _bmctl_artifacts APPLICATION [BUILD]: names of its artifacts; without BUILD those that its plans use.
_bmctl_artifacts() {
    if [[ -n ${2-} ]]; then
        _bmctl_ask build show "$1" "$2" | grep -o '"artifacts":\[[^]]*\]' | _bmctl_names name
    else
        _bmctl_ask call ListArtifacts "{\"application\":\"$1\"}" |
            grep -o '"artifacts":\[[^]]*\]' | sed 's/^"artifacts"://' | grep -o '"[^"]*"' | tr -d '"'
    fi
}

# _bmctl_files APPLICATION [BUILD]: NAME= and files, or the files behind NAME=.
_bmctl_files() {
    local prefix= path=$cur
    [[ $cur == *=* ]] && prefix=${cur%%=*}= path=${cur#*=}
    # Where = parts words, readline replaces only what stands behind it.
    [[ $COMP_WORDBREAKS == *=* ]] && prefix=
    COMPREPLY=($(compgen -P "$prefix" -f -- "$path"))
    [[ $cur == *=* || $prev == = ]] && return
    COMPREPLY+=($(compgen -S = -W "$(_bmctl_artifacts "$@")" -- "$cur"))
    [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *= ]] && compopt -o nospace 2>/dev/null
}

_bmctl() {
    local cur prev words cword
    if declare -F _init_completion >/dev/null; then
        _init_completion -n := || return
    else
        words=("${COMP_WORDS[@]}") cword=$COMP_CWORD
        cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
    fi
    local verbs='status redeploy rollback deploy build gc backup diff queue show history log wait cancel
        reschedule release lock unlock settle adopt at schedule check reload drain notify metrics audit call bridge version help'
    local audits='verify'
    local schedules='add list remove pause resume preview'
    local builds='add list show manifest reject restore pin unpin verify repair'
    local always='--host --socket --json --color --help --version'
    local request='--now --at --to --reason --var --wait --follow --no-follow --timeout --dry-run
        --yes --grace --if-changed --override-window --override-freeze'
    local verb= sub= nth=0 i names=() socket=() host=${BMD_HOST-}
    for ((i = 1; i < cword; i++)); do
        case ${words[i]} in
        -s | --socket) socket=(-s "${words[++i]}") ;;
        -H | --host) host=${words[++i]} ;;
        --at | --on | --to | --reason | --var | --timeout | --grace | --if-changed | --override-freeze | --number | --note | --signature | --current | \
            --release | --stage | --since | --until | --head | --application | --limit | -n | --color) ((i++)) ;;
        -*) ;;
        *) if [[ -z $verb ]]; then verb=${words[i]}
           elif [[ $verb == @(build|schedule|audit|notify) && -z $sub ]]; then sub=${words[i]}
           else names+=("${words[i]}") && ((++nth)); fi ;;
        esac
    done

    # The names of another machine's bmd would cost an ssh, and may cost a password: none are offered.
    [[ -z $host ]] || socket=(-H '' -s /dev/null)

    case $prev in
    -H | --host)
        COMPREPLY=($(compgen -A hostname -- "$cur") $(compgen -W "$(sed -n 's/^ *[Hh]ost  *\([^*?!]*\)$/\1/p' ~/.ssh/config 2>/dev/null)" -- "$cur"))
        return ;;
    -s | --socket | --signature | --current) COMPREPLY=($(compgen -f -- "$cur")); return ;;
    --color) COMPREPLY=($(compgen -W 'auto always never' -- "$cur")); return ;;
    --if-changed) COMPREPLY=($(compgen -W 'hold run skip' -- "$cur")); return ;;
    --application)
        COMPREPLY=($(compgen -W "$(_bmctl_ask status | _bmctl_names application)" -- "$cur")); return ;;
    --to | --stage)
        COMPREPLY=($(compgen -W "$(_bmctl_ask status | _bmctl_names stage)" -- "$cur"))
        return ;;
    --on) COMPREPLY=($(compgen -W 'hourly daily weekly monthly' -- "$cur")); return ;;
    --at | --until) COMPREPLY=($(compgen -W '02:00 +1h tomorrow today' -- "$cur")); return ;;
    --release)
        [[ -z ${names-} ]] || COMPREPLY=($(compgen -W "$(_bmctl_ask build list "${names[0]}" | _bmctl_names release)" -- "$cur"))
        return ;;
    --override-freeze) _bmctl_freezes; return ;;
    --reason | --var | --timeout | --grace | --number | --note | --since | --head | --limit | -n) return ;;
    esac

    if [[ $cur == -* ]]; then
        local options=$always
        case "$verb $sub" in
        'redeploy ' | 'rollback ' | 'deploy ') options="$options $request" ;;
        'build add') options="$options --number --var --note --signature --reason" ;;
        'build list') options="$options --release" ;;
        'build reject' | 'build restore' | 'build pin' | 'build unpin' | 'cancel ' | 'release ' | 'unlock ' | 'reload ') options="$options --reason" ;;
        'notify list') options="$options --limit" ;;
        'notify test') options="$options --application --timeout --reason" ;;
        'drain ') options="$options --wait --undo --timeout --reason" ;;
        'reschedule ') options="$options --now --at --reason --override-window --override-freeze" ;;
        'schedule preview') options="$options --limit" ;;
        'schedule add') options="$options --to --on --reason --var --yes --grace --if-changed" ;;
        'schedule remove' | 'schedule pause' | 'schedule resume') options="$options --reason" ;;
        'audit ') options="$options --stage --limit --since --refused" ;;
        'audit verify') options="$options --head" ;;
        'history ') options="$options --stage --limit --since" ;;
        'log ') options="$options --follow --timeout" ;;
        'wait ') options="$options --timeout" ;;
        'lock ') options="$options --reason --until" ;;
        'settle ') options="$options --unknown --reason" ;;
        'adopt ') options="$options --current --dry-run --reason" ;;
        'status ') options="$options --limits" ;;
        'gc ') options="$options --dry-run --reason" ;;
        'call ') options="$options --more" ;;
        esac
        COMPREPLY=($(compgen -W "$options" -- "$cur"))
        return
    fi
    if [[ -z $verb ]]; then
        COMPREPLY=($(compgen -W "$verbs" -- "$cur"))
        return
    fi
    if [[ $verb == build && -z $sub ]]; then
        COMPREPLY=($(compgen -W "$builds" -- "$cur"))
        return
    fi
    if [[ $verb == audit && -z $sub ]]; then
        COMPREPLY=($(compgen -W "$audits $(_bmctl_ask status | _bmctl_names application)" -- "$cur"))
        return
    fi
    if [[ $verb == notify && -z $sub ]]; then
        COMPREPLY=($(compgen -W 'list test' -- "$cur"))
        return
    fi
    if [[ $verb == schedule && -z $sub ]]; then
        COMPREPLY=($(compgen -W "$schedules" -- "$cur"))
        return
    fi
    case "$verb $sub $nth" in
    'schedule preview 0') COMPREPLY=($(compgen -W "hourly daily weekly monthly $(_bmctl_schedules)" -- "$cur")) ;;
    'schedule remove 0' | 'schedule pause 0' | 'schedule resume 0')
        COMPREPLY=($(compgen -W "$(_bmctl_schedules)" -- "$cur")) ;;
    'notify test 0')
        COMPREPLY=($(compgen -W "$(_bmctl_ask notify list -n 1 |
            grep -o '"sections":.*' | _bmctl_names section)" -- "$cur")) ;;
    'call  0')
        COMPREPLY=($(compgen -W "$(_bmctl_ask call org.varlink.service.GetInterfaceDescription '{"interface":"io.bmd.Control"}' |
            grep -oE 'method [A-Z][A-Za-z]*' | cut -d' ' -f2)" -- "$cur")) ;;
    'adopt  '[2-9]* | 'build add 1') ;;
    'metrics  0') COMPREPLY=($(compgen -f -- "$cur")) ;;
    'help  0') COMPREPLY=($(compgen -W "$verbs" -- "$cur")) ;;
    'check  0') COMPREPLY=($(compgen -f -- "$cur")) ;;
    'build add '[2-9]*) _bmctl_files "${names[0]}" ;;
    'build repair '[2-9]*) _bmctl_files "${names[0]}" "${names[1]}" ;;
    'build manifest 2') COMPREPLY=($(compgen -W "$(_bmctl_artifacts "${names[0]}" "${names[1]}")" -- "$cur")) ;;
    'show  0' | 'log  0') COMPREPLY=($(compgen -W "$(_bmctl_jobs) $(_bmctl_past)" -- "$cur")) ;;
    'wait  '* | 'cancel  0') COMPREPLY=($(compgen -W "$(_bmctl_jobs)" -- "$cur")) ;;
    'reschedule  0') COMPREPLY=($(compgen -W "$(_bmctl_jobs scheduled queued held)" -- "$cur")) ;;
    'release  0') COMPREPLY=($(compgen -W "$(_bmctl_jobs held)" -- "$cur")) ;;
    'status  0' | 'queue  0' | 'history  0' | 'redeploy  0' | 'rollback  0' | 'deploy  0' | 'diff  0' | 'gc  0' | \
        'lock  0' | 'unlock  0' | 'settle  0' | 'adopt  0' | 'build '*' 0' | 'schedule add 0' | 'schedule list 0')
        COMPREPLY=($(compgen -W "$(_bmctl_ask status | _bmctl_names application)" -- "$cur")) ;;
    'lock  1' | 'unlock  1' | 'settle  1' | 'adopt  1')
        COMPREPLY=($(compgen -W "$(_bmctl_ask status | _bmctl_names stage)" -- "$cur")) ;;
    'build list 1') ;;
    'redeploy  1' | 'rollback  1' | 'deploy  1' | 'diff  '[12] | 'settle  2' | 'build '*' 1' | 'schedule add 1')
        COMPREPLY=($(compgen -W "$(_bmctl_ask build list "${names[0]}" |
            grep -o '"release":"[^"]*","build":[0-9]*' | sed 's/"release":"\(.*\)","build":/\1\//' | sort -u)" -- "$cur"))
        [[ $verb == schedule ]] && COMPREPLY+=($(compgen -W live -- "$cur")) ;;
    esac
} && complete -F _bmctl bmctl
