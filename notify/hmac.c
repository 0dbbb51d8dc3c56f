/* SPDX-License-Identifier: ISC */
/*
 * bmd-hmac SECRET: signs standard input as Standard Webhooks has it: "v1,BASE64" for each line of
 * the file SECRET, which only its user may read. A program of its own, for the arguments of
 * openssl(1) are seen by everybody on the machine.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>

#include "common/digest.h"
#include "common/err.h"
#include "common/scope.h"
#include "common/xalloc.h"

#define BLOCK	   64
#define SECRET_MIN 24 /* bytes, as the specification has it */
#define SECRET_MAX 64
#define FILE_MAX   4096
#define INPUT_MAX  (1024 * 1024)
#define DIGEST_RAW 32
#define BASE64_MAX (DIGEST_RAW / 3 * 4 + 5)

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* How many bytes; −1 when TEXT is no base64 or has more than SIZE. */
static int
decode(const char *text, unsigned char *ret, size_t size)
{
	uint32_t bits = 0;
	size_t n = 0, have = 0;

	for (; *text && *text != '='; text++) {
		const char *at = strchr(digits, *text);

		if (!at)
			return -1;
		bits = bits << 6 | (uint32_t)(at - digits);
		have += 6;
		if (have < 8)
			continue;
		have -= 8;
		if (n == size)
			return -1;
		ret[n++] = (unsigned char)(bits >> have);
	}
	return text[strspn(text, "=")] == '\0' ? (int)n : -1;
}

static void
encode(const unsigned char raw[DIGEST_RAW], char ret[BASE64_MAX])
{
	size_t n = 0;

	for (size_t i = 0; i < DIGEST_RAW; i += 3) {
		uint32_t bits = (uint32_t)raw[i] << 16;

		bits |= i + 1 < DIGEST_RAW ? (uint32_t)raw[i + 1] << 8 : 0;
		bits |= i + 2 < DIGEST_RAW ? raw[i + 2] : 0;
		ret[n++] = digits[bits >> 18 & 63];
		ret[n++] = digits[bits >> 12 & 63];
		ret[n++] = i + 1 < DIGEST_RAW ? digits[bits >> 6 & 63] : '=';
		ret[n++] = i + 2 < DIGEST_RAW ? digits[bits & 63] : '=';
	}
	ret[n] = '\0';
}

static void
raw_digest(struct digest *digest, unsigned char ret[DIGEST_RAW])
{
	char hex[DIGEST_SIZE];

	digest_end(digest, hex);
	for (size_t i = 0; i < DIGEST_RAW; i++) {
		unsigned byte = 0;

		(void)sscanf(hex + 2 * i, "%2x", &byte);
		ret[i] = (unsigned char)byte;
	}
}

/* RFC 2104, of a key that is not longer than a block. */
static void
hmac(const unsigned char key[BLOCK], const char *text, size_t n, unsigned char ret[DIGEST_RAW])
{
	unsigned char pad[BLOCK], inner[DIGEST_RAW];
	struct digest *digest = digest_new();

	for (size_t i = 0; i < BLOCK; i++)
		pad[i] = key[i] ^ 0x36;
	digest_add(digest, pad, sizeof(pad));
	digest_add(digest, text, n);
	raw_digest(digest, inner);
	digest = digest_new();
	for (size_t i = 0; i < BLOCK; i++)
		pad[i] = key[i] ^ 0x5c;
	digest_add(digest, pad, sizeof(pad));
	digest_add(digest, inner, sizeof(inner));
	raw_digest(digest, ret);
}

static int _printf_(1, 2) complain(const char *format, ...)
{
	va_list args;

	fputs("bmd-hmac: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	return EX_CONFIG;
}

/* The file, whole, if nobody else can read it. */
static int
read_secret(const char *path, char ret[FILE_MAX + 1])
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) < 0)
		return complain("%s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return complain("%s is not a plain file", path);
	if (st.st_uid != geteuid() || (st.st_mode & (S_IRWXG | S_IRWXO)))
		return complain("others than its user can read %s: chown it to the user of the "
				"notify section, and chmod 400",
				path);
	n = read(fd, ret, FILE_MAX + 1);
	if (n < 0 || n > FILE_MAX)
		return complain("%s cannot be read, or is too long", path);
	ret[n] = '\0';
	return 0;
}

static int
sign(const char *line, const char *text, size_t n)
{
	unsigned char key[BLOCK] = {0}, raw[DIGEST_RAW];
	char base64[BASE64_MAX];
	int size;

	if (strncmp(line, "whsec_", 6) == 0)
		line += 6;
	size = decode(line, key, SECRET_MAX);
	if (size < SECRET_MIN)
		return complain("a secret is %d to %d bytes as base64, such as \"whsec_$(openssl "
				"rand -base64 32)\"",
				SECRET_MIN, SECRET_MAX);
	hmac(key, text, n, raw);
	encode(raw, base64);
	printf("v1,%s", base64);
	return 0;
}

int
main(int argc, char **argv)
{
	_cleanup_free_ char *text = xcalloc(1, INPUT_MAX + 1);
	char secret[FILE_MAX + 1], *rest = secret, *line;
	size_t n = 0, got, signatures = 0;
	int r;

	if (argc != 2) {
		fputs("usage: bmd-hmac SECRET\n", stderr);
		return EX_USAGE;
	}
	r = read_secret(argv[1], secret);
	if (r != 0)
		return r;
	while (n < INPUT_MAX && (got = fread(text + n, 1, INPUT_MAX - n, stdin)) > 0)
		n += got;
	if (n == INPUT_MAX || ferror(stdin))
		return complain("what is to be signed cannot be read, or is too long");
	while ((line = strsep(&rest, " \t\r\n"))) {
		if (!*line)
			continue;
		if (signatures++ > 0)
			putchar(' ');
		r = sign(line, text, n);
		if (r != 0)
			return r;
	}
	if (signatures == 0)
		return complain("%s holds no secret", argv[1]);
	putchar('\n');
	return fflush(stdout) == 0 ? 0 : EX_IOERR;
}
