/* SPDX-License-Identifier: MIT */
/*
 * segment.c - create, map and fill the shared segment (layout: wire.h).
 *
 * Context: start of sampling in a process; not a handler. A memfd is bound to no
 * file system limit such as a small /dev/shm, leaves nothing behind after SIGKILL,
 * and is sparse: a lane costs memory only once its thread has samples. Lanes are
 * mapped some at a time: what a program may have of address space is its own, and mlockall()
 * does not fill them all in.
 */
#include "segment.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>

#include <pillion/syscall.h>

#include "burst/burst.h"
#include "clock.h"
#include "memory/memory.h"
#include "options.h"
#include "pages.h"

#define PAGE 4096u
#define CONTROL_DATA (256u << 10)
#define SAMPLER_DATA (256u << 10)
#define LANE_DATA                                                                                  \
	(256u << 10) /* 2 s of samples at the default rate; imports bring code objects too */
#define ALLOC_LANE_DATA (4u << 20) /* 50 ms of some 300,000 sampled allocations a second */
#define ALLOC_INTERVAL_SMALL (512u << 10)
#define SMALL_LANES 64u

#ifndef MFD_CLOEXEC
#define MFD_CLOEXEC 1u
#define MFD_ALLOW_SEALING 2u
#endif
#define FCNTL_ADD_SEALS 1033
#define ADVISE_POPULATE_WRITE 23 /* Linux 5.14 */
#define SEAL_SHRINK_GROW_SEAL (0x1 | 0x2 | 0x4)
static_assert(PILLION_TEXT_MAX <= PILLION_LABELS_SIZE, "labels fit");

struct pln_segment *pln_segment;
struct pln_segment_own pln_segment_own;
_Atomic(char *) pln_segment_lanes[PLN_LANE_GROUPS];
static bool is_strict; /* see has_memory_for() */
static _Atomic uint32_t owner; /* process that the segment was published by, 0: nobody */

static uint64_t round_page(uint64_t size)
{
	return (size + PAGE - 1) & ~(uint64_t)(PAGE - 1);
}

/* A process that limits its files gets a small segment rather than none. */
static bool has_to_be_small_file(void)
{
	struct rlimit file;

	return !getrlimit(RLIMIT_FSIZE, &file) && file.rlim_max != RLIM_INFINITY;
}

/* So does one that limits its address space, of all that is mapped at once. */
static bool has_to_be_small(void)
{
	struct rlimit space;

	if (!getrlimit(RLIMIT_AS, &space) && space.rlim_cur != RLIM_INFINITY)
		return true;
	return has_to_be_small_file();
}

static uint32_t choose_lane_count(void)
{
	return has_to_be_small_file() ? SMALL_LANES : (uint32_t)pln_options.max_threads;
}

/* Who asks for more allocations than usual, or for each, wants to see them. */
static uint32_t choose_lane_data(void)
{
	bool many = pln_options.memory == PILLION_MEMORY_SAMPLE && pln_options.alloc_interval &&
		    pln_options.alloc_interval < ALLOC_INTERVAL_SMALL;

	return many && !has_to_be_small() ? ALLOC_LANE_DATA : LANE_DATA;
}

/* Offsets and sizes only; `plan` is not the shared memory yet. */
static void plan_layout(struct pln_segment *plan)
{
	plan->lane_count = choose_lane_count();
	plan->lane_size = (uint32_t)round_page(sizeof(struct pln_lane) + choose_lane_data());
	plan->slots_off = PAGE;
	plan->control_off =
		round_page(plan->slots_off + plan->lane_count * sizeof(struct pln_slot));
	plan->control_size = round_page(sizeof(struct pln_lane) + CONTROL_DATA);
	plan->sampler_off = plan->control_off + plan->control_size;
	plan->sampler_size = round_page(sizeof(struct pln_lane) + SAMPLER_DATA);
	plan->lanes_off = plan->sampler_off + plan->sampler_size;
	plan->size = plan->lanes_off + (uint64_t)plan->lane_count * plan->lane_size;
	plan->burst_size = pln_burst_size(has_to_be_small());
	plan->burst_off = plan->burst_size ? plan->size : 0;
	plan->size += round_page(plan->burst_size);
}

/* Whole file or its first `size` bytes; what is missing stays zero. */
static void read_proc(const char *path, char *dst, size_t size)
{
	long fd = pln_syscall4(SYS_openat, AT_FDCWD, (long)path, O_RDONLY | O_CLOEXEC, 0);

	if (fd < 0)
		return;
	(void)pln_syscall3(SYS_read, fd, (long)dst, (long)size);
	(void)pln_syscall3(SYS_close, fd, 0, 0);
}

static uint64_t clk_tick_ns(void)
{
	struct timespec res;

	/* The coarse clock moves once per kernel tick, as CPU-clock timers do. */
	if (clock_getres(CLOCK_MONOTONIC_COARSE, &res))
		return 0;
	return (uint64_t)res.tv_sec * PLN_SECOND_NS + (uint64_t)res.tv_nsec;
}

static void fill_header(struct pln_segment *seg, enum pln_hello_reason reason)
{
	struct timespec real;

	seg->version = PILLION_WIRE_VERSION;
	seg->header_size = sizeof(*seg);
	seg->pid = (uint32_t)pln_getpid_sigsafe();
	seg->ppid = (uint32_t)pln_syscall3(SYS_getppid, 0, 0, 0);
	(void)pln_clock_read_sigsafe(CLOCK_REALTIME, &real);
	seg->start_real_ns = (uint64_t)real.tv_sec * PLN_SECOND_NS + (uint64_t)real.tv_nsec;
	seg->start_mono_ns = pln_now_ns_sigsafe();
	seg->period_ns = pln_segment_own.period_ns;
	seg->tick_ns = pln_segment_own.tick_ns;
	seg->reason = reason;
	seg->inherited_bytes = pln_memory_inherited_bytes();
	seg->clk_tck_ns = (uint32_t)pln_segment_own.clk_tck_ns;
	(void)pln_syscall3(SYS_readlink, (long)"/proc/self/exe", (long)seg->executable,
			   sizeof(seg->executable) - 1);
	read_proc("/proc/self/cmdline", seg->arguments, sizeof(seg->arguments) - 1);
	strcpy(seg->labels, pln_options.labels);
}

/* Beyond RLIMIT_FSIZE not just an error: SIGXFSZ would end the program. */
static int set_size(long fd, uint64_t size)
{
	struct rlimit limit, raised;
	bool raise;
	long error;

	if (getrlimit(RLIMIT_FSIZE, &limit))
		return -errno;
	if (size > limit.rlim_max)
		return -EFBIG;
	raised = (struct rlimit){ limit.rlim_max, limit.rlim_max };
	raise = size > limit.rlim_cur;
	if (raise && setrlimit(RLIMIT_FSIZE, &raised))
		return -errno;
	error = pln_syscall3(SYS_ftruncate, fd, (long)size, 0);
	if (raise)
		(void)setrlimit(RLIMIT_FSIZE, &limit);
	return (int)error;
}

/*
 * Where the kernel gives no more memory than there is (vm.overcommit_memory), it counts shared
 * pages when they are first written to, and ends the program by SIGBUS if there are none left.
 * There, all that will be written to is asked for before.
 */
static bool has_memory_for(void *part, uint64_t size)
{
	return !is_strict ||
	       pln_syscall3(SYS_madvise, (long)part, (long)size, ADVISE_POPULATE_WRITE) != -EFAULT;
}

static void ask_how_memory_is_given(void)
{
	char mode = 0;

	read_proc("/proc/sys/vm/overcommit_memory", &mode, 1);
	is_strict = mode == '2';
}

/* A part of the memfd, which a core dump has no use for. */
static void *map_part(int fd, uint64_t offset, uint64_t size)
{
	void *part = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd,
			  (off_t)offset);

	if (part == MAP_FAILED)
		return NULL;
	(void)madvise(part, size, MADV_DONTDUMP);
	return part;
}

/* One that will all be written to. */
static void *map_with_memory(int fd, uint64_t offset, uint64_t size)
{
	void *part = map_part(fd, offset, size);

	if (!part || has_memory_for(part, size))
		return part;
	pln_pages_unmap(part, size);
	return NULL;
}

/* A forked child must never write into its parent's lanes. */
static void keep_from_children(void *part, uint64_t size)
{
	(void)madvise(part, size, MADV_DONTFORK);
}

static uint64_t group_size(uint64_t lane_size)
{
	return PLN_LANES_AT_ONCE * lane_size;
}

static void forget_lanes(void)
{
	for (uint32_t i = 0; i < PLN_LANE_GROUPS && pln_segment_lanes[i]; i++)
		pln_segment_lanes[i] = NULL;
}

static void unmap_all(void *head, uint64_t head_size, uint64_t lane_size)
{
	for (uint32_t i = 0; i < PLN_LANE_GROUPS && pln_segment_lanes[i]; i++)
		pln_pages_unmap(pln_segment_lanes[i], group_size(lane_size));
	forget_lanes();
	pln_pages_unmap(head, head_size);
}

/*
 * All that comes before the lanes, and the first of these. Slots are there in children: one that no
 * fork handler ran in (_Fork, a raw clone) still counts in them what it allocates, if only until
 * it looks up.
 */
static struct pln_segment *map_head(int fd, const struct pln_segment *plan)
{
	char *head = map_with_memory(fd, 0, plan->lanes_off), *lanes;

	if (!head)
		return NULL;
	lanes = map_part(fd, plan->lanes_off, group_size(plan->lane_size));
	if (!lanes) {
		pln_pages_unmap(head, plan->lanes_off);
		return NULL;
	}
	keep_from_children(head, plan->slots_off);
	keep_from_children(head + plan->control_off, plan->lanes_off - plan->control_off);
	keep_from_children(lanes, group_size(plan->lane_size));
	pln_segment_lanes[0] = lanes;
	return (struct pln_segment *)head;
}

static bool map_burst(int fd, const struct pln_segment *plan)
{
	void *burst;

	if (!plan->burst_size)
		return true;
	burst = map_with_memory(fd, plan->burst_off, plan->burst_size);
	if (!burst)
		return false;
	keep_from_children(burst, plan->burst_size);
	pln_burst_place(burst, has_to_be_small());
	return true;
}

static struct pln_segment *map_segment(int fd, const struct pln_segment *plan)
{
	struct pln_segment *seg = map_head(fd, plan);

	if (!seg)
		return NULL;
	if (!map_burst(fd, plan)) {
		unmap_all(seg, plan->lanes_off, plan->lane_size);
		return NULL;
	}
	seg->size = plan->size;
	seg->lane_count = plan->lane_count;
	seg->lane_size = plan->lane_size;
	seg->slots_off = plan->slots_off;
	seg->control_off = plan->control_off;
	seg->control_size = plan->control_size;
	seg->sampler_off = plan->sampler_off;
	seg->sampler_size = plan->sampler_size;
	seg->lanes_off = plan->lanes_off;
	seg->burst_off = plan->burst_off;
	seg->burst_size = plan->burst_size;
	return seg;
}

static void remember(struct pln_segment *seg, const struct pln_segment *plan)
{
	char *base = (char *)seg;

	pln_segment_own = (struct pln_segment_own){
		.head_size = plan->lanes_off,
		.slots = (struct pln_slot *)(base + plan->slots_off),
		.control = (struct pln_lane *)(base + plan->control_off),
		.sampler = (struct pln_lane *)(base + plan->sampler_off),
		.lane_count = plan->lane_count,
		.lane_size = plan->lane_size,
		.lane_data_size = choose_lane_data(),
		.control_data_size = CONTROL_DATA,
		.sampler_data_size = SAMPLER_DATA,
		.period_ns = PLN_SECOND_NS / (uint64_t)pln_options.freq,
		.tick_ns = PLN_SECOND_NS / (uint64_t)pln_options.freq,
		.clk_tck_ns = clk_tick_ns(),
	};
}

/*
 * The memfd is closed long since: shared memory is mapped once more by "resizing" nothing of it to
 * what is wanted. That begins where the last group does; what is there already goes again.
 */
static void *map_next(char *last, uint64_t size)
{
	char *both = pln_pages_result(
		pln_syscall4(SYS_mremap, (long)last, 0, (long)(2 * size), MREMAP_MAYMOVE));

	if (both == MAP_FAILED)
		return MAP_FAILED;
	pln_pages_unmap(both, size);
	return both + size;
}

bool pln_segment_open_lane(uint32_t index)
{
	uint64_t size = group_size(pln_segment_own.lane_size);

	for (uint32_t i = 1; i <= index / PLN_LANES_AT_ONCE; i++) {
		/* acquire: pairs with pln_pages_keep() */
		if (pln_load_acquire(&pln_segment_lanes[i]))
			continue;
		if (!pln_pages_keep(&pln_segment_lanes[i],
				    map_next(pln_load_acquire(&pln_segment_lanes[i - 1]), size),
				    size))
			return false;
	}
	return has_memory_for(pln_segment_lane_sigsafe(index), pln_segment_own.lane_size);
}

int pln_segment_create(enum pln_hello_reason reason)
{
	struct pln_segment plan = { .size = 0 };
	struct pln_segment *seg;
	long fd;

	fd = pln_syscall3(SYS_memfd_create, (long)"pillion", MFD_CLOEXEC | MFD_ALLOW_SEALING, 0);
	if (fd < 0)
		return (int)fd;
	plan_layout(&plan);
	ask_how_memory_is_given();
	if (set_size(fd, plan.size) < 0 ||
	    pln_syscall3(SYS_fcntl, fd, FCNTL_ADD_SEALS, SEAL_SHRINK_GROW_SEAL) < 0 ||
	    !(seg = map_segment((int)fd, &plan))) {
		(void)pln_syscall3(SYS_close, fd, 0, 0);
		return -ENOMEM;
	}
	remember(seg, &plan);
	fill_header(seg, reason);
	pln_segment = seg;
	/* release: everything above before the magic; pairs with the collector's first read */
	pln_store_release(&seg->magic, PILLION_SEGMENT_MAGIC);
	return (int)fd;
}

bool pln_segment_is_ours_sigsafe(void)
{
	/* acquire: pairs with pln_segment_publish() */
	uint32_t pid = pln_load_acquire(&owner);

	return pid && pid == (uint32_t)pln_getpid_sigsafe();
}

void pln_segment_publish(void)
{
	/* release: the segment before the word that it may be used */
	pln_store_release(&owner, pln_segment->pid);
}

void pln_segment_discard(void)
{
	struct pln_segment *seg = pln_segment;

	pln_segment = NULL;
	unmap_all(seg, pln_segment_own.head_size, pln_segment_own.lane_size);
}

void pln_segment_forget(void)
{
	if (pln_segment)
		pln_pages_unmap(pln_segment_own.slots,
				round_page(pln_segment_own.lane_count * sizeof(struct pln_slot)));
	forget_lanes();
	pln_store_relaxed(&owner, 0);
	pln_segment = NULL;
}
