/* SPDX-License-Identifier: ISC */
/*
 * The stamps on disk: a head that says whose they are, the stamps, and the SHA-256 of both. They
 * lie beside the records of places, where only bmd-run writes. The child that placed the files
 * tells them, as the step's user, in memory that it shares with bmd-run: as with its word that the
 * files were right, no more hangs on them than what that user is deployed. They are bound to that
 * user, to the manifest and (by the device) to the file system, and are written for this machine
 * alone.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "common/digest.h"
#include "common/xalloc.h"
#include "runner/stamps.h"

#define MAGIC	   "bmd stamps 1\n"
#define FOLDER_MAX 64 /* files of stamps that stay for one DIRECTORY */

struct head {
	char magic[16];
	char manifest[DIGEST_SIZE + 7];
	uint64_t uid;
};

static size_t
stamps_size(uint64_t n)
{
	return sizeof(struct files_stamps) + n * sizeof(struct files_stamp);
}

static struct files_stamps *
stamps_new(uint64_t n)
{
	struct files_stamps *stamps =
	    mmap(NULL, stamps_size(n), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (stamps == MAP_FAILED)
		return NULL;
	stamps->n = n;
	return stamps;
}

void
stamps_free(struct files_stamps *stamps, size_t n)
{
	if (stamps != NULL)
		munmap(stamps, stamps_size(n));
}

/* places/<…>.stamps/ of REAL; made with MAKE. */
static int
folder_open(int run_directory_fd, const char *real, bool make)
{
	_cleanup_free_ char *path = NULL;
	char name[DIGEST_SIZE];
	int fd;

	digest_of(real, strlen(real), name);
	path = xasprintf("places/%s.stamps", name);
	if (make && mkdirat(run_directory_fd, path, 0700) < 0 && errno != EEXIST)
		return -errno;
	fd = openat(run_directory_fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* The whole file, if it is one and its sum is right; free(). */
static char *
file_read(int folder, const char *name, size_t *ret_n)
{
	_cleanup_close_ int fd =
	    openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	_cleanup_free_ char *bytes = NULL;
	char sum[DIGEST_SIZE];
	struct stat st;
	size_t n;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ||
	    st.st_size < (off_t)(sizeof(struct head) + stamps_size(0) + DIGEST_SIZE) ||
	    st.st_size > (off_t)(sizeof(struct head) + stamps_size(MANIFEST_TEXT_MAX / 8)))
		return NULL;
	n = (size_t)st.st_size;
	bytes = xcalloc(1, n);
	for (size_t have = 0; have < n;) {
		ssize_t got = read(fd, bytes + have, n - have);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return NULL;
		have += (size_t)got;
	}
	n -= DIGEST_SIZE;
	digest_of(bytes, n, sum);
	if (memcmp(sum, bytes + n, DIGEST_SIZE) != 0)
		return NULL;
	*ret_n = n;
	return TAKE(bytes);
}

static const struct files_stamps *
file_check(const char *bytes, size_t n, const struct stamps_of *of)
{
	const struct head *head = (const void *)bytes;
	const struct files_stamps *stamps = (const void *)(bytes + sizeof(*head));

	if (memcmp(head->magic, MAGIC, sizeof(MAGIC)) != 0 || head->uid != of->uid ||
	    head->manifest[DIGEST_SIZE - 1] != '\0' || !digest_valid(head->manifest) ||
	    stamps->n > n / sizeof(struct files_stamp) ||
	    n != sizeof(*head) + stamps_size(stamps->n))
		return NULL;
	return stamps;
}

/* Stamps of another build, for the files that are the same in both. */
static void
take_over(struct files_stamps *stamps, const struct manifest *manifest,
	  const struct files_stamps *old, const char *digest, const struct objects *objects)
{
	_cleanup_(manifest_clear) struct manifest before = {0};
	_cleanup_free_ char *text = NULL;
	size_t n;

	if (objects_get_manifest(objects, digest, &text, &n, NULL) < 0 ||
	    manifest_parse(text, n, &before, NULL) < 0 || before.n != old->n)
		return;
	stamps->device = old->device;
	for (size_t i = 0; i < manifest->n; i++) {
		const struct manifest_entry *entry = &manifest->v[i];
		const struct manifest_entry *was = manifest_find(&before, entry->path);

		if (entry->kind == MANIFEST_FILE && was != NULL && was->kind == MANIFEST_FILE &&
		    was->size == entry->size && strcmp(was->digest, entry->digest) == 0)
			stamps->v[i] = old->v[was - before.v];
	}
}

struct files_stamps *
stamps_load(int run_directory_fd, const struct stamps_of *of, const struct manifest *manifest,
	    const struct objects *objects)
{
	struct files_stamps *stamps = stamps_new(manifest->n);
	_cleanup_close_ int folder = folder_open(run_directory_fd, of->real, false);
	const struct files_stamps *found = NULL;
	_cleanup_free_ char *bytes = NULL;
	const char *digest;
	size_t n;

	if (stamps == NULL || folder < 0)
		return stamps;
	bytes = file_read(folder, of->name, &n);
	if (bytes != NULL)
		found = file_check(bytes, n, of);
	if (found == NULL)
		return stamps;
	digest = ((const struct head *)(const void *)bytes)->manifest;
	if (strcmp(digest, of->digest) != 0)
		take_over(stamps, manifest, found, digest, objects);
	else if (found->n == stamps->n)
		memcpy(stamps, found, stamps_size(stamps->n));
	return stamps;
}

static void
close_dir(DIR *dir)
{
	closedir(dir);
}
DEFINE_CLEANUP(DIR *, cleanup_dir, close_dir)

/* So many stay; the one that was written longest ago goes. */
static void
folder_trim(int folder)
{
	int copy = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_(cleanup_dir) DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	char oldest[NAME_MAX + 1] = "";
	const struct dirent *entry;
	struct timespec when = {0};
	struct stat st;
	int n = 0;

	if (dir == NULL && copy >= 0)
		close(copy);
	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		if (fstatat(folder, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
		    !S_ISREG(st.st_mode))
			continue;
		if (n++ > 0 &&
		    (st.st_mtim.tv_sec > when.tv_sec ||
		     (st.st_mtim.tv_sec == when.tv_sec && st.st_mtim.tv_nsec >= when.tv_nsec)))
			continue;
		when = st.st_mtim;
		snprintf(oldest, sizeof(oldest), "%s", entry->d_name);
	}
	if (n > FOLDER_MAX)
		unlinkat(folder, oldest, 0);
}

static bool
write_all(int fd, const void *bytes, size_t n)
{
	const char *p = bytes;

	while (n > 0) {
		ssize_t done = write(fd, p, n);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return false;
		p += done;
		n -= (size_t)done;
	}
	return true;
}

/* Without fsync: what a power loss leaves of it has another sum. */
void
stamps_save(int run_directory_fd, const struct stamps_of *of, struct files_stamps *stamps, size_t n)
{
	_cleanup_free_ char *temporary = xasprintf(".%s.new", of->name);
	_cleanup_close_ int folder = folder_open(run_directory_fd, of->real, true), fd = -1;
	struct digest *digest = digest_new();
	struct head head = {.magic = MAGIC, .uid = of->uid};
	char sum[DIGEST_SIZE];

	snprintf(head.manifest, sizeof(head.manifest), "%s", of->digest);
	digest_add(digest, &head, sizeof(head));
	stamps->n = n;
	digest_add(digest, stamps, stamps_size(n));
	digest_end(digest, sum);
	if (folder < 0)
		return;
	unlinkat(folder, temporary, 0);
	fd = openat(folder, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd >= 0 && write_all(fd, &head, sizeof(head)) &&
	    write_all(fd, stamps, stamps_size(n)) && write_all(fd, sum, sizeof(sum)) &&
	    renameat(folder, temporary, folder, of->name) == 0) {
		folder_trim(folder);
		return;
	}
	unlinkat(folder, temporary, 0);
	unlinkat(folder, of->name, 0);
}

void
stamps_forget(int run_directory_fd, const char *real, const char *name)
{
	_cleanup_close_ int folder = folder_open(run_directory_fd, real, false);

	if (folder >= 0)
		unlinkat(folder, name, 0);
}
