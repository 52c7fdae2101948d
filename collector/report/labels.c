/* SPDX-License-Identifier: MIT */
/*
 * labels.c - see labels.h.
 */
#include "report/labels.h"

#include <stdio.h>
#include <string.h>

struct pln_label_range pln_labels_of(const struct pln_profile *profile, uint32_t process)
{
	struct pln_label_range range = { profile->labels, profile->labels };
	const struct pln_label *end;

	if (!profile->label_count)
		return range;
	end = profile->labels + profile->label_count;
	while (range.from < end && range.from->process != process)
		range.from++;
	range.to = range.from;
	while (range.to < end && range.to->process == process)
		range.to++;
	return range;
}

/* The reader has each text once: equal ones have equal addresses. */
static bool is_new(const struct pln_profile *p, const struct pln_label *label)
{
	for (const struct pln_label *l = p->labels; l < label; l++)
		if (l->key == label->key && l->value == label->value)
			return false;
	return true;
}

const char *pln_labels_text(const struct pln_profile *profile, uint32_t process, char *text,
			    size_t size)
{
	size_t used = 0;

	*text = '\0';
	for (size_t i = 0; i < profile->label_count && used < size; i++) {
		const struct pln_label *l = &profile->labels[i];

		if (process == PLN_NONE ? is_new(profile, l) : l->process == process)
			used += (size_t)snprintf(text + used, size - used, "%s%s=%s",
						 used ? ", " : "", l->key, l->value);
	}
	return text;
}
