/* SPDX-License-Identifier: MIT */
/*
 * html.c - `pillion html`: options, the name of the page, and the order of the work.
 */
#include "html/html.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/shared_options.h"
#include "cli/write.h"

static struct {
	const char *output;
	const char *title;
	const char *threads;
	const char *processes;
	bool force;
	bool no_source;
	bool no_symbolize;
} args;

static const struct pln_option options[] = {
	PLN_OPTION_OUTPUT(&args.output),
	PLN_OPTION_FORCE(&args.force),
	{ .type = PLN_OPTION_TEXT,
	  .name = "title",
	  .metavar = "TEXT",
	  .help = "heading of the page; default: the command that was recorded",
	  .to = &args.title },
	{ .type = PLN_OPTION_FLAG,
	  .name = "no-source",
	  .help = "leave source files and instructions out: lines have their numbers alone",
	  .to = &args.no_source },
	{ .type = PLN_OPTION_GROUP, .help = "What to show" },
	PLN_OPTION_THREADS(&args.threads),
	PLN_OPTION_PROCESSES(&args.processes),
	PLN_OPTION_NO_SYMBOLIZE(&args.no_symbolize),
};

static const char *const examples[] = {
	"pillion html app.pillion                # app.html: open it in any browser",
	"pillion html --no-source -o /tmp/to-send.html app.pillion",
	"pillion html --thread worker --title 'Workers, Monday' app.pillion",
	NULL,
};

static const struct pln_verb verb = {
	.name = "html",
	.usage = "[options] [FILE]",
	.summary = "Write a profile as one page to look at in a browser, offline.",
	.options = options,
	.option_count = sizeof(options) / sizeof(*options),
	.examples = examples,
};

static int write_page(FILE *out, const void *report)
{
	const struct pln_report *r = report;
	const struct pln_html_options page = {
		.title = args.title,
		.filter = r->options.filter,
		.no_source = args.no_source,
	};

	return pln_html_write(r, &page, out);
}

/* A profile that has memory alone is worth a page, too. */
static bool has_any(const struct pln_report *report)
{
	return report->aggregate.quality.samples || report->heap.samples;
}

static int make_page(struct pln_profile *profile, const char *path, const char *target)
{
	const struct pln_report_options what = {
		.filter = { .threads = args.threads, .processes = args.processes },
		.view = PLN_VIEW_CPU,
	};
	struct pln_report report;
	int err = pln_report_build(&report, profile, path, &what);
	int status = PLN_EXIT_NO_SAMPLES;
	char why[512];

	if (err) {
		status = pln_cli_cannot_read(path, err);
	} else if (!has_any(&report)) {
		pln_report_explain_empty(&report, why, sizeof(why));
		pln_cli_message("%s: %s", path, why);
	} else {
		status = pln_cli_write(target, args.force, write_page, &report);
	}
	pln_report_free(&report);
	return status;
}

int pln_cmd_html(int argc, char **argv)
{
	struct pln_operands operands;
	struct pln_profile *profile;
	char path[PATH_MAX], target[PATH_MAX];
	int status = pln_cli_parse(&verb, argc, argv, &operands);

	if (status < 0 && operands.count > 1)
		status = pln_cli_usage_error(&verb, "one profile at a time, not also %s",
					     operands.value[1]);
	if (status >= 0)
		return status;
	profile = pln_report_open(operands.count ? operands.value[0] : NULL, args.no_symbolize,
				  path, sizeof(path));
	if (!profile)
		return PLN_EXIT_FAILURE;
	if (!args.output && pln_cli_name_beside(path, ".html", target, sizeof(target))) {
		pln_cli_message("%s: %s; name the output with -o", path, strerror(ENAMETOOLONG));
		status = PLN_EXIT_FAILURE;
	} else {
		status = make_page(profile, path, args.output ? args.output : target);
	}
	pln_profile_close(profile);
	return status;
}
