/* SPDX-License-Identifier: ISC */
/* Whether this call of FAMILY is the one that is to fail, in this process; errno is set then. */
#ifndef CAMPAIGN_FAULT_H
#define CAMPAIGN_FAULT_H

int fault_strikes(const char *family);

#endif
