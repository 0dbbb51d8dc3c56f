#!/bin/sh
# A build that `build verify` found damaged is remembered: a bare redeploy passes it over, it is refused by
# name, a job that waits for its time is held, all before anything moves. `build repair` heals it, with the original
# files alone, and with it every other build that has the same file.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"

application app <<CONF
    stages = {"production"}
    stage "production" { plan = "web"  variables = {"ROOT=$HOME_DIR/www"} }
CONF
plan web <<'CONF'
    step "files" { deploy = "site"  to = '$ROOT' }
CONF
bmd_start
for n in 1 2 3; do
    mkdir -p "$HOME_DIR/site$n"
    echo "page $n" >"$HOME_DIR/site$n/index.html"
    [ $n = 3 ] || echo "common" >"$HOME_DIR/site$n/common"
    bmctl build add app 1.0 "site=$HOME_DIR/site$n" >/dev/null 2>&1 || FAIL "build add"
    expect 0 bmctl deploy app 1.0/$n --to production --now --wait
done
flip() { chmod 644 "$(object "$1")" && printf X | dd of="$(object "$1")" bs=1 seek=2 conv=notrunc status=none; }
good() { bmctl --json status app | jq -r '.stages[0].previous_good | if . then "\(.release)/\(.build)" else "none" end'; }

flip "$HOME_DIR/site2/index.html"
is "before it is verified" 1.0/2 "$(good)"
expect 1 bmctl build verify app
prints 1.0/2
is "previous good" 1.0/1 "$(good)"
is "damaged" "site index.html damaged" "$(bmctl --json build show app 1.0/2 | jq -r '.build.damaged | "\(.artifact) \(.path) \(.problem)"')"
is "whole" null "$(bmctl --json build show app 1.0/1 | jq -r .build.damaged)"
expect 0 bmctl build list app
prints damaged
expect 0 bmctl build show app 1.0/2
prints "bmctl build repair app 1.0/2 site=PATH"
expect 8 bmctl redeploy app 1.0/2 --now --wait
says "bmctl build repair app 1.0/2 site=PATH"
expect 0 bmctl redeploy app --now --wait
is "live" 1.0/1 "$(live app production)"
OK "a damaged build is passed over, and refused by name"

# It is remembered over a restart.
expect 0 bmctl deploy app 1.0/3 --to production --now --wait
bmd_stop; bmd_start
is "previous good" 1.0/1 "$(good)"
expect 8 bmctl deploy app 1.0/2 --to production --now

# A job that was asked for before the damage was found is held at its start.
expect 0 bmctl redeploy app 1.0/1 --at +1h
job=$(sed -n 's/^job \([0-9]*\):.*/\1/p' "$HOME_DIR/out")
flip "$HOME_DIR/site1/common"
expect 1 bmctl build verify app 1.0/1
expect 0 bmctl reschedule "$job" --at +300ms
retry in_state "$job" held || FAIL "not held: $(state "$job")"
job "$job" waits_for.text | grep -q "common of artifact site is damaged" || FAIL "held for: $(job "$job" waits_for.text)"
is "current" "page 3" "$(cat "$HOME_DIR/www/current/index.html")"
expect 0 bmctl cancel "$job"
is "nothing to go back to" none "$(good)"
OK "a waiting job is held"

# Other files are refused, and heal nothing.
expect 8 bmctl build repair app 1.0/2 "$HOME_DIR/site3"
says "nothing was repaired"
expect 2 bmctl build repair app 1.0/2 "other=$HOME_DIR/site2"
expect 2 bmctl build repair app 1.0/2
expect 3 bmctl build repair app 1.0/9 "$HOME_DIR/site2"
is "still damaged" index.html "$(bmctl --json build show app 1.0/2 | jq -r .build.damaged.path)"

# 1.0/2 has the damaged common file of 1.0/1, too, but nothing has said so yet: the whole application says it.
expect 1 bmctl build verify app
expect 0 bmctl build repair app 1.0/2 "$HOME_DIR/site2"
prints "app 1.0/2 is whole"
is "1.0/2" null "$(bmctl --json build show app 1.0/2 | jq -r .build.damaged)"
is "1.0/1, by the same file" null "$(bmctl --json build show app 1.0/1 | jq -r .build.damaged)"
expect 0 bmctl build verify app
is "previous good" 1.0/1 "$(good)"

# A missing object, and a damaged manifest.
rm -f "$(object "$HOME_DIR/site1/index.html")"
manifest=$HOME_DIR/state/store/manifests/$(bmctl --json build show app 1.0/2 | jq -r '.build.artifacts[0].digest')
chmod 644 "$manifest" && printf X >>"$manifest"
expect 1 bmctl build verify app
is "1.0/1" missing "$(bmctl --json build show app 1.0/1 | jq -r .build.damaged.problem)"
is "1.0/2" manifest "$(bmctl --json build show app 1.0/2 | jq -r .build.damaged.problem)"
expect 0 bmctl build repair app 1.0/1 "site=$HOME_DIR/site1"
tar -C "$HOME_DIR/site2" -czf "$HOME_DIR/site2.tar.gz" .
expect 0 bmctl build repair app 1.0/2 "site=$HOME_DIR/site2.tar.gz"
expect 0 bmctl build verify app
expect 0 bmctl redeploy app 1.0/2 --now --wait
is "current" "page 2" "$(cat "$HOME_DIR/www/current/index.html")"
is "marks" 0 "$(find "$HOME_DIR/state/store/damaged" -type f | wc -l)"
bmd_stop
OK "the original files heal it, and every build that has them"
