/* SPDX-License-Identifier: ISC */
/*
 * Nasty names and values: each arrives byte for byte in the environment and the arguments of a
 * step, or it is refused; nothing of them is ever run, opened or taken for an option. Made from a
 * seed: control bytes, quotes, $(), backticks, newlines, bytes that are no UTF-8, NUL, very long
 * ones, leading dashes, "..", and what turns a line around.
 *
 *   inject SOCKET FOLDER COUNT SEED	asks a real bmd, and reads what its steps wrote into FOLDER
 *   inject --dump FILE [ARG…]		is the step: writes its arguments, its environment and its
 * parent's arguments
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/json.h"
#include "common/names.h"
#include "common/xalloc.h"
#include "tests/campaign/ledger.h"

#define BATCH	  24 /* values of one job; the first BUILDS of them come from its build */
#define BUILDS	  8
#define REPLY_MAX (2 * 1024 * 1024)
#define LONG_MAX  40000

struct bytes {
	char *v;
	size_t n;
};

static const char *path, *folder;
static uint64_t dice;
static unsigned values, arrived, refused, names, names_taken, names_refused, wrong;

static _printf_(1, 2) void complain(const char *format, ...)
{
	va_list ap;

	wrong++;
	va_start(ap, format);
	vprintf(format, ap);
	va_end(ap);
	putchar('\n');
}

/* ---- what is nasty */

static const char *const pieces[] = {
    "'",
    "\"",
    "\\",
    "`",
    "`touch CANARY`",
    "$(touch CANARY)",
    "${HOME}",
    "$HOME",
    "$$",
    "$",
    "; touch CANARY;",
    "| touch CANARY",
    "&& touch CANARY",
    "\n",
    "\r\n",
    "\ntouch CANARY\n",
    "\t",
    " ",
    "  ",
    "*",
    "?",
    "[a-z]",
    "~",
    "~root",
    "!",
    "!!",
    "#",
    "%s",
    "%n%n%n",
    "<",
    ">",
    ">CANARY",
    "<(touch CANARY)",
    "../",
    "..",
    "../../../../etc/passwd",
    "/",
    "//",
    "/etc/passwd",
    ".",
    "-",
    "--",
    "--help",
    "-rf",
    "-c",
    "-e",
    "=",
    "A=B",
    "\x01",
    "\x02",
    "\x07",
    "\x08",
    "\x1b[2J",
    "\x1b]0;title\x07",
    "\x7f",
    "\xc2\x85",
    "\xc2\x9b"
    "31m",
    "\xe2\x80\xae",
    "\xe2\x80\x8f",
    "\xe2\x80\xa8",
    "\xef\xbb\xbf",
    "\xef\xbf\xbd",
    "\xf0\x9f\x92\xa9",
    "e\xcc\x81",
    "\xc3\xa9",
    "0",
    "00",
    "-1",
    "NULL",
    "null",
    "true",
    "{}",
    "[]",
    "\"},{\"",
    "',x='",
    "'; DROP TABLE jobs; --",
    "%00",
    "\\0",
    "\\x00",
    "\\n",
    "&amp;",
    "<script>",
    "a",
    "shop",
    "production",
    "1.0",
    "1.0/1",
    "LD_PRELOAD=/tmp/x.so",
    "BASH_ENV",
    "IFS",
    "() { :; }; touch CANARY",
};
/* No text at all. */
static const char *const broken[] = {
    "\x80", "\xff", "\xc3", "\xc0\xaf", "\xed\xa0\x80", "\xf5\x80\x80\x80", "\xe2\x28\xa1"};

static void
add(struct bytes *bytes, const void *more, size_t n)
{
	bytes->v = xrealloc(bytes->v, bytes->n + n + 1, 1);
	memcpy(bytes->v + bytes->n, more, n);
	bytes->n += n;
	bytes->v[bytes->n] = '\0';
}

static struct bytes
make_nasty(void)
{
	struct bytes bytes = {0};
	int count = 1 + below(&dice, 5), kind = below(&dice, 40);

	add(&bytes, "", 0);
	if (kind == 0)
		return bytes; /* nothing */
	if (kind == 1)	      /* very long: about what is the most */
		for (size_t n = (size_t)(NAMES_VALUE_MAX - 3 + below(&dice, 6)); bytes.n < n;)
			add(&bytes, "x", 1);
	for (int i = 0; i < count && kind != 1; i++) {
		const char *piece = pieces[below(&dice, ARRAY_SIZE(pieces))];

		add(&bytes, piece, strlen(piece));
	}
	if (kind == 2 || kind == 3) {
		const char *piece = broken[below(&dice, ARRAY_SIZE(broken))];

		add(&bytes, piece, strlen(piece));
	}
	if (kind == 4)
		add(&bytes, "\0after", 6);
	if (kind == 5) /* every byte alike */
		for (int i = below(&dice, 64); i > 0; i--)
			add(&bytes, &(char){(char)(1 + below(&dice, 127))}, 1);
	return bytes;
}

/* A name that looks like one, so that some are taken. */
static struct bytes
make_name(void)
{
	static const char letters[] =
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._+~-";
	struct bytes bytes = {0};

	if (below(&dice, 3) > 0)
		return make_nasty();
	add(&bytes, "", 0);
	for (int i = 1 + below(&dice, 66); i > 0; i--)
		add(&bytes, &letters[below(&dice, (int)sizeof(letters) - 1)], 1);
	return bytes;
}

/* ---- a call, of which no library knows: its bytes are ours */

/* BYTES as a JSON string: escaped where JSON wants it, else as they are, also when they are no
 * UTF-8. */
static void
add_string(struct bytes *call, const struct bytes *bytes)
{
	add(call, "\"", 1);
	for (size_t i = 0; i < bytes->n; i++) {
		unsigned char c = (unsigned char)bytes->v[i];
		char escape[8];

		if (c < 0x20 || c == '"' || c == '\\')
			add(call, escape, (size_t)snprintf(escape, sizeof(escape), "\\u%04x", c));
		else
			add(call, &bytes->v[i], 1);
	}
	add(call, "\"", 1);
}

static void
add_text(struct bytes *call, const char *text)
{
	add(call, text, strlen(text));
}

static json_t *
say(struct bytes *call)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char *reply = xcalloc(REPLY_MAX, 1);
	size_t n = 0, sent = 0;
	json_t *object;

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		err(1, "%s", path);
	add(call, "\0", 1);
	while (sent < call->n) {
		ssize_t put = send(fd, call->v + sent, call->n - sent, MSG_NOSIGNAL);

		if (put < 0)
			break; /* it was refused before it had ended */
		sent += (size_t)put;
	}
	while (n < REPLY_MAX && (n == 0 || reply[n - 1] != '\0')) {
		ssize_t got = recv(fd, reply + n, REPLY_MAX - n, 0);

		if (got <= 0)
			break;
		n += (size_t)got;
	}
	close(fd);
	object = json_loadb(reply, n ? n - 1 : 0, 0, NULL);
	if (!object)
		complain("no answer to %.200s", call->v);
	free(reply);
	free(TAKE(call->v));
	call->n = 0;
	return object;
}

static bool
is_good(const json_t *reply)
{
	return reply && !json_object_get(reply, "error");
}

static const char *
message_of(const json_t *reply)
{
	return text_of(json_object_get(reply, "parameters"), "message");
}

/* ---- names */

/* Each place of a name, with the rest of the call around it. A key is made of the number of the
 * call. */
static const struct {
	const char *method, *before, *after;
	bool may; /* such a name may be new */
} places[] = {
    {"AddBuild", "\"application\":\"shop\",\"release\":", ",\"artifacts\":[]", true},
    {"AddBuild", "\"release\":\"1.0\",\"artifacts\":[],\"application\":", "", false},
    {"AddBuild",
     "\"application\":\"shop\",\"release\":\"n\",\"artifacts\":[{\"digest\":\"x\",\"name\":", "}]",
     false},
    {"Deploy", "\"application\":\"shop\",\"release\":\"1.0\",\"now\":true,\"stage\":", "", false},
    {"Deploy", "\"stage\":\"one\",\"release\":\"1.0\",\"now\":true,\"application\":", "", false},
    {"Deploy", "\"stage\":\"one\",\"application\":\"shop\",\"now\":true,\"release\":", "", false},
    {"Lock", "\"application\":\"shop\",\"reason\":\"x\",\"stage\":", "", false},
    {"Redeploy", "\"now\":true,\"application\":", "", false},
    {"Deploy", "\"application\":\"shop\",\"release\":\"1.0\",\"stage\":\"one\",\"at\":", "", false},
    {"Deploy",
     "\"application\":\"shop\",\"release\":\"1.0\",\"stage\":\"one\",\"at\":\"2099-01-01T00:00:00."
     "000000Z\",\"zone\":",
     "", false},
    {"AddSchedule", "\"application\":\"shop\",\"stage\":\"one\",\"live\":true,\"calendar\":", "",
     true},
    {"ListBuilds", "\"application\":", "", false},
    {"GetSchedule", "\"name\":", "", false},
    {"ListQueue", "\"after\":", "", false},
};

static void
one_name(unsigned number)
{
	size_t place = (size_t)below(&dice, ARRAY_SIZE(places));
	struct bytes name = make_name(), call = {0};
	_cleanup_json_ json_t *reply = NULL;
	const char *told;
	char key[64];

	names++;
	snprintf(key, sizeof(key), "\"key\":\"n%u\",", number);
	add_text(&call, "{\"method\":\"io.bmd.Control.");
	add_text(&call, places[place].method);
	add_text(&call, "\",\"parameters\":{");
	if (strncmp(places[place].method, "List", 4) != 0 &&
	    strncmp(places[place].method, "Get", 3) != 0)
		add_text(&call, key);
	add_text(&call, places[place].before);
	add_string(&call, &name);
	add_text(&call, places[place].after);
	add_text(&call, "}}");
	reply = say(&call);
	if (!is_good(reply)) {
		names_refused++;
		if (!*message_of(reply) && !json_object_get(reply, "parameters"))
			complain("refused without a word: %s", error_name(reply));
	} else {
		names_taken++;
		told = text_of(answer(reply, "build"), "release");
		if (place == 0 && (strlen(told) != name.n || strcmp(told, name.v) != 0))
			complain("a release arrived as another: %s as %s", name.v, told);
		if (place == 0 && !names_release(name.v))
			complain("a release that is no name: %s", name.v);
		/* What exists may be named. */
		if (!places[place].may && strcmp(name.v, "shop") != 0 &&
		    strcmp(name.v, "1.0") != 0 && strcmp(name.v, "one") != 0)
			complain("%s took the name %s", places[place].method, name.v);
	}
	free(name.v);
}

/* ---- values */

/* Would bmd take it? Asked without doing it. */
static bool
taken(const struct bytes *value)
{
	struct bytes call = {0};
	_cleanup_json_ json_t *reply = NULL;

	add_text(&call,
		 "{\"method\":\"io.bmd.Control.Deploy\",\"parameters\":{\"application\":\"shop\","
		 "\"release\":\"1.0\",\"stage\":\"one\",\"now\":true,\"dry_run\":true,"
		 "\"variables\":{\"V0\":");
	add_string(&call, value);
	add_text(&call, "}}}");
	reply = say(&call);
	if (!is_good(reply))
		return false;
	/* A dry run answers with what would be refused. */
	return json_array_size(json_object_get(answer(reply, "preview"), "problems")) == 0;
}

static char *
slurp(const char *name, int64_t job, size_t *ret_n)
{
	_cleanup_free_ char *file = xasprintf("%s/%s.%lld", folder, name, (long long)job);
	_cleanup_fclose_ FILE *in = fopen(file, "re");
	char *text = xcalloc(BATCH * (LONG_MAX + 64), 1);

	*ret_n = in ? fread(text, 1, BATCH * (LONG_MAX + 64) - 1, in) : 0;
	return text;
}

/* The N-th of the strings in TEXT that end with a NUL; NULL: there are fewer. */
static const char *
string_at(const char *text, size_t size, size_t n)
{
	const char *at = text;

	while (n-- > 0) {
		at += strlen(at) + 1;
		if (at >= text + size)
			return NULL;
	}
	return at < text + size ? at : NULL;
}

static const char *
variable(const char *text, size_t size, const char *name)
{
	const char *at, *found = NULL;
	size_t n = strlen(name);

	for (size_t i = 0; (at = string_at(text, size, i)); i++)
		if (strncmp(at, name, n) == 0 && at[n] == '=') {
			if (found)
				complain("%s stands twice in the environment", name);
			found = at + n + 1;
		}
	return found;
}

static void
compare(const char *where, int64_t job, size_t i, const struct bytes *value, const char *got)
{
	if (!got || strlen(got) != value->n || memcmp(got, value->v, value->n) != 0)
		complain("job %lld, value %zu, %s: %.100s arrived as %.100s", (long long)job, i,
			 where, value->v, got ? got : "nothing");
}

/* What the two steps of the job saw, by exec and by the shell. */
static void
look(int64_t job, const struct bytes *batch, const struct bytes *reason)
{
	static const char *const steps[] = {"exec", "run"};

	for (size_t s = 0; s < ARRAY_SIZE(steps); s++) {
		_cleanup_free_ char *args = xasprintf("%s.args", steps[s]);
		_cleanup_free_ char *env = xasprintf("%s.env", steps[s]);
		size_t nargs, nenv;
		_cleanup_free_ char *argv = slurp(args, job, &nargs);
		_cleanup_free_ char *envp = slurp(env, job, &nenv);

		for (size_t i = 0; i < BATCH; i++) {
			char name[16];

			snprintf(name, sizeof(name), "V%zu", i);
			compare(steps[s], job, i, &batch[i], string_at(argv, nargs, i));
			compare("the environment", job, i, &batch[i], variable(envp, nenv, name));
		}
		if (string_at(argv, nargs, BATCH))
			complain("job %lld: more arguments than were given", (long long)job);
		compare("BM_REASON", job, 0, reason, variable(envp, nenv, "BM_REASON"));
	}
}

/* bmd-run is told by a socket, and where its arguments were stands its title: what it is at, by
 * names alone. */
static void
look_at_runner(int64_t job, unsigned number)
{
	size_t n;
	_cleanup_free_ char *title = slurp("exec.parent", job, &n);
	_cleanup_free_ char *expect = xasprintf(
	    "bmd-run: job %lld: shop batch%u/1 to one: step 1 of 2, exec", (long long)job, number);

	if (strcmp(title, expect) != 0)
		complain("job %lld: bmd-run shows '%.100s' and not '%s'", (long long)job, title,
			 expect);
	for (size_t i = strlen(title); i < n; i++)
		if (title[i])
			complain("job %lld: bmd-run shows more behind its title", (long long)job);
}

static int64_t
deploy(unsigned number, const struct bytes *batch, const struct bytes *reason)
{
	_cleanup_json_ json_t *built = NULL, *reply = NULL;
	struct bytes call = {0};
	char text[128];

	snprintf(text, sizeof(text),
		 "\"key\":\"b%u\",\"release\":\"batch%u\",\"artifacts\":[],\"variables\":{", number,
		 number);
	add_text(
	    &call,
	    "{\"method\":\"io.bmd.Control.AddBuild\",\"parameters\":{\"application\":\"shop\",");
	add_text(&call, text);
	for (size_t i = 0; i < BUILDS; i++) {
		snprintf(text, sizeof(text), "%s\"V%zu\":", i ? "," : "", i);
		add_text(&call, text);
		add_string(&call, &batch[i]);
	}
	add_text(&call, "}}}");
	built = say(&call);
	if (!is_good(built))
		complain("a build was refused: %s", message_of(built));
	snprintf(text, sizeof(text), "\"key\":\"d%u\",\"release\":\"batch%u\",", number, number);
	add_text(&call, "{\"method\":\"io.bmd.Control.Deploy\",\"parameters\":{\"application\":"
			"\"shop\",\"stage\":\"one\",\"now\":true,");
	add_text(&call, text);
	add_text(&call, "\"reason\":");
	add_string(&call, reason);
	add_text(&call, ",\"variables\":{");
	for (size_t i = BUILDS; i < BATCH; i++) {
		snprintf(text, sizeof(text), "%s\"V%zu\":", i > BUILDS ? "," : "", i);
		add_text(&call, text);
		add_string(&call, &batch[i]);
	}
	add_text(&call, "}}}");
	reply = say(&call);
	if (!is_good(reply)) {
		complain("a deployment was refused: %s", message_of(reply));
		return 0;
	}
	return number_of(answer(reply, "job"), "id");
}

/* The job when it is over, or held. */
static json_t *
await(int64_t job)
{
	for (;;) {
		_cleanup_json_ json_t *which = json_pack("{s:I}", "job", (json_int_t)job);
		json_t *reply = ask(path, "GetJob", which, 60000);
		const char *state = text_of(answer(reply, "job"), "state");

		if (!*state || state_final(state) || strcmp(state, "held") == 0)
			return reply;
		json_decref(reply);
		nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	}
}

static void
run_batch(unsigned number, const struct bytes *batch)
{
	/* A reason is shorter, and one of blanks alone is none. */
	static char plain[] = "plain $(touch CANARY) 'reason'";
	struct bytes reason = batch[0];
	_cleanup_json_ json_t *ended = NULL;
	int64_t job;

	if (reason.n > 1000 || !reason.v[strspn(reason.v, " \t\r\n")])
		reason = (struct bytes){.v = plain, .n = strlen(plain)};
	job = deploy(number, batch, &reason);
	if (job == 0)
		return;
	ended = await(job);
	if (strcmp(text_of(answer(ended, "job"), "state"), "succeeded") != 0) {
		complain("job %lld is %s: %s", (long long)job,
			 text_of(answer(ended, "job"), "state"),
			 text_of(answer(ended, "job"), "message"));
		return;
	}
	look(job, batch, &reason);
	look_at_runner(job, number);
	arrived += BATCH;
}

static void
all_values(unsigned count)
{
	struct bytes batch[BATCH] = {{0}};
	unsigned number = 0, good = 0;
	size_t have = 0;

	/* To the end of a batch: what is taken also arrives. */
	while (values < count || have > 0) {
		struct bytes value = make_nasty();

		if (values >= count * 2) /* cannot be: most are taken */
			errx(1, "too few values are taken");
		values++;
		if (!taken(&value)) {
			bool must = memchr(value.v, '\0', value.n) == NULL &&
				    names_text(value.v, NAMES_VALUE_MAX, true);

			if (must)
				complain("refused, and is a text: %.100s", value.v);
			refused++;
			free(value.v);
			continue;
		}
		if (memchr(value.v, '\0', value.n) || value.n > NAMES_VALUE_MAX)
			complain("taken, and is no text: %.100s", value.v);
		good++;
		batch[have++] = value;
		if (have == BATCH) {
			run_batch(number++, batch);
			for (; have > 0; have--)
				free(batch[have - 1].v);
		}
	}
	if (good != arrived)
		complain("%u values were taken, %u arrived", good, arrived);
}

/* ---- the step */

static void
write_file(const char *file, const char *what, const void *bytes, size_t n)
{
	const char *dot = strrchr(file, '.');
	_cleanup_free_ char *name = xasprintf("%.*s.%s%s", (int)(dot - file), file, what, dot);
	FILE *out = fopen(name, "we");

	if (!out || fwrite(bytes, 1, n, out) != n || fclose(out) != 0)
		err(1, "%s", name);
}

static int
dump(const char *file, char **argv, char **envp)
{
	_cleanup_free_ char *parent = xasprintf("/proc/%d/cmdline", (int)getppid());
	struct bytes bytes = {0};
	char text[4096];
	FILE *in = fopen(parent, "re");
	size_t n = in ? fread(text, 1, sizeof(text), in) : 0;

	write_file(file, "parent", text, n);
	if (in)
		fclose(in);
	add(&bytes, "", 0);
	for (; *argv; argv++)
		add(&bytes, *argv, strlen(*argv) + 1);
	write_file(file, "args", bytes.v, bytes.n);
	bytes.n = 0;
	for (; *envp; envp++)
		add(&bytes, *envp, strlen(*envp) + 1);
	write_file(file, "env", bytes.v, bytes.n);
	free(bytes.v);
	return 0;
}

int
main(int argc, char **argv, char **envp)
{
	unsigned count;

	if (argc >= 3 && strcmp(argv[1], "--dump") == 0)
		return dump(argv[2], argv + 3, envp);
	if (argc != 5)
		errx(2, "usage: inject SOCKET FOLDER COUNT SEED");
	path = argv[1];
	folder = argv[2];
	count = (unsigned)atoi(argv[3]);
	dice = strtoull(argv[4], NULL, 10);
	all_values(count / 2);
	for (unsigned i = 0; i < count / 2; i++)
		one_name(i);
	printf("%u values: %u arrived byte for byte, %u were refused; %u names: %u taken as they "
	       "are, %u refused; %u wrong\n",
	       values, arrived, refused, names, names_taken, names_refused, wrong);
	if (arrived == 0 || refused == 0 || names_taken == 0 || names_refused == 0)
		errx(1, "not all that there is was met");
	return wrong ? 1 : 0;
}
