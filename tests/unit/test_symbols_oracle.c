/* SPDX-License-Identifier: MIT */
/*
 * On libraries that nobody here built, addresses get the inlined chains, files and
 * lines that addr2line gives.
 *
 * Names are not compared: addr2line prefers symbols (__GI_open, foo.constprop.0) where
 * we show what the source says; tests of names are elsewhere. Not counted: addresses
 * for which only one of the two knows a line (padding after functions), and files of
 * equal line, because addr2line before 2.41 starts DWARF 5 sequences in the wrong one.
 */
#include "symbols/fixture.h"

#include <stdlib.h>
#include <time.h>

#define ADDRESSES 4000

struct answer {
	unsigned depth;
	unsigned lines[16];
};

struct tally {
	unsigned compared;
	unsigned equal;
	unsigned differing_depth;
};

/* Addresses spread evenly over the executable sections, as text for addr2line. */
static unsigned choose_addresses(const char *path, uint64_t *addresses)
{
	char command[512], line[256];
	uint64_t start, size, total = 0, ranges[32][2];
	unsigned count = 0, chosen = 0;
	FILE *output;

	snprintf(command, sizeof(command),
		 "readelf -SW '%s' | sed 's/^ *\\[ *[0-9]*\\]//' | awk '$2 == \"PROGBITS\" && $7 ~ "
		 "/X/ "
		 "{print $3, $5}'",
		 path);
	output = popen(command, "r");
	while (output && count < 32 && fgets(line, sizeof(line), output)) {
		if (sscanf(line, "%" SCNx64 " %" SCNx64, &start, &size) != 2)
			continue;
		ranges[count][0] = start;
		ranges[count++][1] = size;
		total += size;
	}
	if (output)
		pclose(output);
	for (; total && chosen < ADDRESSES; chosen++) {
		uint64_t at = total / ADDRESSES * chosen + chosen % 7;

		for (unsigned i = 0; i < count; at -= ranges[i++][1]) {
			if (at >= ranges[i][1])
				continue;
			addresses[chosen] = ranges[i][0] + at;
			break;
		}
	}
	return chosen;
}

/* Reads addr2line's answers: "0xADDRESS", then a file:line for each frame. */
static void ask_addr2line(const char *path, const uint64_t *addresses, unsigned count,
			  struct answer *answers)
{
	FILE *list = fopen(fixture_path("addresses"), "we");
	char command[1024], line[4096];
	struct answer *answer = answers - 1;
	FILE *output;

	for (unsigned i = 0; list && i < count; i++)
		fprintf(list, "%#" PRIx64 "\n", addresses[i]);
	if (list)
		fclose(list);
	snprintf(command, sizeof(command), "addr2line -a -i -e '%s' < '%s'", path,
		 fixture_path("addresses"));
	output = popen(command, "r");
	while (output && fgets(line, sizeof(line), output)) {
		const char *colon = strrchr(line, ':');

		if (!strncmp(line, "0x", 2)) {
			if (++answer == answers + count)
				break;
		} else if (answer >= answers && answer->depth < 16) {
			answer->lines[answer->depth++] =
				colon ? (unsigned)strtoul(colon + 1, NULL, 10) : 0;
		}
	}
	if (output)
		pclose(output);
}

static void compare(struct pln_symbolizer *s, struct pln_symbol_file *file, uint64_t address,
		    const struct answer *answer, struct tally *tally)
{
	struct pln_symbol symbols[16];
	unsigned count = pln_symbolizer_lookup(s, file, address, symbols, 16);

	if (!count || !symbols[0].line || !*symbols[0].name || !answer->lines[0])
		return;
	tally->compared++;
	if (count != answer->depth) {
		tally->differing_depth++;
		return;
	}
	for (unsigned i = 0; i < count; i++) {
		if (symbols[i].line != answer->lines[i])
			return;
	}
	tally->equal++;
}

static double milliseconds_since(const struct timespec *start)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)(now.tv_sec - start->tv_sec) * 1e3 +
	       (double)(now.tv_nsec - start->tv_nsec) / 1e6;
}

/* Returns whether the file could be compared. */
static bool check_file(const char *path)
{
	static uint64_t addresses[ADDRESSES];
	static struct answer answers[ADDRESSES];
	struct pln_symbolizer *s = pln_symbolizer_new(NULL);
	struct pln_symbol_file *file;
	struct pln_symbol symbol;
	struct tally tally = { 0 };
	struct timespec start;
	unsigned count = 0;
	double ms;

	clock_gettime(CLOCK_MONOTONIC, &start);
	memset(answers, 0, sizeof(answers));
	if (!pln_symbolizer_file(s, NULL, path, NULL, 0, &file))
		count = choose_addresses(path, addresses);
	for (unsigned i = 0; i < count; i++)
		pln_symbolizer_lookup(s, file, addresses[i], &symbol, 1);
	ms = milliseconds_since(&start);
	if (!count || strcmp(pln_symbol_file_source(file), "dwarf") != 0) {
		pln_symbolizer_free(s);
		return false;
	}
	ask_addr2line(path, addresses, count, answers);
	for (unsigned i = 0; i < count; i++)
		compare(s, file, addresses[i], &answers[i], &tally);
	printf("%s: %u addresses in %.0f ms, %u with lines by both, %.2f %% equal, %u of another "
	       "depth\n",
	       path, count, ms, tally.compared, 100.0 * tally.equal / (tally.compared + 1e-9),
	       tally.differing_depth);
	CHECK(tally.compared > ADDRESSES / 2);
	CHECK(1000 * (uint64_t)tally.equal >= 998 * (uint64_t)tally.compared);
	pln_symbolizer_free(s);
	return true;
}

int main(int argc, char **argv)
{
	static const char *const files[] = {
		"/lib/x86_64-linux-gnu/libc.so.6",
		"/lib/x86_64-linux-gnu/libm.so.6",
		"/usr/bin/python3.11",
		"/usr/bin/python3.13",
	};
	unsigned compared = 0;

	if (!fixture_has("addr2line") || !fixture_has("readelf"))
		return check_skip("no binutils");
	for (int i = 1; i < argc; i++)
		compared += check_file(argv[i]);
	for (unsigned i = 0; argc < 2 && i < sizeof(files) / sizeof(files[0]); i++)
		compared += check_file(files[i]);
	return compared ? check_result() : check_skip("no library with debug information");
}
