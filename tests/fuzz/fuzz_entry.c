/* SPDX-License-Identifier: ISC */
/* Any bytes as the stream of an upload: no frame holds more than came, each is followed by a NUL,
 * and the stream ends. */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/entry.h"
#include "tests/fuzz/fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = memfd_create("entry", MFD_CLOEXEC);
	struct entry_input *input;
	enum entry_kind kind;
	const char *bytes;
	size_t n, all = 0;
	int r;

	must(fd >= 0 && write(fd, data, size) == (ssize_t)size && lseek(fd, 0, SEEK_SET) == 0);
	input = entry_input_new(fd);
	while ((r = entry_read(input, &kind, &bytes, &n)) == 1) {
		must(n <= ENTRY_DATA_MAX && bytes[n] == '\0');
		must(kind == (enum entry_kind)data[all]);
		all += n + ENTRY_HEADER;
		must(all <= size);
	}
	must(r == -EBADMSG || (r == 0 && all == size));
	entry_input_free(input);
	close(fd);
	return 0;
}
