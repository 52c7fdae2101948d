/* SPDX-License-Identifier: MIT */
/*
 * The line of every instruction is what the interpreter itself says, for each
 * interpreter that this machine has; and a table that is cut, or is noise, gives some
 * line or none but never reads beyond its end.
 *
 *   test_linetable            formats and damage, no interpreter needed
 *   test_linetable VECTORS.py every interpreter found; skipped when there is none
 */
#include <glob.h>
#include <stdlib.h>
#include <unistd.h>

#include <pillion/wire.h>

#include "check.h"
#include "profile/linetable.h"

/* ------------------------------------------------------------ against interpreters */

struct tally {
	unsigned long codes;
	unsigned long offsets;
	unsigned long wrong;
};

static size_t parse_hex(const char *hex, uint8_t *out)
{
	size_t size = 0;
	unsigned byte;

	while (sscanf(hex + size * 2, "%2x", &byte) == 1)
		out[size++] = (uint8_t)byte;
	return size;
}

/* One line of the vectors' generator: KIND FIRST_LINE TABLE_HEX LINES */
static void check_vector(char *text, struct tally *tally)
{
	char *kind = strtok(text, " ");
	char *first = strtok(NULL, " ");
	char *hex = strtok(NULL, " ");
	char *lines = strtok(NULL, " \n");
	uint8_t *table = malloc(hex ? strlen(hex) : 1);
	uint32_t offset = 0;
	size_t size;

	if (!CHECK(lines && table))
		return;
	size = *hex == '-' ? 0 : parse_hex(hex, table);
	for (char *line = strtok(lines, ","); line; line = strtok(NULL, ","), offset += 2) {
		uint32_t got = pln_linetable_line((uint8_t)atoi(kind), table, size,
						  (uint32_t)atoi(first), offset);

		tally->offsets++;
		tally->wrong += got != (uint32_t)atoi(line);
	}
	tally->codes++;
	free(table);
}

static int check_interpreter(const char *python, const char *script)
{
	struct tally tally = { 0 };
	char command[1024];
	char *line = NULL;
	size_t room = 0;
	FILE *out;

	if (access(python, X_OK))
		return 0;
	snprintf(command, sizeof(command), "'%s' -S '%s'", python, script);
	out = popen(command, "r");
	if (!CHECK(out != NULL))
		return 0;
	while (getline(&line, &room, out) > 0)
		check_vector(line, &tally);
	free(line);
	CHECK_EQ(pclose(out), 0);
	CHECK(tally.offsets > 10000);
	CHECK_EQ(tally.wrong, 0);
	printf("%s: %lu code objects, %lu offsets, %lu wrong\n", python, tally.codes, tally.offsets,
	       tally.wrong);
	return 1;
}

static int check_interpreters(const char *script)
{
	const char *home = getenv("HOME");
	char pattern[512];
	unsigned found = 0;
	glob_t all;

	glob("/usr/bin/python3.[89]", 0, NULL, &all);
	glob("/usr/bin/python3.1[0-9]", GLOB_APPEND, NULL, &all);
	snprintf(pattern, sizeof(pattern), "%s/.pyenv/versions/3.*/bin/python3", home ? home : "");
	glob(pattern, GLOB_APPEND, NULL, &all);
	for (size_t i = 0; i < all.gl_pathc; i++) {
		/* Formats of before 3.8 are not ours. */
		if (!strstr(all.gl_pathv[i], "/3.6.") && !strstr(all.gl_pathv[i], "/3.7."))
			found += (unsigned)check_interpreter(all.gl_pathv[i], script);
	}
	globfree(&all);
	return found ? check_result() : check_skip("no Python interpreter on this machine");
}

/* ------------------------------------------------------------------- by hand */

static void formats_by_hand(void)
{
	static const uint8_t lnotab[] = { 4, 1, 6, 0xfe, 255, 0, 45, 10 };
	static const uint8_t ranges[] = { 4, 1, 2, 0x80, 6, 0xff };
	/* Short form of 2 units; no location for 1; no columns, -1 line, 1 unit; one-line +2. */
	static const uint8_t locations[] = { 0x81, 0x00, 0xf8, 0xe8, 0x03, 0xe0, 0x00, 0x00 };

	CHECK_EQ(pln_linetable_line(PILLION_LINETABLE_LNOTAB, lnotab, sizeof(lnotab), 10, 0), 10);
	CHECK_EQ(pln_linetable_line(PILLION_LINETABLE_LNOTAB, lnotab, sizeof(lnotab), 10, 4), 11);
	CHECK_EQ(pln_linetable_line(PILLION_LINETABLE_LNOTAB, lnotab, sizeof(lnotab), 10, 10), 9);
	CHECK_EQ(pln_linetable_line(PILLION_LINETABLE_LNOTAB, lnotab, sizeof(lnotab), 10, 400), 19);
	CHECK_EQ(pln_linetable_line(PILLION_LINETABLE_310, ranges, sizeof(ranges), 10, 2), 11);
	CHECK_EQ(pln_linetable_line(PILLION_LINETABLE_310, ranges, sizeof(ranges), 10, 4), 0);
	CHECK_EQ(pln_linetable_line(PILLION_LINETABLE_310, ranges, sizeof(ranges), 10, 6), 10);
	CHECK_EQ(pln_linetable_line(PILLION_LINETABLE_310, ranges, sizeof(ranges), 10, 12), 0);
	for (uint32_t instr = 0; instr < 10; instr += 2) {
		static const uint32_t want[] = { 10, 10, 0, 9, 11 };

		CHECK_EQ(pln_linetable_line(PILLION_LINETABLE_LOCATIONS, locations,
					    sizeof(locations), 10, instr),
			 want[instr / 2]);
	}
	CHECK_EQ(pln_linetable_line(PILLION_LINETABLE_LOCATIONS, locations, sizeof(locations), 10,
				    PILLION_NO_INSTR),
		 10);
	CHECK_EQ(pln_linetable_line(99, locations, sizeof(locations), 10, 0), 0);
}

/* Every table on the heap and of its exact size, so that ASan sees one byte too many. */
static void noise_stays_in_bounds(void)
{
	uint64_t random = 1;

	for (int round = 0; round < 20000; round++) {
		size_t size = (size_t)(round % 40);
		uint8_t *table = malloc(size ? size : 1);

		for (size_t i = 0; i < size; i++) {
			random = random * 6364136223846793005u + 1442695040888963407u;
			table[i] = (uint8_t)(random >> 56);
		}
		for (uint8_t kind = 1; kind <= 3; kind++) {
			uint32_t line = pln_linetable_line(kind, table, size, 1, 1u << round % 20);

			CHECK(line <= INT32_MAX);
		}
		free(table);
	}
	CHECK_EQ(pln_linetable_line(PILLION_LINETABLE_LOCATIONS, NULL, 0, 5, 0), 0);
}

int main(int argc, char **argv)
{
	if (argc > 1)
		return check_interpreters(argv[1]);
	formats_by_hand();
	noise_stays_in_bounds();
	return check_result();
}
