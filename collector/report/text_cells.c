/* SPDX-License-Identifier: MIT */
/*
 * text_cells.c - see text_i.h.
 */
#include "report/text_i.h"

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

const char *pln_where_text(const struct pln_profile *profile, uint32_t function, char *buffer,
			   size_t size)
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
		snprintf(buffer, size, "%s%s%s",
			 *f->module ? pln_short_library(f->module, library, sizeof(library))
				    : "(no library)",
			 *place ? " " : "", place);
	return buffer;
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

void pln_text_more(const struct pln_screen *screen, size_t left, const char *what)
{
	if (left)
		fprintf(screen->out, "  %s%zu more %s (--limit 0 shows all)%s\n",
			pln_style_on(screen, PLN_STYLE_DIM), left, what,
			pln_style_off(screen, PLN_STYLE_DIM));
}

const char *pln_entry_text(const struct pln_report *report, uint32_t thread, char *buffer,
			   size_t size)
{
	uint32_t entry = report->thread_entries[thread];
	char where[PLACE_SIZE], name[PLACE_SIZE];

	if (entry == PLN_NONE)
		return "";
	snprintf(buffer, size, "%s  %s",
		 pln_short_function_name(report->profile, entry, name, sizeof(name)),
		 pln_where_text(report->profile, entry, where, sizeof(where)));
	return buffer;
}
