/* SPDX-License-Identifier: MIT */
/*
 * html.c - `pillion html`: options, the name of the page, and the order of the work.
 */
#include "html/html.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "cli/cli.h"
#include "export/output.h"

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
	{ .type = PLN_OPTION_TEXT,
	  .name = "output",
	  .letter = 'o',
	  .metavar = "OUT",
	  .help = "where it goes, - for stdout; default: next to the profile, named after it",
	  .to = &args.output },
	{ .type = PLN_OPTION_FLAG,
	  .name = "force",
	  .help = "replace the output when it is there already",
	  .to = &args.force },
	{ .type = PLN_OPTION_TEXT,
	  .name = "title",
	  .metavar = "TEXT",
	  .help = "heading of the page; default: the command that was recorded",
	  .to = &args.title },
	{ .type = PLN_OPTION_FLAG,
	  .name = "no-source",
	  .help = "leave the text of source files out: lines have their numbers alone",
	  .to = &args.no_source },
	{ .type = PLN_OPTION_GROUP, .help = "What to show" },
	{ .type = PLN_OPTION_TEXT,
	  .name = "thread",
	  .letter = 't',
	  .metavar = "NAME|TID",
	  .help = "only these threads: parts of the names of threads or of what they run, or "
		  "numbers; comma-separated",
	  .to = &args.threads },
	{ .type = PLN_OPTION_TEXT,
	  .name = "process",
	  .letter = 'p',
	  .metavar = "NAME|PID",
	  .help = "only these processes: parts of commands, or numbers",
	  .to = &args.processes },
	{ .type = PLN_OPTION_FLAG,
	  .name = "no-symbolize",
	  .rare = true,
	  .help = "do not look for symbols that the profile lacks",
	  .to = &args.no_symbolize },
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

/* app.pillion -> app.html. Returns 0 or -ENAMETOOLONG. */
static int name_output(const char *profile, char *buffer, size_t size)
{
	size_t stem = strlen(profile);
	int used;

	if (stem > 8 && !strcmp(profile + stem - 8, ".pillion"))
		stem -= 8;
	used = snprintf(buffer, size, "%.*s.html", (int)stem, profile);
	return (size_t)used < size ? 0 : -ENAMETOOLONG;
}

static int write_page(const struct pln_report *report, const char *target)
{
	const struct pln_html_options page = {
		.title = args.title,
		.filter = report->options.filter,
		.no_source = args.no_source,
	};
	struct pln_export_output output;
	int err = pln_export_output_open(&output, target, args.force);

	if (err == -EEXIST) {
		pln_cli_message("%s is there already; --force replaces it, -o names another",
				target);
		return PLN_EXIT_FAILURE;
	}
	if (!err) {
		err = pln_html_write(report, &page, output.file);
		if (err)
			pln_export_output_abandon(&output);
		else
			err = pln_export_output_commit(&output);
	}
	if (err) {
		pln_cli_message("%s: cannot write: %s", target, strerror(-err));
		return PLN_EXIT_FAILURE;
	}
	if (strcmp(target, "-"))
		pln_cli_message("wrote %s", target);
	return PLN_EXIT_OK;
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
		pln_cli_message("%s: cannot read: %s", path, strerror(-err));
		status = PLN_EXIT_FAILURE;
	} else if (!has_any(&report)) {
		pln_report_explain_empty(&report, why, sizeof(why));
		pln_cli_message("%s: %s", path, why);
	} else {
		status = write_page(&report, target);
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
	if (!args.output && name_output(path, target, sizeof(target))) {
		pln_cli_message("%s: %s; name the output with -o", path, strerror(ENAMETOOLONG));
		status = PLN_EXIT_FAILURE;
	} else {
		status = make_page(profile, path, args.output ? args.output : target);
	}
	pln_profile_close(profile);
	return status;
}
