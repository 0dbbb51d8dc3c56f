#!/bin/sh
# The examples of the manual are right: configuration in the pages is read by bmctl check, and their commands, and those that `bmctl help`
# shows for each verb, are carried out in a private bmd.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"
man=$top_srcdir/man
me=$(id -un)

# blocks PAGE WORD: each literal block of a page that begins with WORD, as a reader sees it, into $HOME_DIR/blocks/N.
blocks() {
    rm -rf "$HOME_DIR/blocks"
    mkdir "$HOME_DIR/blocks"
    awk -v folder="$HOME_DIR/blocks" -v word="$2" '
        /^\.Bd -literal/{inside = 1; text = ""; next}
        /^\.Ed/{if (inside && index(text, word) == 1) print text > (folder "/" ++n); inside = 0}
        inside{gsub(/\\\(aq/, "\047"); gsub(/\\e/, "\\\\"); text = text $0 "\n"}' "$man/$1"
    [ -n "$(ls "$HOME_DIR/blocks")" ] || FAIL "$1 has no block that begins with $2"
}
# What is left out in an example, and users, groups and keys that this machine does not have.
fit() { grep -v '^ *\.\.\.$' "$1" | sed "s/\(user *= \)\"[a-z-]*\"/\1\"$me\"/"; }

configure
[ "$(id -u)" = 0 ] || sed -i '/^user/d' "$BMD_CONF"
# Plans, each used by a stage.
blocks bmd-plan.5 plan
for block in "$HOME_DIR"/blocks/*; do
    fit "$block" >"$HOME_DIR/etc/plans.d/example.conf"
    [ "$(id -u)" = 0 ] || sed -i "s/user *= \"[a-z]*\"//" "$HOME_DIR/etc/plans.d/example.conf"
    name=$(sed -n 's/^plan "\(.*\)" {/\1/p' "$block")
    printf 'stages = {"one"}\nvariables = {"ROOT=/srv/x", "UNIT=x", "PORT=1"}\nstage "one" { plan = "%s" }\n' "$name" | application shop
    expect 0 bmctl check "$BMD_CONF"
    rm "$HOME_DIR/etc/plans.d/example.conf"
done
OK "plans of bmd-plan(5)"
# Applications, whose stages take the plan of the manual.
web() {
    plan web <<'CONF'
    step "note" { run = 'true' }
CONF
}
blocks bmd.conf.5 application
for block in "$HOME_DIR"/blocks/*; do
    fit "$block" >"$HOME_DIR/etc/applications.d/shop.conf"
    # An excerpt says neither which stages there are nor what they do.
    if grep -q '^plan "web"' "$block"; then rm -f "$HOME_DIR/etc/plans.d/web.conf"; else web; fi
    grep -q stages "$block" || sed -i '1a stages = {"testing"}\nstage "testing" { plan = "web" }' "$HOME_DIR/etc/applications.d/shop.conf"
    expect 0 bmctl check "$BMD_CONF"
done
OK "applications of bmd.conf(5)"
# Who is told, in the main file.
printf 'stages = {"production"}\nstage "production" { plan = "web" }\n' | application shop
web
cp "$BMD_CONF" "$HOME_DIR/main.conf"
blocks bmd.conf.5 notify
for block in "$HOME_DIR"/blocks/*; do
    { cat "$HOME_DIR/main.conf"; fit "$block"; } >"$BMD_CONF"
    expect 0 bmctl check "$BMD_CONF"
done
cp "$HOME_DIR/main.conf" "$BMD_CONF"
OK "notices of bmd.conf(5)"

# A shop as the pages speak of it: builds of three releases, two of them live.
application shop <<CONF
    stages = {"testing", "production"}
    stage "testing" { plan = "web" }
    stage "production" { plan = "web" }
CONF
plan web <<CONF
    step "files" { deploy = "site"  to = '$HOME_DIR/srv' }
    step "note"  { run = 'true' }
CONF
bmd_start
cd "$HOME_DIR" || exit 99
mkdir public
for n in 1 2 3; do
    echo $n >public/index
    bmctl build add shop 1.0.2 site=./public >/dev/null 2>&1 || FAIL "build add"
done
for stage in testing production; do bmctl deploy shop 1.0.2/3 --to $stage --now --wait >/dev/null || FAIL "deploy"; done
echo 4 >public/index
bmctl build add shop 1.0.3 site=./public >/dev/null 2>&1 || FAIL "build add"
for stage in testing production; do bmctl deploy shop 1.0.3/1 --to $stage --now --wait >/dev/null || FAIL "deploy"; done

# commands PAGE: the lines of its blocks that call bmctl alone, without the explanation in the second column.
commands() {
    awk '/^\.Bd -literal/{inside = 1; next} /^\.Ed/{inside = 0}
        inside && /\\e$/{sub(/ *\\e$/, ""); begun = begun $0; next}
        inside && (begun $0) ~ /^bmctl /{sub(/^ */, begun == "" ? "" : " "); print begun $0}
        {begun = ""}' "$man/$1" | sed 's/\\(aq/'"'"'/g; s/   *.*//'
}
commands bmctl.1 >examples
[ "$(wc -l <examples)" -ge 8 ] || FAIL "bmctl(1) has hardly any examples: $(cat examples)"
n=0
while read -r line; do
    case $line in
    *' -H '*) continue ;;                     # it/from_elsewhere.sh
    *minisig*) continue ;;                    # it/signature.sh
    esac
    expect 0 sh -c "$line"
    n=$((n + 1))
    # Each begins with 1.0.3/1 live and nothing in the queue.
    for job in $(bmctl --json queue | jq '.jobs[] | select(.state == "scheduled") | .id'); do bmctl cancel "$job" >/dev/null; done
    bmctl redeploy shop 1.0.3/1 --to production --now --wait >/dev/null 2>&1 || FAIL "back to 1.0.3/1 after $line"
done <examples
OK "$n commands of bmctl(1)"

# bmctl help VERB: the example of each verb is at least one that the verb understands.
verbs=$("$top_builddir/tests/unit/vocabulary" | sed -n 's/^verb //p')
n=0
for verb in $(echo "$verbs" | tr ' ' '+'); do
    verb=$(echo "$verb" | tr + ' ')
    example=$(bmctl help $verb | sed -n '/^example:/{n;s/^ *//p}')
    [ -n "$example" ] || FAIL "bmctl help $verb shows no example"
    timeout 20 sh -c "$example" >out 2>err </dev/null
    code=$?
    case $code in
    2) ! grep -qE 'usage:|no option|no verb' err || { cat err; FAIL "usage: $example"; } ;; # else a file that is not here
    126 | 127 | 139) cat err; FAIL "exit code $code: $example" ;;
    esac
    n=$((n + 1))
done
OK "examples of $n verbs"
cd /
bmd_stop
