# What a campaign under load begins with: where its programs lie, so many clients and stages, an application of four stages, three builds.
# Sourced behind lib.sh and with N set.
#   load_application LEDGERS PLAN   its application "app"; stage s3 has the plan PLAN, the others "p", each with a ROOT of its own
#   load_builds FOLDER              three builds, whose artifact site is made in FOLDER
SEED=${SEED:-$(date +%s)}
STAGES=4 CLIENTS=8
here=$top_builddir/tests/campaign
load_application() {
    mkdir "$HOME_DIR/www"
    application app <<CONF
    stages = {"s0", "s1", "s2", "s3"}
    variables = {"LEDGERS=$1"}
    stage "s0" { plan = "p"  variables = {"ROOT=$HOME_DIR/www/s0"}  on-failure = "continue" }
    stage "s1" { plan = "p"  variables = {"ROOT=$HOME_DIR/www/s1"} }
    stage "s2" { plan = "p"  variables = {"ROOT=$HOME_DIR/www/s2"}  on-failure = "redeploy" }
    stage "s3" { plan = "$2"  variables = {"ROOT=$HOME_DIR/www/s3"}  on-failure = "continue" }
CONF
}
load_builds() {
    mkdir -p "$1/sub"
    for n in 1 2 3; do
        echo "build $n" >"$1/file"
        for m in 1 2 3 4; do echo "$m of build $n" >"$1/sub/$m"; done
        bmctl build add app 1.0 site="$1" >/dev/null 2>&1 || FAIL "build add"
    done
}
