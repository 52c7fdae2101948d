/* SPDX-License-Identifier: MIT */
/*
 * Descriptions of made-up code objects, and the set that remembers them: every kind of
 * string becomes UTF-8, what is too long is cut and said to be, a full set forgets.
 */
#include <pthread.h>
#include <stdlib.h>

#include "check.h"
#include "checked_read.h"
#include "python/keyset.h"
#include "python/python_i.h"

static const int code_type;
static const struct pln_layout *const l = &pln_layout_3_12;
static unsigned char code[256];
static unsigned char record[64 << 10];

static void put(void *object, uint32_t offset, uintptr_t value)
{
	memcpy((unsigned char *)object + offset, &value, sizeof(value));
}

/* A compact str of `length` characters of `width` bytes each. */
static void *make_str(const void *data, size_t length, unsigned width, bool ascii)
{
	uint32_t state = (width | 1u << 3 | (unsigned)ascii << 4) << l->object.str_kind_shift;
	uint32_t start = ascii ? l->object.str_ascii : l->object.str_compact;
	unsigned char *str = calloc(1, start + (length + 1) * width);

	put(str, l->object.str_length, length);
	memcpy(str + l->object.str_state, &state, sizeof(state));
	memcpy(str + start, data, length * width);
	return str;
}

static void *make_bytes(size_t length)
{
	unsigned char *bytes = calloc(1, l->object.bytes_data + length + 1);

	put(bytes, l->object.bytes_size, length);
	memset(bytes + l->object.bytes_data, 'L', length);
	return bytes;
}

static void make_code(void *name, void *filename, void *linetable)
{
	put(code, l->object.type, (uintptr_t)&code_type);
	put(code, l->code.first_line, 7);
	put(code, l->code.name, (uintptr_t)name);
	put(code, l->code.filename, (uintptr_t)filename);
	put(code, l->code.linetable, (uintptr_t)linetable);
	put(code, l->code.body, 12);
}

static const struct pln_wire_code *describe(uint32_t max)
{
	struct pln_python_frame frame = {
		.code_addr = (uintptr_t)code,
		.code = pln_python_code_key_sigsafe(l, (uintptr_t)code, code),
	};
	uint32_t size = pln_python_describe_sigsafe(&frame, record, max);
	const struct pln_wire_code *head = (const void *)record;

	if (!size)
		return NULL;
	CHECK_EQ(size % 8, 0);
	CHECK(size <= max);
	CHECK_EQ(head->rec.size, size);
	CHECK_EQ(head->rec.type, PILLION_RECORD_CODE);
	CHECK_EQ(head->key, frame.code);
	CHECK_EQ(head->first_line, 7);
	CHECK_EQ(head->linetable_kind, PILLION_LINETABLE_LOCATIONS);
	return head;
}

static void check_name(void *name, const char *utf8, bool truncated)
{
	void *filename = make_str("<f>", 3, 1, true), *linetable = make_bytes(5);
	const struct pln_wire_code *head;

	make_code(name, filename, linetable);
	head = describe(sizeof(record));
	if (!CHECK(head != NULL))
		return;
	CHECK_EQ(head->qualname_size, strlen(utf8));
	CHECK(!memcmp(head + 1, utf8, head->qualname_size));
	CHECK(!memcmp((const char *)(head + 1) + head->qualname_size, "<f>LLLLL", 8));
	CHECK_EQ(head->truncated, truncated);
	free(name);
	free(filename);
	free(linetable);
}

static void test_strings(void)
{
	const uint16_t two[] = { 'a', 0x20ac, 0x65e5, 0xd83d };
	const uint32_t four[] = { 0x1f600, 'b', 0xdc80, 0x10ffff, 0x110000 };

	check_name(make_str("plain", 5, 1, true), "plain", false);
	check_name(make_str("", 0, 1, true), "", false);
	check_name(make_str("\xe9t\xff", 3, 1, false), "\xc3\xa9t\xc3\xbf", false);
	check_name(make_str(two, 4, 2, false), "a\xe2\x82\xac\xe6\x97\xa5\xef\xbf\xbd", false);
	check_name(make_str(four, 5, 4, false),
		   "\xf0\x9f\x98\x80"
		   "b\xef\xbf\xbd\xf4\x8f\xbf\xbf\xef\xbf\xbd",
		   false);
}

static void test_long_names(void)
{
	static char text[3000], want[1001];
	static uint16_t wide[1200];

	memset(text, 'x', sizeof(text));
	memset(want, 'x', 1000);
	check_name(make_str(text, 1000, 1, true), want, false);
	check_name(make_str(text, 3000, 1, true), want, true);
	for (unsigned i = 0; i < 1200; i++)
		wide[i] = 0x65e5;
	for (unsigned i = 0; i < 333; i++)
		memcpy(want + 3 * i, "\xe6\x97\xa5", 3);
	want[999] = 0; /* never half a character */
	check_name(make_str(wide, 1200, 2, false), want, true);
}

static void test_long_table(void)
{
	void *name = make_str("n", 1, 1, true), *table = make_bytes(100000);
	const struct pln_wire_code *head;

	make_code(name, name, table);
	head = describe(sizeof(record));
	CHECK(head && head->linetable_size == 32 << 10 && head->truncated);
	head = describe(512); /* as much as the lane has room for */
	CHECK(head && head->linetable_size == 512 - sizeof(*head) - 2 && head->truncated);
	CHECK(!describe(sizeof(*head) - 8));
	free(name);
	free(table);
}

static void test_unreadable(void)
{
	void *name = make_str("n", 1, 1, true), *table = make_bytes(4);
	void *odd = make_str("odd", 1, 3, true); /* there is no such kind */
	struct pln_python_frame frame = { .code_addr = (uintptr_t)code };

	make_code(name, (void *)16, table);
	CHECK(!describe(sizeof(record)));
	make_code(name, odd, table);
	CHECK(!describe(sizeof(record)));
	make_code(name, name, (void *)16);
	CHECK(!describe(sizeof(record)));
	make_code(name, name, table);
	frame.code = pln_python_code_key_sigsafe(l, frame.code_addr, code);
	put(code, l->code.first_line, 8); /* another code object by now */
	CHECK(!pln_python_describe_sigsafe(&frame, record, sizeof(record)));
	free(name);
	free(odd);
	free(table);
}

static void test_described_once(void)
{
	struct pln_python_frame frame = { .code = 4711 };

	CHECK(pln_python_code_is_new_sigsafe(&frame));
	pln_python_code_described_sigsafe(&frame);
	CHECK(!pln_python_code_is_new_sigsafe(&frame));
	pln_python_forget_codes();
	CHECK(pln_python_code_is_new_sigsafe(&frame));
}

/* ------------------------------------------------------------ the set */

static void test_set_forgets_when_full(void)
{
	static struct pln_keyset set;
	unsigned known = 0;

	CHECK(!pln_keyset_has_sigsafe(&set, 1));
	pln_keyset_add_sigsafe(&set, 1); /* no memory yet: forgotten at once */
	CHECK(pln_keyset_init(&set));
	for (uint64_t key = 1; key <= 40000; key++)
		pln_keyset_add_sigsafe(&set, key << 4);
	for (uint64_t key = 1; key <= 40000; key++)
		known += pln_keyset_has_sigsafe(&set, key << 4);
	CHECK_EQ(known, 40000);
	CHECK(!pln_keyset_has_sigsafe(&set, 40001 << 4));
	/* Through all generations, and around. */
	for (uint64_t key = 1; key <= 300 * 50000; key++)
		pln_keyset_add_sigsafe(&set, key * 8);
	known = 0;
	for (uint64_t key = 300 * 50000 - 1000; key <= 300 * 50000; key++)
		known += pln_keyset_has_sigsafe(&set, key * 8);
	CHECK(known >= 900); /* unless it was just emptied, the newest are there */
	CHECK(!pln_keyset_has_sigsafe(&set, 8));
}

static struct pln_keyset shared;

static void *add_many(void *arg)
{
	for (uint64_t i = 0; i < 20000; i++)
		pln_keyset_add_sigsafe(&shared, (uint64_t)(uintptr_t)arg + i * 16);
	return NULL;
}

static void test_set_from_threads(void)
{
	pthread_t threads[2];
	unsigned known = 0;

	CHECK(pln_keyset_init(&shared));
	for (uintptr_t i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, add_many, (void *)(i << 40 | 1 << 20));
	for (unsigned i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	for (uint64_t i = 0; i < 20000; i++)
		known += pln_keyset_has_sigsafe(&shared, (1u << 20) + i * 16) &&
			 pln_keyset_has_sigsafe(&shared, (1ull << 40) + (1u << 20) + i * 16);
	CHECK_EQ(known, 20000);
}

int main(void)
{
	if (!pln_checked_read_init())
		return check_skip("process_vm_readv does not work here");
	CHECK(pln_python_codes_init());
	pln_python.layout = l;
	pln_python.code_type = (uintptr_t)&code_type;
	test_strings();
	test_long_names();
	test_long_table();
	test_unreadable();
	test_described_once();
	test_set_forgets_when_full();
	test_set_from_threads();
	return check_result();
}
