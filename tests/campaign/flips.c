/* SPDX-License-Identifier: ISC */
/*
 * Bits that rot in a database at rest. Each round flips one (or, one round in eight, wipes some
 * bytes) in a copy of a real file and opens the copy as bmd does. Fair are: it is refused with a
 * sentence that names the file; something is reported; or no row differs from before, by table and
 * by index. Else the answers would be silently other ones.
 *
 * UNSEALED is the control: the digests of all rows are deleted, and nobody is to find what they
 * would have.
 *
 * With WAL the bits are those of a -wal that a killed bmd left beside DATABASE, up to the last of
 * its last commit.
 *
 *	flips DATABASE FOLDER ROUNDS SEED [unsealed|wal]
 */
#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/xalloc.h"
#include "daemon/store/store.h"

static unsigned long long state;

static unsigned long long
dice(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static void
die(const char *what)
{
	perror(what);
	exit(2);
}

static char *
load(const char *path, size_t *ret_n)
{
	FILE *file = fopen(path, "re");
	struct stat st;
	char *bytes;

	if (!file || fstat(fileno(file), &st) < 0)
		die(path);
	bytes = xcalloc((size_t)st.st_size, 1);
	if (fread(bytes, 1, (size_t)st.st_size, file) != (size_t)st.st_size)
		die(path);
	fclose(file);
	*ret_n = (size_t)st.st_size;
	return bytes;
}

static void
save(const char *path, const char *bytes, size_t n)
{
	FILE *file = fopen(path, "we");

	if (!file || fwrite(bytes, 1, n, file) != n || fclose(file) != 0 || chmod(path, 0600) < 0)
		die(path);
}

/* What SQL answers, all columns and rows in a line each. */
static void
ask(sqlite3 *db, const char *sql, FILE *out)
{
	sqlite3_stmt *st = NULL;
	int code = sqlite3_prepare_v2(db, sql, -1, &st, NULL);

	while (code == SQLITE_OK && sqlite3_step(st) == SQLITE_ROW) {
		for (int i = 0; i < sqlite3_column_count(st); i++)
			fprintf(out, "%d:%s|", sqlite3_column_type(st, i),
				sqlite3_column_text(st, i));
		fputc('\n', out);
	}
	if (code != SQLITE_OK)
		fprintf(out, "cannot read: %s\n", sqlite3_errmsg(db));
	sqlite3_finalize(st);
}

/* Every row of every table but those that tell of damage, and whether the indexes agree. */
static char *
content(const char *path)
{
	_cleanup_free_ char *names = NULL;
	char *text = NULL, *name, *rest;
	size_t n = 0, nnames = 0;
	FILE *out = open_memstream(&text, &n), *list = open_memstream(&names, &nnames);
	sqlite3 *db;
	sqlite3_stmt *st;

	if (!out || !list)
		die("open_memstream");
	if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL) != SQLITE_OK)
		die(path);
	sqlite3_prepare_v2(
	    db,
	    "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT IN ('seals',"
	    " 'damaged') AND name NOT LIKE 'sqlite_%' ORDER BY name",
	    -1, &st, NULL);
	while (sqlite3_step(st) == SQLITE_ROW)
		fprintf(list, "%s\n", sqlite3_column_text(st, 0));
	sqlite3_finalize(st);
	fclose(list);
	for (name = strtok_r(names, "\n", &rest); name; name = strtok_r(NULL, "\n", &rest)) {
		_cleanup_free_ char *sql =
		    xasprintf("SELECT '%s', * FROM %s NOT INDEXED", name, name);

		ask(db, sql, out);
	}
	ask(db, "SELECT type, name, sql FROM sqlite_schema ORDER BY name", out);
	ask(db, "PRAGMA integrity_check", out);
	fclose(out);
	sqlite3_close(db);
	return text;
}

static void
spoil(char *bytes, size_t n)
{
	size_t at = dice() % n, many = dice() % 8 == 0 ? 1 + dice() % 64 : 0;

	if (many == 0) {
		int bit = (int)(dice() % 8);

		bytes[at] ^= (char)(1 << bit);
		printf("bit %d of byte %zu: ", bit, at);
		return;
	}
	printf("%zu bytes at %zu: ", many, at);
	for (; many > 0 && at < n; many--)
		bytes[at++] = 0;
}

/* As who mends rows by hand would. */
static void
unseal(const char *path)
{
	sqlite3 *db;

	if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK ||
	    sqlite3_exec(db, "DELETE FROM seals; PRAGMA wal_checkpoint(TRUNCATE)", NULL, NULL,
			 NULL) != SQLITE_OK)
		die(path);
	sqlite3_close(db);
}

/* Anything but that the digests were deleted. */
static bool
reports(const struct store *store, bool sealed)
{
	return store_notes(store) && (sealed || json_array_size(store_notes(store)) > 1);
}

static unsigned
word(const char *p)
{
	const unsigned char *u = (const unsigned char *)p;

	return (unsigned)u[0] << 24 | (unsigned)u[1] << 16 | (unsigned)u[2] << 8 | u[3];
}

/* Where the own frames of the -wal end: behind them lie those of an older one. */
static size_t
end_of(const char *wal, size_t n)
{
	size_t page = word(wal + 8), end = 32;

	for (size_t at = 32; at + 24 + page <= n && memcmp(wal + at + 8, wal + 16, 8) == 0;
	     at += 24 + page)
		if (word(wal + at + 4) != 0)
			end = at + 24 + page;
	return end;
}

static int
bad_round(unsigned long round, const char *why)
{
	printf("VIOLATION round %lu: %s\n", round, why);
	return 1;
}

struct rot {
	const char *folder;
	char *path, *wal, *shm, *last;
	char *bytes, *wal_bytes, *last_bytes, *copy; /* as they were; what is spoilt */
	size_t n, nwal, nlast, end;		     /* end: of the frames of the -wal */
	char *before;				     /* what is in them */
	bool sealed;
	unsigned long refused, reported, same, bad;
};

/* All files as they were. */
static void
put_back(const struct rot *rot)
{
	(void)unlink(rot->wal);
	(void)unlink(rot->shm);
	save(rot->path, rot->bytes, rot->n);
	save(rot->last, rot->last_bytes, rot->nlast);
	if (rot->wal_bytes)
		save(rot->wal, rot->wal_bytes, rot->nwal);
}

static void
prepare(struct rot *rot, const char *database, const char *how)
{
	_cleanup_free_ char *left = xasprintf("%s-wal", database),
			    *last = xasprintf("%s.last", database);

	rot->sealed = !how || strcmp(how, "unsealed") != 0;
	rot->path = xasprintf("%s/bmd.db", rot->folder);
	rot->wal = xasprintf("%s-wal", rot->path);
	rot->shm = xasprintf("%s-shm", rot->path);
	rot->last = xasprintf("%s.last", rot->path);
	rot->bytes = load(database, &rot->n);
	rot->last_bytes = load(last, &rot->nlast);
	if (how && rot->sealed) {
		rot->wal_bytes = load(left, &rot->nwal);
		rot->end = end_of(rot->wal_bytes, rot->nwal);
	}
	put_back(rot);
	if (!rot->sealed) {
		unseal(rot->path);
		free(rot->bytes);
		rot->bytes = load(rot->path, &rot->n);
	}
	rot->before = content(rot->path);
	rot->copy = xcalloc(rot->wal_bytes ? rot->nwal : rot->n, 1);
}

static void
rot_clear(struct rot *rot)
{
	free(rot->path);
	free(rot->wal);
	free(rot->shm);
	free(rot->bytes);
	free(rot->wal_bytes);
	free(rot->last);
	free(rot->last_bytes);
	free(rot->before);
	free(rot->copy);
}

static void
judge(struct rot *rot, unsigned long round)
{
	struct err err = ERR_INIT;
	struct store *store = NULL;
	_cleanup_free_ char *after = NULL;

	if (store_open(rot->folder, &store, &err) < 0) {
		printf("refused: %s\n", err.text);
		rot->refused++;
		if (!strstr(err.text, "bmd.db"))
			rot->bad +=
			    (unsigned long)bad_round(round, "the refusal does not name the file");
		err_clear(&err);
		return;
	}
	if (reports(store, rot->sealed)) {
		printf("reported: %s\n", json_string_value(json_array_get(store_notes(store), 0)));
		rot->reported++;
		store_close(store);
		return;
	}
	store_close(store);
	after = content(rot->path);
	if (strcmp(rot->before, after) == 0) {
		puts("nothing differs");
		rot->same++;
	} else {
		puts("rows differ");
		rot->bad += (unsigned long)bad_round(round, "rows differ, and nobody said so");
	}
}

int
main(int argc, char **argv)
{
	const char *how = argc == 6 ? argv[5] : NULL;
	struct rot rot = {0};
	unsigned long rounds;

	if (argc < 5 || argc > 6 ||
	    (how && strcmp(how, "unsealed") != 0 && strcmp(how, "wal") != 0))
		return 2;
	rot.folder = argv[2];
	rounds = strtoul(argv[3], NULL, 10);
	state = strtoull(argv[4], NULL, 10) * 2654435761ULL + 88172645463325252ULL;
	prepare(&rot, argv[1], how);
	for (unsigned long round = 1; round <= rounds; round++) {
		put_back(&rot);
		memcpy(rot.copy, rot.wal_bytes ? rot.wal_bytes : rot.bytes,
		       rot.wal_bytes ? rot.nwal : rot.n);
		spoil(rot.copy, rot.wal_bytes ? rot.end : rot.n);
		save(rot.wal_bytes ? rot.wal : rot.path, rot.copy,
		     rot.wal_bytes ? rot.nwal : rot.n);
		judge(&rot, round);
	}
	printf(
	    "%lu rounds: %lu refused, %lu reported, %lu without effect, %lu silently different\n",
	    rounds, rot.refused, rot.reported, rot.same, rot.bad);
	rot_clear(&rot);
	return rot.bad > 0;
}
