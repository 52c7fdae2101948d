/* SPDX-License-Identifier: MIT */
/*
 * export.c - `pillion export`: options, the name of the output, and the order of the work.
 */
#include "export/export.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "export/output.h"
#include "report/names.h"
#include "report/report.h"

static const char *const format_names[] = { "folded", "pprof", "speedscope", NULL };
#define FORMAT_UNSET UINT_MAX

static struct {
	unsigned format; /* enum pln_export_format */
	const char *output;
	const char *threads;
	const char *processes;
	unsigned view; /* enum pln_view */
	bool lines;
	bool annotate;
	bool force;
	bool no_symbolize;
} args = { .format = FORMAT_UNSET };

static const struct pln_option options[] = {
	{ .type = PLN_OPTION_CHOICE,
	  .name = "format",
	  .letter = 'f',
	  .metavar = "FORMAT",
	  .help = "folded (flame graphs), pprof (go tool pprof and others) or speedscope",
	  .to = &args.format,
	  .choices = format_names },
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
	{ .type = PLN_OPTION_GROUP, .help = "What to export" },
	{ .type = PLN_OPTION_CHOICE,
	  .name = "view",
	  .letter = 'w',
	  .metavar = "VIEW",
	  .help = "cpu (default), wall, offcpu or gil, all in nanoseconds; pprof holds the first "
		  "three, and opens with this one",
	  .to = &args.view,
	  .choices = pln_view_names },
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
	  .name = "lines",
	  .letter = 'l',
	  .help = "keep the lines of a function apart (pprof always does)",
	  .to = &args.lines },
	{ .type = PLN_OPTION_FLAG,
	  .name = "annotate",
	  .help = "folded: end Python frames in _[py] and native ones in _[n]",
	  .to = &args.annotate },
	{ .type = PLN_OPTION_FLAG,
	  .name = "no-symbolize",
	  .help = "do not look for symbols that the profile lacks",
	  .to = &args.no_symbolize },
};

static const char *const examples[] = {
	"pillion export -f speedscope app.pillion      # app.cpu.speedscope.json",
	"pillion export -f pprof app.pillion && go tool pprof -http : app.pb.gz",
	"pillion export -f folded -w wall -o - app.pillion | flamegraph.pl >app.svg",
	NULL,
};

static const struct pln_verb verb = {
	.name = "export",
	.usage = "-f FORMAT [options] [FILE]",
	.summary = "Write a profile in the format of another tool.",
	.options = options,
	.option_count = sizeof(options) / sizeof(*options),
	.examples = examples,
};

/* app.pillion -> app.cpu-ns.folded, app.pb.gz, app.cpu.speedscope.json; 0 or -ENAMETOOLONG. */
static int name_output(const char *profile, char *buffer, size_t size)
{
	const char *view = pln_view_names[args.view];
	size_t stem = strlen(profile);
	int used;

	if (stem > 8 && !strcmp(profile + stem - 8, ".pillion"))
		stem -= 8;
	if (args.format == PLN_EXPORT_PPROF)
		used = snprintf(buffer, size, "%.*s.pb.gz", (int)stem, profile);
	else
		used = snprintf(buffer, size, "%.*s.%s%s", (int)stem, profile, view,
				args.format == PLN_EXPORT_FOLDED ? "-ns.folded"
								 : ".speedscope.json");
	return (size_t)used < size ? 0 : -ENAMETOOLONG;
}

static int write_format(const struct pln_export *export, FILE *out)
{
	switch (args.format) {
	case PLN_EXPORT_FOLDED:
		return pln_export_folded(export, out);
	case PLN_EXPORT_PPROF:
		return pln_export_pprof(export, out);
	default:
		return pln_export_speedscope(export, out);
	}
}

static int write_output(const struct pln_report *report, const char *path)
{
	const struct pln_export export = {
		.profile = report->profile,
		.aggregate = &report->aggregate,
		.name = pln_base_name(report->path),
		.view = args.view,
		.annotate = args.annotate,
		.by_line = args.lines,
	};
	struct pln_export_output output;
	int err = pln_export_output_open(&output, path, args.force);

	if (err == -EEXIST) {
		pln_cli_message("%s is there already; --force replaces it, -o names another", path);
		return PLN_EXIT_FAILURE;
	}
	if (!err) {
		err = write_format(&export, output.file);
		if (err)
			pln_export_output_abandon(&output);
		else
			err = pln_export_output_commit(&output);
	}
	if (err) {
		pln_cli_message("%s: cannot write: %s", path, strerror(-err));
		return PLN_EXIT_FAILURE;
	}
	if (strcmp(path, "-"))
		pln_cli_message("wrote %s", path);
	return PLN_EXIT_OK;
}

static int export_profile(struct pln_profile *profile, const char *path, const char *output)
{
	const struct pln_report_options what = {
		.filter = { .threads = args.threads, .processes = args.processes },
		.view = args.view,
	};
	struct pln_report report;
	int status = pln_report_build(&report, profile, path, &what);
	char why[512];

	if (status) {
		pln_cli_message("%s: cannot read: %s", path, strerror(-status));
		status = PLN_EXIT_FAILURE;
	} else if (!report.totals.all.ns) {
		pln_report_explain_empty(&report, why, sizeof(why));
		pln_cli_message("%s: %s", path, why);
		status = PLN_EXIT_NO_SAMPLES;
	} else {
		status = write_output(&report, output);
	}
	pln_report_free(&report);
	return status;
}

static int check_arguments(const struct pln_operands *operands, const char *output)
{
	if (operands->count > 1)
		return pln_cli_usage_error(&verb, "one profile at a time, not also %s",
					   operands->value[1]);
	if (args.format == FORMAT_UNSET)
		return pln_cli_usage_error(&verb,
					   "which format? -f folded, -f pprof or -f speedscope");
	if (args.format == PLN_EXPORT_PPROF && output && !strcmp(output, "-") &&
	    isatty(STDOUT_FILENO))
		return pln_cli_usage_error(&verb, "pprof is binary, and stdout is a terminal");
	return -1;
}

int pln_cmd_export(int argc, char **argv)
{
	struct pln_operands operands;
	struct pln_profile *profile;
	char path[PATH_MAX], output[PATH_MAX];
	int status = pln_cli_parse(&verb, argc, argv, &operands);

	if (status < 0)
		status = check_arguments(&operands, args.output);
	if (status >= 0)
		return status;
	profile = pln_report_open(operands.count ? operands.value[0] : NULL, args.no_symbolize,
				  path, sizeof(path));
	if (!profile)
		return PLN_EXIT_FAILURE;
	if (!args.output && name_output(path, output, sizeof(output))) {
		pln_cli_message("%s: %s; name the output with -o", path, strerror(ENAMETOOLONG));
		status = PLN_EXIT_FAILURE;
	} else {
		status = export_profile(profile, path, args.output ? args.output : output);
	}
	pln_profile_close(profile);
	return status;
}
