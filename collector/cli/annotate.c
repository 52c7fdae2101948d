/* SPDX-License-Identifier: MIT */
/*
 * annotate.c - `pillion annotate`: options, and the order of the work.
 */
#include "annotate/annotate.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/pager.h"
#include "cli/shared_options.h"
#include "cli/write.h"
#include "report/names.h"

#define CONTEXT 3

static const char *const syntaxes[] = { "att", "intel", NULL };

static struct {
	const char *threads;
	const char *processes;
	unsigned view; /* enum pln_view */
	unsigned syntax; /* enum pln_syntax */
	unsigned color; /* enum pln_color */
	uint64_t context;
	bool all;
	bool json;
	bool pager;
} args = { .context = CONTEXT, .pager = true };

static const struct pln_option options[] = {
	{ .type = PLN_OPTION_GROUP, .help = "What to count" },
	{ .type = PLN_OPTION_CHOICE,
	  .name = "view",
	  .letter = 'w',
	  .metavar = "VIEW",
	  .help = "time: cpu (default), wall, offcpu, gil; memory: allocated (default), live, "
		  "peak, temporary; lines have one of each",
	  .to = &args.view,
	  .choices = pln_amount_view_names },
	PLN_OPTION_THREADS_IN_SHORT(&args.threads),
	PLN_OPTION_PROCESSES(&args.processes),
	{ .type = PLN_OPTION_GROUP, .help = "What to show" },
	{ .type = PLN_OPTION_FLAG,
	  .name = "all",
	  .letter = 'a',
	  .help = "everything, not only what is near to samples",
	  .to = &args.all },
	{ .type = PLN_OPTION_NUMBER,
	  .name = "context",
	  .letter = 'C',
	  .metavar = "N",
	  .help = "lines or instructions around each with samples (default 3)",
	  .to = &args.context,
	  .max = UINT32_MAX },
	{ .type = PLN_OPTION_CHOICE,
	  .name = "syntax",
	  .metavar = "SYNTAX",
	  .help = "of instructions: att (default) or intel",
	  .to = &args.syntax,
	  .choices = syntaxes },
	{ .type = PLN_OPTION_FLAG,
	  .name = "json",
	  .letter = 'j',
	  .help = "as JSON: all that has samples",
	  .to = &args.json },
	PLN_OPTION_COLOR(&args.color),
	PLN_OPTION_PAGER(&args.pager),
};

static const char *const examples[] = {
	"pillion annotate app.py                  # lines, of the newest profile here",
	"pillion annotate Page.render app.pillion",
	"pillion annotate --syntax intel _PyEval_EvalFrameDefault app.pillion",
	NULL,
};

static const struct pln_verb verb = {
	.name = "annotate",
	.usage = "[options] FUNCTION|FILE [PROFILE]",
	.summary = "Show the lines of Python code, or the instructions of a native function.",
	.options = options,
	.option_count = sizeof(options) / sizeof(*options),
	.examples = examples,
};

static int check_arguments(const struct pln_operands *operands)
{
	if (!operands->count || !*operands->value[0])
		return pln_cli_usage_error(&verb, "name a function, or a Python file");
	if (operands->count > 2)
		return pln_cli_usage_error(&verb,
					   "one function or file, and one profile, not also %s",
					   operands->value[2]);
	return -1;
}

/* ----------------------------------------------------------------------- print */

static struct pln_annotate_print how_to_print(void)
{
	return (struct pln_annotate_print){ .context = args.context, .all = args.all };
}

static void print_lines(const struct pln_report *report, const struct pln_choice *choice,
			const struct pln_file_lines *lines, struct pln_pager *pager)
{
	struct pln_annotate_print print = how_to_print();
	struct pln_screen screen = pln_report_screen(args.color);

	screen.out = pager->out;
	if (args.json)
		pln_annotate_lines_json(report, choice, lines, pager->out);
	else
		pln_annotate_lines_text(report, choice, lines, &screen, &print);
}

static void print_native(const struct pln_report *report, const struct pln_native_code *code,
			 struct pln_pager *pager)
{
	struct pln_annotate_print print = how_to_print();
	struct pln_screen screen = pln_report_screen(args.color);

	screen.out = pager->out;
	if (args.json)
		pln_annotate_native_json(report, code, pager->out);
	else
		pln_annotate_native_text(report, code, &screen, &print);
}

static void tell_others(const struct pln_report *report, const struct pln_choice *choice)
{
	const struct pln_profile *p = report->profile;
	char where[512];

	if (choice->others && choice->kind == PLN_CHOICE_FILE)
		pln_cli_message("another file is called like that: %s",
				p->functions[choice->other].file);
	else if (choice->others)
		pln_cli_message("%u other function%s called like that, such as %s (%s)",
				choice->others, choice->others == 1 ? " is" : "s are",
				pln_function_name(p, choice->other),
				pln_where_text(p, choice->other, true, where, sizeof(where)));
}

/* ----------------------------------------------------------------------- build */

/* Lines have a column of memory whatever the view; blocks are summed once. */
static int add_blocks(struct pln_report *report)
{
	if (pln_view_is_heap(report->options.view) || !report->profile->block_count)
		return 0;
	report->moments = pln_heap_find_moments(report->profile);
	if (!report->moments)
		return -ENOMEM;
	return pln_aggregate_blocks(&report->aggregate, PLN_VIEW_ALLOCATED, report->moments);
}

/* A time view and a heap view go together in lines: the report is built with the first. */
static int use_time_view(struct pln_report *report)
{
	struct pln_totals totals;
	int err = pln_totals_compute(&totals, &report->aggregate, PLN_VIEW_CPU);

	pln_totals_free(&report->totals);
	report->totals = totals;
	report->options.view = PLN_VIEW_CPU;
	return err;
}

static int cannot_annotate(int err)
{
	pln_cli_message("cannot annotate: %s", strerror(-err));
	return PLN_EXIT_FAILURE;
}

static int end_print(struct pln_pager *pager)
{
	int err = pln_pager_close(pager);

	return err ? pln_cli_cannot_print(err) : PLN_EXIT_OK;
}

static int has_nothing(const struct pln_report *report, const char *name, const char *what)
{
	char why[512];

	if (pln_report_has_any(report)) {
		pln_cli_message("%s: %s has no %s", report->path, name, what);
	} else {
		pln_report_explain_empty(report, why, sizeof(why));
		pln_cli_message("%s: %s", report->path, why);
	}
	return PLN_EXIT_NO_SAMPLES;
}

static int annotate_lines(struct pln_report *report, const struct pln_choice *choice,
			  const char *name)
{
	enum pln_view heap_view = pln_view_is_heap(args.view) ? args.view : PLN_VIEW_ALLOCATED;
	struct pln_file_lines lines = { .lines = NULL };
	struct pln_pager pager;
	int err = pln_view_is_heap(args.view) ? use_time_view(report) : add_blocks(report);
	int status;

	if (err)
		return pln_cli_cannot_read(report->path, err);
	err = pln_file_lines_build(&lines, report, choice, heap_view);
	if (err) {
		status = cannot_annotate(err);
	} else if (!pln_file_lines_have_any(&lines)) {
		status = has_nothing(report, name,
				     "line that anything was sampled at; try --view wall");
	} else {
		tell_others(report, choice);
		pln_pager_open(&pager, args.pager && !args.json);
		print_lines(report, choice, &lines, &pager);
		status = end_print(&pager);
	}
	pln_file_lines_free(&lines);
	return status;
}

static int annotate_native(const struct pln_report *report, const struct pln_choice *choice)
{
	const char *name = pln_function_name(report->profile, choice->function);
	struct pln_native_code code;
	struct pln_pager pager;
	char what[64];
	int err, status;

	if (!report->totals.functions[choice->function].total.weight) {
		snprintf(what, sizeof(what), "%s; try --view wall",
			 pln_view_text(report->options.view));
		return has_nothing(report, name, what);
	}
	tell_others(report, choice);
	pln_pager_open(&pager, args.pager && !args.json);
	err = pln_native_code_build(&code, report, choice->function, args.syntax, NULL);
	if (!err)
		print_native(report, &code, &pager);
	pln_native_code_free(&code);
	status = end_print(&pager);
	return err ? cannot_annotate(err) : status;
}

static int annotate(struct pln_report *report, const char *name)
{
	struct pln_choice choice = pln_choose(report, name);

	if (choice.kind == PLN_CHOICE_NATIVE)
		return annotate_native(report, &choice);
	if (choice.kind != PLN_CHOICE_NONE)
		return annotate_lines(report, &choice, name);
	pln_cli_message("%s: no function or Python file is called %s; `pillion report --limit 0` "
			"lists them",
			report->path, name);
	return PLN_EXIT_NO_SAMPLES;
}

int pln_cmd_annotate(int argc, char **argv)
{
	struct pln_report_options what;
	struct pln_operands operands;
	struct pln_profile *profile;
	struct pln_report report;
	char path[PATH_MAX];
	int status = pln_cli_parse(&verb, argc, argv, &operands);

	if (status < 0)
		status = check_arguments(&operands);
	if (status >= 0)
		return status;
	profile = pln_report_open(operands.count > 1 ? operands.value[1] : NULL, false, path,
				  sizeof(path));
	if (!profile)
		return PLN_EXIT_FAILURE;
	what = (struct pln_report_options){
		.filter = { .threads = args.threads, .processes = args.processes },
		.view = args.view,
	};
	status = pln_report_build(&report, profile, path, &what);
	status = status ? pln_cli_cannot_read(path, status) : annotate(&report, operands.value[0]);
	pln_report_free(&report);
	pln_profile_close(profile);
	return status;
}
