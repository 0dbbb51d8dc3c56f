#!/bin/sh
# Limits of a stage that cannot be kept where bmd-run has no cgroup with the controllers: the job is held and says which, and what to do;
# nothing of it runs without them. That they are kept is shown by tests/system/machine.sh, whose kernel has the controllers.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"

configure
application app <<CONF
    stages = {"testing", "production"}
    stage "testing" { plan = "one" }
    stage "production" { plan = "one"  memory-max = "64MiB"  tasks-max = 50 }
CONF
plan one <<CONF
    step "note" { run = 'echo \$BM_JOB >>$HOME_DIR/notes' }
CONF
own=$(sed -n 's/^0:://p' /proc/self/cgroup)
for mount in /sys/fs/cgroup /sys/fs/cgroup/unified; do
    if grep -qw memory "$mount$own/cgroup.controllers" 2>/dev/null && [ -w "$mount$own/cgroup.procs" ]; then
        SKIP "the limits might be kept here: make check-machine shows that they are"
    fi
done
bmd_start
expect 0 bmctl build add app 1.0
expect 0 bmctl deploy app 1.0/1 --to testing --now --wait
expect 8 bmctl deploy app 1.0/1 --to production --now --wait
id=$(bmctl --json queue app | jq '.jobs[0].id')
is state held "$(job "$id" state)"
case $(job "$id" waits_for.text) in
*"memory-max of the stage cannot be kept here: "*"take it away, or run bmd with launcher = \"systemd\""*"bmctl release $id"*) ;;
*) FAIL "the reason: $(job "$id" waits_for.text)" ;;
esac
is "what ran" 1 "$(wc -l <"$HOME_DIR/notes")"
# Without them it goes.
sed -i 's/ memory-max.*/ }/' "$HOME_DIR/etc/applications.d/app.conf"
expect 0 bmctl reload
expect 0 bmctl release "$id"
expect 0 bmctl wait "$id"
is "what ran" 2 "$(wc -l <"$HOME_DIR/notes")"
OK "limits that cannot be kept"
bmd_stop
