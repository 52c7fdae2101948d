/* SPDX-License-Identifier: MIT */
/*
 * The call graph of a known profile, recursion and all; V8's tree, tables and pictures of it, to
 * the letter; and names and numbers as files of text want them. What other tools make of all
 * that, is tests/e2e/test_export_formats.py.
 */
#include "check.h"
#include "tiny_profile.h"

#include "export/callgraph.h"
#include "export/export.h"
#include "export/text.h"

typedef int export_fn(const struct pln_export *export, FILE *out);

struct subject {
	struct pln_profile *profile;
	struct pln_aggregate aggregate;
	struct pln_export export;
};

static void open_subject(struct subject *s, enum pln_view view)
{
	const struct pln_filter all = { .threads = NULL };

	s->profile = tiny_open(true);
	if (!CHECK(s->profile != NULL))
		exit(1);
	CHECK_EQ(pln_aggregate_samples(&s->aggregate, s->profile, &all), 0);
	s->export = (struct pln_export){
		.profile = s->profile, .aggregate = &s->aggregate, .name = "tiny", .view = view
	};
}

static void close_subject(struct subject *s)
{
	pln_aggregate_free(&s->aggregate);
	pln_profile_close(s->profile);
}

static char *exported(export_fn *fn, enum pln_view view)
{
	struct subject s;
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	open_subject(&s, view);
	CHECK_EQ(fn(&s.export, out), 0);
	fclose(out);
	close_subject(&s);
	return text;
}

/* --------------------------------------------------------------- call graph */

static void name_by_function(const struct pln_export *e, uint32_t function,
			     struct pln_graph_name *name)
{
	name->name = function < e->profile->function_count ? e->profile->functions[function].name
							   : "nowhere";
}

/* All functions are one. */
static void name_alike(const struct pln_export *e, uint32_t function, struct pln_graph_name *name)
{
	(void)e;
	(void)function;
	name->name = "all";
}

static uint32_t node_of(const struct pln_callgraph *g, const char *name)
{
	for (uint32_t n = 0; n < g->node_count; n++)
		if (!strcmp(g->nodes[n].name, name))
			return n;
	return PLN_NONE;
}

/* Milliseconds in the first view, of self and total. */
static void check_node(const struct pln_callgraph *g, const char *name, uint64_t self,
		       uint64_t total)
{
	uint32_t n = node_of(g, name);

	if (!CHECK(n != PLN_NONE))
		return;
	CHECK_EQ(g->nodes[n].self[0], self * TINY_MS);
	CHECK_EQ(g->nodes[n].total[0], total * TINY_MS);
}

static void check_call(const struct pln_callgraph *g, const char *caller, const char *callee,
		       uint64_t self, uint64_t total, uint64_t share)
{
	uint32_t from = node_of(g, caller), to = node_of(g, callee);
	unsigned found = 0;

	for (size_t c = 0; c < g->call_count; c++) {
		const struct pln_graph_call *call = &g->calls[c];

		if (call->caller != from || call->callee != to)
			continue;
		found++;
		CHECK_EQ(call->self[0], self * TINY_MS);
		CHECK_EQ(call->total[0], total * TINY_MS);
		CHECK_EQ(call->share[0], share * TINY_MS);
	}
	CHECK_EQ(found, 1);
}

static void build(struct subject *s, struct pln_callgraph *g, pln_graph_name_fn *name,
		  const enum pln_view *views, unsigned count)
{
	struct pln_graph_options options = { .view_count = count, .name = name };

	open_subject(s, views[0]);
	memcpy(options.views, views, count * sizeof(*views));
	CHECK_EQ(pln_callgraph_build(g, &s->export, &options), 0);
}

static void test_callgraph(void)
{
	const enum pln_view cpu[] = { PLN_VIEW_CPU };
	struct pln_callgraph g;
	struct subject s;

	build(&s, &g, name_by_function, cpu, 1);
	check_node(&g, "_start", 0, 78);
	check_node(&g, "main", 10, 78);
	check_node(&g, "fact", 31, 68); /* once for a stack that has it three times */
	check_node(&g, "micro", 37, 37);
	check_node(&g, "nowhere", 3, 3);
	check_call(&g, "main", "fact", 0, 68, 68);
	check_call(&g, "fact", "fact", 31, 31, 0); /* the stack ends in it */
	check_call(&g, "fact", "dgemm", 0, 37, 37);
	check_call(&g, "dgemm", "micro", 37, 37, 37); /* inlined */
	CHECK_EQ(g.nodes[node_of(&g, "fact")].total[1], 4); /* samples */
	pln_callgraph_free(&g);
	close_subject(&s);
}

/* Shares have no part in what is below the same function again. */
static void test_callgraph_of_one_node(void)
{
	const enum pln_view views[] = { PLN_VIEW_OFFCPU, PLN_VIEW_CPU, PLN_VIEW_WALL };
	struct pln_callgraph g;
	struct subject s;

	build(&s, &g, name_alike, views, 3);
	CHECK_EQ(g.node_count, 1);
	CHECK_EQ(g.values, 4);
	check_node(&g, "all", 145, 145);
	check_call(&g, "all", "all", 145, 145, 0);
	CHECK_EQ(g.nodes[0].self[1], 85 * TINY_MS);
	CHECK_EQ(g.nodes[0].total[2], 233 * TINY_MS);
	CHECK_EQ(g.calls[0].share[2], 0);
	CHECK_EQ(g.nodes[0].self[3], 10);
	pln_callgraph_free(&g);
	close_subject(&s);
}

/* -------------------------------------------------------------------- files */

static void test_callgrind(void)
{
	char *text = exported(pln_export_callgrind, PLN_VIEW_OFFCPU);

	CHECK(!strncmp(text, "# callgrind format\nversion: 1\n", 30));
	CHECK(strstr(text, "\ncmd: python3 app.py\npositions: line\n"));
	CHECK(strstr(text, "\nevents: offcpu cpu wall gil\n"
			   "summary: 145000000 85000000 233000000 93000000\n"));
	/* main's own time at its line; a call from there, and its callee by number from then on. */
	CHECK(strstr(text,
		     "fl=(2) /srv/app/app.py\nfn=(2) main\n3 0 10000000 11000000 10000000\n") ||
	      strstr(text, "fl=(2)\nfn=(2)\n3 0 10000000 11000000 10000000\n"));
	CHECK(strstr(text, " wait;ing\n"));
	CHECK(!strstr(text, "calls=0"));
	free(text);
}

static void test_pstats(void)
{
	size_t size;
	char *text = NULL;
	struct subject s;
	FILE *out = open_memstream(&text, &size);

	open_subject(&s, PLN_VIEW_CPU);
	CHECK_EQ(pln_export_pstats(&s.export, out), 0);
	fclose(out);
	close_subject(&s);
	/* A dictionary whose first key is a tuple of three, and of which nothing is left open. */
	CHECK(size > 100 && !memcmp(text, "{(\3\0\0\0u", 7));
	CHECK(!memcmp(text + size - 2, "00", 2));
	CHECK(memmem(text, size, "u\17\0\0\0/srv/app/app.pyi\1\0\0\0u\4\0\0\0main", 34));
	CHECK(memmem(text, size, "<futex_wait (libc.so.6)>", 24) == NULL); /* not on a CPU */
	free(text);
}

static void test_cpuprofile(void)
{
	char *text = exported(pln_export_cpuprofile, PLN_VIEW_OFFCPU);

	CHECK(!strncmp(text, "{\"nodes\":[{\"id\":1,\"callFrame\":{\"functionName\":\"(root)\"",
		       54));
	CHECK(strstr(text, "\"callFrame\":{\"functionName\":\"main\",\"scriptId\":\"0\",\"url\":"
			   "\"file:///srv/app/app.py\",\"lineNumber\":0,\"columnNumber\":0}"));
	CHECK(strstr(text,
		     "\"functionName\":\"futex_wait\",\"scriptId\":\"0\",\"url\":"
		     "\"/lib/libc.so.6\",\"lineNumber\":-1,\"columnNumber\":-1},\"hitCount\":3"));
	/* Two threads, one after the other, and the root to end the last one. */
	CHECK(strstr(text, "\"startTime\":0,\"endTime\":145000,\n\"samples\":[5,5,1],\n"
			   "\"timeDeltas\":[0,45000,100000]}\n"));
	free(text);
	text = exported(pln_export_cpuprofile, PLN_VIEW_CPU);
	CHECK(strstr(text, "\"positionTicks\":[{\"line\":12,\"ticks\":2}]"));
	free(text);
}

static void test_csv(void)
{
	char *text = exported(pln_export_csv, PLN_VIEW_CPU);

	CHECK(!strncmp(text,
		       "function,kind,file,line,library,cpu_self_ns,cpu_total_ns,wall_self_ns,"
		       "wall_total_ns,offcpu_self_ns,offcpu_total_ns,gil_self_ns,gil_total_ns\n"
		       "\"micro\",native,\"/src/gemm.c\",69,\"/opt/libnum.so\",37000000,37000000,"
		       "37000000,37000000,0,0,7000000,7000000\n",
		       241));
	CHECK(strstr(text,
		     "\n\"(no stack)\",,\"\",,\"\",3000000,3000000,3000000,3000000,0,0,0,0\n"));
	free(text);
}

static void test_lines(void)
{
	char *text = exported(pln_export_lines, PLN_VIEW_CPU);

	CHECK(!strncmp(text, "{\"format\":\"pillion-lines\",\"version\":1,", 38));
	CHECK(strstr(text,
		     "{\"name\":\"cpu\",\"unit\":\"ns\",\"total\":85000000,\"no_stack\":3000000}"));
	CHECK(strstr(
		text,
		"{\"path\":\"/srv/app/app.py\",\"kind\":\"python\",\"library\":null,\"lines\":["
		"{\"line\":3,\"function\":\"main\",\"first_line\":1,\"cpu\":{\"self\":10000000,"
		"\"native\":0,\"total\":78000000}"));
	CHECK(strstr(text, "{\"line\":12,\"function\":\"fact\",\"first_line\":10,\"cpu\":{\"self\":"
			   "31000000,\"native\":37000000,\"total\":68000000}"));
	CHECK(strstr(text, "{\"path\":null,\"kind\":\"native\",\"library\":\"/lib/libc.so.6\""));
	free(text);
}

static void test_svg(void)
{
	char *text = exported(pln_export_svg, PLN_VIEW_CPU);

	CHECK(strstr(text, "data-width=\"1200\" data-total=\"85000000\""));
	CHECK(strstr(text, "<g class=\"c\" data-from=\"0\" data-weight=\"78000000\" "
			   "data-self=\"10000000\" data-name=\"main\"><title>main (app.py:1)\n"
			   "78.0 ms, 91.8 %\nself 10.0 ms, 11.8 %</title>"
			   "<rect x=\"0.00\" y=\"65\" width=\"1101.18\""));
	CHECK(strstr(text, "data-left-out=\"0\"></text>"));
	free(text);
}

/* --------------------------------------------------------------------- text */

static void check_text(const char *text, enum pln_text_form form, const char *expected)
{
	char *put = NULL;
	size_t size;
	FILE *out = open_memstream(&put, &size);

	pln_text_put(out, text, form);
	fclose(out);
	CHECK_STR(put, expected);
	free(put);
}

static void test_text(void)
{
	static const char name[] = "<a&b> \"c'\"\n\x01\xff\xc3\xa9";
	char *clean = pln_text_clean(name);

	check_text(name, PLN_TEXT_LINE, "<a&b> \"c'\"  \xef\xbf\xbd\xc3\xa9");
	check_text(
		name, PLN_TEXT_XML,
		"&lt;a&amp;b&gt; &quot;c&#39;&quot;\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xc3\xa9");
	check_text("\xef\xbf\xbf", PLN_TEXT_XML, "\xef\xbf\xbd"); /* U+FFFF is not for XML */
	check_text(name, PLN_TEXT_CSV, "<a&b> \"\"c'\"\"\n\x01\xef\xbf\xbd\xc3\xa9");
	check_text("/a b%#?\xc3\xa9", PLN_TEXT_URL_PATH, "/a%20b%25%23%3F%C3%A9");
	check_text("</a><!--<b>\"\\\n\xff", PLN_TEXT_SCRIPT,
		   "<\xe2\x81\xa0/a><\xe2\x81\xa0!--<b>\\\"\\\\\\u000a\xef\xbf\xbd");
	CHECK_STR(clean, "<a&b> \"c'\"\n\x01\xef\xbf\xbd\xc3\xa9");
	free(clean);
}

static void check_scaled(uint64_t value, unsigned digits, const char *expected)
{
	char *put = NULL;
	size_t size;
	FILE *out = open_memstream(&put, &size);

	pln_text_put_scaled(out, value, digits);
	fclose(out);
	CHECK_STR(put, expected);
	free(put);
}

static void test_numbers(void)
{
	check_scaled(0, 6, "0");
	check_scaled(1234500, 6, "1.2345");
	check_scaled(7000, 3, "7");
	check_scaled(1, 9, "0.000000001");
	check_scaled(42, 0, "42");
	check_scaled(UINT64_MAX, 6, "18446744073709.551615");
}

int main(void)
{
	test_callgraph();
	test_callgraph_of_one_node();
	test_callgrind();
	test_pstats();
	test_cpuprofile();
	test_csv();
	test_lines();
	test_svg();
	test_text();
	test_numbers();
	return check_result();
}
