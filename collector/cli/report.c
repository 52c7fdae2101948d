/* SPDX-License-Identifier: MIT */
/*
 * report.c - `pillion report`: options, and the order of the work.
 */
#include "report/report.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/pager.h"
#include "cli/shared_options.h"
#include "cli/write.h"

#define LIMIT_UNSET UINT64_MAX
#define LIMIT_TEXT 10

static struct {
	const char *threads;
	const char *processes;
	unsigned view; /* enum pln_view */
	unsigned sort; /* enum pln_sort */
	unsigned color; /* enum pln_color */
	uint64_t limit;
	bool tree;
	bool lines;
	bool json;
	bool no_symbolize;
	bool pager;
} args = { .limit = LIMIT_UNSET, .pager = true };

static const struct pln_option options[] = {
	{ .type = PLN_OPTION_GROUP, .help = "What to count" },
	{ .type = PLN_OPTION_CHOICE,
	  .name = "view",
	  .letter = 'w',
	  .metavar = "VIEW",
	  .help = "time: cpu (default), wall, offcpu or gil (held, waited for); memory: "
		  "allocated, live (at the end), peak, temporary (freed within 1 ms) or leaks",
	  .to = &args.view,
	  .choices = pln_report_view_names },
	PLN_OPTION_THREADS(&args.threads),
	PLN_OPTION_PROCESSES(&args.processes),
	{ .type = PLN_OPTION_GROUP, .help = "What to show" },
	{ .type = PLN_OPTION_FLAG,
	  .name = "tree",
	  .letter = 'T',
	  .help = "the call tree",
	  .to = &args.tree },
	{ .type = PLN_OPTION_FLAG,
	  .name = "lines",
	  .letter = 'l',
	  .help = "the lines alone, Python and native",
	  .to = &args.lines },
	{ .type = PLN_OPTION_CHOICE,
	  .name = "sort",
	  .letter = 's',
	  .metavar = "KEY",
	  .help = "by self (default), total or name",
	  .to = &args.sort,
	  .choices = pln_sort_names },
	PLN_OPTION_ROWS(&args.limit),
	{ .type = PLN_OPTION_FLAG,
	  .name = "json",
	  .letter = 'j',
	  .help = "everything as JSON; all rows unless --limit says otherwise",
	  .to = &args.json },
	PLN_OPTION_COLOR(&args.color),
	PLN_OPTION_PAGER(&args.pager),
	PLN_OPTION_NO_SYMBOLIZE(&args.no_symbolize),
};

static const char *const examples[] = {
	"pillion report                      # the newest profile here",
	"pillion report --view wall --tree app.pillion",
	"pillion report --thread worker --sort total app.pillion",
	"pillion report --view peak --tree app.pillion",
	"pillion report --json app.pillion | jq '.functions[0]'",
	NULL,
};

static const struct pln_verb verb = {
	.name = "report",
	.usage = "[options] [FILE]",
	.summary = "Show where a recorded program spent its time, and its memory.",
	.options = options,
	.option_count = sizeof(options) / sizeof(*options),
	.examples = examples,
};

/* Returns -1 when there is a report to make, else the exit code. */
static int parse(int argc, char **argv, const char **path)
{
	struct pln_operands operands;
	int status = pln_cli_parse(&verb, argc, argv, &operands);

	if (status >= 0)
		return status;
	if (operands.count > 1)
		return pln_cli_usage_error(&verb, "one profile at a time, not also %s",
					   operands.value[1]);
	if (args.tree && args.lines)
		return pln_cli_usage_error(&verb, "--tree and --lines exclude each other");
	if (args.view == PLN_VIEW_LEAKS && (args.tree || args.lines))
		return pln_cli_usage_error(&verb,
					   "--view leaks has a table of its own, no %s; "
					   "--view live has",
					   args.tree ? "--tree" : "--lines");
	*path = operands.count ? operands.value[0] : NULL;
	return -1;
}

static struct pln_report_options report_options(void)
{
	uint64_t limit = args.limit != LIMIT_UNSET ? args.limit : args.json ? 0 : LIMIT_TEXT;

	return (struct pln_report_options){
		.filter = { .threads = args.threads, .processes = args.processes },
		.view = args.view,
		.sort = args.sort,
		.part = args.tree    ? PLN_REPORT_TREE
			: args.lines ? PLN_REPORT_LINES
				     : PLN_REPORT_ALL,
		.limit = limit,
	};
}

static int print(const struct pln_report *report)
{
	bool unmatched = (args.threads || args.processes) && !pln_report_has_any(report) &&
			 !report->aggregate.quality.samples;
	struct pln_pager pager;
	char why[512];
	int err;

	pln_pager_open(&pager, args.pager && !args.json);
	if (args.json) {
		pln_report_print_json(report, pager.out);
	} else if (!unmatched) {
		struct pln_screen screen = pln_report_screen(args.color);

		screen.out = pager.out;
		pln_report_print_text(report, &screen);
	}
	err = pln_pager_close(&pager);
	if (err)
		return pln_cli_cannot_print(err);
	if (pln_report_has_any(report))
		return PLN_EXIT_OK;
	pln_report_explain_empty(report, why, sizeof(why));
	pln_cli_message("%s: %s", report->path, why);
	return PLN_EXIT_NO_SAMPLES;
}

int pln_cmd_report(int argc, char **argv)
{
	struct pln_report_options what;
	struct pln_report report;
	struct pln_profile *profile;
	const char *operand = NULL;
	char path[PATH_MAX];
	int status = parse(argc, argv, &operand);

	if (status >= 0)
		return status;
	profile = pln_report_open(operand, args.no_symbolize, path, sizeof(path));
	if (!profile)
		return PLN_EXIT_FAILURE;
	what = report_options();
	status = pln_report_build(&report, profile, path, &what);
	if (status) {
		status = pln_cli_cannot_read(path, status);
	} else {
		status = print(&report);
	}
	pln_report_free(&report);
	pln_profile_close(profile);
	return status;
}
