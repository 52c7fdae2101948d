/* SPDX-License-Identifier: MIT */
/*
 * segment.c - map a stranger's memory and believe none of it.
 *
 * The seal against shrinking is what makes reading safe at all: without it the target
 * could cut the file under our mapping, and our next load would be a SIGBUS. The
 * header is copied once; every later check and use is of the copy.
 */
#include "ingest/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <pillion/atomic.h>
#include <pillion/env.h>

#include "ingest/quote.h"

#define MAX_SEGMENT_SIZE (1ull << 36)
#define MIN_LANE_DATA 4096u
#define MAX_LANE_DATA (64u << 20) /* the library's largest is of 4 MiB */
/* Four times what the library makes: we have memory for each, and look at each cell every second.
 */
#define MAX_BURST_NODES (1u << 21)
#define MAX_BURST_CELLS (1u << 20)

static int refuse(char *why, size_t size, int error, const char *reason)
{
	snprintf(why, size, "%s", reason);
	return error;
}

/* The largest power of two that fits behind the lane's header, 0: none in bounds. */
static uint32_t data_size_of(uint64_t lane_size)
{
	uint32_t data = MIN_LANE_DATA;

	if (lane_size < sizeof(struct pln_lane) + MIN_LANE_DATA)
		return 0;
	while (data < MAX_LANE_DATA && sizeof(struct pln_lane) + 2ull * data <= lane_size)
		data *= 2;
	return data;
}

/* [off, off + size) is aligned and lies behind the header, inside the segment. */
static bool is_inside(const struct pln_segment_view *view, uint64_t off, uint64_t size)
{
	return off % 64 == 0 && off >= sizeof(struct pln_segment) && off <= view->size &&
	       size <= view->size - off;
}

static bool place_lane(const struct pln_segment_view *view, uint64_t off, uint64_t size,
		       struct pln_lane_view *lane)
{
	lane->data_size = data_size_of(size);
	if (!lane->data_size || !is_inside(view, off, size))
		return false;
	lane->lane = (struct pln_lane *)(view->base + off);
	return true;
}

/* [off, off + count * size) lies in the burst area of `area` bytes, behind its header. */
static bool is_in_burst(uint64_t off, uint64_t count, uint64_t size, uint64_t area)
{
	return off % 8 == 0 && off >= sizeof(struct pln_burst) && off <= area && count &&
	       count * size <= area - off;
}

static bool place_burst(struct pln_segment_view *view, const struct pln_segment *h)
{
	struct pln_burst burst;
	unsigned char *base;

	if (!h->burst_off)
		return true;
	if (!is_inside(view, h->burst_off, h->burst_size) || h->burst_size < sizeof(burst))
		return false;
	base = view->base + h->burst_off;
	memcpy(&burst, base, sizeof(burst));
	if (burst.node_max > MAX_BURST_NODES || burst.cell_max > MAX_BURST_CELLS)
		return false;
	if (!is_in_burst(burst.nodes_off, burst.node_max, sizeof(*view->burst.nodes),
			 h->burst_size) ||
	    !is_in_burst(burst.cells_off, burst.cell_max, sizeof(*view->burst.cells),
			 h->burst_size))
		return false;
	view->burst.shared = (struct pln_burst *)base;
	view->burst.nodes = (struct pln_burst_node *)(base + burst.nodes_off);
	view->burst.cells = (struct pln_burst_cell *)(base + burst.cells_off);
	view->burst.node_max = burst.node_max;
	view->burst.cell_max = burst.cell_max;
	return true;
}

/* `h` is our copy of the header. */
static bool check_layout(struct pln_segment_view *view, const struct pln_segment *h)
{
	if (h->size != view->size || h->lane_count < 1 || h->lane_count > PILLION_THREADS_MAX)
		return false;
	if (!is_inside(view, h->slots_off, (uint64_t)h->lane_count * sizeof(struct pln_slot)) ||
	    !is_inside(view, h->lanes_off, (uint64_t)h->lane_count * h->lane_size))
		return false;
	view->lane_data_size = data_size_of(h->lane_size);
	if (!view->lane_data_size || h->lane_size % 64)
		return false;
	view->slots = (struct pln_slot *)(view->base + h->slots_off);
	view->lane_count = h->lane_count;
	view->lane_size = h->lane_size;
	view->lanes_off = h->lanes_off;
	return place_lane(view, h->control_off, h->control_size, &view->control) &&
	       place_lane(view, h->sampler_off, h->sampler_size, &view->sampler) &&
	       place_burst(view, h);
}

static void copy_texts(struct pln_segment_texts *texts, const struct pln_segment *h)
{
	memcpy(texts->executable, h->executable, sizeof(h->executable));
	memcpy(texts->arguments, h->arguments, sizeof(h->arguments));
	memcpy(texts->labels, h->labels, sizeof(h->labels));
	texts->arguments_size = sizeof(h->arguments);
	while (texts->arguments_size && !texts->arguments[texts->arguments_size - 1])
		texts->arguments_size--;
}

static void copy_identity(struct pln_segment_view *view, const struct pln_segment *h)
{
	view->pid = h->pid;
	view->ppid = h->ppid;
	view->reason = h->reason;
	view->start_mono_ns = h->start_mono_ns;
	view->period_ns = h->period_ns;
	view->tick_ns = h->tick_ns;
	view->inherited_bytes = h->inherited_bytes;
	copy_texts(view->texts, h);
}

static int check_header(struct pln_segment_view *view, char *why, size_t why_size)
{
	struct pln_segment h;

	/* acquire: pairs with the store of the magic, which comes after the rest */
	if (pln_load_acquire(&view->shared->magic) != PILLION_SEGMENT_MAGIC)
		return refuse(why, why_size, -EINVAL, "the shared memory has no Pillion header");
	memcpy(&h, view->base, sizeof(h));
	if (h.version != PILLION_WIRE_VERSION) {
		snprintf(why, why_size,
			 "the library's protocol is %u, the collector's %u: install both from "
			 "one version",
			 h.version, PILLION_WIRE_VERSION);
		return -EPROTONOSUPPORT;
	}
	if (h.header_size < sizeof(h) || !check_layout(view, &h))
		return refuse(why, why_size, -EINVAL, "the shared memory's layout makes no sense");
	view->texts = calloc(1, sizeof(*view->texts));
	if (!view->texts)
		return refuse(why, why_size, -ENOMEM, "the collector has no memory left");
	copy_identity(view, &h);
	return 0;
}

/* Huge pages can be sealed as well, but run out: a load from them could be a SIGBUS. */
static bool is_tmpfs(int fd)
{
	struct statfs fs;

	return !fstatfs(fd, &fs) && fs.f_type == TMPFS_MAGIC;
}

int pln_segment_map(struct pln_segment_view *view, int memfd, char *why, size_t why_size)
{
	struct stat st;
	int seals = fcntl(memfd, F_GET_SEALS);
	void *base;
	int error;

	memset(view, 0, sizeof(*view));
	if (seals < 0 || !(seals & F_SEAL_SHRINK) || !is_tmpfs(memfd))
		return refuse(why, why_size, -EPERM, "the shared memory is not a sealed memfd");
	if (fstat(memfd, &st))
		return refuse(why, why_size, -errno, "the shared memory cannot be read");
	if (st.st_size < (off_t)sizeof(struct pln_segment) ||
	    (uint64_t)st.st_size > MAX_SEGMENT_SIZE)
		return refuse(why, why_size, -EINVAL, "the shared memory has an absurd size");
	base = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE,
		    memfd, 0);
	if (base == MAP_FAILED)
		return refuse(why, why_size, -errno, "the shared memory cannot be mapped");
	view->base = base;
	view->shared = base;
	view->size = (size_t)st.st_size;
	error = check_header(view, why, why_size);
	if (error)
		pln_segment_unmap(view);
	return error;
}

void pln_segment_unmap(struct pln_segment_view *view)
{
	if (view->base)
		munmap(view->base, view->size);
	view->base = NULL;
	view->shared = NULL;
	view->slots = NULL;
	free(view->texts);
	view->texts = NULL;
}

struct pln_lane_view pln_segment_lane(const struct pln_segment_view *view, uint32_t index)
{
	struct pln_lane_view lane = { .data_size = view->lane_data_size };

	lane.lane = (struct pln_lane *)(view->base + view->lanes_off +
					(uint64_t)index * view->lane_size);
	return lane;
}

char *pln_segment_command(const struct pln_segment_view *view)
{
	const struct pln_segment_texts *texts = view->texts;
	const char *words[sizeof(texts->arguments) / 2];
	size_t count = 0;
	const char *at = texts->arguments, *end = at + texts->arguments_size;

	while (at < end && count < sizeof(words) / sizeof(words[0]) - 1) {
		words[count++] = at;
		at += strlen(at) + 1;
	}
	/* The segment holds 1024 bytes of them, the last one zero. */
	if (texts->arguments_size >= sizeof(texts->arguments) - 2)
		words[count++] = "...";
	return pln_quote_words(words, count);
}
