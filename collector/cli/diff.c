/* SPDX-License-Identifier: MIT */
/*
 * diff.c - `pillion diff`: options, and the order of the work.
 */
#include "diff/diff.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/pager.h"
#include "cli/shared_options.h"

#define LIMIT_UNSET UINT64_MAX
#define LIMIT_TEXT 10

enum format { FORMAT_TEXT = 0, FORMAT_JSON, FORMAT_FOLDED };
static const char *const formats[] = { "text", "json", "folded", NULL };

static struct {
	const char *threads;
	const char *processes;
	const char *fail_on;
	unsigned view; /* enum pln_view */
	unsigned format; /* enum format */
	unsigned color; /* enum pln_color */
	uint64_t limit;
	bool absolute;
	bool json;
	bool pager;
} args = { .limit = LIMIT_UNSET, .pager = true };

static const struct pln_option options[] = {
	{ .type = PLN_OPTION_GROUP, .help = "What to compare" },
	{ .type = PLN_OPTION_CHOICE,
	  .name = "view",
	  .letter = 'w',
	  .metavar = "VIEW",
	  .help = "time: cpu (default), wall, offcpu or gil; memory: allocated, live, peak or "
		  "temporary",
	  .to = &args.view,
	  .choices = pln_report_view_names },
	{ .type = PLN_OPTION_FLAG,
	  .name = "absolute",
	  .letter = 'a',
	  .help = "amounts as they are, not shares of each profile's whole",
	  .to = &args.absolute },
	PLN_OPTION_THREADS_IN_SHORT(&args.threads),
	PLN_OPTION_PROCESSES(&args.processes),
	{ .type = PLN_OPTION_GROUP, .help = "What to show" },
	{ .type = PLN_OPTION_TEXT,
	  .name = "fail-on",
	  .metavar = "PERCENT",
	  .help = "exit with 4 when a function grew by more than this of the whole, even with the "
		  "noise taken off",
	  .to = &args.fail_on },
	{ .type = PLN_OPTION_CHOICE,
	  .name = "format",
	  .letter = 'f',
	  .metavar = "FORMAT",
	  .help = "text (default), json, or folded: stacks with two counts, for flamegraph.pl",
	  .to = &args.format,
	  .choices = formats },
	{ .type = PLN_OPTION_FLAG,
	  .name = "json",
	  .letter = 'j',
	  .help = "as -f json; all rows unless --limit says otherwise",
	  .to = &args.json },
	PLN_OPTION_ROWS(&args.limit),
	PLN_OPTION_COLOR(&args.color),
	PLN_OPTION_PAGER(&args.pager),
};

static const char *const examples[] = {
	"pillion diff before.pillion after.pillion",
	"pillion diff --fail-on 5% main.pillion branch.pillion  # in CI",
	"pillion diff -f folded a.pillion b.pillion | flamegraph.pl > d.svg",
	NULL,
};

static const struct pln_verb verb = {
	.name = "diff",
	.usage = "[options] A B",
	.summary = "Show what grew and what shrank from profile A to B, and what of it is noise.",
	.options = options,
	.option_count = sizeof(options) / sizeof(*options),
	.examples = examples,
};

/* "5%", "5" and "0.5%" to a share. */
static bool parse_percent(const char *text, double *share)
{
	char *end;

	if (text[strspn(text, "0123456789.%")])
		return false;
	errno = 0;
	*share = strtod(text, &end) / 100;
	return end != text && !errno && (!*end || !strcmp(end, "%")) && *share <= 1000;
}

static int check_arguments(const struct pln_operands *operands, struct pln_diff_options *what)
{
	if (operands->count != 2)
		return pln_cli_usage_error(&verb, "two profiles are compared, not %d",
					   operands->count);
	if (args.view == PLN_VIEW_LEAKS)
		return pln_cli_usage_error(&verb,
					   "--view leaks is of one profile; --view live can be "
					   "compared");
	if (args.fail_on && !parse_percent(args.fail_on, &what->fail_on))
		return pln_cli_usage_error(
			&verb, "--fail-on wants a percentage, such as 5%%, not %s", args.fail_on);
	if (args.json)
		args.format = FORMAT_JSON;
	what->fails = args.fail_on != NULL;
	what->absolute = args.absolute;
	what->limit = args.limit != LIMIT_UNSET	   ? args.limit
		      : args.format == FORMAT_TEXT ? LIMIT_TEXT
						   : 0;
	return -1;
}

/* ----------------------------------------------------------------------- print */

static int print(const struct pln_diff *diff)
{
	struct pln_screen screen = pln_report_screen(args.color);
	struct pln_pager pager;
	int err = 0, close_err;

	pln_pager_open(&pager, args.pager && args.format == FORMAT_TEXT);
	screen.out = pager.out;
	if (args.format == FORMAT_JSON)
		pln_diff_json(diff, pager.out);
	else if (args.format == FORMAT_FOLDED)
		err = pln_diff_folded(diff, pager.out);
	else
		pln_diff_text(diff, &screen);
	close_err = pln_pager_close(&pager);
	return err ? err : close_err;
}

static int compare(const struct pln_report *a, const struct pln_report *b,
		   const struct pln_diff_options *what)
{
	struct pln_diff diff;
	int err = pln_diff_build(&diff, a, b, what), status = PLN_EXIT_OK;

	if (!err)
		err = print(&diff);
	if (err) {
		pln_cli_message("cannot compare: %s", strerror(-err));
		status = PLN_EXIT_FAILURE;
	} else if (diff.failed || diff.whole_failed) {
		pln_cli_message("%s%zu function%s grew by more than %s (--fail-on)",
				diff.whole_failed ? "the whole and " : "", diff.failed,
				diff.failed == 1 ? "" : "s", args.fail_on);
		status = PLN_EXIT_DIFFERENT;
	}
	pln_diff_free(&diff);
	return status;
}

/* ------------------------------------------------------------------------ read */

struct side {
	char path[PATH_MAX];
	struct pln_profile *profile;
	struct pln_report report;
};

/* Returns PLN_EXIT_OK, or what to exit with; close_side() is due in either case. */
static int open_side(struct side *side, const char *path)
{
	const struct pln_report_options what = {
		.filter = { .threads = args.threads, .processes = args.processes },
		.view = args.view,
	};
	char why[512];
	int err;

	memset(&side->report, 0, sizeof(side->report));
	side->profile = pln_report_open(path, false, side->path, sizeof(side->path));
	if (!side->profile)
		return PLN_EXIT_FAILURE;
	err = pln_report_build(&side->report, side->profile, side->path, &what);
	if (err) {
		pln_cli_message("%s: cannot read: %s", side->path, strerror(-err));
		return PLN_EXIT_FAILURE;
	}
	if (pln_report_has_any(&side->report))
		return PLN_EXIT_OK;
	pln_report_explain_empty(&side->report, why, sizeof(why));
	pln_cli_message("%s: %s", side->path, why);
	return PLN_EXIT_NO_SAMPLES;
}

static void close_side(struct side *side)
{
	pln_report_free(&side->report);
	pln_profile_close(side->profile);
}

int pln_cmd_diff(int argc, char **argv)
{
	static struct side a, b;
	struct pln_diff_options what = { .absolute = false };
	struct pln_operands operands;
	int status = pln_cli_parse(&verb, argc, argv, &operands);

	if (status < 0)
		status = check_arguments(&operands, &what);
	if (status >= 0)
		return status;
	status = open_side(&a, operands.value[0]);
	if (status == PLN_EXIT_OK)
		status = open_side(&b, operands.value[1]);
	if (status == PLN_EXIT_OK)
		status = compare(&a.report, &b.report, &what);
	close_side(&a);
	close_side(&b);
	return status;
}
