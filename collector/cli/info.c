/* SPDX-License-Identifier: MIT */
/*
 * info.c - `pillion info`: options, and the order of the work.
 */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "cli/cli.h"
#include "report/report.h"

static struct {
	unsigned color; /* enum pln_color */
	bool json;
	bool no_symbolize;
} args;

static const struct pln_option options[] = {
	{ .type = PLN_OPTION_FLAG,
	  .name = "json",
	  .letter = 'j',
	  .help = "everything as JSON",
	  .to = &args.json },
	{ .type = PLN_OPTION_CHOICE,
	  .name = "color",
	  .metavar = "WHEN",
	  .help = "auto (default), always or never",
	  .to = &args.color,
	  .choices = pln_color_choices },
	{ .type = PLN_OPTION_FLAG,
	  .name = "no-symbolize",
	  .help = "do not look for symbols that the profile lacks",
	  .to = &args.no_symbolize },
};

static const char *const examples[] = {
	"pillion info                  # the newest profile here",
	"pillion info --json app.pillion | jq .quality.drops",
	NULL,
};

static const struct pln_verb verb = {
	.name = "info",
	.usage = "[options] [FILE]",
	.summary = "Tell what a profile holds, how it was taken, what it cost, and what it lacks.",
	.options = options,
	.option_count = sizeof(options) / sizeof(*options),
	.examples = examples,
};

static int print(struct pln_profile *profile, const char *path)
{
	const struct pln_report_options everything = { .view = PLN_VIEW_CPU };
	struct pln_report report;
	int err = pln_report_build(&report, profile, path, &everything);

	if (err) {
		pln_cli_message("%s: cannot read: %s", path, strerror(-err));
	} else if (args.json) {
		pln_info_print_json(&report, stdout);
	} else {
		struct pln_screen screen = pln_report_screen(args.color);

		pln_info_print_text(&report, &screen);
	}
	pln_report_free(&report);
	if (err)
		return PLN_EXIT_FAILURE;
	if (fflush(stdout) || ferror(stdout)) {
		pln_cli_message("cannot write: %s", strerror(errno));
		return PLN_EXIT_FAILURE;
	}
	return PLN_EXIT_OK;
}

int pln_cmd_info(int argc, char **argv)
{
	struct pln_operands operands;
	struct pln_profile *profile;
	char path[PATH_MAX];
	int status = pln_cli_parse(&verb, argc, argv, &operands);

	if (status >= 0)
		return status;
	if (operands.count > 1)
		return pln_cli_usage_error(&verb, "one profile at a time, not also %s",
					   operands.value[1]);
	profile = pln_report_open(operands.count ? operands.value[0] : NULL, args.no_symbolize,
				  path, sizeof(path));
	if (!profile)
		return PLN_EXIT_FAILURE;
	status = print(profile, path);
	pln_profile_close(profile);
	return status;
}
