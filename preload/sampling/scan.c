/* SPDX-License-Identifier: MIT */
/*
 * scan.c - keeps slots in step with /proc/self/task.
 *
 * Context: sampling thread. Most threads register themselves (threads.c); the scan finds
 * those that were there before us or were made by a raw clone, and sees threads end. A
 * thread that the scan meets for the first time, or while some are still starting, gets
 * time to register itself before the scan does it. (Were both to do it, the newer slot
 * stays and the older one is retired.)
 */
#include "scan.h"

#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>

#include <pillion/atomic.h>

#include "clock.h"
#include "memory/memory.h"
#include "sampling/announce.h"
#include "sampling/blocked.h"
#include "sampling/timer.h"
#include "segment.h"
#include "text.h"

#define MAP_SIZE 32768u /* twice the largest number of threads, a power of two */
#define SCAN_EVERY_NS 80000000ull /* between looks at /proc/self/task, and for each thread: */
#define SCAN_THREAD_NS 1250000ull
#define NAME_EVERY 16u /* looks at /proc/self/task between looks at thread names */
#define NEWCOMERS 64u

/* tid -> slot index + 1, open addressing, never more than half full; rebuilt by every scan. */
static uint32_t map_tid[MAP_SIZE];
static uint32_t map_slot[MAP_SIZE];
static uint32_t map_mask; /* of the part in use */
static uint32_t newcomers[NEWCOMERS]; /* tids seen once, not registered yet */
static unsigned newcomer_count;
static int task_fd = -1;
static bool keep_files;
static rlim_t file_limit; /* RLIMIT_NOFILE as of the last scan */
static uint32_t own_tid;
static uint32_t adopted_count;
static uint64_t next_scan_ns;
static uint64_t scans;
static unsigned entries; /* threads in /proc/self/task at the last scan */
static bool alone;

struct linux_dirent64 {
	uint64_t inode;
	int64_t offset;
	uint16_t size;
	uint8_t type;
	char name[];
};

/* ------------------------------------------------------------------ files */

int pln_scan_open_task_file(uint32_t tid, const char *name)
{
	struct pln_text path = { .size = 0 };

	pln_text_add(&path, "/proc/self/task/");
	pln_text_add_number(&path, tid);
	pln_text_add(&path, name);
	return (int)pln_syscall4(SYS_openat, AT_FDCWD, (long)path.bytes, O_RDONLY | O_CLOEXEC, 0);
}

static void close_file(int *fd)
{
	if (*fd >= 0)
		(void)pln_syscall3(SYS_close, *fd, 0, 0);
	*fd = -1;
}

static void close_files(struct pln_thread *thread)
{
	close_file(&thread->syscall_fd);
	close_file(&thread->schedstat_fd);
}

static rlim_t read_file_limit(void)
{
	struct rlimit limit;

	return getrlimit(RLIMIT_NOFILE, &limit) ? 0 : limit.rlim_cur;
}

/* Half of the numbers stay free: with more threads than files, the others take turns. */
static bool may_stay_open(int fd)
{
	return keep_files && (rlim_t)fd < file_limit / 2;
}

void pln_scan_done_with_files(struct pln_thread *thread)
{
	if (thread->syscall_fd >= 0 && !may_stay_open(thread->syscall_fd))
		close_file(&thread->syscall_fd);
	if (thread->schedstat_fd >= 0 && !may_stay_open(thread->schedstat_fd))
		close_file(&thread->schedstat_fd);
}

/*
 * The first thread's, not our own: with any file opened of another thread, the kernel takes
 * 0.1 to 0.3 ms more to forget the process, which a parent of many waits for.
 */
bool pln_scan_has_schedstat(void)
{
	int fd = pln_scan_open_task_file((uint32_t)pln_getpid_sigsafe(), "/schedstat");
	bool found = fd >= 0;

	close_file(&fd);
	return found;
}

static void read_name(const struct pln_thread *thread, char name[16])
{
	int fd = pln_scan_open_task_file(thread->tid, "/comm");
	long n;

	memset(name, 0, 16);
	if (fd < 0)
		return;
	n = pln_syscall3(SYS_read, fd, (long)name, 16);
	close_file(&fd);
	if (n > 0 && name[n - 1] == '\n')
		name[n - 1] = '\0';
	name[15] = '\0';
}

static int open_own_stat(void)
{
	return (int)pln_syscall4(SYS_openat, AT_FDCWD, (long)"/proc/self/stat",
				 O_RDONLY | O_CLOEXEC, 0);
}

/* Field `number` (from 3, the state, on) of a stat file, as text; `line` is its buffer. */
static const char *read_stat_field(int fd, unsigned number, char line[512])
{
	const char *field;
	long n;

	if (fd < 0)
		return "";
	n = pln_syscall3(SYS_read, fd, (long)line, 511);
	close_file(&fd);
	line[n > 0 ? n : 0] = '\0';
	/* The name, in parentheses, may hold anything. */
	field = strrchr(line, ')');
	for (number -= 2; field && number; number--)
		if ((field = strchr(field, ' ')))
			field++;
	return field ? field : "";
}

/* The first thread stays in /proc until the process ends. */
static bool is_zombie(uint32_t tid)
{
	char line[512];

	return *read_stat_field(pln_scan_open_task_file(tid, "/stat"), 3, line) == 'Z';
}

bool pln_scan_is_last_thread(unsigned threads_of_ours)
{
	uint32_t pid = (uint32_t)pln_getpid_sigsafe();
	char line[512];
	const char *field = read_stat_field(open_own_stat(), 20, line);
	uint64_t count = pln_parse_decimal(&field);

	if (count == threads_of_ours + 2 && pid != (uint32_t)pln_gettid_sigsafe())
		count -= is_zombie(pid);
	return count == threads_of_ours + 1;
}

uintptr_t pln_scan_break_start(void)
{
	char line[512];
	const char *field = read_stat_field(open_own_stat(), 47, line);

	return pln_parse_decimal(&field);
}

/* In a hexadecimal mask, whose last digit is of signals 1 to 4. */
static bool mask_has(const char *mask, int signo)
{
	size_t digits = strspn(mask, "0123456789abcdef"), from_end = (size_t)(signo - 1) / 4 + 1;
	char digit;

	if (from_end > digits)
		return false;
	digit = mask[digits - from_end];
	return (digit <= '9' ? digit - '0' : digit - 'a' + 10) >> (signo - 1) % 4 & 1;
}

bool pln_scan_has_pending(uint32_t tid, int signo)
{
	char text[4096];
	int fd = pln_scan_open_task_file(tid, "/status");
	const char *mask;
	long n;

	if (fd < 0)
		return false;
	n = pln_syscall3(SYS_read, fd, (long)text, sizeof(text) - 1);
	close_file(&fd);
	text[n > 0 ? n : 0] = '\0';
	mask = strstr(text, "\nSigPnd:\t");
	return mask && mask_has(mask + 9, signo);
}

/* -------------------------------------------------------------------- map */

static uint32_t map_place(uint32_t tid)
{
	uint32_t at = tid * 2654435761u & map_mask;

	while (map_tid[at] && map_tid[at] != tid)
		at = (at + 1) & map_mask;
	return at;
}

/* As large as the slots ask for: what a scan touches is taken from the program's caches. */
static void map_clear(void)
{
	uint32_t size = 1;

	while (size < 2 * pln_segment_own.lane_count && size < MAP_SIZE)
		size *= 2;
	map_mask = size - 1;
	memset(map_tid, 0, size * sizeof(*map_tid));
}

/* NULL: no slot. */
static struct pln_thread *map_find(uint32_t tid)
{
	uint32_t at = map_place(tid);

	return map_tid[at] ? pln_thread_sigsafe(map_slot[at] - 1) : NULL;
}

/* Of two slots with one tid, the newer is the living thread's. */
static void map_add(struct pln_thread *thread)
{
	uint32_t at = map_place(thread->tid);

	if (map_tid[at] && pln_thread_sigsafe(map_slot[at] - 1)->serial > thread->serial)
		return;
	map_tid[at] = thread->tid;
	map_slot[at] = thread->index + 1;
}

/* ---------------------------------------------------------------- threads */

static void adopt(struct pln_thread *thread)
{
	struct pln_slot *slot = pln_segment_slot_sigsafe(thread->index);

	thread->is_main = thread->tid == (uint32_t)pln_getpid_sigsafe();
	thread->seen_ns = pln_load_relaxed(&slot->start_ns);
	thread->cpu_ns = pln_load_relaxed(&slot->cpu_base_ns);
	read_name(thread, thread->name);
	thread->adopted = true;
	adopted_count++;
	pln_announce_thread(thread, PILLION_RECORD_THREAD);
}

/*
 * Cancelled, or made by a raw clone: it has not settled for itself. Not where its number lives on:
 * it may be in the handler, with a newer slot.
 */
static void settle_silent(struct pln_thread *thread, const struct pln_slot *slot)
{
	if (pln_load_relaxed(&slot->state) == PILLION_SLOT_LIVE &&
	    !pln_clock_ns_sigsafe(pln_thread_clock(thread->tid)))
		pln_threads_settle(thread, thread->cpu_ns);
}

static void retire(struct pln_thread *thread)
{
	struct pln_slot *slot = pln_segment_slot_sigsafe(thread->index);
	uint64_t off, runnable;

	/* A thread that said that it ends has done so itself. */
	pln_timer_delete(thread);
	settle_silent(thread, slot);
	off = pln_load_relaxed(&slot->pending_offcpu_ns);
	runnable = pln_load_relaxed(&slot->pending_runnable_ns);
	/* What is still pending belongs to the last wait that was seen. */
	if (off && thread->last_blocked_hash &&
	    pln_blocked_repeat(thread, off, runnable, PILLION_CAUSE_EXIT)) {
		pln_store_relaxed(&slot->pending_offcpu_ns, 0);
		pln_store_relaxed(&slot->pending_runnable_ns, 0);
	}
	pln_announce_thread(thread, PILLION_RECORD_THREAD_EXIT);
	pln_memory_slot_is_left(slot);
	close_files(thread);
	thread->adopted = false;
	adopted_count--;
	pln_store_relaxed(&slot->state, PILLION_SLOT_DRAINING);
}

static bool is_dormant(void)
{
	return pln_load_relaxed(&pln_segment->state) == PILLION_TARGET_DORMANT;
}

static void skip(struct pln_slot *slot, uint64_t ran, uint64_t passed)
{
	pln_add_relaxed(&slot->dormant_cpu_ns, ran);
	pln_add_relaxed(&slot->dormant_wall_ns, passed);
}

/* The time between the last tick and the end, which the thread itself has written. */
static void account_last_words(struct pln_thread *thread)
{
	struct pln_slot *slot = pln_segment_slot_sigsafe(thread->index);
	uint64_t passed = pln_load_relaxed(&slot->seen_ns) - thread->seen_ns;
	uint64_t ran = pln_load_relaxed(&slot->cpu_ns) - thread->cpu_ns;

	if (is_dormant())
		skip(slot, ran, passed);
	else if (passed > ran && passed - ran < 3600 * PLN_SECOND_NS)
		pln_add_relaxed(&slot->pending_offcpu_ns, passed - ran);
}

/* Threads that registered or ended by themselves, and slots that the collector has emptied. */
static void sweep_slots(void)
{
	uint32_t used = pln_threads_high_water_sigsafe();

	for (uint32_t i = 0; i < used; i++) {
		struct pln_thread *thread = pln_thread_sigsafe(i);
		struct pln_slot *slot = pln_segment_slot_sigsafe(i);
		struct pln_lane *lane = pln_segment_lane_sigsafe(i);
		/* acquire: pairs with pln_threads_claim() and the thread's own end */
		uint32_t state = pln_load_acquire(&slot->state);

		if (state == PILLION_SLOT_DRAINING &&
		    pln_load_relaxed(&lane->head) == pln_load_relaxed(&lane->tail))
			pln_threads_release(thread);
		if (state != PILLION_SLOT_LIVE && state != PILLION_SLOT_EXITED)
			continue;
		if (!thread->adopted)
			adopt(thread);
		if (state == PILLION_SLOT_EXITED) {
			account_last_words(thread);
			retire(thread);
		}
	}
	pln_threads_lower_high_water();
}

static void map_thread(struct pln_thread *thread)
{
	thread->gone = true; /* until the scan finds it */
	map_add(thread);
}

static bool was_newcomer(uint32_t tid)
{
	for (unsigned i = 0; i < newcomer_count; i++)
		if (newcomers[i] == tid)
			return true;
	return false;
}

static void meet(uint32_t tid, uint32_t *seen_once, unsigned *seen_count)
{
	struct pln_thread *thread = map_find(tid);

	if (tid == own_tid)
		return;
	if (thread) {
		thread->gone = false;
		return;
	}
	if (pln_threads_starting() || (!was_newcomer(tid) && scans > 1)) {
		if (*seen_count < NEWCOMERS)
			seen_once[(*seen_count)++] = tid;
		return;
	}
	/* It may have registered since the sweep: in two slots its time would count twice. */
	if (is_zombie(tid) || pln_threads_find(tid))
		return;
	thread = pln_threads_claim(tid, 0, 0);
	if (!thread)
		return;
	adopt(thread);
	thread->gone = false;
	map_add(thread);
}

static bool open_task_dir(void)
{
	if (task_fd < 0)
		task_fd = (int)pln_syscall4(SYS_openat, AT_FDCWD, (long)"/proc/self/task",
					    O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	else
		(void)pln_syscall3(SYS_lseek, task_fd, 0, 0);
	return task_fd >= 0;
}

static bool read_task_dir(void)
{
	static char buffer[32768];
	uint32_t seen_once[NEWCOMERS];
	unsigned seen_count = 0;
	long n;

	entries = 0;
	if (!open_task_dir())
		return false;
	while ((n = pln_syscall3(SYS_getdents64, task_fd, (long)buffer, sizeof(buffer))) > 0) {
		for (long at = 0; at < n;) {
			struct linux_dirent64 *entry = (struct linux_dirent64 *)(buffer + at);
			const char *name = entry->name;

			if (*name >= '0' && *name <= '9') {
				entries++;
				meet((uint32_t)pln_parse_decimal(&name), seen_once, &seen_count);
			}
			at += entry->size;
		}
	}
	memcpy(newcomers, seen_once, seen_count * sizeof(*newcomers));
	newcomer_count = seen_count;
	if (!keep_files)
		close_file(&task_fd);
	return n == 0;
}

/* A directory that threads come to and leave while it is read may pass over one that lives. */
static bool lives(const struct pln_thread *thread)
{
	return map_find(thread->tid) == thread &&
	       pln_clock_ns_sigsafe(pln_thread_clock(thread->tid));
}

static void retire_gone(struct pln_thread *thread)
{
	if (thread->gone && !lives(thread))
		retire(thread);
}

static void refresh_name(struct pln_thread *thread)
{
	char name[16];

	read_name(thread, name);
	if (!name[0] || !memcmp(name, thread->name, sizeof(name)))
		return;
	memcpy(thread->name, name, sizeof(name));
	pln_announce_thread(thread, PILLION_RECORD_THREAD_NAME);
}

/* There is ours, and a first thread that may have ended: it has not, as long as it runs. */
static bool may_be_alone(void)
{
	static uint64_t first_cpu_ns;
	uint64_t cpu = pln_clock_ns_sigsafe(pln_thread_clock((uint32_t)pln_getpid_sigsafe()));
	bool ran = cpu != first_cpu_ns;

	first_cpu_ns = cpu;
	return entries <= 2 && !ran;
}

/* Most threads tell of their start and end themselves, so the directory is read now and then. */
void pln_scan_threads(uint64_t now)
{
	sweep_slots();
	if (now < next_scan_ns)
		return;
	next_scan_ns = now + SCAN_EVERY_NS + adopted_count * SCAN_THREAD_NS;
	scans++;
	file_limit = read_file_limit();
	map_clear();
	pln_scan_each(map_thread);
	if (read_task_dir())
		pln_scan_each(retire_gone);
	alone = may_be_alone() && pln_scan_is_last_thread(0);
	if (scans % NAME_EVERY == 2)
		pln_scan_each(refresh_name);
}

bool pln_scan_is_alone(void)
{
	return alone;
}

void pln_scan_each(void (*fn)(struct pln_thread *thread))
{
	uint32_t used = pln_threads_high_water_sigsafe();

	for (uint32_t i = 0; i < used; i++)
		if (pln_thread_sigsafe(i)->adopted)
			fn(pln_thread_sigsafe(i));
}

/* With the sampling thread held or gone; threads that nobody adopted yet have timers, too. */
void pln_scan_rest(void)
{
	for (uint32_t i = 0; i < pln_threads_high_water_sigsafe(); i++) {
		/* acquire: pairs with pln_threads_claim() */
		if (pln_load_acquire(&pln_segment_slot_sigsafe(i)->state) != PILLION_SLOT_LIVE)
			continue;
		pln_timer_rest(pln_thread_sigsafe(i));
	}
}

void pln_scan_skip(struct pln_thread *thread)
{
	struct pln_slot *slot = pln_segment_slot_sigsafe(thread->index);
	uint64_t cpu = pln_clock_ns_sigsafe(pln_thread_clock(thread->tid));
	uint64_t now = pln_now_ns_sigsafe();

	if (!cpu || cpu < thread->cpu_ns) /* the next scan says that it is gone */
		return;
	thread->rested_cpu_ns += cpu - thread->cpu_ns;
	skip(slot, cpu - thread->cpu_ns, now - thread->seen_ns);
	thread->cpu_ns = cpu;
	thread->seen_ns = now;
	pln_store_relaxed(&slot->cpu_ns, cpu);
	pln_store_relaxed(&slot->seen_ns, now);
}

static void rearm(struct pln_thread *thread)
{
	pln_scan_skip(thread);
	thread->idle = false;
	thread->idle_since_flush_ns = 0;
	/* No signal was to come while it rested. */
	thread->unsampled_since_ns = 0;
	if (!thread->timer_armed) /* or it has only just started */
		(void)pln_timer_resume(thread, thread->rested_cpu_ns);
	thread->rested_cpu_ns = 0;
}

void pln_scan_wake(void)
{
	/* Threads may have started meanwhile. */
	sweep_slots();
	pln_scan_each(rearm);
}

/* Files of the last life of the sampling thread are gone with its descriptor table. */
static void forget_files(struct pln_thread *thread)
{
	thread->syscall_fd = thread->schedstat_fd = -1;
}

void pln_scan_begin(bool keep_open)
{
	static uint64_t segment_ns;

	keep_files = keep_open;
	own_tid = (uint32_t)pln_gettid_sigsafe();
	task_fd = -1;
	next_scan_ns = 0;
	/* The first scan of a segment knows nobody, and takes all; one after a fork has seen them.
	 */
	if (segment_ns != pln_segment->start_mono_ns)
		scans = 0;
	segment_ns = pln_segment->start_mono_ns;
	file_limit = read_file_limit();
	alone = false;
	newcomer_count = 0;
	adopted_count = 0;
	for (uint32_t i = 0; i < pln_threads_high_water_sigsafe(); i++)
		adopted_count += pln_thread_sigsafe(i)->adopted;
	pln_scan_each(forget_files);
}

void pln_scan_end(void)
{
	if (!keep_files)
		close_file(&task_fd);
}
