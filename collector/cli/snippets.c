/* SPDX-License-Identifier: MIT */
/*
 * snippets.c - see snippets.h. Each form has its own way to quote, and percent signs, which
 * names of profiles have, mean something to systemd.
 */
#include "cli/snippets.h"

#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/variables.h"
#include "ingest/quote.h"

#define IN_CONTAINER "/pillion/libpillion.so"
#define CONTAINER_OUTPUT "/profiles/%h.%p.pillion"

const char *const pln_snippet_names[] = { "sh", "docker", "k8s", "systemd", NULL };

typedef void (*put_variable)(FILE *out, const char *name, const char *value);

static void put_sh(FILE *out, const char *name, const char *value)
{
	char *quoted = pln_quote_words(&value, 1);

	fprintf(out, "export %s=%s\n", name, quoted ? quoted : "");
	free(quoted);
}

static void put_docker(FILE *out, const char *name, const char *value)
{
	char *quoted = pln_quote_words(&value, 1);

	fprintf(out, "    -e %s=%s \\\n", name, quoted ? quoted : "");
	free(quoted);
}

/* In double quotes; `percent`: what a percent sign becomes. */
static void put_quoted(FILE *out, const char *value, const char *percent)
{
	for (; *value; value++) {
		if (*value == '%')
			fputs(percent, out);
		else if (*value == '"' || *value == '\\')
			fprintf(out, "\\%c", *value);
		else
			fputc(*value, out);
	}
}

static void put_k8s(FILE *out, const char *name, const char *value)
{
	fprintf(out, "        - { name: %s, value: \"", name);
	put_quoted(out, value, "%");
	fputs("\" }\n", out);
}

static void put_systemd(FILE *out, const char *name, const char *value)
{
	fprintf(out, "Environment=\"%s=", name);
	put_quoted(out, value, "%%");
	fputs("\"\n", out);
}

/* Those that are set now, and where the profile goes when nothing says so. */
static void put_variables(FILE *out, put_variable put, const char *output)
{
	const char *socket = getenv("PILLION_SOCKET");
	const char *set = getenv("PILLION_OUTPUT");

	if (!(socket && *socket) && !(set && *set))
		put(out, "PILLION_OUTPUT", output);
	for (unsigned id = 0; id < PLN_VARIABLE_COUNT; id++) {
		const char *value = getenv(pln_variables[id].name);

		if (value && *value && pln_variables[id].type != PLN_VARIABLE_SECRET)
			put(out, pln_variables[id].name, value);
	}
}

static void print_sh(FILE *out, const char *library)
{
	char *quoted = pln_quote_words(&library, 1);

	fprintf(out, "export LD_PRELOAD=%s\"${LD_PRELOAD:+:$LD_PRELOAD}\"\n", quoted ? quoted : "");
	free(quoted);
	put_variables(out, put_sh, "%e.%p.pillion");
}

/* Where the library in the container will look for what it starts. */
static bool has_collector(const char *directory)
{
	char path[PATH_MAX];

	return snprintf(path, sizeof(path), "%s/pillion", directory) < (int)sizeof(path) &&
	       !access(path, X_OK);
}

static void print_docker(FILE *out, const char *directory)
{
	bool whole = has_collector(directory);

	fprintf(out,
		"docker run \\\n"
		"    -v %s:/pillion:ro -v \"$PWD/profiles\":/profiles \\\n",
		whole ? directory : "PILLION");
	put_docker(out, "LD_PRELOAD", IN_CONTAINER);
	put_variables(out, put_docker, CONTAINER_OUTPUT);
	fputs("    IMAGE\n", out);
	if (!whole)
		pln_cli_message("PILLION: %s has no pillion beside the library, and would record "
				"nothing; name a directory with the unpacked archive for "
				"containers (cmake --preset container)",
				directory);
}

static void print_k8s(FILE *out)
{
	fputs("spec:\n"
	      "  volumes:\n"
	      "    - { name: pillion, emptyDir: {} }\n"
	      "    - { name: profiles, emptyDir: {} }\n"
	      "  initContainers:\n"
	      "    - name: pillion # an image with pillion and libpillion.so in /pillion\n"
	      "      image: PILLION_IMAGE\n"
	      "      command: [ cp, -r, /pillion/., /mnt ]\n"
	      "      volumeMounts: [ { name: pillion, mountPath: /mnt } ]\n"
	      "  containers:\n"
	      "    - name: APP\n"
	      "      env:\n",
	      out);
	put_k8s(out, "LD_PRELOAD", IN_CONTAINER);
	put_variables(out, put_k8s, CONTAINER_OUTPUT);
	fputs("      volumeMounts:\n"
	      "        - { name: pillion, mountPath: /pillion, readOnly: true }\n"
	      "        - { name: profiles, mountPath: /profiles }\n",
	      out);
}

static void print_systemd(FILE *out, const char *library)
{
	fputs("[Service]\nStateDirectory=pillion\n", out);
	put_systemd(out, "LD_PRELOAD", library);
	put_variables(out, put_systemd, "/var/lib/pillion/%e.%p.pillion");
}

void pln_snippet_print(FILE *out, enum pln_snippet snippet, const char *library)
{
	char *directory = strdup(library);
	char *slash = directory ? strrchr(directory, '/') : NULL;

	if (slash)
		*slash = '\0';
	switch (snippet) {
	case PLN_SNIPPET_SH:
		print_sh(out, library);
		break;
	case PLN_SNIPPET_DOCKER:
		print_docker(out, directory ? directory : ".");
		break;
	case PLN_SNIPPET_K8S:
		print_k8s(out);
		break;
	case PLN_SNIPPET_SYSTEMD:
		print_systemd(out, library);
		break;
	case PLN_SNIPPET_COUNT:
		break;
	}
	free(directory);
}
