/* SPDX-License-Identifier: MIT */
/*
 * text_cells.c - see text_i.h.
 */
#include "report/text_i.h"

#include <string.h>

#include "report/names.h"

const char *pln_library_name(const struct pln_library *library)
{
	return !library->name ? "Python code" : *library->name ? library->name : "(no library)";
}

const char *pln_library_text(const struct pln_library *library, char *buffer, size_t size)
{
	return pln_short_library(pln_library_name(library), buffer, size);
}

const char *pln_place_text(const struct pln_profile *profile, uint32_t function, uint32_t line,
			   char *buffer, size_t size)
{
	const struct pln_function *f = &profile->functions[function];
	const char *file = pln_short_file(f->file, profile->recording.working_directory);

	if (f->kind == PLN_FUNCTION_NATIVE)
		file = pln_base_name(f->file);
	if (line)
		snprintf(buffer, size, "%s:%u", file, line);
	else
		snprintf(buffer, size, "%s", file);
	return buffer;
}

/* "libz", "(no library)" */
static const char *library_of(const struct pln_function *f, char *buffer, size_t size)
{
	return *f->module ? pln_short_library(f->module, buffer, size) : "(no library)";
}

const char *pln_where_text(const struct pln_profile *profile, uint32_t function, bool with_source,
			   char *buffer, size_t size)
{
	const struct pln_function *f;
	char place[PLACE_SIZE], library[128];

	if (function >= profile->function_count)
		return "";
	f = &profile->functions[function];
	pln_place_text(profile, function, f->first_line, place, sizeof(place));
	if (f->kind == PLN_FUNCTION_PYTHON)
		snprintf(buffer, size, "%s", place);
	else
		snprintf(buffer, size, "%s%s%s", library_of(f, library, sizeof(library)),
			 with_source && *place ? " " : "", with_source ? place : "");
	return buffer;
}

void pln_text_where_cell(struct pln_table *table, const struct pln_profile *profile,
			 uint32_t function)
{
	bool native = function < profile->function_count &&
		      profile->functions[function].kind == PLN_FUNCTION_NATIVE;
	char where[PLACE_SIZE], all[PLACE_SIZE];

	pln_table_cell(table, PLN_STYLE_DIM, "%s",
		       pln_where_text(profile, function, false, where, sizeof(where)));
	if (native)
		pln_table_extra(table, "%s",
				pln_where_text(profile, function, true, all, sizeof(all)) +
					strlen(where));
}

/* "pool.py:12", "mypy/__main__.py:3": a package's own files are called after their folder. */
static const char *short_place(const char *place)
{
	const char *base = pln_base_name(place), *at = base;

	if (base == place || strncmp(base, "__", 2))
		return base;
	for (at = base - 1; at > place && at[-1] != '/'; at--)
		;
	return at;
}

void pln_text_entry_cell(struct pln_table *table, enum pln_style style, const struct pln_report *r,
			 uint32_t thread)
{
	uint32_t entry = thread == PLN_NONE ? PLN_NONE : r->thread_entries[thread];
	char where[PLACE_SIZE], name[PLACE_SIZE];

	if (entry == PLN_NONE) {
		pln_text_empty_cells(table, 1);
		return;
	}
	pln_table_cell(table, style, "%s",
		       pln_short_function_name(r->profile, entry, name, sizeof(name)));
	pln_where_text(r->profile, entry, true, where, sizeof(where));
	pln_table_extra(table, "  %s", short_place(where));
}

const char *pln_text_python_place(const struct pln_report *r, uint32_t line, char *buffer,
				  size_t size)
{
	const struct pln_line *at;

	if (line == PLN_NONE)
		return "";
	at = &r->totals.lines[line];
	return pln_place_text(r->profile, at->function, at->line, buffer, size);
}

const char *pln_text_python_name(const struct pln_report *r, uint32_t line)
{
	if (line == PLN_NONE)
		return "(no Python code)";
	return pln_function_name(r->profile, r->totals.lines[line].function);
}

void pln_text_percent_cell(struct pln_table *table, uint64_t part, uint64_t whole)
{
	char text[PLN_QUANTITY_SIZE];
	double share = whole ? (double)part / (double)whole : 0;

	pln_table_cell(table, pln_style_of_share(share), "%s", pln_percent_text(text, part, whole));
}

void pln_text_duration_cell(struct pln_table *table, uint64_t ns)
{
	char text[PLN_QUANTITY_SIZE];

	pln_table_cell(table, ns ? PLN_STYLE_PLAIN : PLN_STYLE_DIM, "%s",
		       ns ? pln_duration_text(text, ns) : "-");
}

void pln_text_empty_cells(struct pln_table *table, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		pln_table_cell(table, PLN_STYLE_PLAIN, "%s", "");
}

void pln_text_more(const struct pln_screen *screen, size_t left, const char *one, const char *many)
{
	if (left)
		fprintf(screen->out, "  %s%zu more %s (--limit 0 shows all)%s\n",
			pln_style_on(screen, PLN_STYLE_DIM), left, left == 1 ? one : many,
			pln_style_off(screen, PLN_STYLE_DIM));
}

void pln_text_unmet(const struct pln_screen *screen, const struct pln_times *unmet)
{
	char count[PLN_QUANTITY_SIZE], cpu[PLN_QUANTITY_SIZE], wall[PLN_QUANTITY_SIZE];
	char text[160];

	if (!unmet->threads)
		return;
	snprintf(text, sizeof(text), "%s thread%s without a sample: %s of CPU, %s of wall time",
		 pln_count_text(count, unmet->threads), unmet->threads == 1 ? "" : "s",
		 pln_duration_text(cpu, unmet->clock_cpu_ns),
		 pln_duration_text(wall, unmet->clock_wall_ns));
	fputs("  ", screen->out);
	pln_text_wrapped(screen, text, PLN_STYLE_PLAIN, 2);
}
