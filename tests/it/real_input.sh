#!/bin/sh
# Three real releases of a public front-end package, deployed into a folder that a real nginx serves:
# the second is re-deployed now, the first at a time some seconds ahead, and every byte that nginx
# then serves is compared with the package.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"

for program in npm nginx curl; do
    command -v $program >/dev/null || PATH=$PATH:/usr/sbin command -v $program >/dev/null ||
        SKIP "no $program on this machine"
done
PATH=$PATH:/usr/sbin
packages=$HOME_DIR/packages
mkdir -p "$packages"
for version in 5.3.1 5.3.2 5.3.3; do
    (cd "$packages" && timeout 120 npm pack --silent "bootstrap@$version") >>"$HOME_DIR/npm.log" 2>&1 ||
        SKIP "the packages cannot be had: $(tail -n 1 "$HOME_DIR/npm.log")"
    mkdir "$packages/$version"
    tar -xzf "$packages/bootstrap-$version.tgz" -C "$packages/$version"
done

application site <<CONF
    stages = {"production"}
    stage "production" { plan = "site"  variables = {"ROOT=$HOME_DIR/www"} }
CONF
plan site <<'CONF'
    step "files" { deploy = "pages"  to = '$ROOT' }
CONF
bmd_start

# One release comes as the packed archive itself, the others as folders.
bmctl build add site 5.3.1 "pages=$packages/bootstrap-5.3.1.tgz" >/dev/null || FAIL "adding 5.3.1"
bmctl build add site 5.3.2 "pages=$packages/5.3.2" >/dev/null || FAIL "adding 5.3.2"
bmctl build add site 5.3.3 "pages=$packages/5.3.3" >/dev/null || FAIL "adding 5.3.3"

port=$((20000 + $$ % 20000))
cat >"$HOME_DIR/nginx.conf" <<CONF
daemon off;
pid $HOME_DIR/nginx.pid;
error_log $HOME_DIR/nginx-error.log;
$([ "$(id -u)" != 0 ] || echo "user root;")
worker_processes 1;
events { worker_connections 64; }
http {
    access_log off;
    client_body_temp_path $HOME_DIR/nginx-tmp;
    proxy_temp_path $HOME_DIR/nginx-tmp;
    fastcgi_temp_path $HOME_DIR/nginx-tmp;
    uwsgi_temp_path $HOME_DIR/nginx-tmp;
    scgi_temp_path $HOME_DIR/nginx-tmp;
    server { listen 127.0.0.1:$port; root $HOME_DIR/www/current; }
}
CONF
nginx -c "$HOME_DIR/nginx.conf" 2>"$HOME_DIR/nginx.out" &
at_exit "kill $! 2>/dev/null"

# Every file of a package as nginx serves it, and nothing of another: 404 for what only others have.
serves() {
    version=$1
    (cd "$packages/$version" && find . -type f | sed 's|^\./||' | sort) >"$HOME_DIR/list"
    awk -v base="http://127.0.0.1:$port/" -v to="$HOME_DIR/served/" \
        '{ printf "url = \"%s%s\"\noutput = \"%s%s\"\n", base, $0, to, $0 }' \
        "$HOME_DIR/list" >"$HOME_DIR/urls"
    rm -rf "$HOME_DIR/served"
    curl -sfS --create-dirs --config "$HOME_DIR/urls" || FAIL "nginx does not serve all of $version"
    diff -r "$packages/$version" "$HOME_DIR/served" || FAIL "nginx serves something else than $version"
    OK "$(wc -l <"$HOME_DIR/list") files of $version served byte for byte"
}
for version in 5.3.1 5.3.2 5.3.3; do
    bmctl deploy site "$version/1" --to production --now --wait >/dev/null || FAIL "deploying $version"
done
retry curl -sf -o /dev/null "http://127.0.0.1:$port/package/package.json" || {
    cat "$HOME_DIR/nginx.out"; FAIL "nginx did not start"; }
serves 5.3.3
bmctl redeploy --now --wait >/dev/null || FAIL "redeploy --now"
serves 5.3.2
bmctl redeploy --at +2s --wait >/dev/null || FAIL "redeploy --at"
serves 5.3.1
