/* SPDX-License-Identifier: MIT */
/*
 * labels.h - what processes are called: service=api, env=prod.
 */
#ifndef PILLION_COLLECTOR_LABELS_H
#define PILLION_COLLECTOR_LABELS_H

#include "profile/reader.h"

/* The labels of a process, or with PLN_NONE of all: first, and behind the last. */
struct pln_label_range {
	const struct pln_label *from, *to;
};
struct pln_label_range pln_labels_of(const struct pln_profile *profile, uint32_t process);

/*
 * "service=api, env=prod" of one process or, with PLN_NONE, each that any of them has, once;
 * cut when it is long. Returns text.
 */
const char *pln_labels_text(const struct pln_profile *profile, uint32_t process, char *text,
			    size_t size);

#endif
