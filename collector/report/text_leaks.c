/* SPDX-License-Identifier: MIT */
/*
 * text_leaks.c - the table of what grows; heap_leaks.h says by which statistic.
 */
#include <math.h>

#include "report/names.h"
#include "report/text_i.h"

#define COUNT_OF(array) (sizeof(array) / sizeof(*(array)))

static const struct pln_column leak_columns[] = {
	{ "grows by", true, PLN_RIGID, 0 },	  { "live", true, PLN_RIGID, 0 },
	{ "+- 95 %", true, PLN_RIGID, 4 },	  { "kept %", true, PLN_RIGID, 3 },
	{ "chance", true, PLN_RIGID, 2 },	  { "trend", false, PLN_RIGID, 0 },
	{ "over time", false, PLN_RIGID, 5 },	  { "file:line", false, PLN_ELIDE_START, 0 },
	{ "function", false, PLN_ELIDE_NAME, 1 }, { "by native code", false, PLN_ELIDE_NAME, 6 },
};

/* Live bytes over time, one character a point. */
static void chart_text(const struct pln_leak *leak, bool utf8, char *text, size_t size)
{
	static const char *const blocks[] = { " ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█" };
	static const char *const plain[] = { " ", ".", ".", ":", "-", "=", "+", "*", "#" };
	const char *const *marks = utf8 ? blocks : plain;
	const size_t last = COUNT_OF(blocks) - 1;
	double most = 0;
	size_t used = 0;

	for (size_t i = 0; i < PLN_LEAK_POINTS; i++)
		most = fmax(most, leak->live_at[i]);
	*text = '\0';
	for (size_t i = 0; i < PLN_LEAK_POINTS && used < size; i++) {
		double share = most > 0 ? fmax(leak->live_at[i], 0) / most : 0;
		size_t mark = (size_t)ceil(share * (double)last);

		used += (size_t)snprintf(text + used, size - used, "%s", marks[mark]);
	}
}

static void trend_cell(struct pln_table *table, const struct pln_leak *leak)
{
	switch (leak->trend) {
	case PLN_LEAK_GROWS:
		pln_table_cell(table, PLN_STYLE_HOT, "grows");
		break;
	case PLN_LEAK_MAY_GROW:
		pln_table_cell(table, PLN_STYLE_PLAIN, "may grow");
		break;
	case PLN_LEAK_FLAT:
		pln_table_cell(table, PLN_STYLE_PLAIN, "flat since %.0f %%",
			       100 * leak->flat_since);
		break;
	case PLN_LEAK_UNKNOWN:
		pln_table_cell(table, PLN_STYLE_PLAIN, "%s",
			       pln_leak_has_gap(leak) ? "partly sampled" : "too few samples");
		break;
	}
}

static void growth_cells(struct pln_table *table, const struct pln_leak *leak)
{
	bool grows = leak->trend <= PLN_LEAK_MAY_GROW;
	enum pln_style style = leak->trend == PLN_LEAK_GROWS ? PLN_STYLE_HOT : PLN_STYLE_DIM;
	char text[PLN_QUANTITY_SIZE];

	if (grows)
		pln_table_cell(
			table, style, "%s/s",
			pln_bytes_text(text, (uint64_t)fmin(fmax(leak->bytes_per_s, 0), 0x1p62)));
	else
		pln_table_cell(table, style, "-");
	pln_table_cell(table, PLN_STYLE_PLAIN, "%s", pln_bytes_text(text, leak->live.bytes));
	pln_table_cell(table, PLN_STYLE_DIM, "%s", pln_interval_text(text, &leak->live));
	if (leak->old)
		pln_table_cell(table, PLN_STYLE_PLAIN, "%.0f", 100 * leak->kept);
	else
		pln_table_cell(table, PLN_STYLE_PLAIN, "-");
	pln_table_cell(table, PLN_STYLE_PLAIN, leak->chance < 0.001 ? "%.0e" : "%.3f",
		       leak->chance);
}

static void native_cell(const struct pln_report *r, struct pln_table *table, uint32_t function)
{
	const struct pln_profile *p = r->profile;
	char name[PLACE_SIZE], library[128];

	pln_table_cell(table, PLN_STYLE_NATIVE, "%s",
		       pln_short_function_name(p, function, name, sizeof(name)));
	if (function < p->function_count && *p->functions[function].module)
		pln_table_extra(
			table, "  %s",
			pln_short_library(p->functions[function].module, library, sizeof(library)));
}

static void leak_row(const struct pln_report *r, const struct pln_screen *screen,
		     struct pln_table *table, const struct pln_leak *leak)
{
	char text[4 * PLN_LEAK_POINTS], place[PLACE_SIZE];

	growth_cells(table, leak);
	trend_cell(table, leak);
	chart_text(leak, screen->utf8, text, sizeof(text));
	pln_table_cell(table, PLN_STYLE_DIM, "%s", text);
	if (leak->line == PLN_NONE)
		pln_table_cell(table, PLN_STYLE_DIM, "(no Python code)");
	else
		pln_table_cell(table, PLN_STYLE_PYTHON, "%s",
			       pln_text_python_place(r, leak->line, place, sizeof(place)));
	if (leak->line == PLN_NONE)
		native_cell(r, table, leak->function);
	else
		pln_table_cell(table, PLN_STYLE_PYTHON, "%s", pln_text_python_name(r, leak->line));
	native_cell(r, table, leak->function);
}

static void print_method(const struct pln_report *r, const struct pln_screen *screen)
{
	char grows[160] = "no place has samples enough to tell; record with a lower "
			  "--alloc-interval for more";

	if (r->leaks.tested)
		snprintf(grows, sizeof(grows),
			 "a place grows if that is below %.1g (0.05, shared by %u place%s) and it "
			 "went on",
			 r->leaks.largest_chance, r->leaks.tested, r->leaks.tested == 1 ? "" : "s");
	pln_text_field(screen, "statistic", PLN_STYLE_DIM,
		       "chance that by luck so many more sampled blocks came to stay than older "
		       "ones went (sign test), from 30 %% to 90 %% of the time; %s. kept: of the "
		       "blocks but the youngest tenth",
		       grows);
}

/* Why what grows by samples may grow only. */
static void print_caps(const struct pln_report *r, const struct pln_screen *screen)
{
	const struct pln_leaks *leaks = &r->leaks;
	char claimed[PLN_QUANTITY_SIZE], counted[PLN_QUANTITY_SIZE];

	if (!leaks->capped)
		return;
	pln_bytes_text(claimed, (uint64_t)fmin(fmax(leaks->claimed_bytes, 0), 0x1p62));
	pln_bytes_text(counted, (uint64_t)fmin(fmax(leaks->counted_bytes, 0), 0x1p62));
	pln_text_field(screen, "counted", PLN_STYLE_WARM,
		       "all of malloc and mmap grew by %s meanwhile, places by %s or more as far "
		       "as samples tell: so %zu of them may grow, no more is known. Memory of "
		       "before this file, the fork or the start of sampling is not in the profile, "
		       "nor that it went: what comes in its place looks like growth",
		       counted, claimed, leaks->capped);
}

void pln_text_leaks(const struct pln_report *report, const struct pln_screen *screen)
{
	const struct pln_leaks *leaks = &report->leaks;
	size_t shown = pln_report_limited(report, leaks->count), grow = 0;
	struct pln_table *table = pln_table_new(leak_columns, COUNT_OF(leak_columns));
	char count[PLN_QUANTITY_SIZE];

	while (grow < leaks->count && leaks->leaks[grow].trend == PLN_LEAK_GROWS)
		grow++;
	pln_text_heading(screen, "Leak suspects", "%s of %zu places with live memory grow%s",
			 grow ? pln_count_text(count, grow) : "none", leaks->count,
			 grow == 1 ? "s" : "");
	for (size_t i = 0; i < shown; i++)
		leak_row(report, screen, table, &leaks->leaks[i]);
	pln_table_print(table, screen);
	pln_text_more(screen, leaks->count - shown, "place", "places");
	putc('\n', screen->out);
	print_method(report, screen);
	print_caps(report, screen);
}
