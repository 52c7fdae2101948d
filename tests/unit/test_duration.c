/* SPDX-License-Identifier: MIT */
/*
 * A span of time is what duration.h says, to the nanosecond, in every unit, and nothing else is.
 */
#include "check.h"

#include <pillion/duration.h>

#define MS (PILLION_SECOND_NS / 1000)

static void test_times(void)
{
	static const struct {
		const char *text;
		uint64_t ns;
	} times[] = {
		{ "0", 0 },
		{ "90", 90 * PILLION_SECOND_NS },
		{ "0.5", 500 * MS },
		{ ".5", 500 * MS },
		{ "1.", PILLION_SECOND_NS },
		{ "500ms", 500 * MS },
		{ "0.25ms", MS / 4 },
		{ "30s", 30 * PILLION_SECOND_NS },
		{ "5m", 300 * PILLION_SECOND_NS },
		{ "5min", 300 * PILLION_SECOND_NS },
		{ "1.5h", 5400 * PILLION_SECOND_NS },
		{ "2d", 172800 * PILLION_SECOND_NS },
		{ "0.123456789999", 123456789 },
		{ "00000000000000000000000001", PILLION_SECOND_NS },
		{ "9000000000", 9000000000 * PILLION_SECOND_NS },
		{ "100000d", 100000 * 86400ull * PILLION_SECOND_NS },
	};

	for (size_t i = 0; i < sizeof(times) / sizeof(*times); i++) {
		uint64_t ns = 1;

		if (!CHECK(pln_duration_parse(times[i].text, &ns) && ns == times[i].ns))
			fprintf(stderr, "\t'%s' is %llu\n", times[i].text, (unsigned long long)ns);
	}
}

static void test_what_is_none(void)
{
	static const char *const wrong[] = {
		"",	 ".",	 "s",		".s",	   "-1",
		"+1",	 " 1",	 "1 ",		"1 s",	   "1e3",
		"0x1",	 "1,5",	 "1.2.3",	"1..",	   "1S",
		"1M",	 "1sec", "5ms2",	"m5",	   "1us",
		"1h30m", "nan",	 "10000000000", "200000d", "99999999999999999999999s",
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		uint64_t ns;

		if (!CHECK(!pln_duration_parse(wrong[i], &ns)))
			fprintf(stderr, "\t'%s'\n", wrong[i]);
	}
}

int main(void)
{
	test_times();
	test_what_is_none();
	return check_result();
}
