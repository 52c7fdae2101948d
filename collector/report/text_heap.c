/* SPDX-License-Identifier: MIT */
/*
 * text_heap.c - memory: what was counted and whether samples agree, in the header; what the
 * estimates of a view are sure to; and the view by kind and by thread.
 */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "report/names.h"
#include "report/text_i.h"

#define COUNT_OF(array) (sizeof(array) / sizeof(*(array)))

#define FEW_SAMPLES 10 /* of fewer, an interval that is even to both sides says nothing */
#define EXACT_SHARE 1e-4 /* an interval that would be shown as nothing */

/* -------------------------------------------------------------------- cells */

const char *pln_block_kind_name(unsigned kind)
{
	static const char *const names[PILLION_BLOCK_KINDS] = {
		[PILLION_BLOCK_MALLOC] = "malloc",
		[PILLION_BLOCK_MAPPING] = "mmap",
		[PILLION_BLOCK_OBJECT] = "objects",
		[PILLION_BLOCK_MEMORY] = "pymem",
	};

	return kind < PILLION_BLOCK_KINDS ? names[kind] : "unknown";
}

const char *pln_interval_text(char buffer[PLN_QUANTITY_SIZE], const struct pln_amount *amount)
{
	double half = pln_amount_interval(amount);

	if (!amount->samples)
		return "-";
	if (half <= EXACT_SHARE * (double)amount->bytes)
		return "exact";
	if (amount->samples < FEW_SAMPLES)
		snprintf(buffer, PLN_QUANTITY_SIZE, "n=%" PRIu64, amount->samples);
	else
		pln_bytes_text(buffer, (uint64_t)fmin(half, 0x1p62));
	return buffer;
}

const char *pln_text_weight(const struct pln_report *r, char buffer[PLN_QUANTITY_SIZE],
			    const struct pln_amount *amount)
{
	return pln_view_is_heap(r->options.view) ? pln_bytes_text(buffer, amount->bytes)
						 : pln_duration_text(buffer, amount->ns);
}

/* "malloc+mmap" */
static const char *kinds_text(uint32_t kinds, char *buffer, size_t size)
{
	size_t used = 0;

	*buffer = '\0';
	for (unsigned kind = 0; kind < PILLION_BLOCK_KINDS; kind++) {
		if (kinds & 1u << kind)
			used += (size_t)snprintf(buffer + used, size - used, "%s%s",
						 used ? "+" : "", pln_block_kind_name(kind));
	}
	return buffer;
}

void pln_text_heap_cells(struct pln_table *table, const struct pln_amount *amount)
{
	enum pln_style style = amount->samples ? PLN_STYLE_PLAIN : PLN_STYLE_DIM;
	char text[PLN_QUANTITY_SIZE], kinds[64];

	pln_table_cell(table, style, "%s",
		       amount->samples ? pln_bytes_text(text, amount->bytes) : "-");
	pln_table_cell(table, PLN_STYLE_DIM, "%s", pln_interval_text(text, amount));
	pln_count_text(text, (uint64_t)llround(fmin(amount->blocks, 0x1p62)));
	pln_table_cell(table, style, "%s", amount->samples ? text : "-");
	pln_table_cell(table, PLN_STYLE_DIM, "%s", kinds_text(amount->kinds, kinds, sizeof(kinds)));
}

/* ------------------------------------------------------------------- header */

static const char *const class_names[] = {
	[PILLION_HEAP_MALLOC] = "malloc",
	[PILLION_HEAP_MAPPING] = "mmap",
	[PILLION_HEAP_OBJECT] = "Python objects",
};

/*
 * "malloc: 1,234 calls, 3.2 GiB, 3.1 GiB freed; mmap: .."; "" when nothing was counted. Who was
 * `forked` also frees what the parent allocated, and so perhaps more than was allocated since.
 */
static void counts_text(const struct pln_heap_counts *counts, bool forked, char *text, size_t size)
{
	char calls[PLN_QUANTITY_SIZE], bytes[PLN_QUANTITY_SIZE], freed[PLN_QUANTITY_SIZE];
	size_t used = 0;

	*text = '\0';
	for (unsigned c = 0; c < COUNT_OF(class_names) && used < size; c++) {
		const struct pln_heap_counts *one = &counts[c];

		if (!one->alloc_calls)
			continue;
		used += (size_t)snprintf(text + used, size - used, "%s%s: %s calls, %s",
					 used ? "; " : "", class_names[c],
					 pln_count_text(calls, one->alloc_calls),
					 pln_bytes_text(bytes, one->alloc_bytes));
		/* How large freed objects are, is not known. */
		if (c != PILLION_HEAP_OBJECT && used < size)
			used += (size_t)snprintf(text + used, size - used, ", %s freed%s",
						 pln_bytes_text(freed, one->free_bytes),
						 forked && one->free_bytes > one->alloc_bytes
							 ? " (some of a parent's)"
							 : "");
	}
}

/* What is live is summed over processes; each has a peak of its own, and the largest is told. */
static void print_live(const struct pln_heap_summary *h, const struct pln_screen *screen)
{
	char live[PLN_QUANTITY_SIZE], peak[PLN_QUANTITY_SIZE], after[PLN_QUANTITY_SIZE];
	char brk[PLN_QUANTITY_SIZE], brk_text[64] = "";

	if (h->brk_peak_bytes)
		snprintf(brk_text, sizeof(brk_text), "; %s below the program break at most",
			 pln_bytes_text(brk, h->brk_peak_bytes));
	pln_bytes_text(live, h->live_bytes);
	pln_bytes_text(peak, h->peak_bytes);
	pln_duration_text(after, h->peak_after_ns);
	if (h->processes > 1)
		pln_text_field(screen, "live", PLN_STYLE_PLAIN,
			       "%s of malloc and mmap in %u processes, each when last counted "
			       "before its end, with what it was forked with; at most %s in one, "
			       "%s after its start%s",
			       live, h->processes, peak, after, brk_text);
	else
		pln_text_field(screen, "live", PLN_STYLE_PLAIN,
			       "%s of malloc and mmap when last counted before the end, %s at the "
			       "peak, after %s%s",
			       live, peak, after, brk_text);
}

/* "malloc +0.8 % (+0.6 sigma of 1,234 samples)" */
static size_t check_text(const struct pln_heap_check *check, char *text, size_t size)
{
	char samples[PLN_QUANTITY_SIZE];
	const char *plural = check->samples == 1 ? "" : "s";
	double share = 100 * pln_heap_check_share(check), sigma = pln_heap_check_sigma(check);

	pln_count_text(samples, check->samples);
	if (check->variance > 0)
		return (size_t)snprintf(text, size, "%s %+.1f %% (%+.1f sigma, %s sample%s)",
					check->name, share, sigma, samples, plural);
	return (size_t)snprintf(text, size, "%s %+.1f %% (%s sample%s)", check->name, share,
				samples, plural);
}

static void print_check(const struct pln_report *r, const struct pln_screen *screen)
{
	static const enum pln_drop concerned[] = { PILLION_DROP_ALLOC_NESTED,
						   PILLION_DROP_LIVE_FULL, PILLION_DROP_FREE_LOST };
	const struct pln_heap_summary *h = &r->heap;
	enum pln_style style = PLN_STYLE_PLAIN;
	char text[512] = "", count[PLN_QUANTITY_SIZE];
	size_t used = 0;

	for (unsigned c = 0; c < h->check_count && used < sizeof(text); c++) {
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s", c ? ", " : "");
		used += check_text(&h->checks[c], text + used, sizeof(text) - used);
		if (fabs(pln_heap_check_sigma(&h->checks[c])) > 4)
			style = PLN_STYLE_WARNING;
	}
	if (style == PLN_STYLE_WARNING && used < sizeof(text))
		used += (size_t)snprintf(text + used, sizeof(text) - used,
					 ": samples are missing, see what was dropped");
	for (size_t d = 0; d < COUNT_OF(concerned) && used < sizeof(text); d++) {
		uint64_t drops = r->summary.drops[concerned[d]];

		if (drops)
			used += (size_t)snprintf(text + used, sizeof(text) - used, "; %s: %s",
						 pln_count_text(count, drops),
						 pln_drop_text(concerned[d]));
	}
	pln_text_field(screen, "checked", style, "samples against counts: %s", text);
}

static void print_unchecked(const struct pln_heap_summary *h, const struct pln_screen *screen)
{
	char stopped[PLN_QUANTITY_SIZE];

	pln_text_field(screen, "checked", PLN_STYLE_PLAIN,
		       "samples against counts: not done, as counting went on while sampling was "
		       "stopped, for %s",
		       pln_duration_text(stopped, h->dormant_ns));
}

static bool has_fork(const struct pln_profile *p)
{
	for (size_t i = 0; i < p->process_count; i++)
		if (p->processes[i].reason == PILLION_REASON_FORK)
			return true;
	return false;
}

void pln_text_heap_counts(const struct pln_report *report, const struct pln_screen *screen)
{
	const struct pln_heap_summary *h = &report->heap;
	char text[512];

	if (!pln_heap_is_counted(h))
		return;
	counts_text(h->counts, has_fork(report->profile), text, sizeof(text));
	pln_text_field(screen, "memory", PLN_STYLE_PLAIN, "%s", text);
	if (!h->by_thread)
		print_live(h, screen);
	if (h->check_count)
		print_check(report, screen);
	else if (h->samples && h->dormant_ns)
		print_unchecked(h, screen);
}

/* What is live, by samples and by counts: of the views that have both. */
void pln_text_heap_explained(const struct pln_report *report, const struct pln_screen *screen)
{
	const struct pln_heap_summary *h = &report->heap;
	bool peak = report->options.view == PLN_VIEW_PEAK;
	uint64_t counted = peak ? h->peaks_bytes : h->live_bytes;
	char sampled[PLN_QUANTITY_SIZE], exact[PLN_QUANTITY_SIZE], interval[PLN_QUANTITY_SIZE];
	char forked[PLN_QUANTITY_SIZE], forks[128] = "";

	/* How much of Python's objects is live, is not counted. */
	if (h->by_thread || h->counts[PILLION_HEAP_OBJECT].alloc_calls || !counted ||
	    !(peak || report->options.view == PLN_VIEW_LIVE))
		return;
	if (h->in_parts) {
		pln_text_field(screen, "explained", PLN_STYLE_PLAIN,
			       "not told: processes are here in parts, of which each has blocks "
			       "%s of its own",
			       peak ? "at a peak" : "that are live at an end");
		return;
	}
	if (h->forked_bytes)
		snprintf(forks, sizeof(forks),
			 "; up to %s of it from before forks, whose places are the parent's",
			 pln_bytes_text(forked, h->forked_bytes));
	pln_text_field(
		screen, "explained", PLN_STYLE_PLAIN, "%s (+- 95 %%: %s) of the %s counted%s%s",
		pln_bytes_text(sampled, report->totals.all.bytes),
		pln_interval_text(interval, &report->totals.all), pln_bytes_text(exact, counted),
		peak ? " at the peak" : " last before the end", forks);
}

void pln_text_heap_process(const struct pln_process *process, const struct pln_screen *screen)
{
	char text[512], live[PLN_QUANTITY_SIZE], peak[PLN_QUANTITY_SIZE];

	counts_text(process->heap, process->reason == PILLION_REASON_FORK, text, sizeof(text));
	if (!*text)
		return;
	pln_text_field(screen, "memory", PLN_STYLE_PLAIN,
		       "%s; %s live when it was last seen, %s at the peak", text,
		       pln_bytes_text(live, pln_heap_live_bytes(process->heap,
								process->heap_inherited_bytes)),
		       pln_bytes_text(peak, process->heap_peak_bytes));
}

/* Where to look next: what grew when most is still there at the end, else what the peak is of. */
void pln_text_heap_next(const struct pln_report *report, const struct pln_screen *screen)
{
	const struct pln_heap_summary *h = &report->heap;
	bool kept = h->live_bytes > h->peaks_bytes / 2;

	if (!pln_heap_is_counted(h) || report->options.part != PLN_REPORT_ALL ||
	    pln_view_is_heap(report->options.view))
		return;
	if (h->samples)
		pln_text_field(screen, "next", PLN_STYLE_DIM,
			       "memory by code: pillion report --view %s (others: allocated, live, "
			       "temporary, %s)",
			       kept ? "leaks" : "peak", kept ? "peak" : "leaks");
	else
		pln_text_field(screen, "next", PLN_STYLE_DIM, "%s",
			       "memory by code: record with --memory sample");
}

/* ------------------------------------------------------------------- tables */

static const struct pln_column kind_columns[] = {
	{ "share %", true, PLN_RIGID, 0 }, { "bytes", true, PLN_RIGID, 0 },
	{ "+- 95 %", true, PLN_RIGID, 0 }, { "blocks", true, PLN_RIGID, 0 },
	{ "kind", false, PLN_RIGID, 0 },   { "", false, PLN_DROP_EXTRA, 1 },
};

static const char *kind_meaning(unsigned kind)
{
	static const char *const meanings[PILLION_BLOCK_KINDS] = {
		[PILLION_BLOCK_MALLOC] = "malloc and its family",
		[PILLION_BLOCK_MAPPING] = "anonymous mappings",
		[PILLION_BLOCK_OBJECT] = "Python's object domain",
		[PILLION_BLOCK_MEMORY] = "Python's memory domain",
	};

	return kind < PILLION_BLOCK_KINDS ? meanings[kind] : "";
}

static void print_kinds(const struct pln_report *r, const struct pln_screen *screen)
{
	struct pln_table *table = pln_table_new(kind_columns, COUNT_OF(kind_columns));
	struct pln_amount sums[PILLION_BLOCK_KINDS] = { { .samples = 0 } };

	for (size_t i = 0; i < pln_part_count(&r->aggregate, r->options.view); i++) {
		struct pln_part part = pln_part_at(&r->aggregate, r->options.view, i);
		uint32_t kind = r->aggregate.heap_cells[i].kind;

		if (kind < PILLION_BLOCK_KINDS)
			pln_amount_add(&sums[kind], &part.amount);
	}
	for (unsigned kind = 0; kind < PILLION_BLOCK_KINDS; kind++) {
		if (!sums[kind].samples)
			continue;
		pln_text_percent_cell(table, sums[kind].bytes, r->totals.all.bytes);
		pln_text_heap_cells(table, &sums[kind]);
		pln_table_cell(table, PLN_STYLE_DIM, "%s", kind_meaning(kind));
		if (kind == PILLION_BLOCK_MAPPING)
			pln_table_extra(table, "; of Python: arenas of small objects");
	}
	pln_text_heading(screen, "Kinds", "%s", "who was asked for the memory");
	pln_table_print(table, screen);
}

static const struct pln_column thread_columns[] = {
	{ "share %", true, PLN_RIGID, 0 },    { "bytes", true, PLN_RIGID, 0 },
	{ "+- 95 %", true, PLN_RIGID, 2 },    { "blocks", true, PLN_RIGID, 4 },
	{ "kinds", false, PLN_RIGID, 5 },     { "thread", false, PLN_ELIDE_MIDDLE, 0 },
	{ "runs", false, PLN_ELIDE_NAME, 3 }, { "calls", true, PLN_RIGID, 0 },
	{ "allocated", true, PLN_RIGID, 0 },  { "freed", true, PLN_RIGID, 1 },
};

static void thread_row(const struct pln_report *r, struct pln_table *table, uint32_t id,
		       const struct pln_amount *amount)
{
	const struct pln_thread *thread = &r->profile->threads[id];
	const struct pln_heap_counts *m = &thread->heap[PILLION_HEAP_MALLOC];
	const struct pln_heap_counts *p = &thread->heap[PILLION_HEAP_MAPPING];
	char text[PLN_QUANTITY_SIZE], name[32];

	pln_text_percent_cell(table, amount->bytes, r->totals.all.bytes);
	pln_text_heap_cells(table, amount);
	pln_table_cell(table, PLN_STYLE_PLAIN, "%s", pln_thread_name(thread, name, sizeof(name)));
	pln_text_entry_cell(table, PLN_STYLE_DIM, r, id);
	pln_table_cell(table, PLN_STYLE_DIM, "%s",
		       pln_count_text(text, m->alloc_calls + p->alloc_calls));
	pln_table_cell(table, PLN_STYLE_DIM, "%s",
		       pln_bytes_text(text, m->alloc_bytes + p->alloc_bytes));
	pln_table_cell(table, PLN_STYLE_DIM, "%s",
		       pln_bytes_text(text, m->free_bytes + p->free_bytes));
}

static int compare_threads(const void *pa, const void *pb, void *amounts)
{
	uint32_t a = *(const uint32_t *)pa, b = *(const uint32_t *)pb;
	const struct pln_amount *of_a = (struct pln_amount *)amounts + a;
	const struct pln_amount *of_b = (struct pln_amount *)amounts + b;

	if (of_a->bytes != of_b->bytes)
		return of_a->bytes > of_b->bytes ? -1 : 1;
	return a < b ? -1 : a > b;
}

static void print_thread_rows(const struct pln_report *r, const struct pln_screen *screen,
			      const uint32_t *order, size_t count, const struct pln_amount *amounts)
{
	struct pln_table *table = pln_table_new(thread_columns, COUNT_OF(thread_columns));
	size_t shown = pln_report_limited(r, count);

	pln_text_heading(screen, "Threads", "%s",
			 "behind them what each counted: malloc and mmap, exact");
	for (size_t i = 0; i < shown; i++)
		thread_row(r, table, order[i], &amounts[order[i]]);
	pln_table_print(table, screen);
	pln_text_more(screen, count - shown, "thread", "threads");
}

/* Those with any sampled block in the view, most bytes first. */
static void print_threads(const struct pln_report *r, const struct pln_screen *screen)
{
	const struct pln_profile *p = r->profile;
	struct pln_amount *amounts = calloc(p->thread_count + 1, sizeof(*amounts));
	uint32_t *order = malloc((p->thread_count + 1) * sizeof(*order));
	size_t count = 0;

	if (amounts && order) {
		for (size_t i = 0; i < pln_part_count(&r->aggregate, r->options.view); i++) {
			struct pln_part part = pln_part_at(&r->aggregate, r->options.view, i);

			pln_amount_add(&amounts[r->aggregate.heap_cells[i].thread], &part.amount);
		}
		for (uint32_t t = 0; t < p->thread_count; t++) {
			if (amounts[t].samples)
				order[count++] = t;
		}
		qsort_r(order, count, sizeof(*order), compare_threads, amounts);
		print_thread_rows(r, screen, order, count, amounts);
	}
	free(amounts);
	free(order);
}

void pln_text_heap_tables(const struct pln_report *report, const struct pln_screen *screen)
{
	char count[PLN_QUANTITY_SIZE];

	print_kinds(report, screen);
	print_threads(report, screen);
	putc('\n', screen->out);
	pln_text_field(screen, "+- 95 %", PLN_STYLE_DIM,
		       "half of the confidence interval of bytes; n=3: so few samples that it says "
		       "nothing; exact: every block was sampled");
	if (report->heap.unfollowed && report->options.view != PLN_VIEW_ALLOCATED)
		pln_text_field(screen, "left out", PLN_STYLE_WARM,
			       "%s sampled blocks whose free could not be followed",
			       pln_count_text(count, report->heap.unfollowed));
}
