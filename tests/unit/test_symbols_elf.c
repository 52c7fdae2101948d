/* SPDX-License-Identifier: MIT */
/*
 * Without debug information the symbol tables name functions: the best of several
 * names, never a neighbour's, stubs as name@plt; and the file must be the right one.
 */
#include "symbols/fixture.h"
#include "vdso.h"

#include <dlfcn.h>
#include <errno.h>
#include <sys/auxv.h>
#include <sys/inotify.h>
#include <unistd.h>

static void check_name(struct fixture *f, const char *name, const char *symbol, int offset,
		       const char *shown, const char *linkage_name)
{
	fixture_lookup(f, name, symbol, offset);
	CHECK_EQ(f->count, 1);
	fixture_check(f, 0, shown, "", NULL);
	CHECK_STR(f->symbols[0].linkage_name, linkage_name);
}

static void test_aliases(void)
{
	struct fixture f;

	if (!CHECK(fixture_run("gcc -O2 -fPIC -shared -o lib.so $S/exports.c")) ||
	    !fixture_open(&f, "lib.so"))
		return;
	/* Global before weak would be __work_internal, but nobody writes that. */
	check_name(&f, "lib.so", "__work_internal", 0, "work", "work");
	check_name(&f, "lib.so", "__work_internal", 3, "work", "work");
	/* The label inside of it is no function. */
	check_name(&f, "lib.so", "mark_secret", 0, "secret", "secret");
	check_name(&f, "lib.so", "by_cpu", 0, "by_cpu", "by_cpu");
	CHECK_STR(pln_symbol_file_source(f.file), "symtab");
	CHECK_EQ(pln_symbolizer_lookup(f.symbolizer, f.file, 0, f.symbols, 16), 0);
	CHECK_EQ(pln_symbolizer_lookup(f.symbolizer, f.file, UINT64_MAX, f.symbols, 16), 0);
	fixture_close(&f);
}

static void test_stripped(void)
{
	struct fixture f;
	uint64_t secret;

	if (!CHECK(fixture_run("printf '{ global: call_out; work; local: *; };' > map && gcc -O2 "
			       "-fPIC -shared -Wl,--version-script=map -o full.so $S/exports.c")) ||
	    !CHECK(fixture_run("cp full.so lib.so && strip lib.so")) || !fixture_open(&f, "lib.so"))
		return;
	secret = fixture_address("full.so", "mark_secret");
	CHECK(secret);
	CHECK_EQ(pln_symbolizer_lookup(f.symbolizer, f.file, secret, f.symbols, 16), 0);
	check_name(&f, "lib.so", "work", 2, "work", "work");
	CHECK_STR(pln_symbol_file_source(f.file), "dynsym");
	fixture_close(&f);
}

static void test_nothing_known(void)
{
	struct fixture f;
	uint64_t main_address;

	if (!CHECK(fixture_run(
		    "gcc -O2 -static -o full $S/inlined.c && cp full bare && strip bare")) ||
	    !fixture_open(&f, "bare"))
		return;
	main_address = fixture_address("full", "chain");
	CHECK(main_address);
	CHECK_EQ(pln_symbolizer_lookup(f.symbolizer, f.file, main_address, f.symbols, 16), 0);
	CHECK_STR(pln_symbol_file_debug_path(f.file), "");
	fixture_close(&f);
}

/* Counts how many stubs of each name there are in the PLT sections. */
static unsigned count_stubs(struct fixture *f, const char *file, const char *wanted)
{
	char command[512], line[256];
	uint64_t address, size;
	unsigned found = 0;
	FILE *sections;

	snprintf(command, sizeof(command),
		 "readelf -SW '%s' | sed -n 's/^ *\\[ *[0-9]*\\] \\(\\.plt[^ ]*\\) *PROGBITS "
		 "*\\([0-9a-f]*\\) "
		 "[0-9a-f]* \\([0-9a-f]*\\) .*/\\2 \\3/p'",
		 fixture_path(file));
	sections = popen(command, "r");
	while (sections && fgets(line, sizeof(line), sections)) {
		if (sscanf(line, "%" SCNx64 " %" SCNx64, &address, &size) != 2)
			continue;
		for (uint64_t at = address; at < address + size; at += 8) {
			unsigned n =
				pln_symbolizer_lookup(f->symbolizer, f->file, at, f->symbols, 16);

			found += n == 1 && !strcmp(f->symbols[0].name, wanted);
		}
	}
	if (sections)
		pclose(sections);
	return found;
}

/* Each stub is 16 bytes (8 in .plt.got without endbr64), looked at every 8. */
static void check_stubs(const char *flags, const char *name, unsigned stubs)
{
	struct fixture f;

	printf("%s\n", flags);
	if (!CHECK(fixture_run("gcc -O2 -fPIC -shared %s -o lib.so $S/exports.c && strip lib.so",
			       flags)) ||
	    !fixture_open(&f, "lib.so"))
		return;
	CHECK_EQ(count_stubs(&f, "lib.so", name), stubs);
	fixture_close(&f);
}

static void test_stubs(void)
{
	check_stubs("-fcf-protection=none -Wl,-z,lazy", "strdup@plt", 2);
	check_stubs("-fcf-protection=none -Wl,-z,now", "strdup@plt", 2);
	/* With -z ibtplt there are two stubs: the one that is called, and the lazy binder's. */
	check_stubs("-fcf-protection=full -Wl,-z,lazy -Wl,-z,ibtplt", "strdup@plt", 4);
	check_stubs("-fcf-protection=full -Wl,-z,now -Wl,-z,ibtplt", "strlen@plt", 4);
	check_stubs("-fno-plt", "strdup@plt", 0);
	/* Not every toolchain has another linker. */
	if (fixture_has("ld.gold"))
		check_stubs("-fuse-ld=gold", "strdup@plt", 2);
	if (fixture_has("ld.lld"))
		check_stubs("-fuse-ld=lld", "strdup@plt", 2);
}

/* What is both called and bound at load has its stub in .plt.got, of 8 bytes. */
static void test_stub_in_plt_got(void)
{
	struct fixture f;

	if (!CHECK(fixture_run("gcc -O2 -fPIC -shared -fcf-protection=none -o lib.so "
			       "$S/exports.c && readelf -SW lib.so | grep -q plt.got")) ||
	    !fixture_open(&f, "lib.so"))
		return;
	CHECK_EQ(count_stubs(&f, "lib.so", "__cxa_finalize@plt"), 1);
	fixture_close(&f);
}

static void test_wrong_file(void)
{
	static const uint8_t wrong[20] = { 1, 2, 3 };
	struct pln_symbolizer *s = pln_symbolizer_new(NULL);
	struct pln_symbol_file *file;

	CHECK(fixture_run("gcc -Wl,--build-id=0xabcdef0123456789 -O2 -o program $S/inlined.c"));
	CHECK_EQ(-pln_symbolizer_file(s, NULL, fixture_path("program"), wrong, 20, &file), ESTALE);
	CHECK_EQ(-pln_symbolizer_file(s, NULL, fixture_path("absent"), NULL, 0, &file), ENOENT);
	CHECK_EQ(-pln_symbolizer_file(s, NULL, fixture_source("inlined.c"), NULL, 0, &file),
		 ENOEXEC);
	CHECK_EQ(-pln_symbolizer_file(s, NULL, "/dev/zero", NULL, 0, &file), ENOEXEC);
	CHECK_EQ(-pln_symbolizer_file(s, NULL, "/", NULL, 0, &file), ENOEXEC);
	CHECK(fixture_run("mkfifo fifo"));
	CHECK_EQ(-pln_symbolizer_file(s, NULL, fixture_path("fifo"), NULL, 0, &file), ENOEXEC);
	if (fixture_run("gcc -m32 -c -o small.o -x c /dev/null 2>/dev/null"))
		CHECK_EQ(-pln_symbolizer_file(s, NULL, fixture_path("small.o"), NULL, 0, &file),
			 ENOEXEC);
	pln_symbolizer_free(s);
}

/* A target may name a device, and to open one can do harm. */
static void test_what_is_no_file_is_not_opened(void)
{
	struct pln_symbolizer *s = pln_symbolizer_new(NULL);
	int watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	struct pln_symbol_file *file;
	struct inotify_event event;

	CHECK(fixture_run("mkfifo watched"));
	CHECK(inotify_add_watch(watch, fixture_path("watched"), IN_OPEN) > 0);
	CHECK_EQ(-pln_symbolizer_file(s, NULL, fixture_path("watched"), NULL, 0, &file), ENOEXEC);
	CHECK(read(watch, &event, sizeof(event)) < 0 && errno == EAGAIN);
	close(watch);
	pln_symbolizer_free(s);
}

/* In a container the path is looked up under its root; here only with the same build. */
static void test_root(void)
{
	static const uint8_t id[] = { 0xab, 0xcd, 0xef, 0x01, 0x23, 0x45, 0x67, 0x89 };
	static const uint8_t other[] = { 0xab, 0xcd, 0xef, 0x01, 0x23, 0x45, 0x67, 0x80 };
	struct pln_symbolizer *s = pln_symbolizer_new(NULL);
	struct pln_symbol_file *inside, *outside, *again;
	const char *root = fixture_path("root");
	char rooted[600];

	CHECK(fixture_run("gcc -Wl,--build-id=0xabcdef0123456789 -O2 -o program $S/inlined.c && "
			  "mkdir -p root$PWD && gcc -Wl,--build-id=0xabcdef0123456780 -O1 -o "
			  "root$PWD/program $S/inlined.c"));
	CHECK_EQ(pln_symbolizer_file(s, root, fixture_path("program"), NULL, 0, &inside), 0);
	CHECK_EQ(pln_symbolizer_file(s, root, fixture_path("program"), other, 8, &again), 0);
	CHECK(inside == again);
	CHECK_EQ(pln_symbolizer_file(s, root, fixture_path("program"), id, 8, &outside), 0);
	CHECK(inside != outside);
	snprintf(rooted, sizeof(rooted), "%s%s", root, fixture_path("program"));
	CHECK_EQ(pln_symbolizer_file(s, NULL, rooted, NULL, 0, &again), 0);
	CHECK(inside == again);
	CHECK(fixture_run("rm -r root/tmp"));
	CHECK_EQ(-pln_symbolizer_file(s, root, fixture_path("program"), NULL, 0, &again), ENOENT);
	CHECK_EQ(pln_symbolizer_file(s, root, fixture_path("program"), id, 8, &again), 0);
	CHECK(outside == again);
	pln_symbolizer_free(s);
}

/* It is in no file, but most programs spend time in it. */
static void test_vdso(void)
{
	uint8_t id[64];
	size_t size = vdso_build_id(id);
	struct fixture f = { .symbolizer = pln_symbolizer_new(NULL) };
	void *library = dlopen("linux-vdso.so.1", RTLD_NOW | RTLD_NOLOAD);
	char *code = library ? dlsym(library, "__vdso_clock_gettime") : NULL;
	uint64_t base = getauxval(AT_SYSINFO_EHDR);

	if (!size || !code) {
		printf("not tested: no vdso\n");
	} else if (CHECK_EQ(pln_symbolizer_file(f.symbolizer, "/proc/1/root", "[vdso]", id, size,
						&f.file),
			    0)) {
		f.count = pln_symbolizer_lookup(f.symbolizer, f.file, (uint64_t)code - base + 4,
						f.symbols, 16);
		fixture_check(&f, 0, "clock_gettime", "", NULL);
		id[0] ^= 1;
		CHECK_EQ(-pln_symbolizer_file(f.symbolizer, NULL, "[vdso]", id, size, &f.file),
			 ESTALE);
	}
	CHECK_EQ(-pln_symbolizer_file(f.symbolizer, NULL, "[vdso]", NULL, 0, &f.file), ENOENT);
	pln_symbolizer_free(f.symbolizer);
}

int main(void)
{
	if (!fixture_has("gcc"))
		return check_skip("no gcc");
	test_aliases();
	test_stripped();
	test_nothing_known();
	test_stubs();
	test_stub_in_plt_got();
	test_wrong_file();
	test_what_is_no_file_is_not_opened();
	test_root();
	test_vdso();
	return check_result();
}
