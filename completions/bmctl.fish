# fish completion for bmctl. The verbs and options are those of `bmctl --help`; a test compares.
# A bmd that is down answers at once, one that is stuck never: nobody waits for it.
# Nor for the names of another machine's bmd: they would cost an ssh, and may cost a password.
function __bmctl_ask
    set -q BMD_HOST[1]; or string match -qr -- '^(-H|--host)' (commandline -opc); or timeout 1 bmctl --json $argv 2>/dev/null
end
function __bmctl_names
    __bmctl_ask status | string match -ra "\"$argv[1]\":\"[^\"]*\"" | string split -f4 '"' | sort -u
end
# __bmctl_jobs [STATE...]: those that wait and run, or of them those in one of these states.
function __bmctl_jobs
    set -l states '[a-z]*'
    set -q argv[1]; and set states (string join '|' -- $argv)
    __bmctl_ask queue | string match -ra "\"id\":[0-9]+,\"state\":\"(?:$states)\"" | string match -ra '[0-9]+'
end
function __bmctl_past
    __bmctl_ask history -n 20 | string match -ra '"id":[0-9]+' | string replace '"id":' ''
end
function __bmctl_freezes
    __bmctl_ask status | string match -ra '"freezes":\[[^]]*\]' | string replace '"freezes":' '' | string match -ra '"[^"]*"' | string trim -c '"' | sort -u
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
                    --signature --current --release --stage --since --until --head --application --limit -n
                set value 1
            case '-*'
            case '*'
                echo -- $token
        end
    end
end
# The verb before the cursor, of one word or two. __bmctl_is VERB...: it is one of these.
function __bmctl_verb
    set -l words (__bmctl_words)
    set -q words[1]; or return 1
    if set -q words[2]; and begin; contains -- $words[1] build schedule notify; or test "$words[1..2]" = 'audit verify'; end
        echo "$words[1..2]"
    else
        echo $words[1]
    end
end
function __bmctl_is
    set -l verb (__bmctl_verb)
    and contains -- $verb $argv
end
# __bmctl_at N VERB...: N words stand behind one of these verbs.
function __bmctl_at
    __bmctl_is $argv[2..-1]; or return 1
    test (math (count (__bmctl_words)) - (count (string split ' ' -- (__bmctl_verb)))) = $argv[1]
end
# The application: the first word behind the verb.
function __bmctl_application
    set -l words (__bmctl_words)
    echo $words[(math 1 + (count (string split ' ' -- (__bmctl_verb))))]
end
function __bmctl_builds
    __bmctl_ask build list (__bmctl_application) | string match -ra '"release":"[^"]*","build":[0-9]+' | string replace -r '"release":"(.*)","build":' '$1/' | sort -u
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
function __bmctl_releases
    __bmctl_ask build list (__bmctl_application) | string match -ra '"release":"[^"]*"' | string split -f4 '"' | sort -u
end
function __bmctl_sections
    __bmctl_ask notify list -n 1 | string match -r '"sections":.*' | string match -ra '"section":"[^"]*"' | string split -f4 '"' | sort -u
end
function __bmctl_methods
    __bmctl_ask call org.varlink.service.GetInterfaceDescription '{"interface":"io.bmd.Control"}' | string match -ra 'method [A-Z][A-Za-z]*' | string split -f2 ' '
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
complete -c bmctl -f
complete -c bmctl -s H -l host -x -a '(__fish_print_hostnames)' -d 'the bmd of another machine, over ssh'
complete -c bmctl -s s -l socket -r -F -d 'the socket of bmd'
complete -c bmctl -l json -d 'print the reply'
complete -c bmctl -l color -x -a 'auto always never' -d colours
complete -c bmctl -s h -l help -d help
complete -c bmctl -s V -l version -d version

set -l verbs status redeploy rollback deploy build gc backup diff queue show history log wait cancel reschedule release lock unlock settle adopt at schedule check reload drain notify metrics audit call bridge version help
complete -c bmctl -n 'not __bmctl_verb >/dev/null' -a "$verbs"
complete -c bmctl -n '__bmctl_at 0 help' -a "$verbs"
complete -c bmctl -n '__bmctl_is build' -a 'add list show manifest reject restore pin unpin verify repair'
complete -c bmctl -n '__bmctl_is schedule' -a 'add list remove pause resume preview'
complete -c bmctl -n '__bmctl_is notify' -a 'list test'
complete -c bmctl -n '__bmctl_at 0 audit' -a verify

# What stands behind the verbs.
set -l of_builds '"build show" "build manifest" "build reject" "build restore" "build pin" "build unpin" "build verify" "build repair"'
complete -c bmctl -n "__bmctl_at 0 status redeploy rollback deploy gc diff queue history audit lock unlock settle adopt 'schedule add' 'schedule list' 'build add' 'build list' $of_builds" -a '(__bmctl_names application)'
complete -c bmctl -n "__bmctl_at 1 redeploy rollback deploy diff 'schedule add' $of_builds; or __bmctl_at 2 diff settle" -a '(__bmctl_builds)'
complete -c bmctl -n '__bmctl_at 1 "schedule add"' -a live
complete -c bmctl -n '__bmctl_at 1 lock unlock settle adopt' -a '(__bmctl_names stage)'
complete -c bmctl -n '__bmctl_at 0 show log cancel; or __bmctl_is wait' -a '(__bmctl_jobs)'
complete -c bmctl -n '__bmctl_at 0 show log' -a '(__bmctl_past)'
complete -c bmctl -n '__bmctl_at 0 reschedule' -a '(__bmctl_jobs scheduled queued held)'
complete -c bmctl -n '__bmctl_at 0 release' -a '(__bmctl_jobs held)'
complete -c bmctl -n '__bmctl_at 0 "schedule remove" "schedule pause" "schedule resume" "schedule preview"' -a '(__bmctl_schedules)'
complete -c bmctl -n '__bmctl_at 0 "schedule preview"' -a 'hourly daily weekly monthly'
complete -c bmctl -n '__bmctl_at 2 "build manifest"' -a '(__bmctl_artifacts)'
complete -c bmctl -n '__bmctl_from 2 "build add" "build repair"' -a '(__bmctl_artifacts_are)' -F
complete -c bmctl -n '__bmctl_at 0 "notify test"' -a '(__bmctl_sections)'
complete -c bmctl -n '__bmctl_at 0 call' -a '(__bmctl_methods)'
complete -c bmctl -n '__bmctl_at 0 check metrics' -F

# Options: each once, with the verbs that take it.
set -l request redeploy rollback deploy
complete -c bmctl -n "__bmctl_is $request reschedule" -l now -d 'due now'
complete -c bmctl -n "__bmctl_is $request reschedule" -l at -x -a '02:00 +1h tomorrow today' -d 'due at a time'
complete -c bmctl -n "__bmctl_is $request 'schedule add'" -l to -x -a '(__bmctl_names stage)' -d 'the stage'
complete -c bmctl -n '__bmctl_is history audit' -l stage -x -a '(__bmctl_names stage)' -d 'only this stage'
complete -c bmctl -n '__bmctl_is "build list"' -l release -x -a '(__bmctl_releases)' -d 'only of this release'
complete -c bmctl -n '__bmctl_is "build add"' -l number -x -d 'its number'
complete -c bmctl -n "__bmctl_is $request 'build add' 'schedule add'" -l var -x -d 'set a variable'
complete -c bmctl -n '__bmctl_is "build add"' -l note -x -d 'a note'
complete -c bmctl -n '__bmctl_is "build add"' -l signature -r -F -d 'by minisign'
complete -c bmctl -n "__bmctl_is $request reschedule 'build add' 'build reject' 'build restore' 'build pin' 'build unpin' gc cancel release lock unlock settle adopt reload drain 'schedule add' 'schedule remove' 'schedule pause' 'schedule resume' 'notify test'" -l reason -x -d why
complete -c bmctl -n '__bmctl_is lock' -l until -x -a '02:00 +1h tomorrow today' -d 'its end'
complete -c bmctl -n '__bmctl_is settle' -l unknown -d 'nobody knows what is live'
complete -c bmctl -n '__bmctl_is drain' -l undo -d 'take it back'
complete -c bmctl -n "__bmctl_is $request drain" -l wait -d 'wait for the end'
complete -c bmctl -n "__bmctl_is $request log" -s f -l follow -d 'show the log'
complete -c bmctl -n "__bmctl_is $request" -l no-follow -d 'return at once'
complete -c bmctl -n "__bmctl_is $request log wait drain 'notify test'" -l timeout -x -d 'wait no longer'
complete -c bmctl -n "__bmctl_is $request gc adopt" -l dry-run -d 'only show'
complete -c bmctl -n "__bmctl_is $request 'schedule add'" -l yes -d confirmed
complete -c bmctl -n "__bmctl_is $request 'schedule add'" -l grace -x -d 'how late it may start'
complete -c bmctl -n "__bmctl_is $request 'schedule add'" -l if-changed -x -a 'hold run skip' -d 'if another build went live'
complete -c bmctl -n "__bmctl_is $request reschedule" -l override-window -d 'pass closed windows'
complete -c bmctl -n "__bmctl_is $request reschedule" -l override-freeze -x -a '(__bmctl_freezes)' -d 'pass a freeze'
complete -c bmctl -n '__bmctl_is "schedule add"' -l on -x -a 'hourly daily weekly monthly' -d 'each time'
complete -c bmctl -n '__bmctl_is history audit "schedule preview" "notify list"' -s n -l limit -x -d 'at most'
complete -c bmctl -n '__bmctl_is history audit' -l since -x -d 'only since'
complete -c bmctl -n '__bmctl_is status' -l limits -d 'every limit, and how near it is'
complete -c bmctl -n '__bmctl_is audit' -l refused -d 'only what was refused'
complete -c bmctl -n '__bmctl_is "audit verify"' -l head -x -d 'noted elsewhere'
complete -c bmctl -n '__bmctl_is "notify test"' -l application -x -a '(__bmctl_names application)' -d 'whose section'
complete -c bmctl -n '__bmctl_is call' -l more -d 'a stream of replies'
complete -c bmctl -n '__bmctl_is adopt' -l current -r -F -d 'the link to what is live'
