/* SPDX-License-Identifier: MIT */
/*
 * labels.c - see labels.h.
 */
#include "report/labels.h"

#include <stdio.h>
#include <string.h>

struct pln_label_range pln_labels_of(const struct pln_profile *profile, uint32_t process)
{
	const struct pln_label *labels = profile->labels;

	if (!profile->label_count || (process >= profile->process_count && process != PLN_NONE))
		return (struct pln_label_range){ labels, labels };
	if (process == PLN_NONE)
		return (struct pln_label_range){ labels, labels + profile->label_count };
	return (struct pln_label_range){ labels + profile->first_label[process],
					 labels + profile->first_label[process + 1] };
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
	struct pln_label_range range = pln_labels_of(profile, process);
	size_t used = 0;

	*text = '\0';
	for (const struct pln_label *l = range.from; l < range.to && used < size; l++) {
		if (process != PLN_NONE || is_new(profile, l))
			used += (size_t)snprintf(text + used, size - used, "%s%s=%s",
						 used ? ", " : "", l->key, l->value);
	}
	return text;
}
