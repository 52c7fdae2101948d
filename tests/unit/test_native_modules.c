/* SPDX-License-Identifier: MIT */
/*
 * test_native_modules.c - modules are announced when they come and go, with the right
 * path, range and build id; tables are built when walks ask for them; and nothing that
 * a walk may hold is unmapped under it while libraries come and go.
 */
#include <dlfcn.h>
#include <link.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "checked_read.h"
#include "native/module_set_i.h"
#include "native/native.h"

/* Part of libc6, small, and linked by nobody. */
#define LIBRARY "libBrokenLocale.so.1"

static struct pln_module added[256], gone[256];
static unsigned added_count, gone_count;

static void on_added(const struct pln_module *module, void *arg)
{
	(void)arg;
	if (added_count < 256)
		added[added_count++] = *module;
}

static void on_gone(const struct pln_module *module, void *arg)
{
	(void)arg;
	if (gone_count < 256)
		gone[gone_count++] = *module;
}

static const struct pln_module_events events = { .added = on_added, .gone = on_gone };

static int refresh(void)
{
	added_count = gone_count = 0;
	return pln_native_refresh(&events);
}

static const struct pln_module *find(const struct pln_module *modules, unsigned count,
				     const char *part)
{
	for (unsigned i = 0; i < count; i++)
		if (strstr(modules[i].path, part))
			return &modules[i];
	return NULL;
}

static const struct pln_module_view *view_of(uintptr_t pc)
{
	return pln_module_set_find_sigsafe(pln_module_set_current(), pc);
}

static void first_refresh_announces_everything(void)
{
	char self[512] = { 0 };
	const struct pln_module *module;
	const struct pln_module_view *view;

	CHECK(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
	CHECK(refresh() >= 3);
	module = find(added, added_count, self);
	if (CHECK(module != NULL)) {
		CHECK((uintptr_t)first_refresh_announces_everything >= module->lo);
		CHECK((uintptr_t)first_refresh_announces_everything < module->hi);
		CHECK(module->eh_frame_hdr && module->eh_frame_hdr_size > 8);
		view = view_of((uintptr_t)refresh);
		CHECK(view && view->lo == module->lo && view->hi == module->hi);
	}
	CHECK(find(added, added_count, "[vdso]") != NULL);
	module = find(added, added_count, "/libc.so.6");
	if (CHECK(module != NULL))
		CHECK_EQ(module->build_id_size, 20);
	CHECK_EQ(refresh(), 0);
	CHECK(!view_of((uintptr_t)self));
	CHECK(pln_native_table_bytes() > 100000);
}

static bool has_table(uintptr_t pc)
{
	const struct pln_module_view *view = view_of(pc);

	return view && view->table;
}

static enum pln_walk_end walk_from(uintptr_t pc)
{
	uintptr_t words[64] = { 0 };
	struct pln_stack stack = { (uintptr_t)words, (uintptr_t)(words + 64), (void *)words };
	struct pln_regs regs = { .pc = pc, .sp = (uintptr_t)words };
	uint64_t pcs[8], cfas[8];
	uint8_t guessed[8];
	struct pln_native_walk walk = { .pc = pcs, .cfa = cfas, .guessed = guessed, .max = 8 };

	pln_native_walk_sigsafe(&stack, &regs, &walk);
	return walk.end;
}

static void libraries_come_and_go(void)
{
	void *library = dlopen(LIBRARY, RTLD_NOW);
	uintptr_t lo;

	if (!CHECK(library != NULL))
		return;
	CHECK_EQ(refresh(), 1);
	if (!CHECK(find(added, added_count, LIBRARY) != NULL))
		return;
	lo = added[0].lo;
	CHECK(!has_table(lo));
	CHECK_EQ(walk_from(lo + 1), PLN_WALK_NO_TABLE);
	CHECK(pln_native_refresh_is_due());
	CHECK_EQ(refresh(), 0);
	CHECK(has_table(lo));
	CHECK(walk_from(lo + 1) != PLN_WALK_NO_TABLE);
	dlclose(library);
	CHECK_EQ(refresh(), 1);
	CHECK(find(gone, gone_count, LIBRARY) != NULL);
	CHECK(!has_table(lo));
	CHECK_EQ(pln_module_set_dropped_bytes(), 0); /* no walk is inside: given back at once */
}

/* A library that the last refresh has not seen is no anonymous code. */
static void new_libraries_are_told_from_jits(void)
{
	void *library = dlopen(LIBRARY, RTLD_NOW);
	struct link_map *map = NULL;

	if (!CHECK(library != NULL))
		return;
	dlinfo(library, RTLD_DI_LINKMAP, &map);
	if (dlsym(RTLD_DEFAULT, "_dl_find_object"))
		CHECK_EQ(walk_from(map->l_addr + 0x1001), PLN_WALK_NO_TABLE);
	CHECK(pln_native_refresh_is_due());
	CHECK_EQ(refresh(), 1);
	dlclose(library);
	CHECK_EQ(refresh(), 1);
}

static void memory_waits_for_walks(void)
{
	void *library = dlopen(LIBRARY, RTLD_NOW);
	struct pln_module_set *held;

	CHECK_EQ(refresh(), 1);
	if (!CHECK(added_count == 1))
		return;
	pln_native_want(added[0].lo);
	held = pln_module_set_enter_sigsafe(0);
	dlclose(library);
	CHECK_EQ(refresh(), 1);
	CHECK(pln_module_set_dropped_bytes() > 0);
	CHECK(pln_module_set_find_sigsafe(held, added[0].lo)->table->row_count > 0);
	pln_module_set_leave_sigsafe(0);
	refresh();
	CHECK_EQ(pln_module_set_dropped_bytes(), 0);
}

static bool gets_table(uintptr_t pc)
{
	for (unsigned i = 0; i < 10 && !has_table(pc); i++)
		refresh();
	return has_table(pc);
}

/* Closed before its unwind sections are read, and opened again where it was. */
static void what_is_gone_has_no_table(void)
{
	void *library = dlopen(LIBRARY, RTLD_NOW);
	struct link_map *map = NULL;
	uintptr_t lo;

	CHECK_EQ(refresh(), 1);
	if (!CHECK(added_count == 1))
		return;
	lo = added[0].lo;
	dlclose(library);
	pln_native_want(lo);
	CHECK(!has_table(lo));
	library = dlopen(LIBRARY, RTLD_NOW);
	dlinfo(library, RTLD_DI_LINKMAP, &map);
	refresh();
	if (map->l_addr + 0x1000 == lo) {
		CHECK(gets_table(lo));
		CHECK(view_of(lo)->table->row_count > 1);
	}
	dlclose(library);
	refresh();
}

static void short_memory_is_no_fate(void)
{
	void *library = dlopen(LIBRARY, RTLD_NOW);
	struct rlimit old, none;
	uintptr_t lo;

	CHECK_EQ(refresh(), 1);
	if (!CHECK(added_count == 1))
		return;
	lo = added[0].lo;
	getrlimit(RLIMIT_AS, &old);
	none = (struct rlimit){ .rlim_max = old.rlim_max };
	CHECK_EQ(setrlimit(RLIMIT_AS, &none), 0);
	pln_native_want(lo);
	CHECK_EQ(setrlimit(RLIMIT_AS, &old), 0);
	CHECK(!has_table(lo));
	CHECK(gets_table(lo));
	dlclose(library);
	refresh();
}

static atomic_bool stop;
static atomic_ulong walks;

static void *walk_always(void *arg)
{
	uintptr_t pc = (uintptr_t)arg;

	while (!atomic_load(&stop)) {
		walk_from(pc);
		walk_from((uintptr_t)dlopen);
		atomic_fetch_add(&walks, 1);
	}
	return NULL;
}

static void walks_survive_churn(void)
{
	void *library = dlopen(LIBRARY, RTLD_NOW);
	pthread_t threads[2];

	refresh();
	if (!CHECK(library != NULL) || !CHECK(added_count == 1))
		return;
	for (unsigned i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, walk_always, (void *)(added[0].lo + 1));
	for (unsigned i = 0; i < 1000 || atomic_load(&walks) < 10000; i++) {
		dlclose(library);
		refresh();
		library = dlopen(LIBRARY, RTLD_NOW);
		refresh();
	}
	atomic_store(&stop, true);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	dlclose(library);
	CHECK_EQ(refresh(), 1);
	refresh();
	CHECK_EQ(pln_module_set_dropped_bytes(), 0);
}

static void a_child_announces_again(void)
{
	int status = -1;
	pid_t child = fork();

	if (!child) {
		pln_native_after_fork();
		_exit(refresh() >= 3 && find(added, added_count, "/libc.so.6") ? 0 : 1);
	}
	waitpid(child, &status, 0);
	CHECK_EQ(status, 0);
}

int main(void)
{
	pln_checked_read_init();
	CHECK_EQ(walk_from((uintptr_t)main), PLN_WALK_BAD_STACK); /* not initialized: harmless */
	CHECK_EQ(pln_native_init(), 0);
	first_refresh_announces_everything();
	libraries_come_and_go();
	new_libraries_are_told_from_jits();
	memory_waits_for_walks();
	what_is_gone_has_no_table();
	short_memory_is_no_fate();
	walks_survive_churn();
	a_child_announces_again();
	return check_result();
}
