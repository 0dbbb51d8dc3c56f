/* SPDX-License-Identifier: ISC */
/*
 * The records of places. They are what makes pruning safe: only names that stand here are ever
 * removed. A name is written down before its folder is made, and only if no folder of that name was
 * there, so that a crash in between claims nothing that is somebody else's. Records are replaced
 * by rename, under a lock, for two stages may deploy into one DIRECTORY.
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "common/digest.h"
#include "common/json.h"
#include "common/xalloc.h"
#include "runner/places.h"

#define RECORD_MAX (4 * 1024 * 1024)

void
places_clear(struct places *places)
{
	for (size_t i = 0; i < places->nmade; i++)
		free(places->made[i]);
	free(places->made);
	*places = (struct places){0};
}

char *
places_real(const char *directory)
{
	_cleanup_free_ char *head = xstrdup(directory);
	size_t n = strlen(head);
	char *real;

	/* Take components off the end until what is left exists. */
	while ((real = realpath(n ? head : "/", NULL)) == NULL) {
		if (errno == ENOMEM)
			xalloc_die(); /* what was not resolved may be a link, and another place */
		if (n == 0) {
			real = xstrdup("/");
			break;
		}
		while (n > 0 && head[n - 1] == '/')
			n--;
		while (n > 0 && head[n - 1] != '/')
			n--;
		while (n > 0 && head[n - 1] == '/')
			n--;
		head[n] = '\0';
	}
	directory += n;
	while (*directory == '/')
		directory++;
	if (*directory) {
		char *whole = xasprintf("%s/%s", strcmp(real, "/") == 0 ? "" : real, directory);

		free(real);
		real = whole;
	}
	for (n = strlen(real); n > 1 && real[n - 1] == '/';)
		real[--n] = '\0';
	return real;
}

static int
folder_open(int run_directory_fd, struct err *err)
{
	int fd;

	if (mkdirat(run_directory_fd, "places", 0700) < 0 && errno != EEXIST)
		return err_errno(err, errno, "cannot make the folder of places");
	fd = openat(run_directory_fd, "places", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? err_errno(err, errno, "cannot open the folder of places") : fd;
}

static int
record_load(int fd, const char *name, const char *real, json_t **ret, struct err *err)
{
	_cleanup_close_ int file = openat(fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	_cleanup_free_ char *text = NULL;
	_cleanup_json_ json_t *record = NULL;
	struct stat st;
	ssize_t n;

	if (file < 0 && errno == ENOENT) {
		*ret =
		    json_pack("{s:s%, s:b, s:[]}", "path", real, strlen(real), "filled", 0, "made");
		if (!*ret)
			return err_set(err, ERR_FAILED,
				       "the directory %s has a name that is not UTF-8", real);
		return 0;
	}
	if (file < 0 || fstat(file, &st) < 0)
		return err_errno(err, errno, "cannot read the record of %s", real);
	text = xcalloc(1, (size_t)(st.st_size < RECORD_MAX ? st.st_size : RECORD_MAX) + 1);
	do
		n = read(file, text, (size_t)(st.st_size < RECORD_MAX ? st.st_size : RECORD_MAX));
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_errno(err, errno, "cannot read the record of %s", real);
	if (json_parse(text, (size_t)n, RECORD_MAX, &record, err) < 0) {
		err_prefix(err, "the record of %s is damaged", real);
		return -EBADMSG;
	}
	if (!json_is_array(json_object_get(record, "made"))) {
		err_set(err, ERR_FAILED, "the record of %s is damaged: it lacks \"made\"", real);
		return -EBADMSG;
	}
	*ret = TAKE(record);
	return 0;
}

static void
record_unpack(const json_t *record, struct places *ret)
{
	struct places places = {.filled = json_get_bool(record, "filled")};
	const json_t *made = json_object_get(record, "made");
	size_t n = json_array_size(made);

	places.made = xcalloc(n ? n : 1, sizeof(*places.made));
	for (size_t i = 0; i < n; i++)
		if (json_is_string(json_array_get(made, i)))
			places.made[places.nmade++] =
			    xstrdup(json_string_value(json_array_get(made, i)));
	*ret = places;
}

int
places_read(int run_directory_fd, const char *real, struct places *ret_places, struct err *err)
{
	_cleanup_close_ int fd = folder_open(run_directory_fd, err);
	_cleanup_json_ json_t *record = NULL;
	char name[DIGEST_SIZE];
	int r;

	if (fd < 0)
		return fd;
	digest_of(real, strlen(real), name);
	r = record_load(fd, name, real, &record, err);
	if (r >= 0)
		record_unpack(record, ret_places);
	return r;
}

static void
made_remove(json_t *made, const char *name)
{
	for (size_t i = json_array_size(made); i-- > 0;) {
		const char *s = json_string_value(json_array_get(made, i));

		if (s && strcmp(s, name) == 0)
			json_array_remove(made, i);
	}
}

/* 0, or -1 with errno. */
static int
write_whole(int fd, const char *text, size_t n)
{
	while (n > 0) {
		ssize_t w = write(fd, text, n);

		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0)
			return -1;
		text += w;
		n -= (size_t)w;
	}
	return 0;
}

static int
record_save(int fd, const char *name, const char *real, const json_t *record, struct err *err)
{
	_cleanup_free_ char *text = json_dumps(record, JSON_COMPACT);
	_cleanup_free_ char *temporary = xasprintf("%s.new", name);
	_cleanup_close_ int file =
	    openat(fd, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	size_t n = strlen(text);

	if (file < 0 || write_whole(file, text, n) < 0 || fsync(file) < 0 ||
	    renameat(fd, temporary, fd, name) < 0 || fsync(fd) < 0)
		return err_errno(err, errno, "cannot record what is made in %s", real);
	return 0;
}

/* Held for a read and a write only. */
static int
lock(int fd, const char *name, struct err *err)
{
	_cleanup_free_ char *file = xasprintf("%s.lock", name);
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	_cleanup_close_ int lock_fd =
	    openat(fd, file, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (lock_fd < 0)
		return err_errno(err, errno, "cannot open the lock of a place");
	while (fcntl(lock_fd, F_OFD_SETLKW, &lock) < 0)
		if (errno != EINTR)
			return err_errno(err, errno, "cannot lock the record of a place");
	return TAKE_FD(lock_fd);
}

int
places_change(int run_directory_fd, const char *real, int fill, const char *add,
	      char *const *remove, size_t nremove, struct err *err)
{
	_cleanup_close_ int fd = folder_open(run_directory_fd, err), lock_fd = -1;
	_cleanup_json_ json_t *record = NULL;
	char name[DIGEST_SIZE];
	json_t *made;
	int r;

	if (fd < 0)
		return fd;
	digest_of(real, strlen(real), name);
	lock_fd = lock(fd, name, err);
	if (lock_fd < 0)
		return lock_fd;
	r = record_load(fd, name, real, &record, err);
	if (r < 0)
		return r;
	made = json_object_get(record, "made");
	if (fill != 0)
		json_object_set_new(record, "filled", json_boolean(fill > 0));
	if (add) {
		made_remove(made, add);
		json_array_append_new(made, json_string(add));
	}
	for (size_t i = 0; i < nremove; i++)
		made_remove(made, remove[i]);
	return record_save(fd, name, real, record, err);
}
