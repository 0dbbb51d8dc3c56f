# fish completion for bmctl. The verbs and options are those of `bmctl --help`; a test compares.
function __bmctl_names
    bmctl --json status 2>/dev/null | string match -ra "\"$argv[1]\":\"[^\"]*\"" | string split -f4 '"' | sort -u
end
function __bmctl_jobs
    bmctl --json queue 2>/dev/null | string match -ra '"id":[0-9]+' | string replace '"id":' ''
end
function __bmctl_schedules
    bmctl --json schedule list 2>/dev/null | string match -ra '"id":[0-9]+,"name":[^,]*' | string replace -ra '"(id|name)":|"|null' '' | string split -n ','
end
function __bmctl_verb
    __fish_seen_subcommand_from $argv
end

complete -c bmctl -f
complete -c bmctl -s s -l socket -r -F -d 'the socket of bmd'
complete -c bmctl -l json -d 'print the reply'
complete -c bmctl -l color -x -a 'auto always never' -d colours
complete -c bmctl -s h -l help -d help
complete -c bmctl -s V -l version -d version

set -l verbs status redeploy rollback deploy build gc diff queue show history log wait cancel reschedule release lock unlock settle at schedule check reload call version help
complete -c bmctl -n "not __bmctl_verb $verbs" -a "$verbs"
complete -c bmctl -n '__bmctl_verb help' -a "$verbs"
complete -c bmctl -n '__bmctl_verb build; and not __bmctl_verb add list show manifest reject restore pin unpin verify repair' -a 'add list show manifest reject restore pin unpin verify repair'

complete -c bmctl -n '__bmctl_verb schedule; and not __bmctl_verb add list remove pause resume preview' -a 'add list remove pause resume preview'
complete -c bmctl -n '__bmctl_verb preview' -a 'hourly daily weekly monthly'
complete -c bmctl -n '__bmctl_verb schedule; and __bmctl_verb preview remove pause resume' -a '(__bmctl_schedules)'
complete -c bmctl -n '__bmctl_verb schedule; and __bmctl_verb add' -a 'live'
complete -c bmctl -n '__bmctl_verb schedule; and __bmctl_verb add' -l on -x -a 'hourly daily weekly monthly' -d 'each time'
complete -c bmctl -n '__bmctl_verb schedule; and __bmctl_verb add' -l to -x -a '(__bmctl_names stage)' -d 'the stage'
complete -c bmctl -n '__bmctl_verb schedule; and __bmctl_verb add' -l yes -d confirmed
complete -c bmctl -n '__bmctl_verb schedule; and __bmctl_verb add' -l grace -x -d 'how late one may start'
complete -c bmctl -n '__bmctl_verb schedule; and __bmctl_verb add' -l if-changed -x -a 'hold run skip' -d 'if another build went live'
complete -c bmctl -n '__bmctl_verb schedule; and __bmctl_verb remove pause resume' -l reason -x -d why

complete -c bmctl -n '__bmctl_verb status redeploy rollback deploy gc diff queue history lock unlock settle add list show manifest reject restore pin unpin verify repair' -a '(__bmctl_names application)'
complete -c bmctl -n '__bmctl_verb lock unlock settle' -a '(__bmctl_names stage)'
complete -c bmctl -n '__bmctl_verb show log wait cancel reschedule release; and not __bmctl_verb build' -a '(__bmctl_jobs)'
complete -c bmctl -n '__bmctl_verb check repair; or begin; __bmctl_verb build; and __bmctl_verb add; end' -F

complete -c bmctl -n '__bmctl_verb redeploy rollback deploy reschedule' -l now -d 'due now'
complete -c bmctl -n '__bmctl_verb redeploy rollback deploy reschedule' -l at -x -d 'due at a time'
complete -c bmctl -n '__bmctl_verb redeploy rollback deploy' -l to -x -a '(__bmctl_names stage)' -d 'the stage'
complete -c bmctl -n '__bmctl_verb redeploy rollback deploy add' -l var -x -d 'set a variable'
complete -c bmctl -n '__bmctl_verb redeploy rollback deploy' -l wait -d 'wait for the end'
complete -c bmctl -n '__bmctl_verb redeploy rollback deploy log' -s f -l follow -d 'show the log'
complete -c bmctl -n '__bmctl_verb redeploy rollback deploy' -l no-follow -d 'return at once'
complete -c bmctl -n '__bmctl_verb redeploy rollback deploy log wait' -l timeout -x -d 'wait no longer'
complete -c bmctl -n '__bmctl_verb redeploy rollback deploy gc' -l dry-run -d 'only show'
complete -c bmctl -n '__bmctl_verb redeploy rollback deploy' -l yes -d confirmed
complete -c bmctl -n '__bmctl_verb redeploy rollback deploy' -l grace -x -d 'how late it may start'
complete -c bmctl -n '__bmctl_verb redeploy rollback deploy' -l if-changed -x -a 'hold run skip' -d 'if another build went live'
complete -c bmctl -n '__bmctl_verb redeploy rollback deploy reschedule add reject restore pin unpin gc cancel release lock unlock settle reload' -l reason -x -d why
complete -c bmctl -n '__bmctl_verb build; and __bmctl_verb add' -l number -x -d 'its number'
complete -c bmctl -n '__bmctl_verb build; and __bmctl_verb add' -l signature -r -F -d 'by minisign'
complete -c bmctl -n '__bmctl_verb build; and __bmctl_verb add' -l note -x -d 'a note'
complete -c bmctl -n '__bmctl_verb list' -l release -x -d 'only of this release'
complete -c bmctl -n '__bmctl_verb history' -l stage -x -a '(__bmctl_names stage)' -d 'only this stage'
complete -c bmctl -n '__bmctl_verb history preview' -s n -l limit -x -d 'at most'
complete -c bmctl -n '__bmctl_verb history' -l since -x -d 'only since'
complete -c bmctl -n '__bmctl_verb lock' -l until -x -d 'its end'
complete -c bmctl -n '__bmctl_verb settle' -l unknown -d 'nobody knows what is live'
complete -c bmctl -n '__bmctl_verb call' -l more -d 'a stream of replies'
complete -c bmctl -n '__bmctl_verb redeploy rollback deploy reschedule' -l override-window -d 'pass closed windows'
complete -c bmctl -n '__bmctl_verb redeploy rollback deploy reschedule' -l override-freeze -x -d 'pass a freeze'
