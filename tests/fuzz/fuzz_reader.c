/* SPDX-License-Identifier: ISC */
/* Any bytes as an archive: the first byte says which kind, the rest is read. Out come whole frames,
 * and the last is an end or a refusal. */
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/entry.h"
#include "import/reader.h"
#include "tests/fuzz/fuzz.h"

#define OUT_MAX (64 * 1024 * 1024) /* what comes out goes to memory */

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int in = memfd_create("in", MFD_CLOEXEC),
	    out = memfd_create("out", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	enum entry_kind kind, last = ENTRY_CONTENT;
	struct entry_input *input;
	const char *bytes;
	size_t n;
	int r;

	if (size > 0) {
		must(in >= 0 && out >= 0 && write(in, data + 1, size - 1) == (ssize_t)size - 1);
		must(lseek(in, 0, SEEK_SET) == 0);
		/* Beyond that, writing fails, and the reader stops as it does when its parent is
		 * gone. */
		must(ftruncate(out, OUT_MAX) == 0 && fcntl(out, F_ADD_SEALS, F_SEAL_GROW) == 0);
		reader_read(data[0] == 'z' ? READER_ZIP : READER_TAR, in, out);
		must(ftruncate(out, lseek(out, 0, SEEK_CUR)) == 0 && lseek(out, 0, SEEK_SET) == 0);
		input = entry_input_new(out);
		while ((r = entry_read(input, &kind, &bytes, &n)) == 1) {
			must(last != ENTRY_END && last != ENTRY_ABORT);
			last = kind;
		}
		must((r == 0 && (last == ENTRY_END || last == ENTRY_ABORT)) ||
		     lseek(out, 0, SEEK_END) > OUT_MAX - ENTRY_DATA_MAX);
		entry_input_free(input);
	}
	close(in);
	close(out);
	return 0;
}
