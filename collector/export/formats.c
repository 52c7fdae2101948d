/* SPDX-License-Identifier: MIT */
/*
 * formats.c - the formats, once: all that the command line needs to know of them.
 */
#include "export/export.h"

#include <errno.h>

const struct pln_export_format pln_export_formats[] = {
	{ .name = "folded",
	  .suffix = ".folded",
	  .scope = PLN_EXPORT_ANY_VIEW,
	  .unit_in_name = true,
	  .write = pln_export_folded },
	{ .name = "svg", .suffix = ".svg", .scope = PLN_EXPORT_ANY_VIEW, .write = pln_export_svg },
	{ .name = "pprof",
	  .suffix = ".pb.gz",
	  .scope = PLN_EXPORT_TIMES,
	  .binary = true,
	  .write = pln_export_pprof },
	{ .name = "speedscope",
	  .suffix = ".speedscope.json",
	  .scope = PLN_EXPORT_ANY_VIEW,
	  .write = pln_export_speedscope },
	{ .name = "firefox",
	  .suffix = ".firefox.json.gz",
	  .scope = PLN_EXPORT_TIME_VIEW,
	  .binary = true,
	  .write = pln_export_firefox },
	{ .name = "pstats",
	  .suffix = ".pstats",
	  .scope = PLN_EXPORT_TIME_VIEW,
	  .binary = true,
	  .without_lines = true,
	  .write = pln_export_pstats },
	{ .name = "callgrind",
	  .suffix = ".callgrind",
	  .scope = PLN_EXPORT_TIMES,
	  .write = pln_export_callgrind },
	{ .name = "cpuprofile",
	  .suffix = ".cpuprofile",
	  .scope = PLN_EXPORT_TIME_VIEW,
	  .write = pln_export_cpuprofile },
	{ .name = "lines",
	  .suffix = ".lines.json",
	  .scope = PLN_EXPORT_ALL_VIEWS,
	  .write = pln_export_lines },
	{ .name = "csv",
	  .suffix = ".functions.csv",
	  .scope = PLN_EXPORT_ALL_VIEWS,
	  .without_lines = true,
	  .write = pln_export_csv },
	{ .name = "timeline",
	  .suffix = ".memory.csv",
	  .scope = PLN_EXPORT_COUNTS,
	  .without_lines = true,
	  .write = pln_export_timeline },
	{ .name = NULL },
};

int pln_export_flush(FILE *out)
{
	/* Of an earlier write errno still tells, as what succeeds leaves it alone. */
	return fflush(out) || ferror(out) ? -(errno ? errno : EIO) : 0;
}
