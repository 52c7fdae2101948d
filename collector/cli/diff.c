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
#include "cli/write.h"
#include "html/html.h"

#define LIMIT_UNSET UINT64_MAX
#define LIMIT_TEXT 10

enum format { FORMAT_TEXT = 0, FORMAT_JSON, FORMAT_FOLDED, FORMAT_HTML };
static const char *const formats[] = { "text", "json", "folded", "html", NULL };

static struct {
	const char *threads;
	const char *processes;
	const char *fail_on;
	const char *output;
	const char *title;
	unsigned view; /* enum pln_view */
	unsigned format; /* enum format */
	unsigned color; /* enum pln_color */
	uint64_t limit;
	bool absolute;
	bool force;
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
	  .choices = pln_amount_view_names },
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
	  .help = "text (default), json, html: a page, or folded: for flamegraph.pl",
	  .to = &args.format,
	  .choices = formats },
	{ .type = PLN_OPTION_FLAG,
	  .name = "json",
	  .letter = 'j',
	  .help = "as -f json; all rows unless --limit says otherwise",
	  .to = &args.json },
	{ .type = PLN_OPTION_TEXT,
	  .name = "output",
	  .letter = 'o',
	  .metavar = "OUT",
	  .help = "where it goes; default: stdout, of html B's name with .diff.html",
	  .to = &args.output },
	{ .type = PLN_OPTION_FLAG,
	  .name = "force",
	  .rare = true,
	  .help = "replace the output when it is there already",
	  .to = &args.force },
	{ .type = PLN_OPTION_TEXT,
	  .name = "title",
	  .rare = true,
	  .metavar = "TEXT",
	  .help = "heading of the page; default: the names of both profiles",
	  .to = &args.title },
	PLN_OPTION_ROWS(&args.limit),
	PLN_OPTION_COLOR(&args.color),
	PLN_OPTION_PAGER(&args.pager),
};

static const char *const examples[] = {
	"pillion diff before.pillion after.pillion",
	"pillion diff --fail-on 5% main.pillion branch.pillion  # in CI",
	"pillion diff -f html before.pillion after.pillion      # after.diff.html",
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
	if (args.fail_on && !parse_percent(args.fail_on, &what->fail_on))
		return pln_cli_usage_error(
			&verb, "--fail-on wants a percentage, such as 5%%, not %s", args.fail_on);
	if (args.json)
		args.format = FORMAT_JSON;
	if (args.title && args.format != FORMAT_HTML)
		return pln_cli_usage_error(&verb, "--title is for the page: -f html");
	what->fails = args.fail_on != NULL;
	what->absolute = args.absolute;
	what->limit = args.limit != LIMIT_UNSET	   ? args.limit
		      : args.format == FORMAT_TEXT ? LIMIT_TEXT
						   : 0;
	return -1;
}

/* ----------------------------------------------------------------------- print */

/* Standard output has what is read there, unless another place is named. */
static bool goes_to_stdout(void)
{
	return args.output ? !strcmp(args.output, "-") : args.format != FORMAT_HTML;
}

/* A file is no terminal, whatever stdout is. */
static int print(FILE *out, const void *arg)
{
	const struct pln_diff *diff = arg;
	struct pln_screen screen;

	switch ((enum format)args.format) {
	case FORMAT_JSON:
		pln_diff_json(diff, out);
		return 0;
	case FORMAT_FOLDED:
		return pln_diff_folded(diff, out);
	case FORMAT_HTML:
		return pln_html_diff_write(diff, args.title, out);
	case FORMAT_TEXT:
		screen = pln_report_screen(!goes_to_stdout() && args.color == PLN_COLOR_AUTO
						   ? PLN_COLOR_NEVER
						   : args.color);
		screen.out = out;
		pln_diff_text(diff, &screen);
		return 0;
	}
	return 0;
}

static int print_on_stdout(const struct pln_diff *diff)
{
	struct pln_pager pager;
	int err, close_err;

	pln_pager_open(&pager, args.pager && args.format == FORMAT_TEXT);
	err = print(pager.out, diff);
	close_err = pln_pager_close(&pager);
	if (close_err)
		return pln_cli_cannot_print(close_err);
	if (!err)
		return PLN_EXIT_OK;
	pln_cli_message("cannot compare: %s", strerror(-err));
	return PLN_EXIT_FAILURE;
}

/* A page is a file of its own, named after B. */
static int show(const struct pln_diff *diff)
{
	const char *b = diff->side[PLN_DIFF_B]->path;
	char beside[PATH_MAX];

	if (goes_to_stdout())
		return print_on_stdout(diff);
	if (!args.output && pln_cli_name_beside(b, ".diff.html", beside, sizeof(beside))) {
		pln_cli_message("%s: %s; name the output with -o", b, strerror(ENAMETOOLONG));
		return PLN_EXIT_FAILURE;
	}
	return pln_cli_write(args.output ? args.output : beside, args.force, print, diff);
}

static int compare(const struct pln_report *a, const struct pln_report *b,
		   const struct pln_diff_options *what)
{
	struct pln_diff diff;
	int err = pln_diff_build(&diff, a, b, what), status = PLN_EXIT_FAILURE;

	if (err)
		pln_cli_message("cannot compare: %s", strerror(-err));
	else
		status = show(&diff);
	if (status == PLN_EXIT_OK && (diff.failed || diff.whole_failed)) {
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
