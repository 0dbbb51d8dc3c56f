/* SPDX-License-Identifier: ISC */
/*
 * May the wall clock be believed? It is doubted when it is behind the latest time that was seen,
 * when it jumped by more than five minutes against CLOCK_BOOTTIME (also while bmd was down, within
 * a boot), and after a boot until it is synchronised. Every doubt ends when the clock has run
 * without a jump for the time to settle: then what it says is taken for true, whatever that is.
 */
#ifndef DAEMON_STEADY_H
#define DAEMON_STEADY_H

#include <stdbool.h>
#include <stdint.h>

#define STEADY_JUMP_US (INT64_C(5) * 60 * 1000000)

enum steady_doubt { STEADY, STEADY_JUMPED, STEADY_BEHIND, STEADY_UNSYNCHRONISED };

struct steady_reading {	 /* of one moment */
	int64_t now_us;	 /* the wall clock */
	int64_t boot_us; /* CLOCK_BOOTTIME */
	bool synchronised;
};

struct steady_memory { /* what was kept of an earlier life */
	/* the latest time that was seen; 0: nothing is known, and nothing doubted */
	int64_t highest_us;
	bool same_boot;
	int64_t offset_us; /* of the same boot: wall clock − CLOCK_BOOTTIME, as it was believed */
};

struct steady {
	enum steady_doubt doubt;
	int64_t settle_us;   /* the time to settle; 0: nothing is ever doubted */
	int64_t since_us;    /* CLOCK_BOOTTIME when the doubt began, or began anew by a jump */
	int64_t jump_us;     /* by so much it jumped; negative: back */
	int64_t highest_us;  /* the latest time that was believed */
	int64_t believed_us; /* wall clock − CLOCK_BOOTTIME, as it is or was believed last */
	int64_t offset_us;   /* the same, as it is */
	bool jumped, waits_for_synchronisation;
};

void steady_begin(struct steady *steady, int64_t settle_us, const struct steady_memory *memory,
		  const struct steady_reading *reading);
void steady_read(struct steady *steady, const struct steady_reading *reading);
/* When it will be believed, by the wall clock, if it does not jump; and when to read again for
 * that. Only in a doubt. */
int64_t steady_until_us(const struct steady *steady, const struct steady_reading *reading);
int64_t steady_wake_us(const struct steady *steady, const struct steady_reading *reading);
/* "the clock jumped forward by 1 h", for sentences; free(). */
char *steady_text(const struct steady *steady, const struct steady_reading *reading);

#endif
