/* SPDX-License-Identifier: MIT */
/*
 * export.c - `pillion export`: options, the name of the output, and the order of the work.
 *
 * Views of time go through the report's own sums, views of memory through export/blocks.c.
 */
#include "export/export.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/shared_options.h"
#include "cli/write.h"
#include "report/names.h"
#include "report/report.h"

#define FORMATS_MAX 16u

static const char *format_names[FORMATS_MAX + 1]; /* those of pln_export_formats[] */

#define FORMAT_UNSET UINT_MAX
#define VIEW_UNSET UINT_MAX

static struct {
	unsigned format; /* index of pln_export_formats[] */
	const char *output;
	const char *threads;
	const char *processes;
	unsigned view; /* enum pln_view */
	bool blocks;
	bool lines;
	bool annotate;
	bool force;
	bool no_symbolize;
} args = { .format = FORMAT_UNSET, .view = VIEW_UNSET };

static const struct pln_option options[] = {
	{ .type = PLN_OPTION_CHOICE,
	  .name = "format",
	  .letter = 'f',
	  .metavar = "FORMAT",
	  .help = "folded (flamegraph.pl), svg (a flame graph), pprof (go tool pprof, Pyroscope), "
		  "speedscope, firefox (profiler.firefox.com), pstats (snakeviz, gprof2dot), "
		  "callgrind (KCachegrind), cpuprofile (VS Code), lines (JSON), csv (functions), "
		  "timeline (memory over time)",
	  .to = &args.format,
	  .choices = format_names },
	PLN_OPTION_OUTPUT(&args.output),
	PLN_OPTION_FORCE(&args.force),
	{ .type = PLN_OPTION_GROUP, .help = "What to export" },
	{ .type = PLN_OPTION_CHOICE,
	  .name = "view",
	  .letter = 'w',
	  .metavar = "VIEW",
	  .help = "time: cpu (default), wall, offcpu or gil; memory: allocated, live (at the "
		  "end), peak or temporary (freed within 1 ms)",
	  .to = &args.view,
	  .choices = pln_amount_view_names },
	{ .type = PLN_OPTION_FLAG,
	  .name = "blocks",
	  .letter = 'b',
	  .help = "memory: count blocks, not bytes (pprof has both)",
	  .to = &args.blocks },
	PLN_OPTION_THREADS(&args.threads),
	PLN_OPTION_PROCESSES(&args.processes),
	{ .type = PLN_OPTION_FLAG,
	  .name = "lines",
	  .rare = true,
	  .letter = 'l',
	  .help = "keep the lines of a function apart (pprof always does)",
	  .to = &args.lines },
	{ .type = PLN_OPTION_FLAG,
	  .name = "annotate",
	  .rare = true,
	  .help = "folded: end Python frames in _[py] and native ones in _[n]",
	  .to = &args.annotate },
	PLN_OPTION_NO_SYMBOLIZE(&args.no_symbolize),
};

static const char *const examples[] = {
	"pillion export -f speedscope app.pillion      # app.cpu.speedscope.json",
	"pillion export -f pprof app.pillion && go tool pprof -http : app.pb.gz",
	"pillion export -f svg -w wall -o app.svg app.pillion && xdg-open app.svg",
	"pillion export -f pprof -w live app.pillion && pprof -top app.live.pb.gz",
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

static const struct pln_export_format *format(void)
{
	return &pln_export_formats[args.format];
}

/* Of files that are of one view, its name: ".cpu", ".live", ".cpu-ns". */
static void name_view(char *buffer, size_t size)
{
	enum pln_export_scope scope = format()->scope;
	bool of_memory = pln_view_is_heap(args.view);
	const char *unit = !of_memory ? "-ns" : args.blocks ? "-blocks" : "-bytes";

	*buffer = '\0';
	if (scope == PLN_EXPORT_ANY_VIEW || scope == PLN_EXPORT_TIME_VIEW ||
	    (scope == PLN_EXPORT_TIMES && of_memory))
		snprintf(buffer, size, ".%s%s", pln_amount_view_names[args.view],
			 format()->unit_in_name ? unit : "");
}

/*
 * app.pillion -> app.cpu-ns.folded, app.pb.gz, app.cpu.speedscope.json; app.live-bytes.folded,
 * app.live.pb.gz, app.live.speedscope.json; app.lines.json. Returns 0 or -ENAMETOOLONG.
 */
static int name_output(const char *profile, char *buffer, size_t size)
{
	char view[64], suffix[128];

	name_view(view, sizeof(view));
	snprintf(suffix, sizeof(suffix), "%s%s", view, format()->suffix);
	return pln_cli_name_beside(profile, suffix, buffer, size);
}

static int write_format(FILE *out, const void *export)
{
	return format()->write(export, out);
}

static int write_output(const struct pln_export *export, const char *path)
{
	return pln_cli_write(path, args.force, write_format, export);
}

static int export_time(struct pln_export *export, const char *path, const char *output)
{
	const struct pln_report_options what = {
		.filter = { .threads = args.threads, .processes = args.processes },
		.view = args.view,
	};
	struct pln_report report;
	int err = pln_report_build(&report, export->profile, path, &what);
	int status = PLN_EXIT_NO_SAMPLES;
	char why[512];

	if (err) {
		status = pln_cli_cannot_read(path, err);
	} else if (!report.totals.all.ns) {
		pln_report_explain_empty(&report, why, sizeof(why));
		pln_cli_message("%s: %s", path, why);
	} else {
		export->view = what.view;
		export->aggregate = &report.aggregate;
		status = write_output(export, output);
	}
	pln_report_free(&report);
	return status;
}

static const char *why_no_blocks(const struct pln_profile *profile)
{
	if (!profile->block_count)
		return "no allocation was sampled; record with --memory sample, and with a shorter "
		       "--alloc-interval when the program allocates little";
	if (args.threads || args.processes)
		return "no sampled allocation of this view is of the threads or processes asked "
		       "for; `pillion info` lists them";
	return "no sampled allocation is of this view; try --view allocated";
}

static int export_memory(struct pln_export *export, const char *path, const char *output)
{
	const struct pln_filter filter = { .threads = args.threads, .processes = args.processes };
	struct pln_export_blocks blocks = { .sum = 0 };
	struct pln_aggregate kept;
	int err = pln_aggregate_samples(&kept, export->profile, &filter);
	int status = PLN_EXIT_NO_SAMPLES;

	if (!err)
		err = pln_export_blocks_sum(&blocks, &kept, args.view - PLN_VIEW_ALLOCATED,
					    args.blocks);
	if (err) {
		status = pln_cli_cannot_read(path, err);
	} else if (!blocks.sum) {
		pln_cli_message("%s: %s", path, why_no_blocks(export->profile));
	} else {
		export->view = PLN_VIEW_CPU;
		export->blocks = &blocks;
		export->aggregate = &blocks.aggregate;
		status = write_output(export, output);
	}
	pln_export_blocks_free(&blocks);
	pln_aggregate_free(&kept);
	return status;
}

static bool has_points(const struct pln_profile *profile, const struct pln_filter *filter)
{
	for (size_t i = 0; i < profile->heap_point_count; i++)
		if (pln_filter_keeps_process(filter,
					     &profile->processes[profile->heap_points[i].process]))
			return true;
	return false;
}

static int export_timeline(struct pln_export *export, const char *path, const char *output)
{
	const struct pln_filter filter = { .processes = args.processes };

	if (!has_points(export->profile, &filter)) {
		pln_cli_message("%s: %s", path,
				export->profile->heap_point_count
					? "memory was counted in other processes alone than those "
					  "asked for; `pillion info` lists them"
					: "memory was not counted for long enough; record with "
					  "--memory count, or sample");
		return PLN_EXIT_NO_SAMPLES;
	}
	export->filter = &filter;
	return write_output(export, output);
}

/* Whether there is anything in it that a table of all views can show. */
static bool has_any(const struct pln_aggregate *aggregate)
{
	for (size_t i = 0; i < aggregate->cell_count; i++)
		if (pln_cell_wall_ns(&aggregate->cells[i]))
			return true;
	for (size_t b = 0; b < aggregate->profile->block_count; b++)
		if (aggregate->thread_kept[aggregate->profile->blocks[b].thread])
			return true;
	return false;
}

static int export_all_views(struct pln_export *export, const char *path, const char *output)
{
	const struct pln_filter filter = { .threads = args.threads, .processes = args.processes };
	struct pln_aggregate kept;
	int err = pln_aggregate_samples(&kept, export->profile, &filter);
	int status = PLN_EXIT_NO_SAMPLES;

	if (err) {
		status = pln_cli_cannot_read(path, err);
	} else if (!has_any(&kept)) {
		pln_cli_message("%s: it has no samples, or none of the threads and processes asked "
				"for; `pillion info` lists them",
				path);
	} else {
		export->aggregate = &kept;
		status = write_output(export, output);
	}
	pln_aggregate_free(&kept);
	return status;
}

static int export_profile(struct pln_profile *profile, const char *path, const char *output)
{
	struct pln_export export = {
		.profile = profile,
		.name = pln_base_name(path),
		.annotate = args.annotate,
		.by_line = args.lines,
	};

	if (format()->scope == PLN_EXPORT_COUNTS)
		return export_timeline(&export, path, output);
	if (format()->scope == PLN_EXPORT_ALL_VIEWS)
		return export_all_views(&export, path, output);
	return pln_view_is_heap(args.view) ? export_memory(&export, path, output)
					   : export_time(&export, path, output);
}

static int which_format(void)
{
	char names[256] = "";
	size_t used = 0;

	for (unsigned f = 0; format_names[f] && used < sizeof(names); f++)
		used += (size_t)snprintf(names + used, sizeof(names) - used, "%s%s", f ? ", " : "",
					 format_names[f]);
	return pln_cli_usage_error(&verb, "which format? -f with one of %s", names);
}

/* Returns -1, or the exit code after a complaint: what would change nothing is refused. */
static int check_view(void)
{
	bool has_no_view =
		format()->scope == PLN_EXPORT_ALL_VIEWS || format()->scope == PLN_EXPORT_COUNTS;

	if (args.view != VIEW_UNSET && has_no_view)
		return pln_cli_usage_error(&verb, "--view is of files of one view; %s has %s",
					   format()->name,
					   format()->scope == PLN_EXPORT_COUNTS ? "counts" : "all");
	if (args.view == VIEW_UNSET)
		args.view = PLN_VIEW_CPU;
	if (format()->scope == PLN_EXPORT_TIME_VIEW && pln_view_is_heap(args.view))
		return pln_cli_usage_error(&verb, "%s has views of time alone, not %s",
					   format()->name, pln_amount_view_names[args.view]);
	if (format()->scope == PLN_EXPORT_ALL_VIEWS && args.blocks)
		return pln_cli_usage_error(&verb, "%s has bytes, not blocks", format()->name);
	if (args.blocks && !pln_view_is_heap(args.view))
		return pln_cli_usage_error(&verb, "--blocks is of views of memory: -w live, ...");
	return -1;
}

static int check_arguments(const struct pln_operands *operands, const char *output)
{
	if (operands->count > 1)
		return pln_cli_usage_error(&verb, "one profile at a time, not also %s",
					   operands->value[1]);
	if (args.format == FORMAT_UNSET)
		return which_format();
	if (format()->scope == PLN_EXPORT_COUNTS && args.threads)
		return pln_cli_usage_error(&verb, "the timeline is of processes: use --process");
	if (args.lines && format()->without_lines)
		return pln_cli_usage_error(&verb, "--lines is of stacks with lines; %s has none",
					   format()->name);
	if (args.annotate && format()->write != pln_export_folded)
		return pln_cli_usage_error(&verb, "--annotate is of folded, not of %s",
					   format()->name);
	if (format()->binary && output && !strcmp(output, "-") && isatty(STDOUT_FILENO))
		return pln_cli_usage_error(&verb, "%s is binary, and stdout is a terminal",
					   format()->name);
	return check_view();
}

int pln_cmd_export(int argc, char **argv)
{
	struct pln_operands operands;
	struct pln_profile *profile;
	char path[PATH_MAX], output[PATH_MAX];
	int status;

	for (unsigned f = 0; f < FORMATS_MAX && pln_export_formats[f].name; f++)
		format_names[f] = pln_export_formats[f].name;
	status = pln_cli_parse(&verb, argc, argv, &operands);
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
