#!/bin/sh
# What ps shows of a bmd-run: which job, build, stage and step it is at, whole where there is room and cut where there is none; what it was
# given stays with it (its environment: a secret's folder), and its steps get nothing of the title.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"
long=$(printf '%050d' 0 | tr 0 l)
for name in shop "$long"; do
    application "$name" <<CONF
    secrets = {"KEY=credential:key"}
    stages = {"production", "$long"}
    stage "production" { plan = "hold" }
    stage "$long" { plan = "hold" }
CONF
done
plan hold <<CONF
    step "first" { run = "true" }
    step "hold" {
        secrets = {"KEY"}
        run = 'tr "\\0" " " </proc/\$PPID/cmdline >"$HOME_DIR/title.\$BM_JOB.new"; env >"$HOME_DIR/env"; wc -c <"\$KEY_FILE" >"$HOME_DIR/key"
            mv "$HOME_DIR/title.\$BM_JOB.new" "$HOME_DIR/title.\$BM_JOB"'
    }
CONF
mkdir "$HOME_DIR/credentials"
printf secretly >"$HOME_DIR/credentials/key"
chmod 600 "$HOME_DIR/credentials/key"
export CREDENTIALS_DIRECTORY="$HOME_DIR/credentials"
bmd_start
expect 0 bmctl build add shop 1.0
expect 0 bmctl deploy shop 1.0/1 --to production --now --wait
title=$(sed 's/ *$//' "$HOME_DIR/title.1")
is "the title" "bmd-run: job 1: shop 1.0/1 to production: step 2 of 2, hold" "$title"
is "what a credential holds" 8 "$(cat "$HOME_DIR/key")"
grep -q 'bmd-run\|JOURNAL\|CREDENTIALS' "$HOME_DIR/env" && FAIL "the step has it in its environment: $(cat "$HOME_DIR/env")"
OK "the job, the build, the stage and the step"

expect 0 bmctl build add "$long" "$long"
expect 0 bmctl deploy "$long" "$long" --to "$long" --now --wait
title=$(sed 's/ *$//' "$HOME_DIR/title.2")
case "bmd-run: job 2: $long $long/1 to $long: step 2 of 2, hold" in
"$title"*) ;;
*) FAIL "the title, with long names: $title" ;;
esac
OK "cut where its room ends: $(printf %s "$title" | wc -c) bytes"
