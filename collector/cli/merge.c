/* SPDX-License-Identifier: MIT */
/*
 * merge.c - `pillion merge`: options, and the order of the work.
 */
#include "diff/merge.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/cli.h"
#include "cli/socket.h"
#include "export/output.h"
#include "report/report.h"

static struct {
	const char *output;
	bool force;
	bool quiet;
} args;

static const struct pln_option options[] = {
	{ .type = PLN_OPTION_TEXT,
	  .name = "output",
	  .letter = 'o',
	  .metavar = "FILE",
	  .help = "the profile to write",
	  .to = &args.output },
	{ .type = PLN_OPTION_FLAG,
	  .name = "force",
	  .letter = 'f',
	  .help = "overwrite a file that exists",
	  .to = &args.force },
	{ .type = PLN_OPTION_FLAG,
	  .name = "quiet",
	  .letter = 'q',
	  .help = "print nothing but errors",
	  .to = &args.quiet },
};

static const char *const examples[] = {
	"pillion merge -o all.pillion pod-*.pillion",
	NULL,
};

static const struct pln_verb verb = {
	.name = "merge",
	.usage = "[options] -o FILE PROFILE...",
	.summary = "Write one profile of several: all of their processes, each as it was.",
	.options = options,
	.option_count = sizeof(options) / sizeof(*options),
	.examples = examples,
};

static int write_merged(struct pln_export_output *output, const struct pln_merge_input *inputs,
			size_t count, uint64_t *lost)
{
	int fd = fileno(output->file);
	/* What is its owner's alone in each of them stays so. */
	int err = fchmod(fd, S_IRUSR | S_IWUSR) ? -errno : 0;

	if (!err)
		err = pln_merge(fd, inputs, count, lost);
	if (!err)
		return pln_export_output_commit(output);
	pln_export_output_abandon(output);
	return err;
}

static int merge(const struct pln_merge_input *inputs, size_t count)
{
	struct pln_export_output output;
	uint64_t lost = 0;
	int err = pln_export_output_open(&output, args.output, args.force);

	if (err == -EEXIST) {
		pln_cli_message("%s is there already; --force replaces it, -o names another",
				args.output);
		return PLN_EXIT_FAILURE;
	}
	if (!err && output.direct) {
		pln_export_output_abandon(&output);
		pln_cli_message("%s: a profile is written to a file", args.output);
		return PLN_EXIT_FAILURE;
	}
	if (!err)
		err = write_merged(&output, inputs, count, &lost);
	if (err) {
		pln_cli_message("%s: cannot write: %s; -o names another place", args.output,
				strerror(-err));
		return PLN_EXIT_FAILURE;
	}
	if (lost)
		pln_cli_message("%s: %llu samples could not be taken over", args.output,
				(unsigned long long)lost);
	if (!args.quiet)
		pln_cli_message("wrote %s: %zu profile%s", args.output, count,
				count == 1 ? "" : "s");
	return lost ? PLN_EXIT_FAILURE : PLN_EXIT_OK;
}

/* Says what is wrong with an input that can be read all the same. */
static void tell_state(const struct pln_merge_input *input)
{
	const struct pln_profile *p = input->profile;

	if (p->recording.truncated || p->bad_bytes)
		pln_cli_message("%s: the last %llu bytes cannot be read; what is before is taken",
				input->path, (unsigned long long)p->bad_bytes);
	else if (!p->recording.complete && !args.quiet)
		pln_cli_message("%s: is still being recorded, or its collector was killed; what is "
				"there is taken",
				input->path);
}

static int open_inputs(struct pln_merge_input *inputs, const struct pln_operands *operands)
{
	for (int i = 0; i < operands->count; i++) {
		char path[PATH_MAX];

		inputs[i].path = operands->value[i];
		inputs[i].profile = pln_report_open(operands->value[i], false, path, sizeof(path));
		if (!inputs[i].profile)
			return PLN_EXIT_FAILURE;
		tell_state(&inputs[i]);
	}
	return PLN_EXIT_OK;
}

int pln_cmd_merge(int argc, char **argv)
{
	struct pln_merge_input *inputs;
	struct pln_operands operands;
	int status = pln_cli_parse(&verb, argc, argv, &operands);

	if (status < 0 && !args.output)
		status = pln_cli_usage_error(&verb, "where to? -o names the profile to write");
	else if (status < 0 && !operands.count)
		status = pln_cli_usage_error(&verb, "there are no profiles to merge");
	if (status >= 0)
		return status;
	pln_socket_raise_fd_limit();
	inputs = calloc((size_t)operands.count, sizeof(*inputs));
	if (!inputs) {
		pln_cli_message("%s", strerror(ENOMEM));
		return PLN_EXIT_FAILURE;
	}
	status = open_inputs(inputs, &operands);
	if (status == PLN_EXIT_OK)
		status = merge(inputs, (size_t)operands.count);
	for (int i = 0; i < operands.count; i++)
		pln_profile_close(inputs[i].profile);
	free(inputs);
	return status;
}
