/* SPDX-License-Identifier: MIT */
/*
 * outcome.c - see outcome.h.
 */
#include "cli/outcome.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <pillion/kernel_clock.h>

#include "cli/cli.h"
#include "ingest/quote.h"
#include "report/table.h"

#define PATIENCE_NS 1000000000ull /* without a progress line */
#define REDRAW_NS 100000000ull

static double percent(uint64_t part, uint64_t whole)
{
	return whole ? 100.0 * (double)part / (double)whole : 0;
}

static const char *plural(uint64_t n, const char *one, const char *many)
{
	return n == 1 ? one : many;
}

/* Of a program that only waits it is a large part, and little: both are told. */
static void overhead_text(const struct pln_session_summary *sum, char *text, size_t size)
{
	char own[PLN_QUANTITY_SIZE], share[PLN_QUANTITY_SIZE], whole[PLN_QUANTITY_SIZE];

	pln_duration_text(own, sum->overhead_ns);
	if (sum->target_cpu_ns)
		snprintf(
			text, size, "%s of CPU (%s of its %s)", own,
			pln_share_text(share, (double)sum->overhead_ns, (double)sum->target_cpu_ns),
			pln_duration_text(whole, sum->target_cpu_ns));
	else
		snprintf(text, size, "%s of CPU", own);
}

static void print_result(const struct pln_session_summary *sum, const char *path, uint64_t wall_ns)
{
	char overhead[128];

	overhead_text(sum, overhead, sizeof(overhead));
	pln_cli_message("%" PRIu64 " %s of %" PRIu32 " %s, %" PRIu32 " %s; %" PRIu64 " dropped; "
			"overhead %s, collector %.2f %% of a CPU; %s (%" PRIu64 " KiB)",
			sum->samples, plural(sum->samples, "sample", "samples"), sum->processes,
			plural(sum->processes, "process", "processes"), sum->threads,
			plural(sum->threads, "thread", "threads"), sum->drops, overhead,
			percent(sum->collector_cpu_ns, wall_ns), path, (sum->bytes + 1023) / 1024);
}

static void print_write_error(const struct pln_session_summary *sum, const char *path)
{
	const char *why = strerror(-sum->write_error);
	char blocks[80] = "";

	if (sum->lost_blocks)
		snprintf(blocks, sizeof(blocks), " and %" PRIu64 " sampled allocations and frees",
			 sum->lost_blocks);
	if (sum->lost_samples || sum->lost_blocks)
		pln_cli_message("%s: %s: %" PRIu64 " of %" PRIu64 " samples%s could not be "
				"written; the others can be read; free some space, or choose "
				"another place with -o or PILLION_OUTPUT",
				path, why, sum->lost_samples, sum->lost_samples + sum->samples,
				blocks);
	else
		pln_cli_message("%s: %s: all samples are in the profile, but not all that belongs "
				"to them, such as symbols; free some space, or choose another "
				"place with -o or PILLION_OUTPUT",
				path, why);
}

static void print_warnings(const struct pln_session_summary *sum, const char *path)
{
	if (sum->write_error)
		print_write_error(sum, path);
	if (sum->refused_count)
		pln_cli_message("%" PRIu32 " %s could not be recorded: %s", sum->refused_count,
				plural(sum->refused_count, "process", "processes"), sum->refused);
	if (sum->nameless)
		pln_cli_message("%" PRIu32 " %s native frames without names: no descriptor was "
				"left for the files of so many containers; raise the limit "
				"(ulimit -n)",
				sum->nameless,
				plural(sum->nameless, "process has", "processes have"));
	if (sum->native_only)
		pln_cli_message("%" PRIu32 " %s recorded without Python frames: %s",
				sum->native_only,
				plural(sum->native_only, "process was", "processes were"),
				sum->native_only_why);
	if (sum->lost_records)
		pln_cli_message("%" PRIu64 " records made no sense and were left out; see pillion "
				"info",
				sum->lost_records);
}

/* /dev/null keeps nothing to report. */
static bool is_device(const char *path)
{
	struct stat st;

	return !stat(path, &st) && S_ISCHR(st.st_mode);
}

void pln_outcome_print(const struct pln_session_summary *sum, const char *path, uint64_t wall_ns,
		       bool quiet)
{
	char *quoted = pln_quote_words(&path, 1);

	pln_outcome_progress_end();
	print_warnings(sum, path);
	if (!quiet) {
		print_result(sum, path, wall_ns);
		if (!is_device(path))
			pln_cli_message("next: pillion report %s", quoted ? quoted : path);
	}
	free(quoted);
}

/* ----------------------------------------------------------------- progress */

static uint64_t progress_since_ns;
static uint64_t progress_drawn_ns;

void pln_outcome_progress(size_t done, size_t total)
{
	uint64_t now = pln_kernel_clock_ns(CLOCK_MONOTONIC);

	if (!isatty(STDERR_FILENO))
		return;
	if (!progress_since_ns)
		progress_since_ns = now;
	if (now - progress_since_ns < PATIENCE_NS || now - progress_drawn_ns < REDRAW_NS)
		return;
	progress_drawn_ns = now;
	fprintf(stderr, "\rpillion: reading symbols: %3.0f %%", percent(done, total));
}

void pln_outcome_progress_end(void)
{
	if (progress_drawn_ns)
		fprintf(stderr, "\r%40s\r", "");
	progress_since_ns = progress_drawn_ns = 0;
}
