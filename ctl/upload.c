/* SPDX-License-Identifier: ISC */
/*
 * Walks what is uploaded twice: once to know how much it is and whether all of it can be taken,
 * once to send it. Folders are read in sorted order through descriptors, and links are sent as
 * links. A file that is not the same after it was read than before ends the upload: half of an old
 * and half of a new file is in no release.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#include "common/entry.h"
#include "common/json.h"
#include "common/folder.h"
#include "common/xalloc.h"
#include "ctl/upload.h"

#define DEPTH_MAX 128 /* of folders: bmd takes no more */
#define PATH_SIZE 8192

static const struct {
	const char *suffix, *kind;
} suffixes[] = {{".tar", "tar"},    {".tar.gz", "tar"},	 {".tgz", "tar"},
		{".tar.xz", "tar"}, {".tar.zst", "tar"}, {".zip", "zip"}};

struct upload {
	int fd;			  /* -1 while only looking */
	struct entry_output *out; /* to it */
	int64_t sent, total;
	const struct upload_shared *shared; /* NULL: every link is sent */
	const char *root;		    /* the real path of what is looked at, for SHARED */
	const char *typed;		    /* the same as it was typed */
	bool folder;			    /* is it one: PATH lies in it */
	void (*progress)(int64_t bytes, int64_t total, void *arg);
	void *arg;
	size_t length;	      /* of PATH */
	char path[PATH_SIZE]; /* of what is looked at, below the root */
	char *content;	      /* ENTRY_DATA_MAX bytes */
	struct err *err;
};

/* Which suffix PATH has and something before it; -1 for none. */
static int
find_suffix(const char *path)
{
	size_t n = strlen(path);

	for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++) {
		size_t m = strlen(suffixes[i].suffix);

		if (n > m && path[n - m - 1] != '/' &&
		    strcmp(path + n - m, suffixes[i].suffix) == 0)
			return (int)i;
	}
	return -1;
}

/* The path for a sentence. */
static char *
shown(const char *path)
{
	return json_terminal(path);
}

int
upload_kind(const char *path, const char **ret_kind, struct err *err)
{
	_cleanup_free_ char *safe = shown(path);
	struct stat st;
	int suffix = find_suffix(path);

	if (stat(path, &st) < 0)
		return err_errno(err, errno, "%s", safe);
	if (S_ISDIR(st.st_mode)) {
		*ret_kind = "tree";
		return 0;
	}
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_UPLOAD, "%s is neither a folder nor a plain file", safe);
	*ret_kind = suffix >= 0 ? suffixes[suffix].kind : "tree";
	return 0;
}

/* The last component of PATH; that of the real path for "." and the like. */
static char *
last_component(const char *path)
{
	_cleanup_free_ char *copy = xstrdup(path), *real = NULL;
	size_t n = strlen(copy);
	const char *last;

	while (n > 1 && copy[n - 1] == '/')
		copy[--n] = '\0';
	last = strrchr(copy, '/') != NULL ? strrchr(copy, '/') + 1 : copy;
	if (*last != '\0' && strcmp(last, ".") != 0 && strcmp(last, "..") != 0)
		return xstrdup(last);
	real = realpath(path, NULL);
	last = real != NULL ? strrchr(real, '/') : NULL;
	return last != NULL && last[1] != '\0' ? xstrdup(last + 1) : NULL;
}

char *
upload_artifact_name(const char *path)
{
	char *name = last_component(path), *dot;
	struct stat st;
	int suffix;

	if (name == NULL || (stat(path, &st) == 0 && S_ISDIR(st.st_mode)))
		return name;
	suffix = find_suffix(name);
	dot = strrchr(name, '.');
	if (suffix >= 0)
		name[strlen(name) - strlen(suffixes[suffix].suffix)] = '\0';
	else if (dot != NULL && dot != name)
		*dot = '\0';
	return name;
}

/* ---- sending */

/* Refuses what is looked at; the taker is told to forget what it has. */
static int
fail(struct upload *upload, int r)
{
	if (upload->fd >= 0)
		entry_write(upload->fd, ENTRY_ABORT, "bmctl gave up", strlen("bmctl gave up"));
	return r;
}

/* What is looked at, as who typed the root would type it, for a sentence. */
static char *
where(const struct upload *upload)
{
	size_t n = strlen(upload->typed);
	bool below = upload->folder && upload->path[0] != '\0';
	_cleanup_free_ char *path = NULL;

	while (n > 1 && upload->typed[n - 1] == '/')
		n--;
	path =
	    xasprintf("%.*s%s%s", (int)n, upload->typed,
		      below && upload->typed[n - 1] != '/' ? "/" : "", below ? upload->path : "");
	return shown(path);
}

static int
fail_errno(struct upload *upload, int number)
{
	_cleanup_free_ char *safe = where(upload);

	return fail(upload, err_errno(upload->err, number, "%s", safe));
}

static int
fail_because(struct upload *upload, const char *why)
{
	_cleanup_free_ char *safe = where(upload);

	return fail(upload, err_set(upload->err, ERR_UPLOAD, "%s: %s", safe, why));
}

/* What became of a frame: -EPIPE when the taker has gone or has answered already. */
static int
sent(struct upload *upload, int r)
{
	struct pollfd v = {.fd = upload->fd, .events = POLLIN};

	if (r == -EPIPE || r == -ECONNRESET)
		return -EPIPE;
	if (r == -EMSGSIZE)
		return fail_because(upload, "the path is too long");
	if (r == -EAGAIN)
		return err_set(upload->err, ERR_UNREACHABLE,
			       "bmd has stopped taking the upload; type the same again");
	if (r < 0)
		return err_errno(upload->err, -r, "the upload cannot be sent");
	return r > 0 && poll(&v, 1, 0) > 0 ? -EPIPE : 0;
}

static void
tell(struct upload *upload, size_t n)
{
	upload->sent += (int64_t)n;
	if (upload->progress != NULL)
		upload->progress(upload->sent, upload->total, upload->arg);
}

static bool
same(const struct stat *a, const struct stat *b)
{
	return a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
	       a->st_mtim.tv_nsec == b->st_mtim.tv_nsec && a->st_ctim.tv_sec == b->st_ctim.tv_sec &&
	       a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

/* The bytes of FILE, which was BEFORE when it was opened. */
static int
send_bytes(struct upload *upload, int file, const struct stat *before)
{
	struct stat after;
	int64_t size = 0;

	for (;;) {
		ssize_t n = read(file, upload->content, ENTRY_DATA_MAX);
		int r;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail_errno(upload, errno);
		if (n == 0)
			break;
		r = sent(upload, entry_put(upload->out, ENTRY_CONTENT, upload->content, (size_t)n));
		if (r < 0)
			return r;
		size += n;
		tell(upload, (size_t)n);
	}
	if (fstat(file, &after) < 0)
		return fail_errno(upload, errno);
	if (size != before->st_size || !same(before, &after))
		return fail_because(
		    upload, "the file changed while it was read; upload when nothing writes to it");
	return 0;
}

static int
send_file(struct upload *upload, int folder, const char *name)
{
	_cleanup_close_ int file =
	    openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;
	int r;

	if (file < 0 || fstat(file, &st) < 0)
		return fail_errno(upload, errno);
	if (!S_ISREG(st.st_mode))
		return fail_because(
		    upload, "the file changed while it was read; upload when nothing writes to it");
	if (upload->fd < 0) {
		upload->total += st.st_size;
		return 0;
	}
	r = sent(upload, entry_put_file(upload->out, upload->path, (st.st_mode & S_IXUSR) != 0));
	return r < 0 ? r : send_bytes(upload, file, &st);
}

static bool
is_below(const char *path, const char *folder)
{
	size_t n = strlen(folder);

	return strncmp(path, folder, n) == 0 && path[n] == '/' && path[n + 1] != '\0';
}

/* PATH, which is absolute, without "." and ".." and doubled slashes, as text: what it names need
 * not be there. */
static void
normalize(char *path)
{
	char *to = path, *rest = path, *part;

	while ((part = strsep(&rest, "/")) != NULL) {
		size_t n = strlen(part);

		if (n == 0 || strcmp(part, ".") == 0)
			continue;
		if (strcmp(part, "..") == 0) {
			while (to > path && *--to != '/')
				;
			continue;
		}
		*to++ = '/';
		memmove(to, part, n);
		to += n;
	}
	*to = '\0';
}

/* Does the link, with this TARGET, lead to what releases share? */
static bool
is_shared(const struct upload *upload, const char *target)
{
	const struct upload_shared *shared = upload->shared;
	_cleanup_free_ char *path = NULL, *real = NULL;
	const char *slash = strrchr(upload->path, '/');

	if (target[0] == '/') {
		path = xstrdup(target);
		real = realpath(target, NULL);
	} else {
		path = xasprintf("%s/%.*s/%s", upload->root,
				 (int)(slash != NULL ? slash - upload->path : 0), upload->path,
				 target);
	}
	normalize(path);
	return is_below(path, shared->folder) || is_below(path, shared->typed) ||
	       (real != NULL && is_below(real, shared->folder));
}

static int
send_link(struct upload *upload, int folder, const char *name)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(folder, name, target, sizeof(target) - 1);

	if (n < 0)
		return fail_errno(upload, errno);
	target[n] = '\0';
	if (upload->shared != NULL && is_shared(upload, target)) {
		if (upload->fd < 0)
			upload->shared->left(upload->path, upload->shared->arg);
		return 0;
	}
	if (upload->fd < 0)
		return 0;
	return sent(upload, entry_put_link(upload->out, ENTRY_LINK, upload->path, target));
}

static int send_folder(struct upload *upload, int fd, int depth);

static int
send_one(struct upload *upload, int folder, const char *name, int depth)
{
	_cleanup_close_ int fd = -1;
	struct stat st;
	int r = 0;

	if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return fail_errno(upload, errno);
	if (S_ISREG(st.st_mode))
		return send_file(upload, folder, name);
	if (S_ISLNK(st.st_mode))
		return send_link(upload, folder, name);
	if (!S_ISDIR(st.st_mode))
		return fail_because(upload, "neither a plain file, a folder nor a link; leave "
					    "devices, pipes and sockets out");
	if (depth >= DEPTH_MAX)
		return fail_because(upload, "deeper than 128 folders; make the tree flatter");
	fd = openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return fail_errno(upload, errno);
	if (upload->fd >= 0)
		r = sent(upload,
			 entry_put(upload->out, ENTRY_DIRECTORY, upload->path, upload->length));
	return r < 0 ? r : send_folder(upload, fd, depth + 1);
}

struct names {
	char **v;
	size_t n, room;
};

static void
clear_names(struct names *names)
{
	for (size_t i = 0; i < names->n; i++)
		free(names->v[i]);
	free(names->v);
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int
read_names(int fd, struct names *names)
{
	_cleanup_dir_ DIR *dir = folder_list(fd);
	const struct dirent *entry;

	if (dir == NULL)
		return -errno;
	while ((errno = 0, entry = readdir(dir)) != NULL) {
		if (folder_is_dot(entry->d_name))
			continue;
		XGROW(names->v, names->n, names->room);
		names->v[names->n++] = xstrdup(entry->d_name);
	}
	if (errno != 0)
		return -errno;
	if (names->n > 0)
		qsort(names->v, names->n, sizeof(*names->v), by_name);
	return 0;
}

static int
send_folder(struct upload *upload, int fd, int depth)
{
	_cleanup_(clear_names) struct names names = {0};
	size_t length = upload->length;
	int r = read_names(fd, &names);

	if (r < 0)
		return fail_errno(upload, -r);
	for (size_t i = 0; i < names.n && r >= 0; i++) {
		int n = snprintf(upload->path + length, PATH_SIZE - length, "%s%s",
				 length > 0 ? "/" : "", names.v[i]);

		if (n < 0 || (size_t)n >= PATH_SIZE - length)
			return fail_because(upload, "the path is too long");
		upload->length = length + (size_t)n;
		r = send_one(upload, fd, names.v[i], depth);
		upload->length = length;
		if (r >= 0)
			upload->path[length] = '\0';
	}
	return r;
}

/* PATH itself is followed if it is a link: its owner has typed it. */
static int
send_tree(struct upload *upload, const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	_cleanup_free_ char *name = NULL;
	struct stat st;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0)
		return fail_errno(upload, errno);
	upload->folder = S_ISDIR(st.st_mode);
	if (upload->folder)
		return send_folder(upload, fd, 1);
	name = last_component(path);
	snprintf(upload->path, PATH_SIZE, "%s", name != NULL ? name : "");
	if (upload->fd < 0) {
		upload->total += st.st_size;
		return 0;
	}
	r = sent(upload, entry_put_file(upload->out, upload->path, (st.st_mode & S_IXUSR) != 0));
	return r < 0 ? r : send_bytes(upload, fd, &st);
}

static int
send_archive(struct upload *upload, const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return fail_errno(upload, errno);
	if (upload->fd < 0) {
		upload->total += st.st_size;
		return 0;
	}
	return send_bytes(upload, fd, &st);
}

int
upload_send(int fd, const char *path, const char *kind, const struct upload_shared *shared,
	    void (*progress)(int64_t bytes, int64_t total, void *arg), void *arg, struct err *err)
{
	int (*send)(struct upload * upload, const char *path) =
	    strcmp(kind, "tree") == 0 ? send_tree : send_archive;
	_cleanup_free_ char *real = shared != NULL ? realpath(path, NULL) : NULL;
	struct upload *upload = xcalloc(1, sizeof(*upload));
	int r;

	*upload = (struct upload){.fd = -1, .progress = progress, .arg = arg, .err = err};
	upload->shared = shared;
	upload->root = real != NULL ? real : path;
	upload->typed = path;
	upload->content = xrealloc(NULL, ENTRY_DATA_MAX, 1);
	r = send(upload, path);
	upload->fd = fd;
	upload->out = entry_output_new(fd);
	if (r < 0) {
		fail(upload, r);
	} else {
		upload->length = 0;
		upload->path[0] = '\0';
		r = send(upload, path);
	}
	if (r >= 0)
		r = sent(upload, entry_put(upload->out, ENTRY_END, NULL, 0));
	if (r >= 0)
		r = sent(upload, entry_flush(upload->out));
	entry_output_free(upload->out);
	free(upload->content);
	free(upload);
	return r;
}

int
upload_look(const char *path, const struct upload_shared *shared, int64_t *ret_bytes,
	    struct err *err)
{
	_cleanup_free_ char *real = realpath(path, NULL);
	struct upload *upload = xcalloc(1, sizeof(*upload));
	int r;

	*upload = (struct upload){.fd = -1, .shared = shared, .err = err};
	upload->root = real != NULL ? real : path;
	upload->typed = path;
	r = send_tree(upload, path);
	if (r >= 0)
		*ret_bytes = upload->total;
	free(upload);
	return r;
}
