#!/bin/sh
# The main story under valgrind: builds of a folder, a tar, a tar.gz, a tar.xz and a zip, deployments, a rollback, notices, a cancel, a reload, a
# backup, gc, a bridge, a restart while a run goes on, one after a kill, a stop. bmd, bmd-run, bmd-import, its reader of archives and bmctl
# make no error, lose no memory, and have closed all that they opened when they end.
# valgrind cannot live in the reader's cage, which takes the reader's system calls away: here it reads without (uncaged.c), and the test says so.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"
for program in valgrind zip socat jq; do command -v $program >/dev/null || SKIP "no $program"; done
case $(grep -c fsanitize "$top_builddir/config.status" 2>/dev/null) in
0) ;;
*) SKIP "not together with sanitizers" ;;
esac

FOUND=$HOME_DIR/found BEGAN=$HOME_DIR/began
mkdir "$FOUND" "$BEGAN"
chmod 1777 "$FOUND" "$BEGAN" # for who has another user by then
${CC:-cc} -D_GNU_SOURCE -shared -fPIC -o "$HOME_DIR/uncaged.so" "$top_srcdir/tests/it/uncaged.c" || exit 99
# under_valgrind PROGRAM SCRIPT: SCRIPT becomes what runs PROGRAM. A child that a program forks has a file of its own; whether descriptors are
# left open is asked of what began here.
under_valgrind() {
    cat >"$2" <<END
#!/bin/sh
: >"$BEGAN/${1##*/}.\$\$"
$(case $1 in *bmd-import*) echo "export LD_PRELOAD=$HOME_DIR/uncaged.so" ;; esac)
exec valgrind -q --leak-check=full --show-leak-kinds=definite,indirect,possible --errors-for-leak-kinds=definite,indirect,possible \\
    --track-fds=yes --log-file="$FOUND/${1##*/}.%p" "$1" "\$@"
END
    chmod 755 "$2"
}
for program in daemon/bmd runner/bmd-run import/bmd-import ctl/bmctl; do
    mkdir -p "$HOME_DIR/tree/${program%/*}" "$HOME_DIR/real/${program%/*}" "$HOME_DIR/helper"
    # bmd finds its helpers beside itself.
    case $program in
    runner/* | import/*)
        cp "$top_builddir/$program" "$HOME_DIR/helper/"
        under_valgrind "$HOME_DIR/helper/${program##*/}" "$HOME_DIR/real/$program"
        ;;
    *)
        cp "$top_builddir/$program" "$HOME_DIR/real/$program"
        under_valgrind "$HOME_DIR/real/$program" "$HOME_DIR/tree/$program"
        ;;
    esac
done
# The far end of `bmctl -H`: ssh without a network.
cat >"$HOME_DIR/tree/ctl/ssh" <<'END'
#!/bin/sh
for command; do :; done
exec sh -c "$command"
END
chmod 755 "$HOME_DIR/tree/ctl/ssh"
PATH=$HOME_DIR/tree/ctl:$HOME_DIR/tree/daemon:$PATH

# Who asked to be told: each notice is a line.
cat >"$HOME_DIR/receive" <<END
#!/bin/sh
cat >/dev/null
echo "\$BM_EVENT \$BM_JOB" >>"$HOME_DIR/told"
END
chmod 755 "$HOME_DIR/receive"
: >"$HOME_DIR/told"
told() { grep -qx "$1" "$HOME_DIR/told"; }
configure "notify \"all\" { exec = {\"$HOME_DIR/receive\"}  on = {\"succeeded\", \"failed\"} }"
shop() { # shop [LINE]: the application, with a line more
    application shop <<CONF
    stages = {"testing", "production"}
    variables = {"DIR=$HOME_DIR"}
    ${1:-}
    stage "testing" { plan = "web"  variables = {"ROOT=$HOME_DIR/testing"}  on-failure = "continue" }
    stage "production" { plan = "web"  variables = {"ROOT=$HOME_DIR/production"} }
CONF
}
shop
plan web <<'CONF'
    step "files" { deploy = "site"  to = '$ROOT'  shared = {"log"} }
    step "say"   { run = 'echo "$BM_MODE from $BM_FROM_RELEASE to $BM_RELEASE"; seq 1000; cat "$BM_ARTIFACTS/site/version"'  artifacts = {"site"} }
    step "gate"  { run = 'while [ -e "$DIR/gate" ]; do sleep 0.1; done'  timeout = "2min" }
    step "check" { exec = {"grep", '$BM_RELEASE', 'current/version'}  directory = '$ROOT' }
CONF
site=$HOME_DIR/site
mkdir -p "$site/sub"
echo "some" >"$site/sub/file"
ln -s sub/file "$site/link"
start_run() { # start_run BUILD STAGE: one that waits at the gate; its id is $id
    touch "$HOME_DIR/gate"
    id=$(bmctl --json deploy shop "$1" --to "$2" --now --no-follow | jq .job.id)
    retry in_state "$id" running || FAIL "it does not run"
}

bmd_start
for release in 1.0 1.1; do
    echo "$release" >"$site/version"
    expect 0 bmctl build add shop "$release" "site=$site"
    expect 0 bmctl deploy shop "$release/1" --to production --now --wait
done
expect 0 bmctl redeploy --now --wait --reason "it was better before"
is "live" 1.0/1 "$(live shop production)"
expect 0 bmctl log 3
prints 'rollback from 1.1 to 1.0'
retry told "succeeded 3" || FAIL "nobody was told: $(cat "$HOME_DIR/told")"
OK "the main job, and who asked was told"

# Archives, which the reader reads, and two that it refuses.
echo 1.2 >"$site/version"
(cd "$site" && tar cf "$HOME_DIR/a.tar" . && tar czf "$HOME_DIR/a.tar.gz" . && tar cJf "$HOME_DIR/a.tar.xz" . && zip -qry "$HOME_DIR/a.zip" .) || exit 99
for kind in tar tar.gz tar.xz zip; do
    expect 0 bmctl build add shop 1.2 "site=$HOME_DIR/a.$kind"
done
is "trees in four archives" 1 "$(bmctl --json build list shop --release 1.2 | jq -r '.builds[].artifacts[0].digest' | sort -u | wc -l)"
head -c 100 "$HOME_DIR/a.tar.gz" >"$HOME_DIR/cut.tar.gz"
head -c 300 "$HOME_DIR/a.zip" >"$HOME_DIR/cut.zip"
for kind in tar.gz zip; do
    expect 1 bmctl build add shop 1.3 "site=$HOME_DIR/cut.$kind"
done
expect 0 bmctl deploy shop 1.2/4 --to testing --now --wait
OK "tar, tar.gz, tar.xz and zip, read outside of the cage, in which valgrind cannot live"

expect 0 bmctl deploy shop 1.1/1 --to testing --at +2h --no-follow --json
timed=$(jq .job.id "$HOME_DIR/out")
expect 0 bmctl queue
expect 0 bmctl reschedule "$timed" --at +3h
expect 0 bmctl cancel "$timed"
expect 6 bmctl wait "$timed"
for verb in "status" "history shop" "show 3" "build list shop" "build show shop 1.0/1" "build manifest shop 1.0/1" "build verify shop" \
    "diff shop 1.0/1 1.1/1" "redeploy shop 1.1/1 --dry-run" "check" "audit" "audit verify" "at 02:00" "notify list" "metrics" \
    "build reject shop 1.2/2 --reason bad" "build restore shop 1.2/2" "lock shop testing --reason quiet" "unlock shop testing" \
    "schedule add shop live --to testing --on 03:00" "schedule list"; do
    expect 0 bmctl $verb
done
expect 3 bmctl status shup
expect 2 bmctl deploy shop
expect 0 bmctl -H deploy@far status
expect 0 bmctl -H deploy@far build add shop 1.4 "site=$site"
OK "other verbs, and over a bridge"

expect 0 bmctl backup
[ -d "$HOME_DIR/state/backup" ] || FAIL "no backup"
shop 'keep-builds = 1'
expect 0 bmctl reload
expect 0 bmctl gc --dry-run
expect 0 bmctl gc
OK "a backup, a reload and gc"

# A run that is cancelled, one over which bmd is started again, and one over which it is killed.
start_run 1.2/4 testing
expect 0 bmctl cancel "$id"
rm "$HOME_DIR/gate" # signals by pidfd are nothing that valgrind knows: the step has to end by itself
expect 6 bmctl wait "$id"
start_run 1.2/4 production
echo '# another file' >>"$HOME_DIR/etc/plans.d/web.conf"
expect 0 bmctl reload
bmd_stop
bmd_start
rm "$HOME_DIR/gate"
expect 0 bmctl wait "$id"
start_run 1.0/1 production
bmd_kill
rm "$HOME_DIR/gate"
bmd_start
expect 0 bmctl wait "$id"
is "live after a crash" 1.0/1 "$(live shop production)"
retry told "succeeded $id" || FAIL "nobody was told of job $id"
bmd_stop
OK "cancelled; adopted after a stop, recovered after a kill"

# A file that says nothing found nothing. Descriptors may be open that were inherited, and in a child that became no other program; nor does
# such a child give back what was its parent's, of which SQLite knows the pages of its cache by addresses inside of them: "possibly lost".
bad=0
for found in "$FOUND"/*; do
    awk -v name="${found##*/}" -v forked="$([ -e "$BEGAN/${found##*/}" ] || echo yes)" '
        function tell() { if (block != "" && !inherited && forked == "") { printf "%s: %s\n", name, block; bad = 1 } block = ""; inherited = 0 }
        /^--[0-9]+--/ { next } # what valgrind says of itself: it does not know pidfd_open(2)
        { sub(/^==[0-9]+== ?/, "") }
        /^Open .*descriptor|^Open AF_/ { tell(); block = $0; next }
        /<inherited from parent>/ { inherited = 1; next }
        /^FILE DESCRIPTORS|^$/ { next }
        forked != "" && / are possibly lost in / { tell(); inside = 1; next }
        inside && /^   (at|by) / { next }
        { inside = 0 }
        block != "" && /^   (at|by) / { block = block "\n" $0; next }
        { tell(); printf "%s: %s\n", name, $0; bad = 1 }
        END { tell(); exit bad }' "$found" || bad=1
done
for program in bmd bmd-run bmd-import bmctl; do
    ls "$BEGAN" | grep -q "^$program\.[0-9]" || FAIL "$program was not looked at"
done
[ $bad = 0 ] || FAIL "valgrind found something"
OK "no error, no leak, no descriptor in $(ls "$FOUND" | wc -l) processes, $(ls "$BEGAN" | wc -l) of them programs of their own"
