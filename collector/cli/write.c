/* SPDX-License-Identifier: MIT */
/*
 * write.c - see write.h.
 */
#include "cli/write.h"

#include <errno.h>
#include <string.h>

#include "cli/cli.h"
#include "export/output.h"

int pln_cli_name_beside(const char *profile, const char *suffix, char *buffer, size_t size)
{
	size_t stem = strlen(profile);
	int used;

	if (stem > 8 && !strcmp(profile + stem - 8, ".pillion"))
		stem -= 8;
	used = snprintf(buffer, size, "%.*s%s", (int)stem, profile, suffix);
	return (size_t)used < size ? 0 : -ENAMETOOLONG;
}

static int fill(struct pln_export_output *output, int (*write)(FILE *, const void *),
		const void *arg)
{
	int err = write(output->file, arg);

	if (!err)
		return pln_export_output_commit(output);
	pln_export_output_abandon(output);
	return err;
}

bool pln_cli_may_write(const char *path, bool replace)
{
	if (replace || !pln_export_output_is_taken(path))
		return true;
	pln_cli_message("%s is there already; --force replaces it, -o names another", path);
	return false;
}

int pln_cli_write(const char *path, bool replace, int (*write)(FILE *, const void *),
		  const void *arg)
{
	struct pln_export_output output;
	int err;

	if (!pln_cli_may_write(path, replace))
		return PLN_EXIT_FAILURE;
	err = pln_export_output_open(&output, path, replace);
	if (!err)
		err = fill(&output, write, arg);
	if (err) {
		pln_cli_message("%s: cannot write: %s; -o names another place", path,
				strerror(-err));
		return PLN_EXIT_FAILURE;
	}
	if (strcmp(path, "-"))
		pln_cli_message("wrote %s", path);
	return PLN_EXIT_OK;
}

int pln_cli_cannot_read(const char *path, int err)
{
	pln_cli_message("%s: cannot read: %s", path, strerror(-err));
	return PLN_EXIT_FAILURE;
}
