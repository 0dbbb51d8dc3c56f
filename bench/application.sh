# What the figures of requests and times are made with: an application of 20 stages and production, a plan of one step that does nothing.
# Sourced behind lib.sh.
row() { printf '| %s | %s | %s | %s |\n' "$1" "$2" "$3" "$4"; }
bench=$top_builddir/bench
# bench_start LINE…: bmd, with these lines in bmd.conf.
bench_start() {
    configure 'max-running = 8' 'horizon = "300d"' "$@"
    {
        echo "    stages = {$(seq -s, -f '"s%g"' 1 20), \"production\"}"
        for s in $(seq 1 20); do echo "    stage \"s$s\" { plan = \"one\" }"; done
        echo '    stage "production" { plan = "one" }'
    } | application app
    plan one <<'CONF'
    step "one" { run = 'true' }
CONF
    bmd_start
}
