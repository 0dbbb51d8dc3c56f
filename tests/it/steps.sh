#!/bin/sh
# Every option of a step does what section 4 of the contract says: the environment and where it comes from, $NAMEs,
# users, directory, attempts, delay, timeout, modes, ignore-failure, artifacts, shells.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"

ME=$(id -un)
OTHER=$ME
[ "$(id -u)" != 0 ] || OTHER=nobody
SECRET=leaked LD_LIBRARY_PATH=/nowhere LC_ALL=C BM_JOB=9999
export SECRET LD_LIBRARY_PATH LC_ALL BM_JOB
out=$HOME_DIR/out.d
mkdir -m 1777 "$out"
configure 'variables = {"A=daemon", "B=daemon", "C=daemon", "D=daemon", "E=daemon"}'
application app <<CONF
    stages = {"testing", "production"}
    variables = {"B=application", "C=application", "D=application", "E=application"}
    stage "testing" { plan = "trivial" }
    stage "production" {
        plan = "one"
        user = "$OTHER"
        variables = {"C=stage", "D=stage", "E=stage", "OUT=$out", "SPACED=a  b;\$(touch $out/pasted)", "EMPTY="}
        open = {"D", "E"}
    }
CONF
plan trivial <<'CONF'
    step "nothing" { exec = {"true"} }
CONF
plan one <<CONF
    user = "$ME"
    step "env"     { run = 'tr "\\\\0" "\\\\n" </proc/\$\$/environ | sort >"\$OUT/env"' }
    step "exec"    { exec = {"sh", "-c", 'for a; do echo "<\$\$a>"; done >"\$\$OUT/args"', "sh", '\$SPACED', '\${A}x\$B', '\$\$A', '\$EMPTY', "plain"} }
    step "run"     { run = 'printf "%s|%s\\n" "\$SPACED" "\$\$" >"\$OUT/run"; pwd >>"\$OUT/run"' }
    step "where"   { run = 'pwd >"\$OUT/where"; id -un >>"\$OUT/where"'  directory = '\$OUT' }
    step "eu"      { run = 'false; touch "\$OUT/e"'  ignore-failure = true }
    step "unset"   { run = 'echo \$NOT_SET; touch "\$OUT/u"'  ignore-failure = true }
    step "tries"   { run = 'date +%s%N >>"\$OUT/tries"; test \$(wc -l <"\$OUT/tries") -ge 3'  attempts = 5  delay = "1s" }
    step "late"    { run = 'touch "\$OUT/late"; sleep 60 & sleep 60'  timeout = "1s"  attempts = 1  ignore-failure = true }
    step "other"   { run = 'id -un >"\$OUT/other"; id -Gn >>"\$OUT/other"; echo "\$HOME \$USER \$LOGNAME" >>"\$OUT/other"; ls /proc/self/fd >>"\$OUT/other"'  user = "$OTHER" }
    step "own"     { run = 'echo "\$OWN \$C \$PATH" >"\$OUT/own"'  environment = {"OWN=yes", "C=step", "PATH=$HOME_DIR/bin:/bin:/usr/bin", "HOME=/tmp"} }
    step "tool"    { exec = {"tool", '\$HOME'}  environment = {"PATH=$HOME_DIR/bin:/bin", "HOME=/tmp"} }
    step "beside"  { exec = {"./tool", "beside"}  directory = '$HOME_DIR/bin' }
    step "none"    { run = 'echo "\${OWN-none} \$C" >"\$OUT/none"' }
    step "files"   { run = 'cat "\$BM_ARTIFACTS/data/a/b" "\$BM_ARTIFACTS/page/index.html" >"\$OUT/artifacts"; ls "\$BM_ARTIFACTS" >>"\$OUT/artifacts"; echo x >>"\$BM_ARTIFACTS/data/a/b"'  artifacts = {"data", "page"}  user = "$OTHER" }
    step "again"   { run = 'cat "\$BM_ARTIFACTS/data/a/b" >>"\$OUT/artifacts"; ls "\$BM_ARTIFACTS" >>"\$OUT/artifacts"'  artifacts = {"data"}  user = "$OTHER" }
    step "only"    { run = 'echo only >>"\$OUT/modes"'  only-on = {"rollback", "redeploy"} }
    step "skip"    { run = 'echo skip >>"\$OUT/modes"'  skip-on = {"rollback"} }
CONF
mkdir "$HOME_DIR/bin"
printf '#!/bin/sh\necho "$1" >>"$OUT/tool"\n' >"$HOME_DIR/bin/tool"
chmod 755 "$HOME_DIR/bin/tool"
bmd_start
mkdir -p "$HOME_DIR/data/a" "$HOME_DIR/page"
echo data >"$HOME_DIR/data/a/b"
echo page >"$HOME_DIR/page/index.html"
files="data=$HOME_DIR/data page=$HOME_DIR/page"
expect 0 bmctl build add app 1.0 --var D=build --var E=build --var MINE=build $files
expect 0 bmctl build add app 1.0 $files
expect 0 bmctl build add app 1.0 --var OUT=build $files
expect 0 bmctl deploy app 1.0/1 --to production --var E=job --var YOURS=job --reason 'why; $(not)' --now --wait

cat >"$HOME_DIR/want" <<WANT
A=daemon
B=application
BM_APPLICATION=app
BM_ARTIFACTS=$HOME_DIR/state/runs/work/1
BM_BUILD=1
BM_FROM_BUILD=
BM_FROM_RELEASE=
BM_JOB=1
BM_MODE=deploy
BM_PLAN=one
BM_REASON=why; \$(not)
BM_RELEASE=1.0
BM_REQUESTED_BY=$ME
BM_STAGE=production
BM_STEP=env
C=stage
D=build
E=job
EMPTY=
HOME=$(getent passwd "$ME" | cut -d: -f6)
LANG=C.UTF-8
LOGNAME=$ME
MINE=build
OUT=$out
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
SPACED=a  b;\$(touch $out/pasted)
USER=$ME
YOURS=job
WANT
diff -u "$HOME_DIR/want" "$out/env" || FAIL "another environment"
OK "the environment: exactly what is listed"

printf '%s\n' "<a  b;\$(touch $out/pasted)>" '<daemonxapplication>' '<$A>' '<>' '<plain>' >"$HOME_DIR/want"
diff -u "$HOME_DIR/want" "$out/args" || FAIL "other arguments"
head -1 "$out/run" | grep -q '^a  b;$(touch .*)|[0-9]*$' || FAIL "run is not the shell's: $(cat "$out/run")"
is directory / "$(tail -1 "$out/run")"
[ ! -e "$out/pasted" ] || FAIL "a value became shell text"
is where "$out $ME" "$(echo $(cat "$out/where"))"
[ ! -e "$out/e" ] && [ ! -e "$out/u" ] || FAIL "the shell is not -eu"
OK "exec, run, directory"

is tries 3 "$(wc -l <"$out/tries")"
awk 'NR > 1 && $1 - last < 1e9 { exit 1 } { last = $1 }' "$out/tries" || FAIL "no delay between attempts"
[ -e "$out/late" ] || FAIL "the late step did not run"
bmctl --json show 1 | jq -r '.job.steps[] | "\(.name) \(.state) \(.exit_code)"' >"$HOME_DIR/steps"
for want in 'env succeeded 0' 'eu ignored 1' 'unset ignored 2' 'tries succeeded 0' 'only skipped null' 'skip succeeded 0'; do
    grep -qx "$want" "$HOME_DIR/steps" || { cat "$HOME_DIR/steps"; FAIL "no step: $want"; }
done
grep -q '^late ignored ' "$HOME_DIR/steps" || { cat "$HOME_DIR/steps"; FAIL "late"; }
bmctl log 1 | grep -q 'timed out after 1s' || FAIL "the log does not say that it timed out"
OK "attempts, delay, timeout, ignore-failure"

is other "$OTHER $(id -Gn "$OTHER") $(getent passwd "$OTHER" | cut -d: -f6) $OTHER $OTHER 0 1 2 3" "$(echo $(cat "$out/other"))"
is own "yes step $HOME_DIR/bin:/bin:/usr/bin" "$(cat "$out/own")"
is tool "/tmp beside" "$(echo $(cat "$out/tool"))"
is none "none stage" "$(cat "$out/none")"
is artifacts "data page data page data data" "$(echo $(cat "$out/artifacts"))"
[ ! -e "$HOME_DIR/state/runs/work/1" ] || FAIL "the artifacts of a run that ended are still there"
OK "user, environment, artifacts"

is modes skip "$(echo $(cat "$out/modes"))"
rm -f "$out/tries" "$out/modes"
expect 0 bmctl deploy app 1.0/2 --to production --now --wait
grep -qx BM_FROM_RELEASE=1.0 "$out/env" && grep -qx BM_FROM_BUILD=1 "$out/env" || FAIL "BM_FROM"
rm -f "$out/tries" "$out/modes"
expect 0 bmctl redeploy app 1.0/2 --now --wait
grep -qx BM_MODE=redeploy "$out/env" || FAIL "BM_MODE"
is modes "only skip" "$(echo $(cat "$out/modes"))"
rm -f "$out/tries" "$out/modes"
expect 0 bmctl redeploy app --now --wait
grep -qx BM_MODE=rollback "$out/env" || FAIL "BM_MODE"
is modes only "$(echo $(cat "$out/modes"))"
OK "modes"

# A name that the configuration sets and the stage does not open; names that nobody but bmd sets.
expect 8 bmctl deploy app 1.0/1 --to production --var A=job --now --wait
says A
expect 8 bmctl deploy app 1.0/3 --to production --now --wait
says "1.0/3 sets OUT"
is "the last job" 4 "$(bmctl --json history app -n 1 | jq '.jobs[0].id')"
expect 0 bmctl deploy app 1.0/3 --to production --dry-run
prints "1.0/3 sets OUT"
expect 0 bmctl deploy app 1.0/3 --to testing --now --wait
for name in PATH HOME USER LOGNAME ENV BASH_ENV IFS LD_PRELOAD BM_JOB BM_X; do
    bmctl deploy app 1.0/1 --to production --var $name=x --now --wait >"$HOME_DIR/out" 2>"$HOME_DIR/err"
    case $? in
    2 | 8) says "$name" ;;
    *) FAIL "a job may set $name" ;;
    esac
    bmctl build add app 7.0 --var $name=x >"$HOME_DIR/out" 2>"$HOME_DIR/err"
    case $? in
    2 | 8) says "$name" ;;
    *) FAIL "a build may set $name" ;;
    esac
done
OK "what a job and a build may set"
bmd_stop
