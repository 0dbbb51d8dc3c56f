#!/bin/sh
# What is installed to tell others: mail by a real sendmail to a real SMTP server, a webhook to a real HTTP server whose signature openssl
# reckons again, and metrics in a file that is never half written.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/it/lib.sh"
for program in msmtp curl openssl socat; do command -v $program >/dev/null || SKIP "no $program"; done

# The senders as they are installed: beside each other.
SENDERS=$HOME_DIR/senders
mkdir "$SENDERS" "$HOME_DIR/mail" "$HOME_DIR/http"
cp "$top_srcdir/notify/notify-mail" "$top_srcdir/notify/notify-webhook" "$top_builddir/notify/bmd-hmac" "$SENDERS/"

# A server of SMTP: one mail a file, as it came.
cat >"$HOME_DIR/smtpd" <<CONF
#!/bin/sh
say() { printf '%s\r\n' "\$1"; }
say "220 sink"
while IFS= read -r line; do
    line=\${line%"\$(printf '\r')"}
    case \$line in
    EHLO*|HELO*) say "250 sink" ;;
    MAIL*|RCPT*) echo "\$line" >>$HOME_DIR/mail/\$\$.envelope; say "250 ok" ;;
    DATA) say "354 go on"
        while IFS= read -r line; do
            line=\${line%"\$(printf '\r')"}
            [ "\$line" != . ] || break
            printf '%s\n' "\$line" >>$HOME_DIR/mail/\$\$.new
        done
        [ ! -e $HOME_DIR/refuse ] || { say "451 later"; rm $HOME_DIR/mail/\$\$.*; continue; }
        mv $HOME_DIR/mail/\$\$.new $HOME_DIR/mail/\$\$.mail; say "250 kept" ;;
    QUIT) say "221 bye"; exit ;;
    *) say "500 what" ;;
    esac
done
CONF
# A server of HTTP: the request as it came, and the answer that the file "answer" holds.
cat >"$HOME_DIR/httpd" <<CONF
#!/bin/sh
to=$HOME_DIR/http/\$\$
length=0
while IFS= read -r line; do
    line=\${line%"\$(printf '\r')"}
    [ -n "\$line" ] || break
    echo "\$line" >>\$to.head
    case \$line in [Cc]ontent-[Ll]ength:*) length=\${line#*: } ;; esac
done
head -c "\$length" >\$to.body
printf 'HTTP/1.1 %s\r\nLocation: /other\r\nContent-Length: 0\r\nConnection: close\r\n\r\n' "\$(cat $HOME_DIR/answer)"
mv \$to.head \$to.request
CONF
chmod 755 "$HOME_DIR/smtpd" "$HOME_DIR/httpd"
# serve PROGRAM → the port in $port. The kernel chooses it.
serve() {
    socat -d -d TCP-LISTEN:0,bind=127.0.0.1,fork,reuseaddr EXEC:"$1" 2>"$1.log" &
    SERVERS="$SERVERS $!"
    listens() { port=$(sed -n 's/.*listening on AF=2 127.0.0.1:\([0-9]*\).*/\1/p' "$1.log"); [ -n "$port" ]; }
    for _ in $(seq 300); do listens "$1" && return; sleep 0.05; done
    FAIL "$1 does not listen"
}
SERVERS=
AT_EXIT='kill $SERVERS 2>/dev/null'
serve "$HOME_DIR/smtpd"
smtp=$port
serve "$HOME_DIR/httpd"
http=$port
echo '200 OK' >"$HOME_DIR/answer"
printf 'account default\nhost 127.0.0.1\nport %s\nauto_from off\nfrom bmd@here.example\n' "$smtp" >"$HOME_DIR/msmtprc"
key=$(openssl rand -base64 32)
old=$(openssl rand -base64 24)
printf 'whsec_%s\n' "$key" >"$HOME_DIR/secret"
chmod 400 "$HOME_DIR/secret"

configure "notify \"mail\" { exec = {\"$SENDERS/notify-mail\", \"ops@example.org\", \"ana@example.org\"}  on = {\"succeeded\", \"failed\"}
    environment = {\"SENDMAIL=msmtp -C $HOME_DIR/msmtprc\", \"MAIL_FROM=bmd <bmd@here.example>\"} }" \
    "notify \"hook\" { exec = {\"$SENDERS/notify-webhook\", \"http://127.0.0.1:$http/hook?a=b\", \"$HOME_DIR/secret\"}  on = {\"failed\"} }" \
    "notify \"hidden\" { exec = {\"$SENDERS/notify-webhook\", \"@$HOME_DIR/url\"}  on = {\"held\"} }" \
    "notify \"numbers\" { exec = {\"$top_builddir/ctl/bmctl\", \"-s\", \"$BMD_SOCKET\", \"metrics\", \"$HOME_DIR/bmd.prom\"}  on = {\"succeeded\", \"failed\"} }"
application shop <<'CONF'
    stages = {"testing", "production"}
    stage "testing" { plan = "one" }
    stage "production" { plan = "one" }
CONF
plan one <<CONF
    step "say" { run = '! [ -e $HOME_DIR/broken ]' }
CONF
notices() { bmctl --json status | jq -r ".notices.$1"; }
nothing_waits() { [ "$(notices waiting)" = 0 ]; }
count() { set -- "$HOME_DIR"/$1; [ -e "$1" ] && echo $# || echo 0; }
requests() { [ "$(count 'http/*.request')" = "$1" ]; }
header() { sed -n "s/^$1: //pI" "$2"; }
bmd_start
for n in 1 2; do expect 0 bmctl build add shop 1.0; done

# ---- mail
expect 0 bmctl deploy shop 1.0/1 --to production --now --wait --reason "first"
mails() { [ "$(count 'mail/*.mail')" = "$1" ]; }
retry mails 1 || FAIL "no mail: $(bmctl notify list)"
mail=$(echo "$HOME_DIR"/mail/*.mail)
retry nothing_waits || FAIL "a notice waits: $(bmctl notify list)"
grep -q 'RCPT TO:<ops@example.org>' "${mail%.mail}.envelope" && grep -q 'RCPT TO:<ana@example.org>' "${mail%.mail}.envelope" || FAIL "the envelope: $(cat "${mail%.mail}.envelope")"
is "from" "bmd <bmd@here.example>" "$(header From "$mail")"
is "subject" "[bmd] succeeded: shop 1.0/1 on production (job 1)" "$(header Subject "$mail")"
is "the id of the message" "<$(bmctl --json notify list | jq -r '.notices[] | select(.section == "mail") | .notice')@$(uname -n)>" "$(header Message-ID "$mail")"
sed '1,/^$/d' "$mail" | base64 -d >"$HOME_DIR/text" || FAIL "the body is no base64"
grep -qx 'job 1: deploy shop 1.0/1 to production: succeeded' "$HOME_DIR/text" && grep -qx 'bmctl log 1' "$HOME_DIR/text" || { cat "$HOME_DIR/text"; FAIL "the text"; }
touch "$HOME_DIR/refuse"
expect 1 bmctl notify test mail
says "451 later"
rm "$HOME_DIR/refuse"
expect 0 bmctl notify test mail
env BM_NOTICE=x BM_APPLICATION= BM_STAGE= BM_PLAN= BM_STEP= BM_RESULT= BM_REQUESTED_BY= BM_TIME= sh "$SENDERS/notify-mail" -oQ/tmp 2>/dev/null
is "an address that is an option" 64 $?
OK "mail"

# ---- webhook
touch "$HOME_DIR/broken"
expect 1 bmctl deploy shop 1.0/2 --to production --now --wait
retry requests 1 || FAIL "no request: $(bmctl notify list)"
request=$(echo "$HOME_DIR"/http/*.request)
is "the request" "POST /hook?a=b HTTP/1.1" "$(head -n 1 "$request")"
is "its id" "$(bmctl --json notify list | jq -r '.notices[] | select(.section == "hook") | .notice')" "$(header webhook-id "$request")"
[ $(($(date +%s) - $(header webhook-timestamp "$request"))) -lt 60 ] || FAIL "its time: $(header webhook-timestamp "$request")"
# sign SECRET REQUEST: what openssl says of it.
sign() {
    hex=$(printf %s "$1" | base64 -d | od -An -vtx1 | tr -d ' \n')
    { printf '%s.%s.' "$(header webhook-id "$2")" "$(header webhook-timestamp "$2")"; cat "${2%.request}.body"; } |
        openssl dgst -sha256 -mac HMAC -macopt "hexkey:$hex" -binary | base64
}
is "its signature" "v1,$(sign "$key" "$request")" "$(header webhook-signature "$request")"
is "its type" application/json "$(header content-type "$request")"
is "what it tells" "bmd.failed shop production 2 say" "$(jq -r '"\(.type) \(.data.application) \(.data.stage) \(.data.job) \(.data.step)"' "${request%.request}.body")"
retry nothing_waits || FAIL "a notice waits: $(bmctl notify list)"
OK "webhook, signed"

# Another secret beside the old one: both sign.
rm "$HOME_DIR/http"/*
chmod 600 "$HOME_DIR/secret"
printf 'whsec_%s\n%s\n' "$key" "$old" >"$HOME_DIR/secret"
expect 0 bmctl notify test hook
request=$(echo "$HOME_DIR"/http/*.request)
is "two signatures" "v1,$(sign "$key" "$request") v1,$(sign "$old" "$request")" "$(header webhook-signature "$request")"
# What is no success is none, a redirect neither; the next attempt has the same id.
for answer in '500 Oops' '302 Found' '404 None'; do
    echo "$answer" >"$HOME_DIR/answer"
    expect 1 bmctl notify test hook
    says "the receiver answered ${answer%% *}"
done
rm "$HOME_DIR/http"/*
expect 1 bmctl deploy shop 1.0/2 --to production --now --wait
retry requests 1 || FAIL "no request: $(bmctl notify list)"
echo '204 Done' >"$HOME_DIR/answer"
retry requests 2 || FAIL "no second request: $(bmctl notify list)"
retry nothing_waits || FAIL "a notice waits: $(bmctl notify list)"
set -- "$HOME_DIR"/http/*.request
is "the id of the second attempt" "$(header webhook-id "$1")" "$(header webhook-id "$2")"
for request; do
    is "a signature" "v1,$(sign "$key" "$request") v1,$(sign "$old" "$request")" "$(header webhook-signature "$request")"
done
# A secret that others can read is refused, and so is none.
chmod 640 "$HOME_DIR/secret"
expect 1 bmctl notify test hook
says "others than its user can read $HOME_DIR/secret"
chmod 600 "$HOME_DIR/secret"
echo "whsec_c2hvcnQ=" >"$HOME_DIR/secret"
expect 1 bmctl notify test hook
says "a secret is 24 to 64 bytes"
: >"$HOME_DIR/secret"
expect 1 bmctl notify test hook
says "holds no secret"
# The URL from a file, without a signature. Ten trials a minute are allowed, and a bmd that begins anew has made none.
bmd_stop
bmd_start
rm "$HOME_DIR/http"/*
printf 'http://127.0.0.1:%s/T0/secret\n' "$http" >"$HOME_DIR/url"
expect 0 bmctl notify test hidden
request=$(echo "$HOME_DIR"/http/*.request)
is "the request" "POST /T0/secret HTTP/1.1" "$(head -n 1 "$request")"
is "signatures" "" "$(header webhook-signature "$request")"
echo 'file:///etc/passwd' >"$HOME_DIR/url"
expect 1 bmctl notify test hidden
says "not a URL"
OK "webhook: secrets, answers, URLs"

# ---- metrics
rm -f "$HOME_DIR/broken"
expect 0 bmctl deploy shop 1.0/1 --to testing --now --wait
expect 0 bmctl deploy shop 1.0/2 --to testing --at +1h --no-follow
expect 0 bmctl lock shop testing --reason x
retry nothing_waits || FAIL "a notice waits: $(bmctl notify list)"
expect 0 bmctl metrics "$HOME_DIR/bmd.prom"
has() { grep -qxF "$1" "$HOME_DIR/bmd.prom" || { cat "$HOME_DIR/bmd.prom"; FAIL "no line: $1"; }; }
has 'bmd_up 1'
has 'bmd_live_info{application="shop",stage="production",release="1.0",build="1"} 1'
has 'bmd_live_info{application="shop",stage="testing",release="1.0",build="1"} 1'
has 'bmd_stage_dirty{application="shop",stage="production"} 1'
has 'bmd_stage_dirty{application="shop",stage="testing"} 0'
has 'bmd_stage_locked{application="shop",stage="testing"} 1'
has 'bmd_jobs{state="scheduled"} 1'
has 'bmd_jobs{state="running"} 0'
has 'bmd_queue_length 1'
has 'bmd_drained 0'
has 'bmd_notices{state="waiting"} 0'
last=$(sed -n 's/^bmd_last_success_timestamp_seconds{application="shop",stage="testing"} //p' "$HOME_DIR/bmd.prom")
[ $(($(date +%s) - ${last%.*})) -lt 60 ] || FAIL "the last success: $last"
is "mode of the file" 644 "$(stat -c %a "$HOME_DIR/bmd.prom")"
# Each line is a comment, or a name, labels and a number; each name has its help and type once.
grep -vE '^# (HELP|TYPE) bmd_[a-z_]+ |^bmd_[a-z_]+(\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\})? [0-9.]+$' "$HOME_DIR/bmd.prom" && FAIL "a line that is no metric"
is "helps" "$(sed -n 's/^# TYPE \(bmd_[a-z_]*\) .*/\1/p' "$HOME_DIR/bmd.prom" | sort -u)" "$(sed -n 's/^\(bmd_[a-z_]*\).*/\1/p' "$HOME_DIR/bmd.prom" | sort -u)"
# Never half written, never absent: read while it is written.
(for _ in $(seq 100); do bmctl metrics "$HOME_DIR/bmd.prom" || exit 1; done) &
writing=$!
lines=$(wc -l <"$HOME_DIR/bmd.prom")
while kill -0 $writing 2>/dev/null; do
    is "lines while it is written" "$lines" "$(wc -l <"$HOME_DIR/bmd.prom")"
done
wait $writing || FAIL "metrics failed"
is "what is left beside it" 0 "$(count 'bmd.prom.*')"
expect 0 bmctl metrics
prints 'bmd_up 1'
expect 1 bmctl metrics /nonexistent/bmd.prom
bmd_stop
expect 5 bmctl metrics "$HOME_DIR/bmd.prom"
is "without bmd" "bmd_up 0" "$(grep -v '^#' "$HOME_DIR/bmd.prom")"
OK "metrics"
