/* SPDX-License-Identifier: MIT */
/*
 * The exports of a known profile, to the letter: folded paths, the fields of pprof's
 * message, speedscope's runs and weights; and that an output never replaces a file unasked.
 * What other tools make of them, is tests/e2e/test_export.py.
 */
#include "check.h"
#include "tiny_profile.h"

#include <errno.h>
#include <sys/stat.h>
#include <zlib.h>

#include "export/export.h"
#include "export/output.h"
#include "export/protobuf.h"

typedef int export_fn(const struct pln_export *export, FILE *out);

static char *exported(export_fn *fn, enum pln_view view, bool by_line, bool annotate, size_t *size)
{
	const struct pln_filter all = { .threads = NULL };
	struct pln_aggregate aggregate;
	struct pln_profile *profile = tiny_open(true);
	struct pln_export export = { .profile = profile,
				     .aggregate = &aggregate,
				     .name = "tiny",
				     .view = view,
				     .annotate = annotate,
				     .by_line = by_line };
	char *text = NULL;
	FILE *out = open_memstream(&text, size);

	if (!CHECK(profile != NULL))
		exit(1);
	CHECK_EQ(pln_aggregate_samples(&aggregate, profile, &all), 0);
	CHECK_EQ(fn(&export, out), 0);
	fclose(out);
	pln_aggregate_free(&aggregate);
	pln_profile_close(profile);
	return text;
}

static void test_folded(void)
{
	size_t size;
	char *text = exported(pln_export_folded, PLN_VIEW_CPU, false, false, &size);

	CHECK_STR(text, "_start (python3.11);main (app.py) 10000000\n"
			"_start (python3.11);main (app.py);fact (app.py);dgemm (libnum.so);"
			"micro (libnum.so) 37000000\n"
			"_start (python3.11);main (app.py);fact (app.py);fact (app.py);"
			"fact (app.py) 31000000\n"
			"[anon]+0x7fff0000 (native) 4000000\n"
			"(no stack) 3000000\n");
	free(text);
	/* The semicolon of a name is a colon; lines are in brackets. */
	text = exported(pln_export_folded, PLN_VIEW_OFFCPU, true, true, &size);
	CHECK_STR(text, "_start (python3.11)_[n];main (app.py:3)_[py];wait:ing (lib.py:21)_[py];"
			"futex_wait (libc.so.6)_[n] 145000000\n");
	free(text);
}

static void test_speedscope(void)
{
	size_t size;
	char *text = exported(pln_export_speedscope, PLN_VIEW_OFFCPU, false, false, &size);

	CHECK(strstr(text, "\"$schema\":\"https://www.speedscope.app/file-format-schema.json\""));
	CHECK(strstr(text, "\"name\":\"tiny (offcpu)\""));
	CHECK(strstr(text, "\"activeProfileIndex\":1"));
	CHECK(strstr(text, "{\"name\":\"wait;ing\",\"file\":\"/usr/lib/python3.11/lib.py\","
			   "\"line\":20}"));
	/* 40 ms and 5 ms behind each other in the same stack: one run. */
	CHECK(strstr(text, "\"name\":\"MainThread (pid 100, tid 101)\",\"unit\":\"nanoseconds\","
			   "\"startValue\":0,\"endValue\":45000000,"
			   "\"samples\":[[0,1,2,3]],\"weights\":[45000000]}"));
	CHECK(strstr(text, "worker-1 (pid 100, tid 102)"));
	free(text);
	text = exported(pln_export_speedscope, PLN_VIEW_CPU, false, false, &size);
	CHECK(strstr(text, "\"name\":\"tid 201 (pid 200, tid 201)\""));
	CHECK(strstr(text, "\"weights\":[10000000,20000000,30000000]"));
	free(text);
}

static size_t gunzip(const char *in, size_t size, uint8_t *out, size_t room)
{
	z_stream z = { .next_in = (unsigned char *)(uintptr_t)in,
		       .avail_in = (unsigned)size,
		       .next_out = out,
		       .avail_out = (unsigned)room };

	CHECK_EQ(inflateInit2(&z, MAX_WBITS + 16), Z_OK);
	CHECK_EQ(inflate(&z, Z_FINISH), Z_STREAM_END);
	inflateEnd(&z);
	return room - z.avail_out;
}

static uint64_t varint(const uint8_t **at)
{
	uint64_t value = 0;
	unsigned shift = 0;

	do
		value |= (uint64_t)(**at & 0x7f) << shift;
	while (shift += 7, *(*at)++ & 0x80);
	return value;
}

/* Sums value number `which` of all samples, and counts the top fields of the message. */
static uint64_t sum_of_values(const uint8_t *message, size_t size, unsigned which,
			      unsigned fields[16])
{
	const uint8_t *at = message, *end = message + size;
	uint64_t sum = 0;

	while (at < end) {
		uint64_t tag = varint(&at);
		uint64_t length = varint(&at);
		const uint8_t *part = at;

		fields[tag >> 3 & 15]++;
		if ((tag & 7) == 0)
			continue;
		at += length;
		while (tag >> 3 == 2 && part < at) {
			uint64_t inner = varint(&part), inner_size = varint(&part);
			const uint8_t *value = part;

			part += inner_size;
			for (unsigned i = 0; inner >> 3 == 2 && value < part; i++) {
				uint64_t v = varint(&value);

				sum += i == which ? v : 0;
			}
		}
	}
	CHECK(at == end);
	return sum;
}

static void test_pprof(void)
{
	static uint8_t message[1 << 20];
	size_t size;
	char *gzipped = exported(pln_export_pprof, PLN_VIEW_CPU, false, false, &size);
	const uint64_t expected[] = { 10, 85 * TINY_MS, 233 * TINY_MS, 145 * TINY_MS,
				      93 * TINY_MS };

	CHECK(size > 2 && !memcmp(gzipped, "\x1f\x8b", 2));
	size = gunzip(gzipped, size, message, sizeof(message));
	for (unsigned v = 0; v < 5; v++) {
		unsigned fields[16] = { 0 };

		CHECK_EQ(sum_of_values(message, size, v, fields), expected[v]);
		CHECK_EQ(fields[1], 5); /* sample types */
		CHECK_EQ(fields[3], 3); /* mappings */
		CHECK_EQ(fields[4], 8); /* seven frames, and no stack */
		CHECK_EQ(fields[5], 9); /* functions */
		CHECK_EQ(fields[9], 1); /* twice would be two profiles, to a reader */
	}
	free(gzipped);
}

static void test_messages(void)
{
	struct pln_message m = { .size = 0 }, part = { .size = 0 };
	const uint64_t values[] = { 0, 127, 128, UINT64_MAX };

	pln_message_uint(&m, 1, 0);
	CHECK_EQ(m.size, 0);
	pln_message_uint(&part, 2, 300);
	pln_message_part(&m, 3, &part);
	CHECK(m.size == 5 && !memcmp(m.bytes, "\x1a\x03\x10\xac\x02", 5));
	CHECK_EQ(part.size, 0);
	m.size = 0;
	pln_message_packed(&m, 1, values, 4);
	CHECK(m.size == 16 && !memcmp(m.bytes,
				      "\x0a\x0e\x00\x7f\x80\x01\xff\xff\xff\xff\xff\xff"
				      "\xff\xff\xff\x01",
				      16));
	pln_message_free(&m);
	pln_message_free(&part);
}

static bool has_links = true; /* hard ones: some file systems of FUSE have none */

int link(const char *from, const char *to)
{
	if (has_links)
		return linkat(AT_FDCWD, from, AT_FDCWD, to, 0);
	errno = ENOSYS;
	return -1;
}

static size_t file_size(const char *path)
{
	struct stat st;

	return stat(path, &st) ? 0 : (size_t)st.st_size;
}

static void write_output(const char *path, bool replace, const char *text, int expected)
{
	struct pln_export_output output;
	int err = pln_export_output_open(&output, path, replace);

	if (!err) {
		fputs(text, output.file);
		err = pln_export_output_commit(&output);
	}
	CHECK_EQ(err, expected);
}

static void test_output(void)
{
	char directory[] = "/tmp/pillion-output-XXXXXX", path[64], late[64];
	struct pln_export_output output;

	CHECK(mkdtemp(directory) != NULL);
	snprintf(path, sizeof(path), "%s/a.folded", directory);
	write_output(path, false, "one", 0);
	write_output(path, false, "three", -EEXIST);
	CHECK_EQ(file_size(path), 3);
	write_output(path, true, "three", 0);
	CHECK_EQ(file_size(path), 5);
	/* Made by someone else while we were writing. */
	snprintf(late, sizeof(late), "%s/late", directory);
	CHECK_EQ(pln_export_output_open(&output, late, false), 0);
	fputs("ours", output.file);
	write_output(late, false, "theirs", 0);
	CHECK_EQ(pln_export_output_commit(&output), -EEXIST);
	CHECK_EQ(file_size(late), 6);
	CHECK_EQ(pln_export_output_open(&output, path, true), 0);
	pln_export_output_abandon(&output);
	CHECK_EQ(file_size(path), 5);
	has_links = false;
	unlink(late);
	write_output(late, false, "alone", 0);
	CHECK_EQ(file_size(late), 5);
	has_links = true;
	write_output("/dev/null", false, "gone", 0);
	write_output("/no/such/place", false, "", -ENOENT);
	unlink(path);
	unlink(late);
	CHECK_EQ(rmdir(directory), 0); /* nothing half-written is left */
}

int main(void)
{
	test_folded();
	test_speedscope();
	test_pprof();
	test_messages();
	test_output();
	return check_result();
}
