/* SPDX-License-Identifier: MIT */
/*
 * fixture.c - see fixture.h.
 */
#include "fixture.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char directory[64];
static pid_t owner;

static void remove_directory(void)
{
	char command[128];

	if (getpid() != owner)
		return;
	snprintf(command, sizeof(command), "rm -rf '%s'", directory);
	if (system(command))
		fprintf(stderr, "%s is left behind\n", directory);
}

const char *fixture_dir(void)
{
	if (directory[0])
		return directory;
	strcpy(directory, "/tmp/pillion-symbols-XXXXXX");
	if (!mkdtemp(directory)) {
		perror("mkdtemp");
		exit(1);
	}
	owner = getpid();
	atexit(remove_directory);
	return directory;
}

const char *fixture_path(const char *name)
{
	static char paths[8][512];
	static unsigned next;
	char *path = paths[next++ % 8];

	snprintf(path, sizeof(paths[0]), "%s/%s", fixture_dir(), name);
	return path;
}

const char *fixture_source(const char *name)
{
	static char path[512];

	snprintf(path, sizeof(path), "%s/%s", SYMBOLS_SOURCES, name);
	return path;
}

bool fixture_run(const char *format, ...)
{
	char text[2048], command[4096];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	snprintf(command, sizeof(command), "S='%s'; cd '%s' && %s", SYMBOLS_SOURCES, fixture_dir(),
		 text);
	return system(command) == 0;
}

bool fixture_has(const char *command)
{
	return fixture_run("command -v %s >/dev/null", command);
}

uint64_t fixture_address(const char *name, const char *symbol)
{
	char command[1024], line[512], found[256];
	uint64_t address = 0, value;
	FILE *output;

	snprintf(command, sizeof(command), "nm '%s/%s'; nm -D '%s/%s' 2>/dev/null", fixture_dir(),
		 name, fixture_dir(), name);
	output = popen(command, "r");
	while (output && fgets(line, sizeof(line), output)) {
		if (sscanf(line, "%" SCNx64 " %*c %255s", &value, found) == 2 &&
		    !strcmp(found, symbol))
			address = value;
	}
	if (output)
		pclose(output);
	return address;
}

unsigned fixture_line(const char *source, const char *mark)
{
	FILE *file = fopen(fixture_source(source), "re");
	unsigned number = 0, found = 0;
	char line[512], words[64];

	snprintf(words, sizeof(words), "line: %s ", mark);
	while (file && fgets(line, sizeof(line), file)) {
		number++;
		if (strstr(line, words))
			found = number;
	}
	if (file)
		fclose(file);
	return found;
}
