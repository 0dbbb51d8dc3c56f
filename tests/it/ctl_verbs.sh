# Every verb of bmctl against a real bmd: what it prints, its exit code, and the keys of its objects.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"

application shop <<CONF
    stages = {"testing", "production"}
    stage "testing" { plan = "web"  variables = {"ROOT=$HOME_DIR/srv/testing"} }
    stage "production" {
        plan = "web"
        variables = {"ROOT=$HOME_DIR/srv/production"}
        open = {"COLOR"}
    }
CONF
application till <<CONF
    stages = {"production"}
    stage "production" { plan = "till"  require-reason = true  confirm = true }
CONF
plan web <<'CONF'
    step "files" { deploy = "site"  to = '$ROOT' }
    step "migrate" { run = 'echo migrated; echo careful >&2'  skip-on = {"rollback"}  irreversible = true }
    step "check" { run = 'test ! -e "$ROOT/current/broken" || exit 3' }
CONF
plan till <<'CONF'
    step "go" { run = 'echo begun; while [ -e "$HOLD" ]; do sleep 0.05; done'  environment = {"HOLD=/nonexistent"} }
CONF
mkdir -p "$HOME_DIR/srv/testing" "$HOME_DIR/srv/production" "$HOME_DIR/site"

# Nothing is there yet.
bmd_start
expect 0 bmctl
prints 'shop'
expect 0 bmctl queue
prints 'no job waits or runs'
expect 0 bmctl history
expect 0 bmctl build list shop
prints 'bmctl build add shop'
expect 3 bmctl redeploy shop --now
expect 3 bmctl status shpo
says 'shop'
expect 3 bmctl build list nothing
expect 3 bmctl show 1
expect 3 bmctl wait 1
expect 2 bmctl redeploy --now
says 'till'
expect 0 bmctl check
prints "$BMD_CONF is right"

# build add: the only artifact that the plans use is its name; standard output is exactly the build.
echo one >"$HOME_DIR/site/index.html"
expect 0 bmctl build add shop 1.0.1 "$HOME_DIR/site" --note 'the first'
is "standard output" 'shop 1.0.1/1' "$(cat "$HOME_DIR/out")"
is "artifact" site "$(bmctl --json build show shop 1.0.1 | jq -r '.build.artifacts[0].name')"
echo two >"$HOME_DIR/site/index.html"
expect 0 bmctl build add shop 1.0.2 site="$HOME_DIR/site" --number 3
is "standard output" 'shop 1.0.2/3' "$(cat "$HOME_DIR/out")"
expect 0 bmctl build add shop 1.0.2 site="$HOME_DIR/site" --number 3
is "the same again" 'shop 1.0.2/3' "$(cat "$HOME_DIR/out")"
echo other >"$HOME_DIR/site/index.html"
expect 8 bmctl build add shop 1.0.2 site="$HOME_DIR/site" --number 3
touch "$HOME_DIR/site/broken"
tar -C "$HOME_DIR/site" -czf "$HOME_DIR/site.tar.gz" .
expect 0 bmctl build add shop 1.0.3 "$HOME_DIR/site.tar.gz"
is "standard output" 'shop 1.0.3/1' "$(cat "$HOME_DIR/out")"
expect 0 bmctl build add till 1 tool="$HOME_DIR/site/index.html"
says 'tool'
expect 0 bmctl --json build add till 2
is "keys" true "$(jq '.build | has("application") and has("variables") and .build == 1' "$HOME_DIR/out")"
expect 3 bmctl build add nothing 1.0 "$HOME_DIR/site"
# A build that would set what no build may is refused; one that sets what a stage does not open cannot go there.
expect 8 bmctl build add shop 7 --var PATH=/tmp "$HOME_DIR/site"
says 'may not set the variable PATH'
expect 0 bmctl build add shop 7 --var ROOT=/tmp "$HOME_DIR/site"
says 'stage production does not let a build set ROOT'
expect 8 bmctl deploy shop 7 --to production --now
says 'open = {"ROOT"}'
expect 0 bmctl build reject shop 7 --reason 'of no use'
# What is refused leaves no build behind.
mkdir "$HOME_DIR/odd"
mkfifo "$HOME_DIR/odd/pipe"
expect 1 bmctl build add shop 9 "$HOME_DIR/odd/"
says "bmctl: $HOME_DIR/odd/pipe: "
head -c 1000 /dev/urandom >"$HOME_DIR/bad.tar"
expect 1 bmctl build add shop 9 site="$HOME_DIR/bad.tar"
says 'bad.tar'
is "standard output" '' "$(cat "$HOME_DIR/out")"
expect 2 bmctl build add shop 9 a="$HOME_DIR/site" a="$HOME_DIR/site"
expect 2 bmctl build add shop 9 Site="$HOME_DIR/site"
says "'Site' is no name of an artifact"
expect 1 bmctl build add shop 9 /dev/null
is "what is said" 'bmctl: /dev/null is neither a folder nor a plain file' "$(cat "$HOME_DIR/err")"
expect 2 bmctl build add Shop 1.0
says "'Shop' is no name of an application: lower-case letters"
expect 2 bmctl lock shop production --reason ' '
says '(--reason TEXT)'
# Words in another order, and what was forgotten in them.
expect 0 bmctl build list shop --release 9
prints 'no builds of 9: bmctl build list shop'
expect 3 bmctl deploy 1.0.1/1 shop --to testing --now
is "what is said" 'bmctl: there is no application 1.0.1/1: a build stands behind its application, such as shop 1.0.1/1' "$(cat "$HOME_DIR/err")"
expect 8 bmctl redeploy shop 1.0.1 --now
is "what is said" 'bmctl: shop 1.0.1 has never succeeded on production: use bmctl deploy shop 1.0.1 --to production' "$(cat "$HOME_DIR/err")"
# A path that is not there is named with what to write, also where it was looked for.
cd "$HOME_DIR" || exit 99
for word in site=nope nope; do
    expect 2 bmctl build add shop 9 $word
    is "what is said" "bmctl: there is no nope in $HOME_DIR: a path is a folder, an archive or a file, as PATH or NAME=PATH" "$(cat "$HOME_DIR/err")"
done
expect 2 bmctl build add shop 9 "$HOME_DIR/site/index.html/deeper"
says "there is no $HOME_DIR/site/index.html/deeper: a path is a folder"
ln -s nope dangling
expect 2 bmctl build add shop 9 site=dangling
says 'dangling is a link that points to nothing: a path is a folder'
for word in site= ''; do
    expect 2 bmctl build add shop 9 "$word"
    says 'an empty word is no path: a path is a folder'
done
expect 2 bmctl build add shop 9 site=site --signature nope
says "there is no nope in $HOME_DIR: --signature takes the file that minisign made"
expect 2 bmctl build repair shop 1.0.2/3 nope
says "there is no nope in $HOME_DIR: a path is a folder"
expect 2 bmctl adopt shop production --current nope
says "there is no nope in $HOME_DIR: --current names the link"
cd / || exit 99
expect 3 bmctl build show shop 9
OK "build add"

# deploy and redeploy, waited for.
expect 0 bmctl deploy shop 1.0.1 --to production --now --wait
prints 'job 1: deploy shop 1.0.1/1 to production'
grep -q '^job 1 succeeded in .*: shop 1.0.1/1 is live on production$' "$HOME_DIR/out" || { cat "$HOME_DIR/out"; FAIL "no result"; }
expect 0 bmctl deploy shop 1.0.2/3 --to production --now --follow --reason 'a feature'
prints 'replacing 1.0.1/1 (live '
prints 'afterwards, undo: bmctl redeploy shop 1.0.1/1 --to production --now'
grep -q '^[0-2][0-9]:[0-5][0-9]:[0-5][0-9] migrate | migrated$' "$HOME_DIR/out" || { cat "$HOME_DIR/out"; FAIL "no log"; }
grep -q 'migrate ! careful$' "$HOME_DIR/out" || FAIL "standard error is not marked"
expect 1 bmctl deploy shop 1.0.3 --to production --now --wait
prints 'job 3 failed at step check: exited with 3 (bmctl log 3; production is dirty: bmctl redeploy shop --to production --now mends it)'
expect 0 bmctl
prints 'dirty shop production'
is "default" 1.0.2/3 "$(bmctl --json status shop | jq -r '.stages[1].previous_good | "\(.release)/\(.build)"')"
expect 0 bmctl redeploy shop --dry-run
prints 'rollback of shop production: from 1.0.3/1 to 1.0.2/3'
prints '  skip migrate'
prints 'not undone: migrate of 1.0.3/1'
expect 0 bmctl redeploy shop --now --wait --json
is "reply" 'succeeded rollback' "$(jq -r '.job | .state + " " + .mode' "$HOME_DIR/out")"
is "lines" 1 "$(wc -l <"$HOME_DIR/out")"
expect 0 bmctl rollback shop 1.0.1/1 --now
prints 'migrate of 1.0.2/3'
prints 'accepted, not awaited: bmctl wait 5'
expect 0 bmctl wait 5 4
expect 1 bmctl wait 3 4
expect 3 bmctl wait 999 3
expect 8 bmctl redeploy shop 1.0.3/1 --now
# Where each build is live, and where it was.
expect 0 bmctl build list shop
grep -Eq '^1\.0\.2/3 +active +- +production ' "$HOME_DIR/out" || { cat "$HOME_DIR/out"; FAIL "nobody says where 1.0.2/3 was"; }
grep -Eq '^1\.0\.1/1 +active +production +- ' "$HOME_DIR/out" || { cat "$HOME_DIR/out"; FAIL "nobody says where 1.0.1/1 is"; }
is "been on" '[["production"],[]]' \
    "$(bmctl --json build list shop | jq -c '[.builds[] | select(.release == "1.0.2" or .release == "1.0.3").been_on] | sort | reverse')"
# A release where an application would stand.
expect 3 bmctl redeploy 1.0.2 --now
says 'such as 1.0.2/1'
OK "deploy and redeploy"

# Times, and waiting jobs.
expect 0 bmctl redeploy shop 1.0.2/3 --at 'tomorrow 03:00'
prints '03:00:00+0'
prints ' Europe/Berlin (in '
prints 'undo: bmctl cancel 6'
expect 0 bmctl queue
prints 'scheduled'
expect 0 bmctl --json queue shop
is "keys" 'time 6' "$(jq -r '.jobs[0] | .waits_for.kind + " \(.id)"' "$HOME_DIR/out")"
expect 7 bmctl wait 6 --timeout 100ms
expect 0 bmctl log 6
is "output" '' "$(cat "$HOME_DIR/out")"
says 'job 6 is scheduled and has no output yet'
due=$(bmctl --json show 6 | jq -r .job.due)
expect 0 bmctl reschedule 6 --at 'tomorrow 04:00'
prints '04:00:00+0'
# What is printed as the way back is one.
undo=$(sed -n 's/^undo: //p' "$HOME_DIR/out")
expect 0 sh -c "$undo"
is "due again" "$due" "$(bmctl --json show 6 | jq -r .job.due)"
expect 7 bmctl --json wait 6 --timeout 10ms
is "the job as it is" scheduled "$(jq -r .job.state "$HOME_DIR/out")"
expect 0 bmctl show 6
prints 'waits for'
expect 0 bmctl cancel 6
prints 'job 6 is cancelled'
expect 0 bmctl cancel 6
expect 6 bmctl wait 6
expect 2 bmctl redeploy shop 1.0.2/3 --at '2001-01-01 00:00'
expect 8 bmctl redeploy shop 1.0.2/3 --at '+40d Asia/Tokyo'
says '+09:00 Asia/Tokyo (in 40 d) is further ahead than the horizon of 30 d'
OK "times"

# Locks, rejections, settling.
expect 0 bmctl lock shop production --reason 'inventory'
prints 'undo: bmctl unlock shop production'
expect 8 bmctl redeploy shop 1.0.2/3 --now
expect 0 bmctl
prints 'locked shop production'
expect 0 bmctl unlock shop production
expect 0 bmctl lock shop production --reason 'inventory' --until +1h
prints 'is locked until '
# The end of a lock can be typed back, and is late enough.
expect 8 bmctl redeploy shop 1.0.2/3 --now
until=$(sed -n 's/.*, until \(.*\) (in .*/\1/p' "$HOME_DIR/err")
expect 0 bmctl --json redeploy shop 1.0.2/3 --at "$until"
expect 0 bmctl cancel "$(jq .job.id "$HOME_DIR/out")"
expect 0 bmctl unlock shop production --reason 'done'
expect 0 bmctl build reject shop 1.0.2/3 --reason 'loses orders'
expect 8 bmctl redeploy shop 1.0.2/3 --now
says 'loses orders'
expect 0 bmctl build list shop --release 1.0.2
prints 'rejected'
expect 0 bmctl build restore shop 1.0.2/3
expect 0 bmctl settle shop production 1.0.2/3 --reason 'looked at it'
prints '1.0.2/3 is live'
expect 0 bmctl settle shop production --unknown --reason 'who knows'
is "dirty" true "$(bmctl --json status shop | jq '.stages[1].dirty != null')"
expect 0 bmctl redeploy shop 1.0.2/3 --now --wait
OK "stages and builds"

# What a stage asks for is refused without a terminal, with the command to repeat.
expect 8 bmctl deploy till 1 --to production --now
says 'repeat: bmctl deploy till 1 --to production --now --'
expect 8 bmctl deploy till 1 --to production --now --reason 'opening'
says '--yes'
expect 8 bmctl deploy till 1 --to production --now --reason '  ' --yes
says 'asks for a reason'
expect 0 bmctl deploy till 1 --to production --now --reason 'opening' --yes --wait
OK "reason and confirmation"

# Looking.
expect 0 bmctl show 3
prints 'exited with 3'
prints 'migrate'
is "keys of show" true "$(bmctl --json show 3 | jq '.job | has("lateness_us") and .failed_step == "check" and (.steps | length) == 3')"
expect 0 bmctl history shop --stage production -n 2
is "lines" 3 "$(wc -l <"$HOME_DIR/out")"
expect 3 bmctl history --stage prodution
says 'no application has a stage prodution'
expect 2 bmctl history -n 0
says '-n, --limit'
expect 0 bmctl history --since 1h --json
is "jobs" true "$(jq '.jobs | length > 6' "$HOME_DIR/out")"
expect 0 bmctl log 2
prints 'migrate | migrated'
expect 0 bmctl log 2 -f
prints 'migrate | migrated'
expect 0 bmctl build show shop 1.0.2
prints 'a feature'
expect 0 bmctl diff shop 1.0.2/3 1.0.3/1
prints 'added'
prints 'broken'
prints 'from 1.0.2/3 to 1.0.3/1: 1 added, 1 changed, 0 removed'
expect 0 bmctl diff shop 1.0.3/1
prints 'to 1.0.2/3'
expect 0 bmctl build verify
prints 'whole'
expect 0 bmctl build verify shop 1.0.2/3 --json
is "damaged" '[]' "$(jq -c .damaged "$HOME_DIR/out")"
expect 0 bmctl check
prints 'ready'
expect 0 bmctl call GetJob '{"job": 1}'
is "call" 1 "$(jq .job.id "$HOME_DIR/out")"
expect 0 bmctl call Wait '{"jobs": [1, 2]}' --more
is "replies" 2 "$(wc -l <"$HOME_DIR/out")"
expect 2 bmctl call GetJob '{"job": "x"}'
expect 0 bmctl version
is "lines" 2 "$(wc -l <"$HOME_DIR/out")"
# With the path of the file that bmd reads it asks bmd too; with another only the file is read.
expect 0 bmctl check "$BMD_CONF"
prints 'ready'
mkdir "$HOME_DIR/copy" && cp "$BMD_CONF" "$HOME_DIR/copy/bmd.conf"
expect 0 bmctl check "$HOME_DIR/copy/bmd.conf"
is "lines" 1 "$(wc -l <"$HOME_DIR/out")"
# An ordinary user checks root's configuration, which names users.
if [ "$(id -u)" = 0 ]; then
    expect 0 setpriv --reuid nobody --regid nogroup --clear-groups bmctl -s "$BMD_SOCKET" check "$BMD_CONF"
    prints "$BMD_CONF is right"
fi
expect 0 bmctl reload
prints '2 applications, 2 plans'
echo 'plan "broken" {' >"$HOME_DIR/etc/plans.d/broken.conf"
expect 1 bmctl reload
says 'broken.conf:'
is "said once" 1 "$(grep -c 'broken.conf:' "$HOME_DIR/err")"
expect 1 bmctl check
prints 'broken.conf:'
rm "$HOME_DIR/etc/plans.d/broken.conf"
OK "looking"

# A held job says once what to do.
expect 0 bmctl redeploy shop 1.0.1/1 --at +1h
held=$(sed -n 's/^job \([0-9]*\):.*/\1/p' "$HOME_DIR/out")
expect 0 bmctl settle shop production 1.0.1/1 --reason 'another one'
expect 0 bmctl reschedule "$held" --now
expect 8 bmctl wait "$held"
is "next steps" 1 "$(grep -o "bmctl release $held" "$HOME_DIR/out" | wc -l)"
expect 0 bmctl
is "lines of it" 1 "$(grep -c "job $held is held" "$HOME_DIR/out")"
prints "needs you: shop production: job $held is held: 1.0.1/1 went live"
expect 0 bmctl cancel "$held"
OK "held"

# Ctrl-C lets go of a running job, and the job goes on; cancel ends it.
sed -i "s|/nonexistent|$HOME_DIR/hold|" "$HOME_DIR/etc/plans.d/till.conf"
touch "$HOME_DIR/hold"
expect 0 bmctl reload
bmctl deploy till 2 --to production --now --reason x --yes --follow >"$HOME_DIR/out" 2>"$HOME_DIR/err" &
following=$!
running() { [ "$(bmctl --json status till | jq '.stages[0].running')" != null ]; }
retry running || FAIL "the job does not run"
retry grep -q begun "$HOME_DIR/out" || FAIL "the log is not followed"
kill -INT $following
wait $following
is "exit code of Ctrl-C" 130 $?
says 'detached: job '
running || FAIL "the job does not go on"
id=$(bmctl --json status till | jq '.stages[0].running')
expect 0 bmctl cancel "$id" --reason 'enough'
expect 6 bmctl wait "$id"
prints "job $id was cancelled by $(id -un): enough"
expect 0 bmctl show "$id"
prints 'enough'
OK "Ctrl-C and cancel"

# Who waits or follows does not notice that bmd is killed and started again.
touch "$HOME_DIR/hold"
bmctl redeploy till 1 --now --reason x --yes --wait >"$HOME_DIR/waited" 2>&1 &
waiting=$!
retry running || FAIL "the job does not run"
id=$(bmctl --json status till | jq '.stages[0].running')
bmctl log -f "$id" >"$HOME_DIR/followed" 2>&1 &
following=$!
retry grep -q begun "$HOME_DIR/followed" || FAIL "the log is not followed"
bmd_kill
bmd_start
rm "$HOME_DIR/hold"
wait $waiting
is "exit code of --wait" 0 $?
grep -q "^job $id succeeded" "$HOME_DIR/waited" || { cat "$HOME_DIR/waited"; FAIL "no result"; }
wait $following
is "exit code of log -f" 0 $?
grep -q "job $id succeeded" "$HOME_DIR/followed" || { cat "$HOME_DIR/followed"; FAIL "no result in the log"; }
OK "bmd is killed meanwhile"
bmd_stop
exit 0
