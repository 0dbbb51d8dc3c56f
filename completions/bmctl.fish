# fish completion for bmctl. The verbs and options are those of `bmctl --help`; a test compares.
# A bmd that is down answers at once, one that is stuck never: nobody waits for it.
# Nor for the names of another machine's bmd: they would cost an ssh, and may cost a password.
function __bmctl_ask
    set -q BMD_HOST[1]; or string match -qr -- '^(-H|--host)' (commandline -opc); or timeout 1 bmctl --json $argv 2>/dev/null
end
function __bmctl_names
    __bmctl_ask status | string match -ra "\"$argv[1]\":\"[^\"]*\"" | string split -f4 '"' | sort -u
end
function __bmctl_jobs
    __bmctl_ask queue | string match -ra '"id":[0-9]+' | string replace '"id":' ''
end
function __bmctl_schedules
    __bmctl_ask schedule list | string match -ra '"id":[0-9]+,"name":[^,]*' | string replace -ra '"(id|name)":|"|null' '' | string split -n ','
end
# The words before the cursor that are neither options nor their values.
function __bmctl_words
    set -l value 0
    for token in (commandline -opc)[2..-1]
        if test $value = 1
            set value 0
            continue
        end
        switch $token
            case -H --host -s --socket --color --at --on --to --var --reason --timeout --grace --if-changed --override-freeze --number --note \
                    --signature --current --release --stage --since --until --limit -n
                set value 1
            case '-*'
            case '*'
                echo -- $token
        end
    end
end
# __bmctl_at N VERB...: N words stand behind one of these verbs.
function __bmctl_at
    set -l words (__bmctl_words)
    set -q words[1]; or return 1
    set -l verb $words[1]
    set -l n (math (count $words) - 1)
    if contains -- $verb build schedule
        set -q words[2]; or return 1
        set verb "$verb $words[2]"
        set n (math $n - 1)
    end
    test $n = $argv[1]; and contains -- $verb $argv[2..-1]
end
function __bmctl_builds
    set -l words (__bmctl_words)
    set -l application $words[2]
    contains -- $words[1] build schedule; and set application $words[3]
    __bmctl_ask build list $application | string match -ra '"release":"[^"]*","build":[0-9]+' | string replace -r '"release":"(.*)","build":' '$1/' | sort -u
end
# Names of the artifacts: of the build that stands before the cursor, or, for one that is added, those that the plans use.
function __bmctl_artifacts
    set -l words (__bmctl_words)
    if test $words[2] = add
        __bmctl_ask call ListArtifacts "{\"application\":\"$words[3]\"}" | string match -r '"artifacts":\[([^]]*)\]' | tail -n 1 | string match -ra '"[^"]*"' | string trim -c '"'
    else
        __bmctl_ask build show $words[3] $words[4] | string match -r '"artifacts":\[.*?\]' | string match -ra '"name":"[^"]*"' | string split -f4 '"'
    end
end
function __bmctl_artifacts_are
    string replace -r '$' '=' -- (__bmctl_artifacts)
end
# __bmctl_from N VERB...: at least N words stand behind one of these verbs.
function __bmctl_from
    for n in (seq $argv[1] 9)
        __bmctl_at $n $argv[2..-1]; and return 0
    end
    return 1
end
function __bmctl_verb
    __fish_seen_subcommand_from $argv
end

complete -c bmctl -f
complete -c bmctl -s H -l host -x -a '(__fish_print_hostnames)' -d 'the bmd of another machine, over ssh'
complete -c bmctl -s s -l socket -r -F -d 'the socket of bmd'
complete -c bmctl -l json -d 'print the reply'
complete -c bmctl -l color -x -a 'auto always never' -d colours
complete -c bmctl -s h -l help -d help
complete -c bmctl -s V -l version -d version

set -l verbs status redeploy rollback deploy build gc backup diff queue show history log wait cancel reschedule release lock unlock settle adopt at schedule check reload drain notify metrics audit call bridge version help
complete -c bmctl -n "not __bmctl_verb $verbs" -a "$verbs"
complete -c bmctl -n '__bmctl_verb help' -a "$verbs"
complete -c bmctl -n '__bmctl_verb build; and not __bmctl_verb add list show manifest reject restore pin unpin verify repair' -a 'add list show manifest reject restore pin unpin verify repair'

complete -c bmctl -n '__bmctl_verb audit; and not __bmctl_verb verify' -a 'verify (__bmctl_names application)'
complete -c bmctl -n '__bmctl_verb audit; and __bmctl_verb verify' -l head -x -d 'noted elsewhere'
complete -c bmctl -n '__bmctl_verb status' -l limits -d 'every limit, and how near it is'
complete -c bmctl -n '__bmctl_verb audit' -l refused -d 'only what was refused'
complete -c bmctl -n '__bmctl_verb audit' -l stage -x -a '(__bmctl_names stage)' -d 'only this stage'
complete -c bmctl -n '__bmctl_verb audit' -s n -l limit -x -d 'at most'
complete -c bmctl -n '__bmctl_verb audit' -l since -x -d 'only since'
complete -c bmctl -n '__bmctl_verb schedule; and not __bmctl_verb add list remove pause resume preview' -a 'add list remove pause resume preview'
complete -c bmctl -n '__bmctl_verb preview' -a 'hourly daily weekly monthly'
complete -c bmctl -n '__bmctl_at 0 "schedule remove" "schedule pause" "schedule resume"' -a '(__bmctl_schedules)'
complete -c bmctl -n '__bmctl_at 1 "schedule add"' -a 'live'
complete -c bmctl -n '__bmctl_verb schedule; and __bmctl_verb add' -l on -x -a 'hourly daily weekly monthly' -d 'each time'
complete -c bmctl -n '__bmctl_verb schedule; and __bmctl_verb add' -l to -x -a '(__bmctl_names stage)' -d 'the stage'
complete -c bmctl -n '__bmctl_verb schedule; and __bmctl_verb add' -l yes -d confirmed
complete -c bmctl -n '__bmctl_verb schedule; and __bmctl_verb add' -l grace -x -d 'how late one may start'
complete -c bmctl -n '__bmctl_verb schedule; and __bmctl_verb add' -l if-changed -x -a 'hold run skip' -d 'if another build went live'
complete -c bmctl -n '__bmctl_verb schedule; and __bmctl_verb remove pause resume' -l reason -x -d why

complete -c bmctl -n '__bmctl_at 0 status redeploy rollback deploy gc diff queue history lock unlock settle adopt "schedule add" "schedule list" "build add" "build list" "build show" "build manifest" "build reject" "build restore" "build pin" "build unpin" "build verify" "build repair"' -a '(__bmctl_names application)'
complete -c bmctl -n '__bmctl_at 1 redeploy rollback deploy diff "schedule add" "build show" "build manifest" "build reject" "build restore" "build pin" "build unpin" "build verify" "build repair"; or __bmctl_at 2 diff settle' -a '(__bmctl_builds)'
complete -c bmctl -n '__bmctl_at 2 "build manifest"' -a '(__bmctl_artifacts)'
complete -c bmctl -n '__bmctl_from 2 "build add" "build repair"' -a '(__bmctl_artifacts_are)'
complete -c bmctl -n '__bmctl_at 1 lock unlock settle adopt' -a '(__bmctl_names stage)'
complete -c bmctl -n '__bmctl_at 0 show log wait cancel reschedule release; or __bmctl_verb wait' -a '(__bmctl_jobs)'
complete -c bmctl -n '__bmctl_verb check repair; or begin; __bmctl_verb build; and __bmctl_verb add; end' -F

complete -c bmctl -n '__bmctl_verb redeploy rollback deploy reschedule' -l now -d 'due now'
complete -c bmctl -n '__bmctl_verb redeploy rollback deploy reschedule' -l at -x -d 'due at a time'
complete -c bmctl -n '__bmctl_verb redeploy rollback deploy' -l to -x -a '(__bmctl_names stage)' -d 'the stage'
complete -c bmctl -n '__bmctl_verb redeploy rollback deploy add' -l var -x -d 'set a variable'
complete -c bmctl -n '__bmctl_verb redeploy rollback deploy' -l wait -d 'wait for the end'
complete -c bmctl -n '__bmctl_verb redeploy rollback deploy log' -s f -l follow -d 'show the log'
complete -c bmctl -n '__bmctl_verb redeploy rollback deploy' -l no-follow -d 'return at once'
complete -c bmctl -n '__bmctl_verb notify; and not __bmctl_verb list test' -a 'list test'
complete -c bmctl -n '__bmctl_verb notify; and __bmctl_verb test' -l application -x -a '(__bmctl_names application)' -d 'whose section'
complete -c bmctl -n '__bmctl_verb notify; and __bmctl_verb test' -l reason -x -d why
complete -c bmctl -n '__bmctl_verb notify; and __bmctl_verb test' -l timeout -x -d 'wait no longer'
complete -c bmctl -n '__bmctl_verb notify; and __bmctl_verb list' -s n -l limit -x -d 'at most'
complete -c bmctl -n '__bmctl_verb metrics' -F
complete -c bmctl -n '__bmctl_verb drain' -l undo -d 'take it back'
complete -c bmctl -n '__bmctl_verb drain' -l wait -d 'until nothing runs'
complete -c bmctl -n '__bmctl_verb redeploy rollback deploy log wait drain' -l timeout -x -d 'wait no longer'
complete -c bmctl -n '__bmctl_verb redeploy rollback deploy gc adopt' -l dry-run -d 'only show'
complete -c bmctl -n '__bmctl_verb redeploy rollback deploy' -l yes -d confirmed
complete -c bmctl -n '__bmctl_verb redeploy rollback deploy' -l grace -x -d 'how late it may start'
complete -c bmctl -n '__bmctl_verb redeploy rollback deploy' -l if-changed -x -a 'hold run skip' -d 'if another build went live'
complete -c bmctl -n '__bmctl_verb redeploy rollback deploy reschedule add reject restore pin unpin gc cancel release lock unlock settle adopt reload drain' -l reason -x -d why
complete -c bmctl -n '__bmctl_verb build; and __bmctl_verb add' -l number -x -d 'its number'
complete -c bmctl -n '__bmctl_verb build; and __bmctl_verb add' -l signature -r -F -d 'by minisign'
complete -c bmctl -n '__bmctl_verb build; and __bmctl_verb add' -l note -x -d 'a note'
complete -c bmctl -n '__bmctl_verb list' -l release -x -d 'only of this release'
complete -c bmctl -n '__bmctl_verb history' -l stage -x -a '(__bmctl_names stage)' -d 'only this stage'
complete -c bmctl -n '__bmctl_verb history preview' -s n -l limit -x -d 'at most'
complete -c bmctl -n '__bmctl_verb history' -l since -x -d 'only since'
complete -c bmctl -n '__bmctl_verb lock' -l until -x -d 'its end'
complete -c bmctl -n '__bmctl_verb adopt' -l current -r -F -d 'the link to what is live'
complete -c bmctl -n '__bmctl_verb settle' -l unknown -d 'nobody knows what is live'
complete -c bmctl -n '__bmctl_verb call' -l more -d 'a stream of replies'
complete -c bmctl -n '__bmctl_verb redeploy rollback deploy reschedule' -l override-window -d 'pass closed windows'
complete -c bmctl -n '__bmctl_verb redeploy rollback deploy reschedule' -l override-freeze -x -d 'pass a freeze'
