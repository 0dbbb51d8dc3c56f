#!/bin/sh
# The main story under valgrind: builds with their files, deployments, a rollback, a log, a cancel, a reload, a restart while a run goes on, a stop.
# bmd, bmd-run, bmd-import and bmctl make no error, lose no memory, and have closed all that they opened when they end.
# Archives are not part of it: in the cage that they are read in, valgrind may not live either.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"
command -v valgrind >/dev/null || SKIP "no valgrind"
case $(grep -c fsanitize "$top_builddir/config.status" 2>/dev/null) in
0) ;;
*) SKIP "not together with sanitizers" ;;
esac

mkdir "$HOME_DIR/found"
# Steps are programs of their own, and what a child does between fork and exec ends with it.
for program in daemon/bmd runner/bmd-run import/bmd-import ctl/bmctl; do
    mkdir -p "$HOME_DIR/tree/${program%/*}" "$HOME_DIR/real/${program%/*}"
    cp "$top_builddir/$program" "$HOME_DIR/real/$program"
    cat >"$HOME_DIR/tree/$program" <<SH
#!/bin/sh
exec valgrind -q --leak-check=full --show-leak-kinds=definite,indirect,possible --errors-for-leak-kinds=definite,indirect,possible \\
    --track-fds=yes --child-silent-after-fork=yes --log-file="$HOME_DIR/found/${program##*/}.%p" "$HOME_DIR/real/$program" "\$@"
SH
    chmod 755 "$HOME_DIR/tree/$program"
    # bmd finds its helpers beside itself.
    case $program in
    runner/* | import/*)
        mv "$HOME_DIR/real/$program" "$HOME_DIR/real/$program.real"
        sed "s|real/$program|real/$program.real|" "$HOME_DIR/tree/$program" >"$HOME_DIR/real/$program"
        chmod 755 "$HOME_DIR/real/$program"
        ;;
    esac
done
PATH=$HOME_DIR/tree/ctl:$HOME_DIR/tree/daemon:$PATH

application shop <<CONF
    stages = {"testing", "production"}
    variables = {"DIR=$HOME_DIR"}
    stage "testing" { plan = "web"  variables = {"ROOT=$HOME_DIR/testing"}  on-failure = "continue" }
    stage "production" { plan = "web"  variables = {"ROOT=$HOME_DIR/production"} }
CONF
plan web <<'CONF'
    step "files" { deploy = "site"  to = '$ROOT'  shared = {"log"} }
    step "say"   { run = 'echo "$BM_MODE from $BM_FROM_RELEASE to $BM_RELEASE"; seq 1000' }
    step "gate"  { run = 'while [ -e "$DIR/gate" ]; do sleep 0.1; done'  timeout = "2min" }
    step "check" { exec = {"grep", '$BM_RELEASE', 'current/version'}  directory = '$ROOT' }
CONF
site=$HOME_DIR/site
mkdir -p "$site/sub"
echo "some" >"$site/sub/file"
ln -s sub/file "$site/link"

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
expect 0 bmctl deploy shop 1.1/1 --to testing --at +2h --no-follow
expect 0 bmctl queue
expect 0 bmctl cancel 4
expect 6 bmctl wait 4
for verb in "status" "history shop" "show 3" "build list shop" "build show shop 1.0/1" "build verify shop" "diff shop 1.0/1 1.1/1" \
    "redeploy shop 1.1/1 --dry-run" "check" "audit" "audit verify" "at 02:00"; do
    expect 0 bmctl $verb
done
expect 3 bmctl status shup
expect 2 bmctl deploy shop
# A run that is cancelled, and one over which bmd is started again.
touch "$HOME_DIR/gate"
id=$(bmctl --json deploy shop 1.1/1 --to testing --now --no-follow | jq .job.id)
retry in_state "$id" running || FAIL "it does not run"
expect 0 bmctl cancel "$id"
rm "$HOME_DIR/gate" # signals by pidfd are nothing that valgrind knows: the step has to end by itself
expect 6 bmctl wait "$id"
touch "$HOME_DIR/gate"
id=$(bmctl --json deploy shop 1.1/1 --to production --now --no-follow | jq .job.id)
retry in_state "$id" running || FAIL "it does not run"
echo '# another file' >>"$HOME_DIR/etc/plans.d/web.conf"
expect 0 bmctl reload
bmd_stop
bmd_start
rm "$HOME_DIR/gate"
expect 0 bmctl wait "$id"
bmd_stop

# A file that says nothing found nothing; a descriptor may be open if it was inherited.
bad=0
for found in "$HOME_DIR"/found/*; do
    awk -v name="${found##*/}" '
        function tell() { if (block != "" && !inherited) { printf "%s: %s\n", name, block; bad = 1 } block = ""; inherited = 0 }
        /^--[0-9]+--/ { next } # what valgrind says of itself: it does not know pidfd_open(2)
        { sub(/^==[0-9]+== ?/, "") }
        /^Open .*descriptor|^Open AF_/ { tell(); block = $0; next }
        /<inherited from parent>/ { inherited = 1; next }
        /^FILE DESCRIPTORS|^$/ { next }
        block != "" && /^   (at|by) / { block = block "\n" $0; next }
        { tell(); printf "%s: %s\n", name, $0; bad = 1 }
        END { tell(); exit bad }' "$found" || bad=1
done
for program in bmd bmd-run bmd-import bmctl; do
    ls "$HOME_DIR/found" | grep -q "^$program\.[0-9]" || FAIL "$program was not looked at"
done
[ $bad = 0 ] || FAIL "valgrind found something"
OK "no error, no leak, no descriptor in $(ls "$HOME_DIR/found" | wc -l) processes"
