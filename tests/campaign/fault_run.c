/* SPDX-License-Identifier: ISC */
/* The phase "placing" of fault.c: linked with --wrap=place_deploy. */
#include "artifact/place.h"
#include "tests/campaign/fault.h"

__typeof__(place_deploy) __real_place_deploy, __wrap_place_deploy;

int
__wrap_place_deploy(const struct place *place, struct place_outcome *ret_outcome, struct err *err)
{
	const char *before = fault_phase("placing");
	int r = __real_place_deploy(place, ret_outcome, err);

	fault_phase(before);
	return r;
}
