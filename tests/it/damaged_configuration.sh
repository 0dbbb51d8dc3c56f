# A broken main file refuses to start; a broken application takes itself out; reload is all or nothing.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"
. "$top_srcdir/tests/it/recover.sh"
: >"$HOME_DIR/go"

configure
echo 'max-runing = 3' >>"$BMD_CONF"
expect 1 bmd -n -c "$BMD_CONF"
says "bmd.conf:"
expect 1 bmd -c "$BMD_CONF"
says "max-runing"
configure
expect 0 bmd -n -c "$BMD_CONF"
prints "configuration ok"

application broken <<'CONF'
    stages = {"production"}
    stage "production" { plan = "there-is-none" }
CONF
expect 1 bmd -n -c "$BMD_CONF"
says "broken.conf:"
bmd_start
add_build
is "the others run" succeeded "$(ended "$(deploy one)")"
is "the broken one is out" io.bmd.Control.NoSuchApplication \
    "$(call ListBuilds '{"application":"broken"}' | jq -r .error)"
ask GetStatus '{}' '.warnings[]' | grep -q broken.conf || FAIL "status does not warn of the broken application"

# Who does not know of it is told, and a bare redeploy does not take the other one for the only one.
expect 3 bmctl redeploy broken --now
says 'there is no application broken'
says 'left out until they are mended: bmctl check'
expect 2 bmctl redeploy --now
says 'shop is the only application now, but others have mistakes and are left out'
expect 2 bmctl redeploy --dry-run
expect 3 bmctl redeploy shop --now
is "reload" io.bmd.Control.ConfigurationError "$(call Reload '{"key":"r1"}' | jq -r .error)"
is "nothing changed" succeeded "$(ended "$(deploy two)")"
rm "$HOME_DIR/etc/applications.d/broken.conf"
is "reload" 1 "$(ask Reload '{"key":"r2"}' .applications)"
is "no warnings" 0 "$(ask GetStatus '{}' '.warnings | length')"
expect 3 bmctl redeploy --now
expect 3 bmctl redeploy broken --now
! grep -q 'left out' "$HOME_DIR/err" || FAIL "nothing is left out any more: $(cat "$HOME_DIR/err")"
bmd_stop
# The same where the file cannot even be read as one.
application broken <<'CONF'
    stages = {"production" "testing"
CONF
bmd_start
expect 2 bmctl redeploy --now
says 'left out until they are mended (bmctl check)'
rm "$HOME_DIR/etc/applications.d/broken.conf"
# A plan that nobody uses takes no application with it.
echo 'plan "spare" { step "x" { run = 3 4 } }' >"$HOME_DIR/etc/plans.d/spare.conf"
bmd_stop
bmd_start
expect 3 bmctl redeploy --now
bmd_stop
rm "$HOME_DIR/etc/plans.d/spare.conf"
OK "bad configuration is named, and nothing is lost"
