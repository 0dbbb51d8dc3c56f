/* SPDX-License-Identifier: ISC */
/* bmd-import against hostile archives: a corpus made here, byte by byte, through the real program.
 * Whatever is refused must leave nothing. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "artifact/manifest.h"
#include "artifact/objects.h"
#include "common/entry.h"
#include "common/json.h"
#include "common/xalloc.h"
#include "tests/unit/unit.h"

static char base[64];

static void
setup(void)
{
	strcpy(base, "/tmp/test_import.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(base));
	signal(SIGPIPE, SIG_IGN);
}

static void
teardown(void)
{
	unit_remove(base);
}

/* ---- bytes */

struct bytes {
	char *v;
	size_t n, room;
};

static void
add(struct bytes *bytes, const void *p, size_t n)
{
	while (bytes->n + n > bytes->room) {
		bytes->room = bytes->room ? bytes->room * 2 : 4096;
		bytes->v = xrealloc(bytes->v, bytes->room, 1);
	}
	memcpy(bytes->v + bytes->n, p, n);
	bytes->n += n;
}

static void
add_zeros(struct bytes *bytes, size_t n)
{
	static const char zeros[512];

	for (; n > 0; n -= n < 512 ? n : 512)
		add(bytes, zeros, n < 512 ? n : 512);
}

static void
add_number(struct bytes *bytes, uint64_t value, size_t n)
{
	for (size_t i = 0; i < n; i++)
		add(bytes, &(char){(char)(value >> (8 * i))}, 1);
}

/* ---- tar */

static void
tar_header(struct bytes *tar, const char *name, char type, unsigned mode, const char *link,
	   uint64_t size)
{
	char h[512] = "";
	unsigned sum = 0;

	memcpy(h, name, strnlen(name, 100));
	sprintf(h + 100, "%07o", mode);
	sprintf(h + 108, "%07o", 12345U);
	sprintf(h + 116, "%07o", 12345U);
	sprintf(h + 124, "%011llo", (unsigned long long)size);
	sprintf(h + 136, "%011o", 0U);
	memset(h + 148, ' ', 8);
	h[156] = type;
	memcpy(h + 157, link, strnlen(link, 100));
	memcpy(h + 257,
	       "ustar\0"
	       "00",
	       8);
	for (size_t i = 0; i < sizeof(h); i++)
		sum += (unsigned char)h[i];
	sprintf(h + 148, "%06o", sum);
	add(tar, h, sizeof(h));
}

static void
tar_content(struct bytes *tar, const char *content, size_t n)
{
	add(tar, content, n);
	add_zeros(tar, (512 - n % 512) % 512);
}

static void
tar_pax(struct bytes *tar, const char *records)
{
	tar_header(tar, "pax", 'x', 0644, "", strlen(records));
	tar_content(tar, records, strlen(records));
}

/* WORDS parted by '|': TYPE NAME [=CONTENT or >TARGET]; types: f x(executable) s(setuid) d l h c b
 * p. */
static struct bytes
tar_of(const char *words)
{
	char *copy = strdup(words), *save = NULL;
	struct bytes tar = {0};

	for (char *word = strtok_r(copy, "|", &save); word != NULL;
	     word = strtok_r(NULL, "|", &save)) {
		static const char types[] = "fxsdlhcbp", tars[] = "000521346";
		char *content = strchr(word, '='), *target = strchr(word, '>');
		const char *type = strchr(types, word[0]);
		unsigned mode = word[0] == 'x' ? 0700 : word[0] == 's' ? 06777 : 0600;

		if (content != NULL)
			*content++ = '\0';
		else if (target != NULL)
			*target++ = '\0';
		tar_header(&tar, word + 1, tars[type - types], mode, target != NULL ? target : "",
			   content != NULL ? strlen(content) : 0);
		if (content != NULL)
			tar_content(&tar, content, strlen(content));
	}
	add_zeros(&tar, 1024);
	free(copy);
	return tar;
}

/* ---- the program */

struct run {
	pid_t pid;
	int fd;
};

static struct run
start(const char *kind, const char *limit)
{
	int pair[2];
	struct run run;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	run.pid = fork();
	if (run.pid == 0) {
		dup2(pair[1], 0);
		dup2(pair[1], 1);
		execl(TOP_BUILDDIR "/import/bmd-import", "bmd-import", "--state", base, "--limit",
		      limit, kind, (char *)NULL);
		_exit(127);
	}
	close(pair[1]);
	run.fd = pair[0];
	return run;
}

/* The answer, and the end of the program. */
static json_t *
answer(struct run run)
{
	static char text[65536];
	size_t n = 0;
	ssize_t got;
	int status;

	while (n < sizeof(text) - 1 && (got = read(run.fd, text + n, sizeof(text) - 1 - n)) > 0)
		n += (size_t)got;
	close(run.fd);
	ck_assert_int_eq(waitpid(run.pid, &status, 0), run.pid);
	ck_assert_msg(status == 0, "bmd-import: %d", status);
	text[n] = '\0';
	return json_loads(text, 0, NULL);
}

/* Ends early when nobody takes any more. */
static void
send_archive(int fd, const char *bytes, size_t n)
{
	for (size_t at = 0; at < n; at += 65536)
		if (entry_write(fd, ENTRY_CONTENT, bytes + at, n - at < 65536 ? n - at : 65536) < 0)
			return;
}

static json_t *
import_with(const char *kind, const char *limit, const struct bytes *archive)
{
	struct run run = start(kind, limit);

	send_archive(run.fd, archive->v, archive->n);
	entry_write(run.fd, ENTRY_END, NULL, 0);
	return answer(run);
}

static json_t *
import(const char *kind, const struct bytes *archive)
{
	return import_with(kind, "files=1000000", archive);
}

static int
count(const char *folder)
{
	_cleanup_free_ char *path = xasprintf("%s/store/%s", base, folder);
	DIR *dir = opendir(path);
	int n = -2;

	ck_assert_ptr_nonnull(dir);
	while (readdir(dir) != NULL)
		n++;
	closedir(dir);
	return n;
}

static const char *
message(const json_t *object)
{
	const char *text = json_get_string(json_object_get(object, "parameters"), "message");

	return text != NULL				   ? text
	       : json_get_string(object, "digest") != NULL ? "taken"
							   : "nothing";
}

static void
check_refused(int line, json_t *object, const char *expected)
{
	const char *text = message(object);

	ck_assert_msg(json_object_get(object, "error") != NULL, "line %d: %s", line, text);
	ck_assert_msg(strstr(text, expected) != NULL, "line %d: \"%s\" lacks \"%s\"", line, text,
		      expected);
	ck_assert_msg(strpbrk(text, "\n\r\x1b") == NULL, "line %d: control bytes", line);
	ck_assert_msg(count("objects") + count("manifests") + count("incoming") == 0,
		      "line %d: something is left", line);
	json_decref(object);
}

/* The manifest of what was taken, one line for each entry. */
static char *
manifest_of(int line, json_t *object)
{
	const char *digest = json_get_string(object, "digest");
	struct objects *objects;
	char *text;
	size_t n;

	ck_assert_msg(digest != NULL, "line %d: %s", line, message(object));
	ck_assert_int_eq(objects_open(base, false, &objects, NULL), 0);
	ck_assert_int_eq(objects_get_manifest(objects, digest, &text, &n, NULL), 0);
	objects_close(objects);
	json_decref(object);
	return text;
}

/* The store begins anew. */
static void
forget(void)
{
	_cleanup_free_ char *line = xasprintf("rm -r %s/store", base);

	ck_assert_int_eq(system(line), 0);
}

/* ---- tar */

START_TEST(taken)
{
	static const struct {
		int line;
		const char *words;
		const char *paths; /* "mode path" of each, or "link path>target" */
	} table[] = {
	    {__LINE__, "fa=1|xb=2|sc=3", "0644 a|0755 b|0755 c|"},
	    {__LINE__, "d./|f./a=1|d./b/|f./b/c=", "0644 a|0644 b/c|"},
	    {__LINE__, "d.|f./a=1|f.//b=2", "0644 a|0644 b|"},
	    {__LINE__, "db|db/|fb/c=1|de", "0644 b/c|dir e|"},
	    {__LINE__, "fa=1|la2>a|ld/l>../a|dd", "0644 a|link a2>a|link d/l>../a|"},
	    {__LINE__, "xa=1|hb>a|hc>./b", "0755 a|0755 b|0755 c|"},
	    {__LINE__, "ll>missing", "link l>missing|"},
	    {__LINE__, "fa\xc3\xbc=1|fA b=", "0644 A b|0644 a\xc3\xbc|"},
	    {__LINE__, "", ""},
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		struct bytes tar = tar_of(table[i].words);
		_cleanup_free_ char *text = manifest_of(table[i].line, import("tar", &tar));
		struct manifest manifest = {0};
		char found[1024] = "";

		ck_assert_int_eq(manifest_parse(text, strlen(text), &manifest, NULL), 0);
		for (size_t j = 0; j < manifest.n; j++) {
			const struct manifest_entry *e = &manifest.v[j];

			sprintf(found + strlen(found), "%s %s%s%s|",
				e->kind == MANIFEST_LINK	? "link"
				: e->kind == MANIFEST_DIRECTORY ? "dir"
				: e->executable			? "0755"
								: "0644",
				e->path, e->target ? ">" : "", e->target ? e->target : "");
		}
		ck_assert_msg(strcmp(found, table[i].paths) == 0, "line %d: %s", table[i].line,
			      found);
		manifest_clear(&manifest);
		free(tar.v);
	}
}
END_TEST

START_TEST(refused)
{
	static const struct {
		int line;
		const char *words, *why;
	} table[] = {
	    {__LINE__, "fa=1|f../b=2", ".."},
	    {__LINE__, "fa/../../b=2", ".."},
	    {__LINE__, "fa/./b=2", "."},
	    {__LINE__, "f/etc/passwd=x", "absolute"},
	    {__LINE__, "f./../x=x", ".."},
	    {__LINE__, "d..", ".."},
	    {__LINE__, "d/", "absolute"},
	    {__LINE__, "la>/etc/passwd", "absolute"},
	    {__LINE__, "la>../b", "out of the tree"},
	    {__LINE__, "dd|ld/a>../../b", "out of the tree"},
	    {__LINE__, "la>.|lb>a/../c", "out of the tree"},
	    {__LINE__, "lb>a/../c|la>.", "out of the tree"},
	    {__LINE__, "ld/up>..|lx>d/up/../etc", "out of the tree"},
	    {__LINE__, "lx>d/up/../etc|ld/up>..", "out of the tree"},
	    {__LINE__, "la>b|lb>c|lc>a", "circle"},
	    {__LINE__, "la>b|fa/c=x", "through a symbolic link"},
	    {__LINE__, "fa/c=x|la>b", "through a symbolic link"},
	    {__LINE__, "la>/tmp|fa/c=x", "through a symbolic link"},
	    {__LINE__, "fa=1|fa/b=2", "a file in the same tree"},
	    {__LINE__, "fa=1|fa=1", "twice"},
	    {__LINE__, "fa=1|f./a=2", "twice"},
	    {__LINE__, "fa=1|la>b", "twice"},
	    {__LINE__, "fa=1|da", "twice"},
	    {__LINE__, "ha>/etc/passwd", "no file before it"},
	    {__LINE__, "ha>../b", "no file before it"},
	    {__LINE__, "ha>b|fb=1", "no file before it"},
	    {__LINE__, "ha>a", "no file before it"},
	    {__LINE__, "ll>x|hh>l", "no file before it"},
	    {__LINE__, "dd|hh>d", "no file before it"},
	    {__LINE__, "fa=1|ca", "not a plain file"},
	    {__LINE__, "fa=1|bb", "not a plain file"},
	    {__LINE__, "fa=1|pp", "not a plain file"},
	    {__LINE__, "fa\nb=1", "control bytes"},
	    {__LINE__, "fa\x1b[31m=1", "control bytes"},
	    {__LINE__, "fa\x7f=1", "control bytes"},
	    {__LINE__, "fa\xff\xfe=1", "UTF-8"},
	    {__LINE__, "la>b\nc", "control bytes"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		struct bytes tar = tar_of(table[i].words);

		check_refused(table[i].line, import("tar", &tar), table[i].why);
		free(tar.v);
	}
}
END_TEST

/* pax: names longer than a header holds, numbers that overflow, records that lie about their
 * length. */
START_TEST(pax)
{
	static const struct {
		int line;
		const char *records, *why; /* NULL: taken */
	} table[] = {
	    {__LINE__, "21 path=other/name\n\n", ""},
	    {__LINE__, "16 path=renamed\n", NULL},
	    {__LINE__, "18 path=../escape\n", ".."},
	    {__LINE__, "20 path=/etc/passwd\n", "absolute"},
	    {__LINE__, "29 size=99999999999999999999\n", ""},
	    {__LINE__, "22 size=1099511627776\n", ""},
	    {__LINE__, "11 size=-1\n", ""},
	    {__LINE__, "99999 path=x\n", ""},
	    {__LINE__, "0 path=x\n", ""},
	    {__LINE__, "-5 path=x\n", ""},
	    {__LINE__, "99999999999999999999999999 path=x\n", ""},
	    {__LINE__, "nonsense", ""},
	    {__LINE__, "24 linkpath=/etc/passwd\n", ""},
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		struct bytes tar = {0}, rest = tar_of("fa=1");
		json_t *object;

		tar_pax(&tar, table[i].records);
		add(&tar, rest.v, rest.n);
		object = import("tar", &tar);
		if (table[i].why == NULL) {
			_cleanup_free_ char *text = manifest_of(table[i].line, object);

			ck_assert_msg(strstr(text, "\trenamed\n") != NULL, "line %d",
				      table[i].line);
			forget();
		} else if (json_object_get(object, "error") != NULL) {
			check_refused(table[i].line, object, table[i].why);
		} else {
			/* Where libarchive overlooks a broken record, what it makes of it must
			 * still be inside. */
			_cleanup_free_ char *text = manifest_of(table[i].line, object);

			ck_assert_msg(strstr(text, "etc") == NULL, "line %d: %s", table[i].line,
				      text);
			forget();
		}
		free(tar.v);
		free(rest.v);
	}
}
END_TEST

START_TEST(deep_and_long)
{
	struct bytes tar = {0}, rest = tar_of("fa=1"), path = {0};
	char *records;

	for (int i = 0; i < 5000; i++)
		add(&path, "d/", 2);
	add(&path, "f", 2);
	records = xasprintf("10013 path=%s\n", path.v);
	ck_assert_uint_eq(strlen(records), 10013);
	tar_pax(&tar, records);
	add(&tar, rest.v, rest.n);
	check_refused(__LINE__, import("tar", &tar), "longer than 4095");
	free(records);
	tar.n = 0;
	path.v[300] = '\0';
	records = xasprintf("310 path=%s\n", path.v);
	ck_assert_uint_eq(strlen(records), 310);
	tar_pax(&tar, records);
	add(&tar, rest.v, rest.n);
	check_refused(__LINE__, import("tar", &tar), "deeper than 128");
	check_refused(__LINE__, import_with("tar", "depth=2", &(struct bytes){0}), "empty");
	free(records);
	free(tar.v);
	free(rest.v);
	free(path.v);
}
END_TEST

/* Cut at every block: none may be taken but those that have their end. */
START_TEST(cut)
{
	struct bytes tar = tar_of("fone=content of one|dd|ll>one|fd/two=|hd/three>one|xlast=x");
	size_t whole = tar.n;

	add_zeros(&tar, 2048);
	for (size_t n = 0; n < whole; n += 512) {
		struct bytes part = {tar.v, n, 0};

		check_refused((int)n, import("tar", &part), "");
	}
	for (size_t n = 1; n < 1600; n += 130) {
		struct bytes part = {tar.v, n, 0};

		check_refused((int)n, import("tar", &part), "");
	}
	free(manifest_of(__LINE__, import("tar", &(struct bytes){tar.v, whole, 0})));
	free(manifest_of(__LINE__, import("tar", &tar)));
	free(tar.v);
}
END_TEST

/* Zeros at the end of the last file are not the zeros that end the archive, and nothing may follow
 * those. */
START_TEST(ends)
{
	struct bytes tar = {0}, one = tar_of("fa=1");
	char zeros[2048] = "";

	tar_header(&tar, "zeros", '0', 0644, "", 2048);
	tar_content(&tar, zeros, 2048);
	check_refused(__LINE__, import("tar", &tar), "cut");
	add_zeros(&tar, 512);
	check_refused(__LINE__, import("tar", &tar), "cut");
	tar.n = 0;
	add(&tar, one.v, one.n);
	add(&tar, one.v, one.n);
	check_refused(__LINE__, import("tar", &tar), "behind the end");
	free(tar.v);
	free(one.v);
}
END_TEST

/* BYTES through a program, as packers do. */
static struct bytes
through(const char *program, const struct bytes *bytes)
{
	_cleanup_free_ char *in = xasprintf("%s/in", base), *out = xasprintf("%s/out", base);
	_cleanup_free_ char *line = xasprintf("%s <%s >%s", program, in, out);
	struct bytes result = {0};
	char buffer[65536];
	ssize_t n;
	int fd = open(in, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	ck_assert_int_eq(write(fd, bytes->v, bytes->n), (ssize_t)bytes->n);
	close(fd);
	if (system(line) != 0)
		return result;
	fd = open(out, O_RDONLY);
	while ((n = read(fd, buffer, sizeof(buffer))) > 0)
		add(&result, buffer, (size_t)n);
	close(fd);
	return result;
}

START_TEST(compressed)
{
	static const char *const programs[] = {"gzip -n", "xz", "zstd -q --check"};
	struct bytes tar = tar_of("fone=content of one|dd|ll>one|xlast=x");
	_cleanup_free_ char *expected = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(programs); i++) {
		struct bytes packed = through(programs[i], &tar);

		if (packed.n == 0)
			continue;
		for (size_t n = packed.n > 40 ? packed.n - 40 : 1; n < packed.n;
		     n += i == 0 ? 1 : 7)
			check_refused((int)n, import("tar", &(struct bytes){packed.v, n, 0}), "");
		for (size_t n = 1; n < packed.n; n += packed.n / 6)
			check_refused((int)n, import("tar", &(struct bytes){packed.v, n, 0}), "");
		free(packed.v);
	}
	expected = manifest_of(__LINE__, import("tar", &tar));
	for (size_t i = 0; i < ARRAY_SIZE(programs); i++) {
		struct bytes packed = through(programs[i], &tar);
		_cleanup_free_ char *text = packed.n > 0
						? manifest_of(__LINE__, import("tar", &packed))
						: xstrdup(expected);

		ck_assert_str_eq(text, expected);
		free(packed.v);
	}
	free(tar.v);
}
END_TEST

/* One bit of a packed archive turns over: it is refused, or (in a date of its header) means
 * nothing. */
START_TEST(flipped)
{
	static const char *const programs[] = {"gzip -n", "xz", "zstd -q --check"};
	struct bytes tar = {0};
	_cleanup_free_ char *expected = NULL;
	char content[3000];
	unsigned x = 1;

	for (size_t i = 0; i < sizeof(content); i++)
		content[i] = (char)((x = x * 1103515245 + 12345) >> 24);
	tar_header(&tar, "data", '0', 0644, "", sizeof(content));
	tar_content(&tar, content, sizeof(content));
	add_zeros(&tar, 1024);
	expected = manifest_of(__LINE__, import("tar", &tar));
	for (size_t i = 0; i < ARRAY_SIZE(programs); i++) {
		struct bytes packed = through(programs[i], &tar);
		int seen = 0, all = 0;

		for (size_t n = 0; n < packed.n; n += n < 24 || n + 24 > packed.n ? 1 : 61) {
			json_t *answer;

			packed.v[n] ^= 1 << (n % 8);
			answer = import("tar", &packed);
			packed.v[n] ^= 1 << (n % 8);
			all++;
			if (json_object_get(answer, "digest") == NULL) {
				json_decref(answer);
				seen++;
			} else {
				_cleanup_free_ char *text = manifest_of(__LINE__, answer);

				ck_assert_msg(strcmp(text, expected) == 0,
					      "%s: byte %zu turned unseen", programs[i], n);
			}
		}
		ck_assert_msg(packed.n == 0 || seen > all * 3 / 4, "%s: %d of %d refused",
			      programs[i], seen, all);
		free(packed.v);
	}
	free(tar.v);
}
END_TEST

/* Several members are one stream; what is no member behind the last is refused, but for zeros. */
START_TEST(gzip_members)
{
	struct bytes tar = tar_of("fone=content of one|xlast=x"), first, second, whole = {0};
	struct bytes half = {tar.v, 700, 0}, rest = {tar.v + 700, tar.n - 700, 0};
	_cleanup_free_ char *expected = manifest_of(__LINE__, import("tar", &tar)), *text = NULL,
			    *padded = NULL;

	first = through("gzip -n", &half);
	second = through("gzip -n", &rest);
	ck_assert_uint_gt(first.n, 0);
	add(&whole, first.v, first.n);
	add(&whole, second.v, second.n);
	text = manifest_of(__LINE__, import("tar", &whole));
	ck_assert_str_eq(text, expected);
	/* The checksum and the length of a member that is not the last count, too. */
	forget();
	for (size_t n = first.n - 8; n < first.n; n++) {
		whole.v[n] ^= 1;
		check_refused((int)n, import("tar", &whole), "damaged");
		whole.v[n] ^= 1;
	}
	add_zeros(&whole, 100);
	padded = manifest_of(__LINE__, import("tar", &whole));
	ck_assert_str_eq(padded, expected);
	forget();
	add(&whole, "x", 1);
	check_refused(__LINE__, import("tar", &whole), "behind the end of the gzip");
	free(whole.v);
	free(second.v);
	free(first.v);
	free(tar.v);
}
END_TEST

START_TEST(formats)
{
	/* Formats and filters that are not enabled, and things that are no archive. */
	static const struct {
		int line;
		const char *bytes;
	} table[] = {
	    {__LINE__,
	     "!<arch>\nfile/           0           0     0     644     4         `\nabcd"},
	    {__LINE__, "070701000000000000000000000000000000000000000000000000000000000000000000000"
		       "000000000000000000000000000000000"},
	    {__LINE__, "BZh91AY&SY"},
	    {__LINE__, "Rar!\x1a\x07\x01"},
	    {__LINE__, "7z\xbc\xaf\x27\x1c"},
	    {__LINE__, "#mtree\n./a type=file\n"},
	    {__LINE__, "plain text that is long enough to be something"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		struct bytes bytes = {0};

		add(&bytes, table[i].bytes, strlen(table[i].bytes));
		add_zeros(&bytes, 2048);
		check_refused(table[i].line, import("tar", &bytes), "");
		check_refused(table[i].line, import("zip", &bytes), "");
		free(bytes.v);
	}
}
END_TEST

/* ---- limits */

START_TEST(limits)
{
	struct bytes tar = tar_of("fa=12345|fb=12345|dc|ld>a|fe/f/g=1"), sparse = {0}, zeros = {0},
		     packed;
	char h[512];
	unsigned sum = 0;

	check_refused(__LINE__, import_with("tar", "bytes=9", &tar), "");
	check_refused(__LINE__, import_with("tar", "files=4", &tar), "more than 4 files");
	check_refused(__LINE__, import_with("tar", "file=4", &tar), "larger than 4 bytes");
	check_refused(__LINE__, import_with("tar", "depth=2", &tar), "deeper than 2");
	check_refused(__LINE__, import_with("tar", "path=4", &tar), "longer than 4 bytes");
	/* A terabyte in one header: an old GNU sparse file that is one hole. */
	tar_header(&sparse, "sparse", 'S', 0644, "", 0);
	memcpy(h, sparse.v, 512);
	memcpy(h + 257, "ustar  ", 8);
	sprintf(h + 386, "%011llo", 1ULL << 31);
	sprintf(h + 398, "%011o", 0U);
	memcpy(h + 483, "\x80\0\0\0\0\0\1\0\0\0\0\0", 12);
	memset(h + 148, ' ', 8);
	for (size_t i = 0; i < sizeof(h); i++)
		sum += (unsigned char)h[i];
	sprintf(h + 148, "%06o", sum);
	sparse.n = 0;
	add(&sparse, h, sizeof(h));
	add_zeros(&sparse, 1024);
	check_refused(__LINE__, import("tar", &sparse), "");
	/* A bomb. */
	tar_header(&zeros, "zeros", '0', 0644, "", 100 << 20);
	add_zeros(&zeros, 100 << 20);
	add_zeros(&zeros, 1024);
	packed = through("gzip -n1", &zeros);
	check_refused(__LINE__, import_with("tar", "ratio=100", &packed), "more than 100 times");
	free(packed.v);
	free(zeros.v);
	free(sparse.v);
	free(tar.v);
}
END_TEST

/* A gigabyte of zeros in less than a megabyte: the default limits stop it near the beginning. */
START_TEST(gigabyte)
{
	static const char *const programs[] = {"xz -0", "zstd -q"};

	for (size_t i = 0; i < ARRAY_SIZE(programs); i++) {
		_cleanup_free_ char *zeros =
		    xasprintf("sh -c 'head -c 1073741824 /dev/zero | %s'", programs[i]);
		struct bytes tar = {0}, packed, rest;

		tar_header(&tar, "zeros", '0', 0644, "", 1073741824);
		packed = through(programs[i], &tar);
		rest = through(zeros, &tar);
		ck_assert_uint_gt(packed.n, 0);
		ck_assert_uint_lt(rest.n, 1 << 20);
		add(&packed, rest.v, rest.n);
		check_refused(__LINE__, import("tar", &packed), "more than 1000 times");
		free(rest.v);
		free(packed.v);
		free(tar.v);
	}
}
END_TEST

/* Hard links cost nothing in the archive, but each is a file where it is placed. */
START_TEST(hard_link_bomb)
{
	struct bytes tar = {0};
	char name[16];

	tar_header(&tar, "big", '0', 0644, "", 1 << 20);
	add_zeros(&tar, 1 << 20);
	for (int i = 0; i < 2000; i++) {
		sprintf(name, "l%d", i);
		tar_header(&tar, name, '1', 0644, "big", 0);
	}
	add_zeros(&tar, 1024);
	check_refused(__LINE__, import_with("tar", "bytes=1000000000", &tar),
		      "larger than 1000000000");
	free(tar.v);
}
END_TEST

START_TEST(many_entries)
{
	struct bytes tar = {0};
	json_t *object;
	char name[32];

	for (int i = 0; i < 20000; i++) {
		sprintf(name, "d%d/f%d", i % 100, i);
		tar_header(&tar, name, '0', 0644, "", 1);
		tar_content(&tar, i % 7 ? "x" : "y", 1);
	}
	add_zeros(&tar, 1024);
	object = import("tar", &tar);
	ck_assert_int_eq(json_get_int(object, "files", 0), 20000);
	json_decref(object);
	free(tar.v);
}
END_TEST

/* ---- zip */

static uint32_t
crc32_of(const char *p, size_t n)
{
	uint32_t crc = ~0U;

	while (n-- > 0) {
		crc ^= (unsigned char)*p++;
		for (int i = 0; i < 8; i++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320U : 0);
	}
	return ~crc;
}

struct member {
	const char *name, *local; /* the name in the body, when another */
	const char *content;
	unsigned mode, flags;
	unsigned local_size; /* in the body, when another; 0: the same */
	unsigned offset;     /* of the body, when another; 0: its own */
};

/* Central records go to DIRECTORY, bodies to ZIP. */
static void
zip_member(struct bytes *zip, struct bytes *directory, const struct member *m)
{
	const char *local = m->local != NULL ? m->local : m->name;
	size_t n = strlen(m->content), at = m->offset ? m->offset - 1 : zip->n;
	uint32_t crc = crc32_of(m->content, n);

	add(zip, "PK\3\4", 4);
	add_number(zip, 20, 2), add_number(zip, m->flags, 2), add_number(zip, 0, 2),
	    add_number(zip, 0, 4);
	add_number(zip, crc, 4), add_number(zip, m->local_size ? m->local_size : n, 4),
	    add_number(zip, n, 4);
	add_number(zip, strlen(local), 2), add_number(zip, 0, 2);
	add(zip, local, strlen(local));
	add(zip, m->content, n);
	add(directory, "PK\1\2", 4);
	add_number(directory, 0x031e, 2), add_number(directory, 20, 2),
	    add_number(directory, m->flags, 2);
	add_number(directory, 0, 2), add_number(directory, 0, 4);
	add_number(directory, crc, 4), add_number(directory, n, 4), add_number(directory, n, 4);
	add_number(directory, strlen(m->name), 2), add_number(directory, 0, 2),
	    add_number(directory, 0, 2);
	add_number(directory, 0, 4), add_number(directory, (uint64_t)m->mode << 16, 4),
	    add_number(directory, at, 4);
	add(directory, m->name, strlen(m->name));
}

static struct bytes
zip_of(const struct member *members, size_t n)
{
	struct bytes zip = {0}, directory = {0};
	size_t at;

	for (size_t i = 0; i < n; i++)
		zip_member(&zip, &directory, &members[i]);
	at = zip.n;
	add(&zip, directory.v, directory.n);
	add(&zip, "PK\5\6\0\0\0\0", 8);
	add_number(&zip, n, 2), add_number(&zip, n, 2), add_number(&zip, directory.n, 4),
	    add_number(&zip, at, 4);
	add_number(&zip, 0, 2);
	free(directory.v);
	return zip;
}

START_TEST(zips)
{
	static const struct member good[] = {{.name = "a", .content = "one", .mode = 0100600},
					     {.name = "d/", .content = "", .mode = 040777},
					     {.name = "d/run", .content = "two", .mode = 0104755},
					     {.name = "l", .content = "d/run", .mode = 0120777}};
	static const struct {
		int line;
		struct member m;
		const char *why;
	} table[] = {
	    {__LINE__, {.name = "../x", .content = "x", .mode = 0100644}, ".."},
	    {__LINE__, {.name = "/x", .content = "x", .mode = 0100644}, "absolute"},
	    {__LINE__, {.name = "l", .content = "/etc/passwd", .mode = 0120777}, "absolute"},
	    {__LINE__, {.name = "l", .content = "../x", .mode = 0120777}, "out of the tree"},
	    {__LINE__, {.name = "p", .content = "", .mode = 010644}, "not a plain file"},
	    {__LINE__, {.name = "c", .content = "", .mode = 020644}, "not a plain file"},
	    {__LINE__,
	     {.name = "a", .local = "b", .content = "x", .mode = 0100644},
	     "do not name the same"},
	    {__LINE__,
	     {.name = "a", .local = "../../b", .content = "x", .mode = 0100644},
	     "do not name the same"},
	    {__LINE__,
	     {.name = "a", .content = "xyz", .mode = 0100644, .local_size = 2},
	     "do not describe the same"},
	    {__LINE__, {.name = "a", .content = "xyz", .mode = 0100644, .flags = 1}, "encrypted"},
	    {__LINE__, {.name = "a", .content = "xyz", .mode = 0100644, .offset = 9999}, "outside"},
	    {__LINE__,
	     {.name = "first", .content = "one", .mode = 0100644, .offset = 1},
	     "over each other"},
	    {__LINE__,
	     {.name = "first", .local = "other", .content = "one", .mode = 0100644},
	     "do not name"},
	};
	struct bytes zip = zip_of(good, ARRAY_SIZE(good));

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		const struct member two[] = {{.name = "first", .content = "one", .mode = 0100644},
					     table[i].m};
		struct bytes bytes = zip_of(two, 2);

		check_refused(table[i].line, import("zip", &bytes), table[i].why);
		free(bytes.v);
	}
	for (size_t n = 0; n < zip.n; n += 11)
		check_refused((int)n, import("zip", &(struct bytes){zip.v, n, 0}), "");
	add(&zip, "x", 1);
	check_refused(__LINE__, import("zip", &zip), "behind the end");
	zip.n--;
	{
		_cleanup_free_ char *text = manifest_of(__LINE__, import("zip", &zip));

		ck_assert_ptr_nonnull(strstr(text, "link\t0\td/run\tl\n"));
		ck_assert_ptr_nonnull(strstr(text, "\ta\n0755\t"));
	}
	free(zip.v);
}
END_TEST

/* As zip(1) packs: stored or deflated, with the sizes before or behind the content. */
START_TEST(flipped_zip)
{
	static const char *const programs[] = {"zip -q -0 - -", "zip -q -9 - -"};
	struct bytes data = {0};
	char content[3000];

	for (size_t i = 0; i < sizeof(content); i++)
		content[i] = (char)("0123456789abcdef"[i * 7 % 13] ^ (i / 97));
	add(&data, content, sizeof(content));
	for (size_t i = 0; i < ARRAY_SIZE(programs); i++) {
		struct bytes packed = through(programs[i], &data);
		_cleanup_free_ char *expected = NULL;
		int seen = 0, all = 0;

		if (packed.n == 0)
			continue;
		expected = manifest_of(__LINE__, import("zip", &packed));
		/* Behind the header of the member and its name. */
		for (size_t n = 80; n + 120 < packed.n; n += 37, all++) {
			json_t *answer;

			packed.v[n] ^= 1 << (n % 8);
			answer = import("zip", &packed);
			packed.v[n] ^= 1 << (n % 8);
			if (json_object_get(answer, "digest") == NULL) {
				json_decref(answer);
				seen++;
			} else {
				_cleanup_free_ char *text = manifest_of(__LINE__, answer);

				ck_assert_msg(strcmp(text, expected) == 0,
					      "%s: byte %zu turned unseen", programs[i], n);
			}
		}
		ck_assert_msg(seen > all * 3 / 4, "%s: %d of %d refused", programs[i], seen, all);
		free(packed.v);
	}
	free(data.v);
}
END_TEST

/* So many entries are taken, and the limit is met at the very one that is too many. */
START_TEST(hundred_thousand)
{
	struct bytes tar = {0};
	char name[32];
	json_t *answer;

	for (int i = 0; i < 100000; i++) {
		sprintf(name, "d%d/f%d", i % 300, i);
		tar_header(&tar, name, '0', 0644, "", 0);
	}
	add_zeros(&tar, 1024);
	answer = import_with("tar", "files=100000", &tar);
	ck_assert_msg(json_get_int(answer, "files", 0) == 100000, "%s", message(answer));
	json_decref(answer);
	forget();
	check_refused(__LINE__, import_with("tar", "files=99999", &tar), "more than 99999 files");
	free(tar.v);
}
END_TEST

/* ---- the cage, and ends in the middle */

/* The reader of a bmd-import that has begun, and been caged: one of its children. */
static pid_t
reader_of(pid_t pid)
{
	const struct timespec pause = {.tv_nsec = 2000000};

	for (int i = 0; i < 2000; i++) {
		_cleanup_free_ char *path =
		    xasprintf("/proc/%d/task/%d/children", (int)pid, (int)pid);
		_cleanup_fclose_ FILE *file = fopen(path, "r");
		int child = 0;

		if (file != NULL && fscanf(file, "%d", &child) == 1) {
			_cleanup_free_ char *status = xasprintf("/proc/%d/status", child);
			_cleanup_fclose_ FILE *in = fopen(status, "r");
			char line[256];

			while (in != NULL && fgets(line, sizeof(line), in) != NULL)
				if (strcmp(line, "Seccomp:\t2\n") == 0)
					return child;
		}
		nanosleep(&pause, NULL);
	}
	return -1;
}

START_TEST(caged)
{
	struct bytes tar = tar_of("fa=1|fb=2");
	struct run run = start("tar", "files=10");
	_cleanup_free_ char *fds = NULL, *status = NULL;
	struct dirent *entry;
	pid_t reader;
	char line[256];
	FILE *in;
	DIR *dir;

	send_archive(run.fd, tar.v, 700);
	reader = reader_of(run.pid);
	ck_assert_int_gt(reader, 0);
	fds = xasprintf("/proc/%d/fd", (int)reader);
	dir = opendir(fds);
	while (dir != NULL && (entry = readdir(dir)) != NULL)
		ck_assert_msg(strchr(".01", entry->d_name[0]) != NULL, "descriptor %s",
			      entry->d_name);
	if (dir != NULL)
		closedir(dir);
	status = xasprintf("/proc/%d/status", (int)reader);
	in = fopen(status, "r");
	while (fgets(line, sizeof(line), in) != NULL) {
		ck_assert_msg(strncmp(line, "NoNewPrivs:", 11) != 0 || line[12] == '1', "%s", line);
		ck_assert_msg(strncmp(line, "Uid:", 4) != 0 || strncmp(line, "Uid:\t0", 6) != 0,
			      "%s", line);
	}
	fclose(in);
	/* Killed: a clear refusal. */
	kill(reader, SIGKILL);
	send_archive(run.fd, tar.v + 700, tar.n - 700);
	entry_write(run.fd, ENTRY_END, NULL, 0);
	check_refused(__LINE__, answer(run), "signal 9");
	free(tar.v);
}
END_TEST

/* Killed behind any block of the archive, with the rest sent or not: refused, and nothing is
 * left. */
START_TEST(reader_killed)
{
	struct bytes tar = tar_of("fone=content of one|dd|ll>one|fd/two=|hd/three>one|xlast=x");

	for (size_t n = 0; n <= tar.n; n += 512) {
		struct run run = start("tar", "files=10");
		pid_t reader;

		send_archive(run.fd, tar.v, n);
		reader = reader_of(run.pid);
		ck_assert_int_gt(reader, 0);
		kill(reader, SIGKILL);
		if (n % 1024 != 0) {
			send_archive(run.fd, tar.v + n, tar.n - n);
			entry_write(run.fd, ENTRY_END, NULL, 0);
		}
		check_refused((int)n, answer(run), "signal 9");
	}
	free(tar.v);
}
END_TEST

/* The reader does not outlive its parent, whatever it is about. */
START_TEST(orphaned)
{
	struct run run = start("tar", "files=10");
	struct pollfd v;
	pid_t reader;

	send_archive(run.fd, "x", 1);
	reader = reader_of(run.pid);
	ck_assert_int_gt(reader, 0);
	v = (struct pollfd){.fd = pidfd_open(reader, 0), .events = POLLIN};
	ck_assert_int_ge(v.fd, 0);
	/* Stopped, it sees no end of its pipes: only the kernel can end it. */
	kill(reader, SIGSTOP);
	kill(run.pid, SIGKILL);
	ck_assert_int_eq(waitpid(run.pid, NULL, 0), run.pid);
	ck_assert_int_eq(poll(&v, 1, 5000), 1);
	close(v.fd);
	close(run.fd);
}
END_TEST

/* A client cannot make bmd-import keep more than a manifest may hold. */
START_TEST(long_names)
{
	_cleanup_free_ char *target = xcalloc(1, ENTRY_DATA_MAX);
	struct run run = start("tree", "files=1000000");
	char name[16];
	int i;

	memset(target, 'x', ENTRY_DATA_MAX - 32);
	for (i = 0; i < 1200; i++) {
		sprintf(name, "l%d", i);
		if (entry_write_link(run.fd, ENTRY_LINK, name, target) < 0)
			break;
	}
	check_refused(__LINE__, answer(run), "together too long");
}
END_TEST

START_TEST(broken_off)
{
	struct bytes tar = tar_of("fa=1|fb=2");
	struct run run;

	for (size_t n = 0; n <= tar.n; n += 700) {
		run = start("tar", "files=10");
		send_archive(run.fd, tar.v, n);
		shutdown(run.fd, SHUT_WR);
		check_refused((int)n, answer(run), "broke off");
	}
	run = start("zip", "files=10");
	send_archive(run.fd, tar.v, 100);
	shutdown(run.fd, SHUT_WR);
	check_refused(__LINE__, answer(run), "broke off");
	run = start("tree", "files=10");
	entry_write_file(run.fd, "a", false);
	entry_write(run.fd, ENTRY_CONTENT, "half", 4);
	shutdown(run.fd, SHUT_WR);
	check_refused(__LINE__, answer(run), "broke off");
	run = start("tree", "files=10");
	entry_write_file(run.fd, "a", false);
	entry_write(run.fd, ENTRY_ABORT, "gave \x1b up", 9);
	check_refused(__LINE__, answer(run), "gave ");
	free(tar.v);
}
END_TEST

/* Killed at any moment: at most abandoned staging folders, which a sweep removes. */
START_TEST(killed)
{
	struct objects *objects;

	ck_assert_int_eq(objects_open(base, true, &objects, NULL), 0);
	for (int i = 0; i < 12; i++) {
		const struct timespec pause = {.tv_nsec = i * 700000};
		struct run run = start("tree", "files=10000");

		for (int j = 0; j < 50; j++) {
			char name[16];

			sprintf(name, "f%d", j);
			entry_write_file(run.fd, name, false);
			entry_write(run.fd, ENTRY_CONTENT, name, strlen(name));
		}
		if (i % 2)
			entry_write(run.fd, ENTRY_END, NULL, 0);
		nanosleep(&pause, NULL);
		kill(run.pid, SIGKILL);
		waitpid(run.pid, NULL, 0);
		close(run.fd);
		ck_assert_int_eq(objects_sweep(objects, NULL), 0);
		ck_assert_int_eq(count("incoming"), 0);
	}
	{
		_cleanup_free_ char *line =
		    xasprintf("cd %s/store/objects && for f in */*; do test ! -e $f || test "
			      "$(sha256sum <$f | cut -c1-64) = "
			      "$(echo $f | tr -d /) || exit 1; done",
			      base);

		ck_assert_int_eq(system(line), 0);
	}
	objects_close(objects);
}
END_TEST

/* ---- entries straight from a client */

START_TEST(hostile_client)
{
	static const struct {
		int line;
		const char *bytes;
		size_t n;
		const char *why;
	} table[] = {
	    {__LINE__, "F\0\0\0\0", 5, "malformed"},
	    {__LINE__, "F\0\0\0\1x", 6, ""},
	    {__LINE__, "F\0\0\0\2za", 7, "malformed"},
	    {__LINE__, "F\0\0\0\4-a\0b", 9, "zero byte"},
	    {__LINE__, "C\0\0\0\1x", 6, "content without a file"},
	    {__LINE__, "D\0\0\0\1aC\0\0\0\1x", 12, "content without a file"},
	    {__LINE__, "L\0\0\0\1a", 6, "without a target"},
	    {__LINE__, "L\0\0\0\5a\0b\0c", 10, "without a target"},
	    {__LINE__, "L\0\0\0\2a\0", 7, "no target"},
	    {__LINE__, "F\0\0\0\2-aH\0\0\0\3b\0a", 15, "no file before"},
	    {__LINE__, "Q\0\0\0\0", 5, "malformed"},
	    {__LINE__, "F\377\377\377\377", 5, "malformed"},
	    {__LINE__, "GET / HTTP/1.0\r\n\r\n", 18, "malformed"},
	    {__LINE__, "F\0\0\0\4-../", 9, ".."},
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		struct run run = start("tree", "files=100");

		ck_assert_int_eq(write(run.fd, table[i].bytes, table[i].n), (ssize_t)table[i].n);
		entry_write(run.fd, ENTRY_END, NULL, 0);
		check_refused(table[i].line, answer(run), table[i].why);
	}
	{
		struct run run = start("tar", "files=100");

		entry_write_file(run.fd, "a", false);
		check_refused(__LINE__, answer(run), "malformed");
		run = start("rar", "files=100");
		check_refused(__LINE__, answer(run), "tree, tar and zip");
	}
}
END_TEST

START_TEST(warnings)
{
	struct bytes tar =
	    tar_of("fREADME=1|freadme=2|fx\xe2\x80\xaetxt=1|f\xc3\x84=1|f\xc3\xa4=2");
	json_t *object = import("tar", &tar), *list = json_object_get(object, "warnings");
	char *text = json_dumps(list, 0);

	ck_assert_msg(json_array_size(list) == 3, "%s", text);
	ck_assert_ptr_nonnull(strstr(text, "upper and lower case"));
	ck_assert_ptr_nonnull(strstr(text, "direction of text"));
	free(text);
	json_decref(object);
	free(tar.v);
}
END_TEST

/* The same content at the same time ends as one. */
START_TEST(twice_at_once)
{
	struct bytes tar = tar_of("fa=one|fb=two|hc>a");
	struct run one = start("tar", "files=10"), two = start("tar", "files=10");
	_cleanup_free_ char *first = NULL, *second = NULL;

	send_archive(one.fd, tar.v, 600);
	send_archive(two.fd, tar.v, 600);
	send_archive(one.fd, tar.v + 600, tar.n - 600);
	send_archive(two.fd, tar.v + 600, tar.n - 600);
	entry_write(one.fd, ENTRY_END, NULL, 0);
	entry_write(two.fd, ENTRY_END, NULL, 0);
	first = manifest_of(__LINE__, answer(one));
	second = manifest_of(__LINE__, answer(two));
	ck_assert_str_eq(first, second);
	ck_assert_int_eq(count("manifests"), 1);
	ck_assert_int_eq(count("incoming"), 0);
	free(tar.v);
}
END_TEST

/* ---- verify */

/* What --verify says of DIGESTS, its NULs as newlines. */
static char *
verify(const char *digests)
{
	_cleanup_free_ char *line =
	    xasprintf("printf '%s' | " TOP_BUILDDIR
		      "/import/bmd-import --state %s --verify | tr '\\000' '\\n'",
		      digests, base);
	static char text[65536];
	FILE *in = popen(line, "r");
	size_t n = fread(text, 1, sizeof(text) - 1, in);

	text[n] = '\0';
	pclose(in);
	return text;
}

START_TEST(verifying)
{
	struct bytes tar = tar_of("fa=one|fb=two|fc=two|dd|ll>a");
	json_t *object = import("tar", &tar);
	_cleanup_free_ char *digest = xstrdup(json_get_string(object, "digest")), *twice = NULL,
			    *path = NULL, *other = NULL;
	char two[DIGEST_SIZE], one[DIGEST_SIZE];
	char *said;
	int fd;

	json_decref(object);
	twice = xasprintf("%s\\n%s\\n", digest, digest);
	ck_assert_ptr_nonnull(
	    strstr(verify(twice), "\"done\":{\"files\":6,\"bytes\":6,\"total_files\":6}"));
	digest_of("two", 3, two);
	digest_of("one", 3, one);
	path = xasprintf("%s/store/objects/%.2s/%s", base, two, two + 2);
	other = xasprintf("%s/store/objects/%.2s/%s", base, one, one + 2);
	chmod(path, 0600);
	fd = open(path, O_WRONLY);
	ck_assert_int_eq(write(fd, "T", 1), 1);
	close(fd);
	ck_assert_int_eq(unlink(other), 0);
	said = verify(digest);
	ck_assert_msg(strstr(said, "\"path\":\"a\"") && strstr(said, "missing"), "%s", said);
	ck_assert_msg(strstr(said, "\"path\":\"b\"") && strstr(said, "\"path\":\"c\"") &&
			  strstr(said, "damaged"),
		      "%s", said);
	said = verify(two);
	ck_assert_msg(strstr(said, "\"problem\":\"manifest\"") != NULL, "%s", said);
	/* The same upload again heals what is damaged and what is missing. */
	json_decref(import("tar", &tar));
	said = verify(digest);
	ck_assert_msg(strstr(said, "problem") == NULL && strstr(said, "done") != NULL, "%s", said);
	free(tar.v);
}
END_TEST

UNIT_MAIN_WITH("import", 120, setup, teardown, flipped, flipped_zip, gzip_members, hundred_thousand,
	       gigabyte, taken, refused, pax, deep_and_long, cut, ends, compressed, formats, limits,
	       zips, hard_link_bomb, many_entries, caged, reader_killed, broken_off, killed,
	       hostile_client, warnings, twice_at_once, verifying, orphaned, long_names)
