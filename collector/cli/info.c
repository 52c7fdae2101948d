/* SPDX-License-Identifier: MIT */
/*
 * info.c - `pillion info`: options, and the order of the work.
 */
#include <limits.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/pager.h"
#include "cli/shared_options.h"
#include "cli/write.h"
#include "report/report.h"

static struct {
	unsigned color; /* enum pln_color */
	bool json;
	bool no_symbolize;
	bool pager;
} args = { .pager = true };

static const struct pln_option options[] = {
	{ .type = PLN_OPTION_FLAG,
	  .name = "json",
	  .letter = 'j',
	  .help = "everything as JSON",
	  .to = &args.json },
	PLN_OPTION_COLOR(&args.color),
	PLN_OPTION_PAGER(&args.pager),
	PLN_OPTION_NO_SYMBOLIZE(&args.no_symbolize),
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
	struct pln_pager pager;
	int err = pln_report_build(&report, profile, path, &everything);

	if (err) {
		pln_report_free(&report);
		return pln_cli_cannot_read(path, err);
	}
	pln_pager_open(&pager, args.pager && !args.json);
	if (args.json) {
		pln_info_print_json(&report, pager.out);
	} else {
		struct pln_screen screen = pln_report_screen(args.color);

		screen.out = pager.out;
		pln_info_print_text(&report, &screen);
	}
	pln_report_free(&report);
	err = pln_pager_close(&pager);
	return err ? pln_cli_cannot_print(err) : PLN_EXIT_OK;
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
