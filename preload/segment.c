/* SPDX-License-Identifier: MIT */
/*
 * segment.c - create, map and fill the shared segment (layout: wire.h).
 *
 * Context: start of sampling in a process; not a handler. A memfd is bound to no
 * file system limit such as a small /dev/shm, leaves nothing behind after SIGKILL,
 * and is sparse: a lane costs memory only once its thread has samples. So that neither
 * mlockall() nor a core dump fills it all in, lanes are opened some at a time.
 */
#include "segment.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>

#include "burst/burst.h"
#include "clock.h"
#include "memory/memory.h"
#include "options.h"
#include "pages.h"
#include "syscall.h"

#define PAGE 4096u
#define CONTROL_DATA (256u << 10)
#define SAMPLER_DATA (256u << 10)
#define LANE_DATA                                                                                  \
	(256u << 10) /* 2 s of samples at the default rate; imports bring code objects too */
#define ALLOC_LANE_DATA (4u << 20) /* 50 ms of some 300,000 sampled allocations a second */
#define ALLOC_INTERVAL_SMALL (512u << 10)
#define SMALL_LANES 64u
#define LANES_AT_ONCE 16u

#ifndef MFD_CLOEXEC
#define MFD_CLOEXEC 1u
#define MFD_ALLOW_SEALING 2u
#endif
#define FCNTL_ADD_SEALS 1033
#define SEAL_SHRINK_GROW_SEAL (0x1 | 0x2 | 0x4)
static_assert(PILLION_TEXT_MAX <= PILLION_LABELS_SIZE, "labels fit");

struct pln_segment *pln_segment;
struct pln_segment_own pln_segment_own;
static _Atomic uint32_t owner; /* process that the segment was published by, 0: nobody */

static uint64_t round_page(uint64_t size)
{
	return (size + PAGE - 1) & ~(uint64_t)(PAGE - 1);
}

/* A process that limits its address space, or its files, gets a small segment rather than none. */
static bool has_to_be_small(void)
{
	struct rlimit space, file;

	if (!getrlimit(RLIMIT_AS, &space) && space.rlim_cur != RLIM_INFINITY)
		return true;
	return !getrlimit(RLIMIT_FSIZE, &file) && file.rlim_max != RLIM_INFINITY;
}

static uint32_t choose_lane_count(void)
{
	return has_to_be_small() ? SMALL_LANES : (uint32_t)pln_options.max_threads;
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
	clock_gettime(CLOCK_REALTIME, &real);
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
 * mlockall() fills in what is mapped, now or later, but not what cannot be accessed: lanes
 * stay so until they are used.
 */
static struct pln_segment *map_sparse(int fd, const struct pln_segment *plan)
{
	void *memory;

	memory = mmap(NULL, plan->size, PROT_NONE, MAP_SHARED | MAP_NORESERVE, fd, 0);
	if (memory == MAP_FAILED)
		return NULL;
	if (mprotect(memory, plan->lanes_off, PROT_READ | PROT_WRITE) ||
	    (plan->burst_size && mprotect((char *)memory + plan->burst_off, plan->burst_size,
					  PROT_READ | PROT_WRITE))) {
		pln_pages_unmap(memory, plan->size);
		return NULL;
	}
	/*
	 * A child must never write into its parent's lanes. Slots stay: a child that no fork
	 * handler ran in (_Fork, a raw clone) still counts in one what it allocates, if only
	 * until it looks up.
	 */
	(void)madvise(memory, plan->slots_off, MADV_DONTFORK);
	(void)madvise((char *)memory + plan->control_off, plan->size - plan->control_off,
		      MADV_DONTFORK);
	(void)madvise(memory, plan->size, MADV_DONTDUMP);
	return memory;
}

static struct pln_segment *map_segment(int fd, const struct pln_segment *plan)
{
	struct pln_segment *seg = map_sparse(fd, plan);

	if (!seg)
		return NULL;
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
		.size = plan->size,
		.slots = (struct pln_slot *)(base + plan->slots_off),
		.control = (struct pln_lane *)(base + plan->control_off),
		.sampler = (struct pln_lane *)(base + plan->sampler_off),
		.lanes = base + plan->lanes_off,
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

/* Threads may be here at once: what one has opened the other opens again, which changes nothing. */
bool pln_segment_open_lane(uint32_t index)
{
	struct pln_segment_own *own = &pln_segment_own;
	uint32_t open = pln_load_relaxed(&own->open_lanes);
	uint32_t wanted = (index / LANES_AT_ONCE + 1) * LANES_AT_ONCE;

	if (index < open)
		return true;
	if (wanted > own->lane_count)
		wanted = own->lane_count;
	if (pln_syscall3(SYS_mprotect, (long)own->lanes, (long)wanted * own->lane_size,
			 PROT_READ | PROT_WRITE) < 0)
		return false;
	while (open < wanted && !pln_cas_acquire(&own->open_lanes, &open, wanted))
		;
	return true;
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
	if (set_size(fd, plan.size) < 0 ||
	    pln_syscall3(SYS_fcntl, fd, FCNTL_ADD_SEALS, SEAL_SHRINK_GROW_SEAL) < 0 ||
	    !(seg = map_segment((int)fd, &plan))) {
		(void)pln_syscall3(SYS_close, fd, 0, 0);
		return -ENOMEM;
	}
	remember(seg, &plan);
	fill_header(seg, reason);
	pln_segment = seg;
	if (plan.burst_size)
		pln_burst_place((char *)seg + plan.burst_off, has_to_be_small());
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
	pln_pages_unmap(seg, pln_segment_own.size);
}

void pln_segment_forget(void)
{
	if (pln_segment)
		pln_pages_unmap(pln_segment_own.slots,
				round_page(pln_segment_own.lane_count * sizeof(struct pln_slot)));
	pln_store_relaxed(&owner, 0);
	pln_segment = NULL;
}
