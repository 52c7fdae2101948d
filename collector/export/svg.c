/* SPDX-License-Identifier: MIT */
/*
 * svg.c - a flame graph in one file, for browsers and documents; callers above callees.
 *
 * A picture that needs no script: each call has its box, its name as far as there is room, and
 * all of it in its title. svg_script.js adds zoom and search where scripts are run. What is
 * narrower than a tenth of a pixel is left out, and its sum told. Colours tell Python, native
 * code by library, and time without a stack; they depend on names alone.
 */
#include "export/export.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "export/text.h"
#include "report/calltree.h"
#include "report/names.h"
#include "report/table.h"
#include "svg_script.inc" /* const char svg_script[], out of svg_script.js */

#define WIDTH 1200u
#define ROW 17u /* pixels of a level */
#define HEAD 48u /* above the first one */
#define FOOT 24u
#define LETTER 7.2 /* width of one at 12 pixels in a font of equal widths */
#define NARROWEST 0.1 /* pixels */

struct writer {
	const struct pln_export *export;
	struct pln_calltree tree;
	uint64_t total; /* of all calls */
	uint64_t left_out; /* weight of the calls that are too narrow */
	size_t left_out_count;
	unsigned depth; /* levels shown */
	FILE *out;
};

static double to_pixels(const struct writer *w, uint64_t weight)
{
	return (double)weight / (double)w->total * WIDTH;
}

static bool is_shown(const struct writer *w, uint32_t call)
{
	return to_pixels(w, w->tree.calls[call].total.weight) >= NARROWEST;
}

/* The next call that is shown, with all below those that are not passed over. */
static uint32_t next_shown(const struct writer *w, uint32_t call, unsigned *depth)
{
	const struct pln_call *calls = w->tree.calls;

	if (calls[call].first_child != PLN_NONE && is_shown(w, calls[call].first_child)) {
		++*depth;
		return calls[call].first_child;
	}
	/* Siblings come by weight: behind one that is not shown, none is. */
	while (calls[call].next_sibling == PLN_NONE || !is_shown(w, calls[call].next_sibling)) {
		call = calls[call].parent;
		if (call == PLN_NONE)
			return PLN_NONE;
		--*depth;
	}
	return calls[call].next_sibling;
}

static void count_left_out(struct writer *w, uint32_t first)
{
	for (uint32_t c = first; c != PLN_NONE; c = w->tree.calls[c].next_sibling) {
		if (is_shown(w, c))
			continue;
		w->left_out += w->tree.calls[c].total.weight;
		w->left_out_count++;
	}
}

static void measure(struct writer *w)
{
	unsigned depth = 0;

	for (uint32_t c = w->tree.first_root; c != PLN_NONE; c = w->tree.calls[c].next_sibling)
		w->total += w->tree.calls[c].total.weight;
	count_left_out(w, w->tree.first_root);
	if (w->tree.first_root == PLN_NONE || !is_shown(w, w->tree.first_root))
		return;
	for (uint32_t c = w->tree.first_root; c != PLN_NONE; c = next_shown(w, c, &depth)) {
		if (depth + 1 > w->depth)
			w->depth = depth + 1;
		count_left_out(w, w->tree.calls[c].first_child);
	}
}

/* -------------------------------------------------------------------- words */

static const char *amount_text(const struct writer *w, char buffer[PLN_QUANTITY_SIZE],
			       uint64_t weight)
{
	if (!w->export->blocks)
		return pln_duration_text(buffer, weight);
	return w->export->blocks->count ? pln_count_text(buffer, weight)
					: pln_bytes_text(buffer, weight);
}

/* "file.py:12" or a library; "" where nothing is known. */
static void put_place(struct writer *w, const struct pln_call *call)
{
	const struct pln_profile *p = w->export->profile;
	const struct pln_function *f;
	uint32_t line;

	if (call->function >= p->function_count)
		return;
	f = &p->functions[call->function];
	line = call->line ? call->line : f->first_line;
	if (*f->file) {
		fputs(" (", w->out);
		pln_text_put(w->out, pln_short_file(f->file, p->recording.working_directory),
			     PLN_TEXT_XML);
		if (line)
			fprintf(w->out, ":%u", line);
		putc(')', w->out);
	}
	if (*f->module) {
		fputs(" in ", w->out);
		pln_text_put(w->out, f->module, PLN_TEXT_XML);
	}
}

static void put_title(struct writer *w, const struct pln_call *call, const char *name)
{
	char amount[PLN_QUANTITY_SIZE], share[PLN_QUANTITY_SIZE];

	fputs("<title>", w->out);
	pln_text_put(w->out, name, PLN_TEXT_XML);
	put_place(w, call);
	fprintf(w->out, "\n%s, %s", amount_text(w, amount, call->total.weight),
		pln_share_text(share, (double)call->total.weight, (double)w->total));
	if (call->self.weight && call->self.weight != call->total.weight)
		fprintf(w->out, "\nself %s, %s", amount_text(w, amount, call->self.weight),
			pln_share_text(share, (double)call->self.weight, (double)w->total));
	fputs("</title>", w->out);
}

/* As many characters as there is room for. */
static void put_label(struct writer *w, const char *name, double pixels)
{
	size_t room = pixels < 6 ? 0 : (size_t)((pixels - 6) / LETTER), count = 0;
	char shown[1024], *at = shown; /* WIDTH / LETTER characters at most */
	uint32_t c;

	if (room < 3)
		return;
	for (const char *s = name; *s; count++)
		s += pln_utf8_size(s, &c) ? pln_utf8_size(s, &c) : 1;
	for (size_t i = 0; *name && i < (count <= room ? room : room - 1); i++) {
		unsigned size = pln_utf8_size(name, &c);

		memcpy(at, name, size ? size : 1);
		at += size ? size : 1;
		name += size ? size : 1;
	}
	*at = '\0';
	pln_text_put(w->out, shown, PLN_TEXT_XML);
	if (count > room)
		fputs("…", w->out);
}

/* ------------------------------------------------------------------- colours */

static uint32_t hash(const char *text)
{
	uint32_t h = 2166136261u; /* FNV-1a: shades need no better one */

	for (; *text; text++)
		h = (h ^ (unsigned char)*text) * 16777619u;
	return h;
}

/* Python warm, native code cool with a hue for each library. */
static void put_colour(struct writer *w, uint32_t function)
{
	const struct pln_profile *p = w->export->profile;
	const struct pln_function *f =
		function < p->function_count ? &p->functions[function] : NULL;
	unsigned shade = f ? hash(f->name) % 14 : 0;

	if (!f)
		fputs("#ccc", w->out);
	else if (f->kind == PLN_FUNCTION_PYTHON)
		fprintf(w->out, "hsl(%u,85%%,%u%%)", 38 + hash(f->file) % 16, 62 + shade);
	else
		fprintf(w->out, "hsl(%u,45%%,%u%%)", 160 + hash(f->module) % 90, 64 + shade);
}

/* --------------------------------------------------------------------- file */

/* `from`: weight of all that stands to the left of it. */
static void write_call(struct writer *w, uint32_t id, unsigned depth, uint64_t from)
{
	const struct pln_call *call = &w->tree.calls[id];
	const char *name = pln_function_name(w->export->profile, call->function);
	double x = to_pixels(w, from), pixels = to_pixels(w, call->total.weight);
	unsigned y = HEAD + depth * ROW;

	fprintf(w->out,
		"<g class=\"c\" data-from=\"%" PRIu64 "\" data-weight=\"%" PRIu64
		"\" data-self=\"%" PRIu64 "\" data-name=\"",
		from, call->total.weight, call->self.weight);
	pln_text_put(w->out, name, PLN_TEXT_XML);
	fputs("\">", w->out);
	put_title(w, call, name);
	fprintf(w->out, "<rect x=\"%.2f\" y=\"%u\" width=\"%.2f\" height=\"%u\" fill=\"", x, y,
		pixels, ROW - 1);
	put_colour(w, call->function);
	fprintf(w->out, "\"/><text x=\"%.2f\" y=\"%u\">", x + 3, y + ROW - 5);
	put_label(w, name, pixels);
	fputs("</text></g>\n", w->out);
}

/* Callees stand from the left, the widest first; what a call costs itself is to their right. */
static int write_calls(struct writer *w)
{
	uint64_t *at = calloc(w->depth + 2, sizeof(*at)); /* by level: where the next call begins */
	uint32_t c = w->depth ? w->tree.first_root : PLN_NONE;
	unsigned depth = 0;

	if (!at)
		return -ENOMEM;
	while (c != PLN_NONE) {
		uint64_t from = at[depth];

		write_call(w, c, depth, from);
		at[depth] += w->tree.calls[c].total.weight;
		at[depth + 1] = from;
		c = next_shown(w, c, &depth);
	}
	free(at);
	return 0;
}

static void write_head(struct writer *w)
{
	unsigned height = HEAD + w->depth * ROW + FOOT;
	char amount[PLN_QUANTITY_SIZE];

	fprintf(w->out,
		"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
		"<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %u %u\" width=\"%u\" "
		"height=\"%u\" data-width=\"%u\" data-total=\"%" PRIu64 "\">\n<title>",
		WIDTH, height, WIDTH, height, WIDTH, w->total);
	pln_text_put(w->out, w->export->name, PLN_TEXT_XML);
	fprintf(w->out,
		" (%s)</title>\n<style>\n"
		"svg { font-family: monospace; font-size: 12px; background: #fff }\n"
		".c text { pointer-events: none }\n"
		".c:hover rect, .b:hover { stroke: #000; stroke-width: 0.5 }\n"
		".m rect { fill: #e64ae6 }\n"
		".c, .b { cursor: pointer }\n"
		"</style>\n"
		"<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n"
		"<text x=\"10\" y=\"18\" font-size=\"15\">",
		pln_export_view_name(w->export));
	pln_text_put(w->out, w->export->name, PLN_TEXT_XML);
	fprintf(w->out,
		": %s, %s</text>\n"
		"<text id=\"back\" class=\"b\" x=\"10\" y=\"38\" style=\"display: none\">zoom "
		"out</text>\n"
		"<text id=\"search\" class=\"b\" x=\"%u\" y=\"18\" text-anchor=\"end\" "
		"style=\"display: none\">search</text>\n"
		"<text id=\"found\" x=\"%u\" y=\"38\" text-anchor=\"end\"/>\n",
		pln_export_view_name(w->export), amount_text(w, amount, w->total), WIDTH - 10,
		WIDTH - 10);
}

static void write_foot(struct writer *w)
{
	char amount[PLN_QUANTITY_SIZE], share[PLN_QUANTITY_SIZE];

	fprintf(w->out, "<text id=\"rest\" x=\"10\" y=\"%u\" data-left-out=\"%" PRIu64 "\">",
		HEAD + w->depth * ROW + 15, w->left_out);
	if (w->left_out_count)
		fprintf(w->out, "%zu calls are too narrow to be shown, with all below them: %s, %s",
			w->left_out_count, amount_text(w, amount, w->left_out),
			pln_share_text(share, (double)w->left_out, (double)w->total));
	fprintf(w->out, "</text>\n<script><![CDATA[\n%s]]></script>\n</svg>\n", svg_script);
}

static int write_file(struct writer *w)
{
	const struct pln_export *e = w->export;
	int err = pln_calltree_build(&w->tree, e->aggregate, e->view, e->by_line);

	if (err)
		return err;
	measure(w);
	write_head(w);
	err = write_calls(w);
	write_foot(w);
	return err;
}

int pln_export_svg(const struct pln_export *export, FILE *out)
{
	struct writer w = { .export = export, .out = out };
	int err = write_file(&w);

	pln_calltree_free(&w.tree);
	return err ? err : pln_export_flush(out);
}
