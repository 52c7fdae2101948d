/* SPDX-License-Identifier: MIT */
/*
 * csv.c - a row for each function, with its self and total in every view, for spreadsheets and
 * data frames.
 *
 * As RFC 4180 has it, but for its line ends. Columns of views that the profile has nothing in are
 * left out; so is a function that costs nothing. Times are nanoseconds, memory is bytes. A
 * function of several rows differs in file, line or library.
 */
#include "export/export.h"

#include <errno.h>
#include <stdlib.h>

#include "export/text.h"
#include "export/views.h"
#include "report/names.h"

struct writer {
	const struct pln_profile *profile;
	struct pln_export_views views;
	FILE *out;
};

static void put_quoted(struct writer *w, const char *text)
{
	putc('"', w->out);
	pln_text_put(w->out, text, PLN_TEXT_CSV);
	putc('"', w->out);
}

static bool has_any(const struct writer *w, uint32_t function)
{
	for (unsigned v = 0; v < w->views.count; v++)
		if (w->views.items[v].totals.functions[function].total.weight)
			return true;
	return false;
}

static void write_head(struct writer *w)
{
	fputs("function,kind,file,line,library", w->out);
	for (unsigned v = 0; v < w->views.count; v++) {
		const struct pln_export_view *view = &w->views.items[v];

		fprintf(w->out, ",%s_self_%s,%s_total_%s", view->name, view->unit, view->name,
			view->unit);
	}
	putc('\n', w->out);
}

static void write_function(struct writer *w, uint32_t id)
{
	const struct pln_function *f =
		id < w->profile->function_count ? &w->profile->functions[id] : NULL;

	put_quoted(w, pln_function_name(w->profile, id));
	fprintf(w->out, ",%s,", pln_function_kind_name(w->profile, id));
	put_quoted(w, f ? f->file : "");
	putc(',', w->out);
	if (f && f->first_line)
		pln_text_put_number(w->out, f->first_line);
	putc(',', w->out);
	put_quoted(w, f ? f->module_path : "");
	for (unsigned v = 0; v < w->views.count; v++) {
		const struct pln_cost *cost = &w->views.items[v].totals.functions[id];

		putc(',', w->out);
		pln_text_put_number(w->out, cost->self.weight);
		putc(',', w->out);
		pln_text_put_number(w->out, cost->total.weight);
	}
	putc('\n', w->out);
}

/* Most of its own in the first view first. */
static int by_self(const void *a, const void *b, void *costs)
{
	uint32_t ia = *(const uint32_t *)a, ib = *(const uint32_t *)b;
	const struct pln_cost *ca = (const struct pln_cost *)costs + ia;
	const struct pln_cost *cb = (const struct pln_cost *)costs + ib;

	if (ca->self.weight != cb->self.weight)
		return ca->self.weight > cb->self.weight ? -1 : 1;
	if (ca->total.weight != cb->total.weight)
		return ca->total.weight > cb->total.weight ? -1 : 1;
	return ia < ib ? -1 : ia > ib;
}

static int write_functions(struct writer *w)
{
	uint32_t *order = malloc((w->profile->function_count + 1) * sizeof(*order));
	size_t count = 0;

	if (!order)
		return -ENOMEM;
	for (uint32_t f = 0; f <= w->profile->function_count; f++)
		if (has_any(w, f))
			order[count++] = f;
	if (count)
		qsort_r(order, count, sizeof(*order), by_self, w->views.items[0].totals.functions);
	for (size_t i = 0; i < count; i++)
		write_function(w, order[i]);
	free(order);
	return 0;
}

int pln_export_csv(const struct pln_export *export, FILE *out)
{
	struct writer w = { .profile = export->profile, .out = out };
	int err = pln_export_views_compute(&w.views, export->aggregate);

	if (!err) {
		write_head(&w);
		err = write_functions(&w);
	}
	pln_export_views_free(&w.views);
	return err ? err : pln_export_flush(out);
}
