/* SPDX-License-Identifier: MIT */
/*
 * choose.c - what a name on the command line means in a profile.
 */
#include <string.h>

#include "annotate/annotate.h"
#include "report/names.h"

/* How well a name fits, better ones being higher. */
enum fit {
	FIT_NOT = 0,
	FIT_PART, /* anywhere in it */
	FIT_END, /* its last parts */
	FIT_WHOLE,
};

static bool is_boundary(char before)
{
	return before == '.' || before == ':' || before == '/' || before == '>';
}

/* Of a C++ function the arguments may be left out. */
static enum fit fit_of_name(const char *function, const char *name)
{
	size_t size = strlen(name);
	const char *found = NULL;

	for (const char *at = strstr(function, name); at; at = strstr(at + 1, name)) {
		bool ends = !at[size] || at[size] == '(' || at[size] == '<';

		if (at == function && ends)
			return FIT_WHOLE;
		if (ends && is_boundary(at[-1]))
			return FIT_END;
		found = at;
	}
	return found ? FIT_PART : FIT_NOT;
}

static enum fit fit_of_file(const struct pln_report *r, const char *file, const char *name)
{
	size_t file_size = strlen(file), size = strlen(name);

	while (!strncmp(name, "./", 2)) {
		name += 2;
		size -= 2;
	}
	if (!strcmp(file, name) ||
	    !strcmp(pln_short_file(file, r->profile->recording.working_directory), name))
		return FIT_WHOLE;
	return size < file_size && file[file_size - size - 1] == '/' &&
			       !strcmp(file + file_size - size, name)
		       ? FIT_END
		       : FIT_NOT;
}

static uint64_t weight_of(const struct pln_report *r, uint32_t id)
{
	return r->totals.functions[id].total.weight;
}

/* Keeps the better of what was found before and function `id`. */
static void consider(const struct pln_report *r, struct pln_choice *best, enum fit *best_fit,
		     uint32_t id, enum fit fit)
{
	bool heavier;

	if (fit < *best_fit || fit == FIT_NOT)
		return;
	heavier = fit > *best_fit || weight_of(r, id) > weight_of(r, best->function);
	if (fit > *best_fit) {
		best->others = 0;
		best->other = PLN_NONE;
	} else {
		uint32_t loser = heavier ? best->function : id;

		if (weight_of(r, loser)) {
			best->others++;
			if (best->other == PLN_NONE ||
			    weight_of(r, loser) > weight_of(r, best->other))
				best->other = loser;
		}
	}
	*best_fit = fit;
	if (heavier)
		best->function = id;
}

/* The heaviest function of another file that fits as well. */
static void find_other_file(const struct pln_report *r, const char *name, enum fit fit,
			    struct pln_choice *choice)
{
	const struct pln_profile *p = r->profile;

	for (uint32_t id = 0; id < p->function_count; id++) {
		const struct pln_function *f = &p->functions[id];

		if (f->kind != PLN_FUNCTION_PYTHON || !weight_of(r, id) ||
		    !strcmp(f->file, choice->file) || fit_of_file(r, f->file, name) != fit)
			continue;
		choice->others++;
		if (choice->other == PLN_NONE || weight_of(r, id) > weight_of(r, choice->other))
			choice->other = id;
	}
}

/* The file with the most weight in any of its functions; true: there is one. */
static bool choose_file(const struct pln_report *r, const char *name, struct pln_choice *choice)
{
	const struct pln_profile *p = r->profile;
	enum fit best_fit = FIT_NOT;
	uint32_t best = PLN_NONE;

	for (uint32_t id = 0; id < p->function_count; id++) {
		const struct pln_function *f = &p->functions[id];
		enum fit fit =
			f->kind == PLN_FUNCTION_PYTHON ? fit_of_file(r, f->file, name) : FIT_NOT;

		if (fit > best_fit ||
		    (fit && fit == best_fit && weight_of(r, id) > weight_of(r, best))) {
			best_fit = fit;
			best = id;
		}
	}
	if (best == PLN_NONE)
		return false;
	choice->kind = PLN_CHOICE_FILE;
	choice->file = p->functions[best].file;
	find_other_file(r, name, best_fit, choice);
	return true;
}

struct pln_choice pln_choose(const struct pln_report *report, const char *name)
{
	const struct pln_profile *p = report->profile;
	struct pln_choice choice = { .function = PLN_NONE, .other = PLN_NONE };
	enum fit best = FIT_NOT;

	if (choose_file(report, name, &choice))
		return choice;
	for (uint32_t id = 0; id < p->function_count; id++)
		consider(report, &choice, &best, id, fit_of_name(p->functions[id].name, name));
	if (choice.function == PLN_NONE)
		return choice;
	choice.file = p->functions[choice.function].file;
	choice.kind = p->functions[choice.function].kind == PLN_FUNCTION_PYTHON ? PLN_CHOICE_PYTHON
										: PLN_CHOICE_NATIVE;
	return choice;
}
