#!/bin/sh
# A flipped bit and a missing object are found before `current` moves, named, and never deployed.
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
    mkdir -p "$HOME_DIR/site$n/sub"
    echo "page $n" >"$HOME_DIR/site$n/index.html"
    head -c 5000 /dev/zero | tr '\0' "$n" >"$HOME_DIR/site$n/sub/data"
    bmctl build add app 1.0 "site=$HOME_DIR/site$n" >/dev/null 2>&1 || FAIL "build add"
done
for n in 1 2; do expect 0 bmctl deploy app 1.0/$n --to production --now --wait; done
flip=$(object "$HOME_DIR/site3/sub/data")
[ -f "$flip" ] || FAIL "no object where the architecture says"
chmod 644 "$flip"
printf X | dd of="$flip" bs=1 seek=100 conv=notrunc status=none
expect 1 bmctl deploy app 1.0/3 --to production --now --wait
expect 0 bmctl log "$(bmctl --json history app | jq '.jobs[0].id')"
prints sub/data
is "current" "page 2" "$(cat "$HOME_DIR/www/current/index.html")"
# The run's word is a mark at once: nobody deploys that build again before it is whole.
expect 8 bmctl deploy app 1.0/3 --to production --now
says "sub/data of artifact site is damaged"
expect 0 bmctl build show app 1.0/3
retry grep -q 'sub/data of artifact site is damaged in the store: builds app 1.0/3; ' "$HOME_DIR/bmd.log" || FAIL "log"
expect 1 bmctl build verify app
cat "$HOME_DIR/err" >>"$HOME_DIR/out"
prints sub/data
prints 1.0/3
OK "a flipped bit"

expect 0 bmctl redeploy --now --wait
gone=$(object "$HOME_DIR/site1/index.html")
rm -f "$gone"
expect 8 bmctl deploy app 1.0/1 --to production --now --wait
cat "$HOME_DIR/err" >>"$HOME_DIR/out"
prints index.html
is "current" "page 2" "$(cat "$HOME_DIR/www/current/index.html")"
# The same content added again heals what is stored.
expect 0 bmctl build add app 1.0 "site=$HOME_DIR/site1"
expect 0 bmctl build add app 1.0 "site=$HOME_DIR/site3"
expect 0 bmctl build verify app
OK "a missing object, and both are healed by the same content"
bmd_stop
