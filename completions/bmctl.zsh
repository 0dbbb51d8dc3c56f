#compdef bmctl
# zsh completion for bmctl. The verbs and options are those of `bmctl --help`; a test compares.

# The names of another machine's bmd would cost an ssh, and may cost a password: none are offered.
_bmctl_ask() {
    [[ -n $BMD_HOST || -n ${typed[(r)(-H*|--host*)]} ]] || timeout 1 bmctl --json "$@"
}
_bmctl_names() {
    local -a names
    names=(${(f)"$(_bmctl_ask status 2>/dev/null | grep -o "\"$1\":\"[^\"]*\"" | cut -d'"' -f4 | sort -u)"})
    compadd -a names
}
_bmctl_applications() { _bmctl_names application }
_bmctl_stages() { _bmctl_names stage }
# _bmctl_jobs_in STATES: those that wait and run and are in one of these, a|b.
_bmctl_jobs_in() {
    local -a names
    names=(${(f)"$(_bmctl_ask queue 2>/dev/null | grep -oE "\"id\":[0-9]+,\"state\":\"($1)\"" | grep -o '[0-9]*')"})
    compadd -a names
}
_bmctl_jobs() { _bmctl_jobs_in '[a-z]*' }
_bmctl_jobs_waiting() { _bmctl_jobs_in 'scheduled|queued|held' }
_bmctl_jobs_held() { _bmctl_jobs_in held }
_bmctl_jobs_all() {
    local -a names
    _bmctl_jobs
    names=(${(f)"$(_bmctl_ask history -n 20 2>/dev/null | grep -o '"id":[0-9]*' | cut -d: -f2)"})
    compadd -a names
}
_bmctl_freezes() {
    local -a names
    names=(${(f)"$(_bmctl_ask status 2>/dev/null | grep -o '"freezes":\[[^]]*\]' | sed 's/^"freezes"://' | grep -o '"[^"]*"' | tr -d '"' | sort -u)"})
    compadd -a names
}
_bmctl_times() { compadd 02:00 +1h tomorrow today }
# Of the application, which is the first word behind the verb.
_bmctl_builds() {
    local -a names
    names=(${(f)"$(_bmctl_ask build list "$line[1]" 2>/dev/null |
        grep -o '"release":"[^"]*","build":[0-9]*' | sed 's/"release":"\(.*\)","build":/\1\//' | sort -u)"})
    compadd -a names
}

_bmctl_releases() {
    local -a names
    names=(${(f)"$(_bmctl_ask build list "$line[1]" 2>/dev/null | grep -o '"release":"[^"]*"' | cut -d'"' -f4 | sort -u)"})
    compadd -a names
}
_bmctl_sections() {
    local -a names
    names=(${(f)"$(_bmctl_ask notify list -n 1 2>/dev/null | grep -o '"sections":.*' | grep -o '"section":"[^"]*"' | cut -d'"' -f4 | sort -u)"})
    compadd -a names
}
_bmctl_methods() {
    local -a names
    names=(${(f)"$(_bmctl_ask call org.varlink.service.GetInterfaceDescription '{"interface":"io.bmd.Control"}' 2>/dev/null |
        grep -oE 'method [A-Z][A-Za-z]*' | cut -d' ' -f2)"})
    compadd -a names
}
_bmctl_audited() {
    compadd verify
    _bmctl_applications
}
_bmctl_calendars() {
    compadd hourly daily weekly monthly
    _bmctl_schedules
}

# Of the build that stands before the cursor; of one that is added, those that the plans use.
_bmctl_artifacts() {
    local -a names
    if [[ $words[1] = add ]]; then
        names=(${(f)"$(_bmctl_ask call ListArtifacts "{\"application\":\"$line[1]\"}" 2>/dev/null |
            grep -o '"artifacts":\[[^]]*\]' | sed 's/^"artifacts"://' | grep -o '"[^"]*"' | tr -d '"')"})
    else
        names=(${(f)"$(_bmctl_ask build show "$line[1]" "$line[2]" 2>/dev/null |
            grep -o '"artifacts":\[[^]]*\]' | grep -o '"name":"[^"]*"' | cut -d'"' -f4 | sort -u)"})
    fi
    compadd "$@" -a names
}
# [NAME=]PATH
_bmctl_paths() {
    if compset -P '*='; then
        _files
    else
        _bmctl_artifacts -S =
        _files
    fi
}
_bmctl_builds_live() {
    compadd live
    _bmctl_builds
}
_bmctl_schedules() {
    local -a names
    names=(${=${(f)"$(_bmctl_ask schedule list 2>/dev/null | grep -o '"id":[0-9]*,"name":[^,]*' |
        sed 's/"id"://; s/,"name":/ /; s/"//g; s/ null//')"}})
    compadd -a names
}

_bmctl_verbs() { _describe verb verbs }

_bmctl() {
    local -a always request verbs builds schedules typed
    typed=($words)
    always=('(-H --host)'{-H,--host}'[the bmd of another machine, over ssh]:host:_hosts' '(-s --socket)'{-s,--socket}'[the socket of bmd]:socket:_files' '--json[print the reply]'
        '--color[colours]:when:(auto always never)' '(-h --help)'{-h,--help}'[help]' '(-V --version)'{-V,--version}'[version]')
    request=('--now[due now]' '--at[due at a time]:time:_bmctl_times' '--to[the stage]:stage:_bmctl_stages' '--reason[why]:text:'
        '*--var[set a variable]:K=V:' '--wait[wait for the end]' '(-f --follow)'{-f,--follow}'[show the log]'
        '--no-follow[return at once]' '--timeout[wait no longer]:span:' '--dry-run[only show]' '--yes[confirmed]'
        '--grace[how late it may start]:span:' '--if-changed[if another build went live]:how:(hold run skip)'
        '--override-window[pass closed windows]' '--override-freeze[pass a freeze]:name:_bmctl_freezes')
    verbs=('status:what is live where' 'redeploy:deploy a past build again' 'rollback:another name of redeploy'
        'deploy:deploy a build to a stage' 'build:builds' 'gc:give up old builds' 'backup:copy the state' 'diff:files that differ' 'queue:jobs that wait and run'
        'show:one job' 'history:what happened' 'log:output of a job' 'wait:wait for jobs' 'cancel:cancel a job'
        'reschedule:move a job' 'release:let a held job go' 'lock:lock a stage' 'unlock:end a lock'
        'settle:say what is live' 'adopt:take over what others deployed' 'at:what a time means' 'schedule:recurring times' 'check:check the configuration'
        'reload:read the configuration again' 'drain:start nothing new until a restart' 'notify:who is told of what happens' 'metrics:numbers for Prometheus' 'audit:who asked for what' 'call:a raw call' 'bridge:the far end of -H' 'version:versions' 'help:help of a verb')
    schedules=('add:deploy again and again' 'list:recurring deployments' 'remove:end a schedule' 'pause:let a schedule rest'
        'resume:let it go on' 'preview:when a recurring time comes')
    builds=('add:add a build' 'list:the builds' 'show:one build' 'manifest:what to sign' 'reject:mark as bad' 'restore:take a rejection back'
        'pin:keep a build' 'unpin:take a pin back' 'verify:hash the files again' 'repair:restore damaged files')

    local curcontext=$curcontext state line
    _arguments -C $always '1:verb:->verb' '*::argument:->argument' && return
    case $state in
    verb) _describe verb verbs ;;
    argument)
        case $words[1] in
        status) _arguments $always '--limits[every limit]' '1:application:_bmctl_applications' ;;
        queue) _arguments $always '1:application:_bmctl_applications' ;;
        redeploy | rollback) _arguments $always $request '1:application:_bmctl_applications' '2:build:_bmctl_builds' ;;
        deploy) _arguments $always $request '1:application:_bmctl_applications' '2:build:_bmctl_builds' ;;
        diff) _arguments $always '1:application:_bmctl_applications' '2:build:_bmctl_builds' '3:build:_bmctl_builds' ;;
        gc) _arguments $always '--dry-run[only show]' '--reason[why]:text:' '1:application:_bmctl_applications' ;;
        show) _arguments $always '1:job:_bmctl_jobs_all' ;;
        history) _arguments $always '--stage[only this stage]:stage:_bmctl_stages' '(-n --limit)'{-n,--limit}'[at most]:n:' \
            '--since[only since]:time:' '1:application:_bmctl_applications' ;;
        log) _arguments $always '(-f --follow)'{-f,--follow}'[until the end]' '--timeout[no longer]:span:' '1:job:_bmctl_jobs_all' ;;
        wait) _arguments $always '--timeout[no longer]:span:' '*:job:_bmctl_jobs' ;;
        cancel) _arguments $always '--reason[why]:text:' '1:job:_bmctl_jobs' ;;
        release) _arguments $always '--reason[why]:text:' '1:job:_bmctl_jobs_held' ;;
        reschedule) _arguments $always '--override-window[pass closed windows]' '--override-freeze[pass a freeze]:name:_bmctl_freezes' '--now[due now]' '--at[due at]:time:_bmctl_times' '--reason[why]:text:' '1:job:_bmctl_jobs_waiting' ;;
        lock) _arguments $always '--reason[why]:text:' '--until[its end]:time:_bmctl_times' '1:application:_bmctl_applications' '2:stage:_bmctl_stages' ;;
        unlock) _arguments $always '--reason[why]:text:' '1:application:_bmctl_applications' '2:stage:_bmctl_stages' ;;
        settle) _arguments $always '--unknown[nobody knows]' '--reason[why]:text:' '1:application:_bmctl_applications' \
            '2:stage:_bmctl_stages' '3:build:_bmctl_builds' ;;
        adopt) _arguments $always '--current[the link to what is live]:link:_files' '--dry-run[only show]' '--reason[why]:text:' \
            '1:application:_bmctl_applications' '2:stage:_bmctl_stages' '*:release:' ;;
        check) _arguments $always '1:file:_files' ;;
        audit)
            if [[ -n ${words[(r)verify]} ]]; then
                _arguments $always '--head[noted elsewhere]:hash:' '1:verify:(verify)'
            else
                _arguments $always '--stage[only this stage]:stage:_bmctl_stages' '(-n --limit)'{-n,--limit}'[at most]:n:' \
                    '--since[only since]:time:' '--refused[only what was refused]' '1:verify or application:_bmctl_audited'
            fi ;;
        metrics) _arguments $always '1:file:_files' ;;
        notify)
            _arguments -C $always '1:verb:((list\:"who is told, and what waits" test\:"send a trial"))' '*::argument:->argument' && return
            case $words[1] in
            list) _arguments $always '(-n --limit)'{-n,--limit}'[at most]:n:' ;;
            test) _arguments $always '--application[whose section]:application:_bmctl_applications' '--timeout[no longer]:span:' '--reason[why]:text:' '1:section:_bmctl_sections' ;;
            esac ;;
        drain) _arguments $always '--wait[until nothing runs]' '--undo[take it back]' '--timeout[no longer]:span:' '--reason[why]:text:' ;;
        reload) _arguments $always '--reason[why]:text:' ;;
        call) _arguments $always '--more[a stream]' '1:method:_bmctl_methods' '2:json:' ;;
        help) _arguments $always '1:verb:_bmctl_verbs' ;;
        at) _arguments $always '*:time:' ;;
        backup | bridge | version) _arguments $always ;;
        schedule)
            _arguments -C $always '1:verb:->verb' '*::argument:->argument' && return
            case $state in
            verb) _describe verb schedules ;;
            argument)
                case $words[1] in
                add) _arguments $always '--to[the stage]:stage:_bmctl_stages' '--on[each time]:calendar:(hourly daily weekly monthly)' \
                    '--reason[why]:text:' '*--var[set a variable]:K=V:' '--yes[confirmed]' '--grace[how late one may start]:span:' \
                    '--if-changed[if another build went live]:how:(hold run skip)' '1:application:_bmctl_applications' \
                    '2:build:_bmctl_builds_live' ;;
                list) _arguments $always '1:application:_bmctl_applications' ;;
                remove | pause | resume) _arguments $always '--reason[why]:text:' '1:schedule:_bmctl_schedules' ;;
                preview) _arguments $always '(-n --limit)'{-n,--limit}'[so many]:n:' '1:calendar:_bmctl_calendars' ;;
                esac ;;
            esac ;;
        build)
            _arguments -C $always '1:verb:->verb' '*::argument:->argument' && return
            case $state in
            verb) _describe verb builds ;;
            argument)
                case $words[1] in
                add) _arguments $always '--number[its number]:n:' '*--var[a variable]:K=V:' '--note[a note]:text:' '--signature[by minisign]:file:_files' '--reason[why]:text:' \
                    '1:application:_bmctl_applications' '2:release:' '*:path:_bmctl_paths' ;;
                list) _arguments $always '--release[only of this release]:release:_bmctl_releases' '1:application:_bmctl_applications' ;;
                reject | restore | pin | unpin) _arguments $always '--reason[why]:text:' '1:application:_bmctl_applications' '2:build:_bmctl_builds' ;;
                repair) _arguments $always '1:application:_bmctl_applications' '2:build:_bmctl_builds' '*:path:_bmctl_paths' ;;
                manifest) _arguments $always '1:application:_bmctl_applications' '2:build:_bmctl_builds' '3:artifact:_bmctl_artifacts' ;;
                show | verify) _arguments $always '1:application:_bmctl_applications' '2:build:_bmctl_builds' ;;
                esac ;;
            esac ;;
        esac ;;
    esac
}

_bmctl "$@"
