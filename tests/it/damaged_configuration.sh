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

is "reload" io.bmd.Control.ConfigurationError "$(call Reload '{"key":"r1"}' | jq -r .error)"
is "nothing changed" succeeded "$(ended "$(deploy two)")"
rm "$HOME_DIR/etc/applications.d/broken.conf"
is "reload" 1 "$(ask Reload '{"key":"r2"}' .applications)"
is "no warnings" 0 "$(ask GetStatus '{}' '.warnings | length')"
bmd_stop
OK "bad configuration is named, and nothing is lost"
