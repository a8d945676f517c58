/* How findings (setup/examine.h) are shown. */
#pragma once

#include "setup/examine.h"

/* An examiner that prints each finding as a line, its area above the first of each, and remedies below. */
struct report {
	struct examiner examiner;
	const char *area; /* printed last; NULL: none */
	bool brief;	  /* no areas */
};

void report_begin(struct report *report);
