/* SPDX-License-Identifier: MIT */
/*
 * duration.h - a span of time as users write it: "90", "0.5", "500ms", "30s", "5m", "1.5h", "2d".
 *
 * A decimal number, with a fraction or without, and its unit; without one it is seconds. No
 * sign, no blank, no exponent. Both sides read it: `pillion` its options, the library (in its
 * constructor) PILLION_DURATION, so strtod(), which obeys the program's locale, will not do.
 */
#ifndef PILLION_DURATION_H
#define PILLION_DURATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define PILLION_SECOND_NS 1000000000ull

/* Nanoseconds of a unit; 0: there is none of that name. */
static inline uint64_t pln_duration_unit(const char *name)
{
	static const struct {
		const char *name;
		uint64_t ns;
	} units[] = {
		{ "", PILLION_SECOND_NS },	    { "ms", PILLION_SECOND_NS / 1000 },
		{ "s", PILLION_SECOND_NS },	    { "m", 60 * PILLION_SECOND_NS },
		{ "min", 60 * PILLION_SECOND_NS },  { "h", 3600 * PILLION_SECOND_NS },
		{ "d", 86400 * PILLION_SECOND_NS },
	};

	for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++)
		if (!strcmp(units[i].name, name))
			return units[i].ns;
	return 0;
}

/* Returns false for what is no time, or one of more than 290 years. */
static inline bool pln_duration_parse(const char *text, uint64_t *ns)
{
	const char *at = text, *name = text + strspn(text, "0123456789.");
	uint64_t unit = pln_duration_unit(name), part = unit, whole = 0;
	size_t digits = 0;

	if (!unit)
		return false;
	for (; *at >= '0' && *at <= '9'; at++, digits++) {
		if (whole > UINT64_MAX / 2 / unit / 10)
			return false;
		whole = whole * 10 + (uint64_t)(*at - '0');
	}
	*ns = whole * unit;
	/* Below nanoseconds digits add nothing: the part is 0. */
	for (at += *at == '.'; *at >= '0' && *at <= '9'; at++, digits++) {
		part /= 10;
		*ns += part * (uint64_t)(*at - '0');
	}
	return digits && at == name;
}

#endif
