#!/bin/sh
# A stage with require-signature takes only builds that one of its keys signed; bmd refuses others at the request, and bmd-run
# by itself, whatever bmd says.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"
command -v minisign >/dev/null || SKIP "minisign is not installed"

cd "$HOME_DIR" || exit 99
for who in ana ben; do
    minisign -G -W -f -p $who.pub -s $who.sec >/dev/null 2>&1 || SKIP "minisign makes no key here"
done
key() { sed -n 2p "$1.pub"; }
stages() { # stages KEY…: what production asks for
    list=
    for one; do list="$list${list:+, }\"$one\""; done
    application shop <<CONF
    stages = {"testing", "production"}
    stage "testing" { plan = "web"  variables = {"ROOT=$HOME_DIR/testing"} }
    stage "production" { plan = "web"  variables = {"ROOT=$HOME_DIR/www"}  ${list:+require-signature = {$list\}} }
CONF
    cp "$HOME_DIR/etc/applications.d/shop.conf" "$HOME_DIR/till"
    sed 's/"shop"/"till"/' "$HOME_DIR/till" >"$HOME_DIR/etc/applications.d/till.conf"
}
plan web <<'CONF'
    step "files" { deploy = "site"  to = '$ROOT' }
CONF
stages "$(key ana)"
bmd_start
mkdir site
echo one >site/index.html
sign() { minisign -S -s "$1.sec" -m text -x "$2" -t "of the test" ${3:-} >/dev/null 2>&1 || FAIL "minisign"; }
held() { bmctl --json show "$1" | jq -r .job.waits_for.text; }

# Missing: said when it is added, and refused where it is asked for, and there only.
expect 0 bmctl build add shop 1.0 site=site
says 'production takes only signed builds'
expect 8 bmctl deploy shop 1.0/1 --to production --now
says 'is not signed'
says 'bmctl build manifest shop 1.0/1'
expect 0 bmctl deploy shop 1.0/1 --to testing --now --wait
expect 8 bmctl --json deploy shop 1.0/1 --to production --now
is "the rule" signature "$(jq -r .parameters.rule "$HOME_DIR/out")"

# What is to be signed, and by the right key: minisign's own way, and the older one.
bmctl build manifest shop 1.0/1 >text
digest=$(bmctl --json build show shop 1.0/1 | jq -r '.build.artifacts[0].digest')
is "what to sign" "$(printf 'bmd build 1\napplication shop\nrelease 1.0\nartifact %s site' "$digest")" "$(cat text)"
# The digest that is signed is that of the list of files, which says what each file is.
expect 0 bmctl build manifest shop 1.0/1 site
is "the list's digest" "$digest" "$(sha256sum <"$HOME_DIR/out" | cut -d' ' -f1)"
is "the list" "$(printf 'bmd manifest 1\n0644\t4\t%s\tindex.html' "$(sha256sum <site/index.html | cut -d' ' -f1)")" "$(cat "$HOME_DIR/out")"
expect 1 bmctl build manifest shop 1.0/1 nothing
says 'has no artifact "nothing"'
mkdir large
i=0
while [ $i -lt 4000 ]; do : >"large/a-name-that-is-long-enough-for-several-pieces-of-the-list-$i"; i=$((i + 1)); done
expect 0 bmctl build add shop large site=large
expect 0 bmctl build manifest shop large/1 site
is "the digest of a long list" "$(bmctl --json build show shop large/1 | jq -r '.build.artifacts[0].digest')" "$(sha256sum <"$HOME_DIR/out" | cut -d' ' -f1)"
is "its pieces" 3 "$(bmctl --json build manifest shop large/1 site | wc -l)"
sign ana good
sign ana legacy -l
sign ben foreign
expect 0 bmctl build add shop 1.0 --number 1 --signature good site=site
prints 'shop 1.0/1'
expect 0 bmctl build show shop 1.0/1
prints 'signed'
expect 0 bmctl deploy shop 1.0/1 --to production --now --wait
expect 0 bmctl build add shop 1.0 --signature legacy site=site
expect 0 bmctl deploy shop 1.0/2 --to production --now --wait
OK "signed"

# The wrong key; another application; other files; no signature at all.
expect 0 bmctl build add shop 1.0 --signature foreign site=site
says 'none of the stage'
expect 8 bmctl deploy shop 1.0/3 --to production --now
says 'none of the stage'
expect 0 bmctl build add till 1.0 --signature good site=site
expect 8 bmctl deploy till 1.0/1 --to production --now
says 'not of this build'
echo other >site/index.html
expect 0 bmctl build add shop 1.0 --signature good site=site
says 'not of this build'
expect 8 bmctl deploy shop 1.0/4 --to production --now
says 'not of this build'
head -c 150 good >cut
expect 2 bmctl build add shop 1.0 --signature cut site=site
says 'no signature of minisign'
expect 2 bmctl build add shop 1.0 --signature nowhere site=site
expect 2 bmctl --json call AddBuild '{"key":"k","application":"shop","release":"1.0","artifacts":[],"signature":"x"}'
OK "not signed as it must be"

# A signature that counts stays: who may add builds for testing alone could else keep production from going back. One that counts
# nowhere makes way, the same one again changes nothing, and so does any where the old one counts no more.
echo one >site/index.html
expect 8 bmctl build add shop 1.0 --number 1 --signature foreign site=site
says 'has a signature that counts on production, where this one does not'
expect 8 bmctl --json build add shop 1.0 --number 1 --signature foreign site=site
is "the rule" signature "$(jq -r .parameters.rule "$HOME_DIR/out")"
expect 0 bmctl build add shop 1.0 --number 1 --signature good site=site
expect 0 bmctl build add shop 1.0 --number 1 --signature legacy site=site
expect 0 bmctl build add shop 1.0 --number 1 site=site
expect 0 bmctl redeploy shop 1.0/1 --to production --now --wait
expect 0 bmctl build add shop 2.0 site=site
bmctl build manifest shop 2.0/1 >text
sign ana newer
expect 0 bmctl build add shop 2.0 --number 1 --signature foreign site=site
expect 8 bmctl deploy shop 2.0/1 --to production --now
expect 0 bmctl build add shop 2.0 --number 1 --signature newer site=site
expect 0 bmctl deploy shop 2.0/1 --to production --now --wait
expect 0 bmctl redeploy shop 1.0/2 --now --wait
OK "what counts stays"

# A bmd that was taken over says what it likes: the signature is not in its database, or it is another's. bmd-run reads the
# configuration itself.
stages
expect 0 bmctl reload
expect 0 bmctl --json deploy shop 1.0/4 --to production --at +1h
job=$(jq .job.id "$HOME_DIR/out")
stages "$(key ana)"
expect 0 bmctl reload
expect 0 bmctl reschedule "$job" --now
in_hold() { in_state "$job" held; }
retry in_hold || FAIL "it was not held: $(state "$job")"
held "$job" | grep -q 'not of this build' || FAIL "$(held "$job")"
is "what is live" "1.0/2" "$(live shop production)"
is "the files" one "$(cat "$HOME_DIR/www/current/index.html")"
# A key that is taken away does not count any more, for whom it signed before neither.
stages "$(key ben)"
expect 0 bmctl reload
expect 8 bmctl redeploy shop 1.0/1 --now
says 'none of the stage'
expect 0 bmctl deploy shop 1.0/3 --to production --now --wait
expect 0 bmctl build add shop 1.0 --number 1 --signature foreign site=site
expect 0 bmctl redeploy shop 1.0/1 --now --wait
OK "by the configuration of the moment"
bmd_stop
