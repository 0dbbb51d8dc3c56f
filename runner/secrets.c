/* SPDX-License-Identifier: ISC */
/*
 * A memory file has no name, is on no disk and goes with its last descriptor. It is sealed, so that
 * no step can change what another reads; before a step it becomes its user's, who may open it again
 * from the beginning as often as he likes.
 */
#include "runner/secrets.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/xalloc.h"
#include "runner/prepare.h"

struct secret {
	char *name;
	int fd;
};

struct secrets {
	struct secret *v;
	size_t n, room;
	struct mask *mask;
};

/* ---- one secret ---- */

/* The path that FROM means. free() */
static int
path_of(const char *from, char **ret_path, struct err *err)
{
	const char *credential = conf_secret_credential(from);
	const char *folder = getenv("CREDENTIALS_DIRECTORY");

	if (credential && !folder)
		return err_set(err, ERR_CONFIGURATION,
			       "there are no credentials: bmd-run@.service needs "
			       "LoadCredential=%s:/PATH, see systemd.exec(5)",
			       credential);
	*ret_path = credential ? xasprintf("%s/%s", folder, credential) : xstrdup(from);
	return 0;
}

static int
check_file(const struct stat *st, const char *path, struct err *err)
{
	if (!S_ISREG(st->st_mode))
		return err_set(err, ERR_CONFIGURATION, "%s is not a regular file", path);
	if (st->st_uid != 0 && st->st_uid != geteuid())
		return err_set(err, ERR_CONFIGURATION,
			       "%s belongs to uid %u: make it root's, chown root %s", path,
			       (unsigned)st->st_uid, path);
	if (st->st_mode & (S_IRWXG | S_IRWXO))
		return err_set(
		    err, ERR_CONFIGURATION,
		    "group or others can read or change %s: chmod go= %s, and change the "
		    "secret if somebody may have seen it",
		    path, path);
	if (st->st_size > SECRET_MAX)
		return err_set(err, ERR_CONFIGURATION, "%s has more than %d bytes", path,
			       SECRET_MAX);
	return 0;
}

/* All of it, at most SECRET_MAX bytes. */
static int
read_file(const char *path, char *ret_bytes, size_t *ret_n, struct err *err)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	size_t n = 0;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_errno(err, errno, "cannot read %s", path);
	r = check_file(&st, path, err);
	while (r >= 0 && n <= SECRET_MAX) {
		ssize_t got = read(fd, ret_bytes + n, SECRET_MAX + 1 - n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_errno(err, errno, "cannot read %s", path);
		if (got == 0)
			break;
		n += (size_t)got;
	}
	if (r >= 0 && n > SECRET_MAX)
		return err_set(err, ERR_CONFIGURATION, "%s has more than %d bytes", path,
			       SECRET_MAX);
	*ret_n = n;
	return r;
}

static int
memory_file(const char *bytes, size_t n, int *ret_fd, struct err *err)
{
	_cleanup_close_ int fd = memfd_create("secret", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0 || fchmod(fd, 0400) < 0)
		return err_errno(err, errno, "cannot make a file in memory");
	for (size_t done = 0; done < n;) {
		ssize_t put = write(fd, bytes + done, n - done);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return err_errno(err, errno, "cannot write a file in memory");
		done += (size_t)put;
	}
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
		return err_errno(err, errno, "cannot seal a file in memory");
	*ret_fd = TAKE_FD(fd);
	return 0;
}

/* The whole of it without the line ends behind it; and, of several lines, each that is long enough,
 * for they come one by one as well. */
static int
hide(struct mask *mask, const char *bytes, size_t n, struct err *err)
{
	while (n > 0 && (bytes[n - 1] == '\n' || bytes[n - 1] == '\r'))
		n--;
	if (n < SECRET_MIN)
		return err_set(
		    err, ERR_CONFIGURATION,
		    "it has fewer than %d bytes and could not be hidden in the log: take a "
		    "longer one",
		    SECRET_MIN);
	mask_add(mask, bytes, n);
	for (size_t from = 0, to; from < n; from = to + 1) {
		const char *end = memchr(bytes + from, '\n', n - from);
		size_t length;

		to = end ? (size_t)(end - bytes) : n;
		length = to - from;
		if (length > 0 && bytes[to - 1] == '\r')
			length--;
		if (length >= SECRET_MIN)
			mask_add(mask, bytes + from, length);
	}
	return 0;
}

static int
take(struct secrets *secrets, const char *name, const char *from, struct err *err)
{
	_cleanup_free_ char *path = NULL;
	char *bytes = xcalloc(SECRET_MAX + 1, 1);
	size_t n = 0;
	int fd = -1;
	int r = path_of(from, &path, err);

	if (r >= 0)
		r = read_file(path, bytes, &n, err);
	if (r >= 0)
		r = hide(secrets->mask, bytes, n, err);
	if (r >= 0)
		r = memory_file(bytes, n, &fd, err);
	explicit_bzero(bytes, SECRET_MAX + 1);
	free(bytes);
	if (r < 0) {
		err_prefix(err, "secret %s", name);
		return r;
	}
	XGROW(secrets->v, secrets->n, secrets->room);
	secrets->v[secrets->n++] = (struct secret){.name = xstrdup(name), .fd = fd};
	return 0;
}

/* ---- those of a run ---- */

static const struct secret *
find(const struct secrets *secrets, const char *name)
{
	for (size_t i = 0; i < secrets->n; i++)
		if (strcmp(secrets->v[i].name, name) == 0)
			return &secrets->v[i];
	return NULL;
}

static int
take_step(struct run *run, const json_t *from, const struct conf_step *step, struct err *err)
{
	int r = 0;

	for (size_t i = 0; r >= 0 && i < step->secrets.n; i++) {
		const char *name = step->secrets.v[i];
		const char *place = json_string_value(json_object_get(from, name));

		if (!place)
			return err_set(err, ERR_CONFIGURATION, "secret %s: nothing sets it", name);
		if (!find(run->secrets, name))
			r = take(run->secrets, name, place, err);
	}
	return r;
}

int
secrets_open(struct run *run, struct err *err)
{
	_cleanup_json_ json_t *from = conf_stage_secrets(run->conf, run->application, run->stage);
	int r = 0;

	if (json_object_size(from) == 0)
		return 0;
	run->secrets = xcalloc(1, sizeof(*run->secrets));
	run->secrets->mask = mask_new();
	for (size_t i = 0; r >= 0 && i < run->plan->nsteps; i++)
		if (!prepare_skips(run, &run->plan->steps[i]))
			r = take_step(run, from, &run->plan->steps[i], err);
	return r;
}

void
secrets_close(struct secrets *secrets)
{
	if (!secrets)
		return;
	for (size_t i = 0; i < secrets->n; i++) {
		close(secrets->v[i].fd);
		free(secrets->v[i].name);
	}
	mask_free(secrets->mask);
	free(secrets->v);
	free(secrets);
}

void
secrets_environ(const struct secrets *secrets, const struct conf_step *step, json_t *environment)
{
	for (size_t i = 0; secrets && i < step->secrets.n; i++) {
		const struct secret *secret = find(secrets, step->secrets.v[i]);
		_cleanup_free_ char *variable = conf_secret_variable(step->secrets.v[i]);

		if (secret)
			json_object_set_new(environment, variable,
					    json_sprintf("/dev/fd/%d", secret->fd));
	}
}

size_t
secrets_give(const struct secrets *secrets, const struct conf_step *step,
	     const struct child_user *user, int *ret_fds)
{
	size_t n = 0;

	for (size_t i = 0; secrets && i < step->secrets.n; i++) {
		const struct secret *secret = find(secrets, step->secrets.v[i]);

		/* Without root it is ours, and so the step's. */
		if (secret && (geteuid() != 0 || fchown(secret->fd, user->uid, user->gid) >= 0))
			ret_fds[n++] = secret->fd;
	}
	return n;
}

const struct mask *
secrets_mask(const struct secrets *secrets)
{
	return secrets && secrets->n > 0 ? secrets->mask : NULL;
}
