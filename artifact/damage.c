/* SPDX-License-Identifier: ISC */
/*
 * Marks of damage. A mark lies beside the files that it speaks of, not in bmd's database: who
 * hashes files writes it, and a restored database cannot have another opinion. It appears whole, by
 * rename, and is durable before the verification that found it says so. Lines are sorted as they
 * were found, "PROBLEM<TAB>DIGEST<TAB>SIZE<TAB>PATH"; a last line "more" stands for those that are
 * not listed.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "artifact/damage.h"
#include "artifact/manifest.h"
#include "common/xalloc.h"

#define MARK_MAX ((size_t)DAMAGE_MAX * (MANIFEST_PATH_MAX + 128))

static const char *const problems[] = {"missing", "damaged", "manifest"};

static void
close_dir(DIR *dir)
{
	closedir(dir);
}
DEFINE_CLEANUP(DIR *, cleanup_dir, close_dir)

void
damages_add(struct damages *damages, const char *problem, const char *digest, int64_t size,
	    const char *path)
{
	struct damage *damage;

	if (damages->n == DAMAGE_MAX) {
		damages->more++;
		return;
	}
	XGROW(damages->v, damages->n, damages->room);
	damage = &damages->v[damages->n++];
	*damage = (struct damage){.problem = problem, .size = size, .path = xstrdup(path)};
	snprintf(damage->digest, sizeof(damage->digest), "%s", digest);
}

void
damages_clear(struct damages *damages)
{
	for (size_t i = 0; i < damages->n; i++)
		free(damages->v[i].path);
	free(damages->v);
	*damages = (struct damages){0};
}

static int
folder_open(const struct objects *objects, bool make)
{
	int store = objects_store_fd(objects), fd;

	if (store < 0)
		return -ENOENT;
	if (make && mkdirat(store, "damaged", 0700) < 0 && errno != EEXIST)
		return -errno;
	fd = openat(store, "damaged", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0 && make && fsync(store) < 0) {
		close(fd);
		return -EIO;
	}
	return fd < 0 ? -errno : fd;
}

static char *
format(const struct damages *damages)
{
	char *text = NULL;
	size_t n;
	FILE *out = open_memstream(&text, &n);

	if (out == NULL)
		xalloc_die();
	for (size_t i = 0; i < damages->n; i++)
		fprintf(out, "%s\t%s\t%" PRId64 "\t%s\n", damages->v[i].problem,
			damages->v[i].digest, damages->v[i].size, damages->v[i].path);
	if (damages->more > 0)
		fputs("more\n", out);
	if (fclose(out) != 0)
		xalloc_die();
	return text;
}

static int
mark_write(int folder, const char *manifest, const char *text)
{
	_cleanup_free_ char *temporary = xasprintf(".%s", manifest);
	size_t n = strlen(text);
	_cleanup_close_ int fd = -1;

	(void)unlinkat(folder, temporary, 0);
	fd = openat(folder, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	for (const char *p = text; n > 0;) {
		ssize_t done = write(fd, p, n);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return -errno;
		p += done;
		n -= (size_t)done;
	}
	if (fsync(fd) < 0 || renameat(folder, temporary, folder, manifest) < 0 || fsync(folder) < 0)
		return -errno;
	return 0;
}

int
damage_note(const struct objects *objects, const char *manifest, const struct damages *damages)
{
	_cleanup_close_ int folder = folder_open(objects, damages->n > 0);
	_cleanup_free_ char *text = NULL;

	if (!digest_valid(manifest))
		return -EINVAL;
	if (damages->n == 0) {
		if (folder == -ENOENT)
			return 0;
		if (folder < 0)
			return folder;
		if (unlinkat(folder, manifest, 0) < 0)
			return errno == ENOENT ? 0 : -errno;
		return fsync(folder) < 0 ? -errno : 0;
	}
	if (folder < 0)
		return folder;
	text = format(damages);
	return mark_write(folder, manifest, text);
}

static int
mark_read(int folder, const char *manifest, char **ret_text)
{
	_cleanup_close_ int fd =
	    openat(folder, manifest, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	_cleanup_free_ char *text = NULL;
	struct stat st;
	size_t n = 0;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || (size_t)st.st_size > MARK_MAX)
		return -EBADMSG;
	text = xcalloc(1, (size_t)st.st_size + 1);
	while (n < (size_t)st.st_size) {
		ssize_t got = read(fd, text + n, (size_t)st.st_size - n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? -errno : -EBADMSG;
		n += (size_t)got;
	}
	*ret_text = TAKE(text);
	return 0;
}

/* Takes the next line of *TEXT apart: 1; 0 at the end; -EBADMSG for one that names no file. */
static int
mark_next(char **text, struct damage *ret)
{
	char *line = strsep(text, "\n"), *fields[4];

	if (line == NULL || *line == '\0')
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		fields[i] = i < 3 ? strsep(&line, "\t") : line;
		if (fields[i] == NULL)
			return -EBADMSG;
	}
	if (!digest_valid(fields[1]))
		return -EBADMSG;
	*ret = (struct damage){.path = fields[3], .size = strtoll(fields[2], NULL, 10)};
	memcpy(ret->digest, fields[1], DIGEST_SIZE);
	for (size_t i = 0; i < ARRAY_SIZE(problems); i++)
		if (strcmp(fields[0], problems[i]) == 0)
			ret->problem = problems[i];
	return ret->problem != NULL ? 1 : -EBADMSG;
}

bool
damage_any(const struct objects *objects)
{
	int fd = folder_open(objects, false);
	_cleanup_(cleanup_dir) DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;

	if (dir == NULL && fd >= 0)
		close(fd);
	while (dir != NULL && (entry = readdir(dir)) != NULL)
		if (digest_valid(entry->d_name))
			return true;
	return false;
}

int
damage_find(const struct objects *objects, const char *manifest, char **ret_problem,
	    char **ret_path)
{
	_cleanup_close_ int folder = folder_open(objects, false);
	_cleanup_free_ char *text = NULL;
	struct damage damage = {.problem = "damaged", .path = (char[]){""}};
	char *rest;
	int r;

	if (folder < 0)
		return folder == -ENOENT ? 0 : folder;
	if (!digest_valid(manifest))
		return -EINVAL;
	r = mark_read(folder, manifest, &text);
	if (r == -ENOENT)
		return 0;
	if (r < 0 && r != -EBADMSG)
		return r;
	/* A mark that cannot be read is a mark. */
	rest = text;
	if (rest != NULL)
		(void)mark_next(&rest, &damage);
	if (ret_problem != NULL)
		*ret_problem = xstrdup(damage.problem);
	if (ret_path != NULL)
		*ret_path = xstrdup(damage.path);
	return 1;
}

/* What is still true of one mark. One whose manifest was damaged, or that does not list all, is for
 * the next verification to take away. */
static void
heal_one(const struct objects *objects, int folder, const char *manifest)
{
	_cleanup_(damages_clear) struct damages left = {0};
	_cleanup_free_ char *text = NULL;
	struct damage damage;
	bool healed = false;
	char *rest;
	int r;

	if (mark_read(folder, manifest, &text) < 0)
		return;
	for (rest = text; (r = mark_next(&rest, &damage)) > 0;) {
		if (strcmp(damage.problem, "manifest") == 0)
			return;
		if (objects_verify(objects, damage.digest, damage.size) == 0)
			healed = true;
		else
			damages_add(&left, damage.problem, damage.digest, damage.size, damage.path);
	}
	if (healed && r == 0)
		(void)damage_note(objects, manifest, &left);
}

/* Each manifest of which something is noted. */
static void
each_note(const struct objects *objects, void (*back)(int folder, const char *manifest, void *arg),
	  void *arg)
{
	_cleanup_close_ int folder = folder_open(objects, false);
	int copy = folder < 0 ? -1 : openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_(cleanup_dir) DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	const struct dirent *entry;

	if (dir == NULL && copy >= 0)
		close(copy);
	while (dir != NULL && (entry = readdir(dir)) != NULL)
		if (digest_valid(entry->d_name))
			back(folder, entry->d_name, arg);
}

static void
heal_note(int folder, const char *manifest, void *arg)
{
	heal_one(arg, folder, manifest);
}

void
damage_heal(const struct objects *objects)
{
	each_note(objects, heal_note, (void *)(uintptr_t)objects);
}

struct keeping {
	bool (*kept)(const char *manifest, void *arg);
	void *arg;
};

static void
forget_note(int folder, const char *manifest, void *arg)
{
	const struct keeping *keeping = arg;

	if (!keeping->kept(manifest, keeping->arg))
		(void)unlinkat(folder, manifest, 0);
}

void
damage_forget(const struct objects *objects, bool (*kept)(const char *manifest, void *arg),
	      void *arg)
{
	struct keeping keeping = {kept, arg};

	each_note(objects, forget_note, &keeping);
}
