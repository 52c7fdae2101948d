/* SPDX-License-Identifier: MIT */
/*
 * snapshot.c - finishes native walks that the target could not.
 *
 * libunwind's remote flavour asks for memory and registers through accessors. Ours
 * answer from the copy of the stack and the saved registers of one snapshot, and from
 * the ELF files that the target's modules were loaded from; the target itself is not
 * touched, and may be gone. An address of a file in the target is its virtual address
 * plus the module's bias.
 *
 * Both copies and files may hold anything: each read is checked, and their number is
 * bounded, so that a DWARF program that loops ends as a failed read.
 */
#include "stacks/stacks.h"

#include <libunwind.h>
#include <stdlib.h>
#include <string.h>

#include "stacks/elf_image.h"

/* Not in libunwind's headers, but exported for callers with a find_proc_info() of their own. */
extern int UNW_OBJ(dwarf_search_unwind_table)(unw_addr_space_t as, unw_word_t ip,
					      unw_dyn_info_t *di, unw_proc_info_t *pi,
					      int need_unwind_info, void *arg);

/*
 * A frame takes 16 bytes of the stack or more, and some 100 reads to step over, where a large
 * function's rules are many a thousand: a small copy of a stack has no need of all.
 */
#define READS_PER_WALK (1u << 20)
#define READS_AT_LEAST (16u << 10)
#define READS_PER_BYTE 64u
#define LOADS_PER_WALK 4096u /* of files: each takes some microseconds */
#define LOADS_AT_LEAST 512u
#define REGISTER_COUNT 17
#define REGISTER_RSP 7
#define REGISTER_RIP 16

/* A module's file, or what became of the attempt to open it. */
struct image {
	char *path;
	uint64_t bias;
	struct pln_elf_image elf;
};

struct pln_unwinder {
	const struct pln_unwind_module *(*find)(uint64_t pc, void *arg);
	void *arg;
	unw_addr_space_t space;
	struct image *images;
	size_t image_count;
	/* The walk at hand. */
	const struct pln_snapshot *snap;
	const uint8_t *stack;
	uint64_t pc; /* of the frame the registers belong to, as libunwind is to see it */
	size_t current; /* image of the frame being stepped over; image_count: none */
	unsigned reads_left, loads_left;
	bool by_table; /* the step at hand follows unwind information, not a heuristic */
};

/* ------------------------------------------------------------------- images */

static size_t find_image(const struct pln_unwinder *u, const struct pln_unwind_module *m)
{
	size_t i = 0;

	while (i < u->image_count &&
	       (u->images[i].bias != m->bias || strcmp(u->images[i].path, m->path)))
		i++;
	return i;
}

/* Looks at the file once; one that cannot be used stays as an image without bytes. */
static size_t add_image(struct pln_unwinder *u, const struct pln_unwind_module *m)
{
	struct image *images = realloc(u->images, (u->image_count + 1) * sizeof(*images));
	struct image *image;

	if (!images)
		return u->image_count;
	u->images = images;
	image = &images[u->image_count];
	*image = (struct image){ .path = strdup(m->path), .bias = m->bias };
	if (!image->path)
		return u->image_count;
	if (strstr(m->path, "[vdso]"))
		pln_elf_image_own_vdso(&image->elf);
	else
		pln_elf_image_open(&image->elf, image->path);
	return u->image_count++;
}

/* The image behind a pc; u->image_count when there is none that can be used. */
static size_t image_of(struct pln_unwinder *u, uint64_t pc)
{
	const struct pln_unwind_module *m = u->find(pc, u->arg);
	const struct pln_elf_image *elf;
	size_t i;

	if (!m || !m->path)
		return u->image_count;
	i = find_image(u, m);
	if (i == u->image_count && add_image(u, m) == u->image_count)
		return u->image_count;
	elf = &u->images[i].elf;
	/* A file that was replaced since it was loaded seldom has its table at the same place. */
	if (m->eh_frame_hdr && m->eh_frame_hdr != m->bias + elf->eh_frame_hdr)
		return u->image_count;
	return i;
}

/* Copies up to `size` bytes at an address of the target; returns how many there are. */
static size_t read_image(struct pln_unwinder *u, size_t index, uint64_t address, void *to,
			 size_t size)
{
	const struct image *image;

	if (index >= u->image_count)
		return 0;
	image = &u->images[index];
	return pln_elf_image_read(&image->elf, address - image->bias, to, size, &u->loads_left);
}

/* ---------------------------------------------------------------- accessors */

#define DW_EH_PE_FORMAT 0x0f
#define DW_EH_PE_UDATA4 0x03
#define DW_EH_PE_DATAREL_SDATA4 0x3b

static size_t encoded_size(uint8_t encoding)
{
	static const uint8_t size[16] = {
		[0] = 8, [2] = 2, [3] = 4, [4] = 8, [10] = 2, [11] = 4, [12] = 8
	};

	return size[encoding & DW_EH_PE_FORMAT];
}

/*
 * The binary search table of .eh_frame_hdr:
 *   version:1  enc(eh_frame):1  enc(count):1  enc(table):1  eh_frame  count:4  (pc fde)*
 * Every linker writes a count of four bytes and a table of pairs of four.
 */
static bool search_table(struct pln_unwinder *u, unw_dyn_info_t *info)
{
	const struct image *image = &u->images[u->current];
	uint64_t header = image->bias + image->elf.eh_frame_hdr;
	uint64_t size = image->elf.eh_frame_hdr_size;
	uint8_t head[4 + 8 + sizeof(uint32_t)]; /* as much of it as can be before the table */
	size_t known = read_image(u, u->current, header, head, sizeof(head)), skip;
	uint32_t count;

	if (known < 4 || head[0] != 1 || head[2] != DW_EH_PE_UDATA4 ||
	    head[3] != DW_EH_PE_DATAREL_SDATA4)
		return false;
	skip = 4 + encoded_size(head[1]) + sizeof(count);
	if (known < skip || size < skip)
		return false;
	memcpy(&count, head + skip - sizeof(count), sizeof(count));
	if (count > (size - skip) / 8)
		count = (uint32_t)((size - skip) / 8);
	info->format = UNW_INFO_FORMAT_REMOTE_TABLE;
	info->u.rti.segbase = header;
	info->u.rti.table_data = header + skip;
	info->u.rti.table_len = count; /* in words of 8 bytes, as large as an entry */
	return true;
}

static int find_proc_info(unw_addr_space_t space, unw_word_t ip, unw_proc_info_t *pi,
			  int need_unwind_info, void *arg)
{
	struct pln_unwinder *u = arg;
	const struct pln_unwind_module *m = u->find(ip, u->arg);
	unw_dyn_info_t info;
	int err;

	u->current = image_of(u, ip);
	if (!m || u->current == u->image_count)
		return -UNW_ENOINFO;
	memset(&info, 0, sizeof(info));
	info.start_ip = m->lo;
	info.end_ip = m->hi;
	if (!search_table(u, &info))
		return -UNW_ENOINFO;
	err = UNW_OBJ(dwarf_search_unwind_table)(space, ip, &info, pi, need_unwind_info, u);
	u->by_table = !err;
	return err;
}

static void put_unwind_info(unw_addr_space_t space, unw_proc_info_t *pi, void *arg)
{
	(void)space;
	(void)pi;
	(void)arg;
}

static int get_dyn_info_list_addr(unw_addr_space_t space, unw_word_t *list, void *arg)
{
	(void)space;
	(void)list;
	(void)arg;
	return -UNW_ENOINFO;
}

/* A stack word that was copied in part is not known. */
static int read_stack(const struct pln_unwinder *u, uint64_t into, unw_word_t *word)
{
	if (u->snap->stack_size - into < sizeof(*word))
		return -UNW_EINVAL;
	memcpy(word, u->stack + into, sizeof(*word));
	return 0;
}

static int access_mem(unw_addr_space_t space, unw_word_t address, unw_word_t *word, int write,
		      void *arg)
{
	struct pln_unwinder *u = arg;
	uint64_t into_stack = address - u->snap->stack_addr;

	(void)space;
	if (write || !u->reads_left)
		return -UNW_EINVAL;
	u->reads_left--;
	if (into_stack < u->snap->stack_size)
		return read_stack(u, into_stack, word);
	/* Behind the last byte of a segment stand zeros, as in memory. */
	*word = 0;
	if (read_image(u, u->current, address, word, sizeof(*word)) ||
	    read_image(u, image_of(u, address), address, word, sizeof(*word)))
		return 0;
	return -UNW_EINVAL;
}

static int access_reg(unw_addr_space_t space, unw_regnum_t reg, unw_word_t *value, int write,
		      void *arg)
{
	const struct pln_unwinder *u = arg;

	(void)space;
	if (write || reg < 0 || reg >= REGISTER_COUNT || !(u->snap->regs_valid >> reg & 1))
		return -UNW_EBADREG;
	*value = reg == REGISTER_RIP ? u->pc : u->snap->regs[reg];
	return 0;
}

static int access_fpreg(unw_addr_space_t space, unw_regnum_t reg, unw_fpreg_t *value, int write,
			void *arg)
{
	(void)space;
	(void)reg;
	(void)value;
	(void)write;
	(void)arg;
	return -UNW_EBADREG;
}

static int resume(unw_addr_space_t space, unw_cursor_t *cursor, void *arg)
{
	(void)space;
	(void)cursor;
	(void)arg;
	return -UNW_EINVAL;
}

static int get_proc_name(unw_addr_space_t space, unw_word_t ip, char *name, size_t size,
			 unw_word_t *offset, void *arg)
{
	(void)space;
	(void)ip;
	(void)name;
	(void)size;
	(void)offset;
	(void)arg;
	return -UNW_ENOINFO;
}

/* ------------------------------------------------------------ the unwinder */

static unw_accessors_t accessors = {
	.find_proc_info = find_proc_info,
	.put_unwind_info = put_unwind_info,
	.get_dyn_info_list_addr = get_dyn_info_list_addr,
	.access_mem = access_mem,
	.access_reg = access_reg,
	.access_fpreg = access_fpreg,
	.resume = resume,
	.get_proc_name = get_proc_name,
};

struct pln_unwinder *
pln_unwinder_new(const struct pln_unwind_module *(*find)(uint64_t pc, void *arg), void *arg)
{
	struct pln_unwinder *u = calloc(1, sizeof(*u));

	if (!u)
		return NULL;
	u->find = find;
	u->arg = arg;
	u->space = unw_create_addr_space(&accessors, 0);
	if (!u->space) {
		free(u);
		return NULL;
	}
	/* A cache would outlive the modules that it was filled from. */
	unw_set_caching_policy(u->space, UNW_CACHE_NONE);
	return u;
}

void pln_unwinder_free(struct pln_unwinder *u)
{
	if (!u)
		return;
	for (size_t i = 0; i < u->image_count; i++)
		free(u->images[i].path);
	free(u->images);
	unw_destroy_addr_space(u->space);
	free(u);
}

/* The kernel's signal return code: mov $15,%rax; syscall. */
static bool is_sigreturn(struct pln_unwinder *u, uint64_t pc)
{
	static const uint8_t code[] = { 0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05 };
	uint8_t bytes[sizeof(code)];

	return read_image(u, image_of(u, pc), pc, bytes, sizeof(bytes)) == sizeof(bytes) &&
	       !memcmp(bytes, code, sizeof(code));
}

static unsigned at_most(uint64_t wanted, unsigned limit)
{
	return wanted < limit ? (unsigned)wanted : limit;
}

/*
 * Where the pc of the first frame is a return address, its call decides which rows
 * hold; libunwind believes that it is handed the instruction itself.
 */
static void start_walk(struct pln_unwinder *u, const struct pln_snapshot *snap,
		       const uint8_t *stack, const uint64_t *pc)
{
	unsigned from = snap->from_frame;
	bool is_return_address;

	u->loads_left = at_most(LOADS_AT_LEAST + snap->stack_size / 2, LOADS_PER_WALK);
	is_return_address = from && !is_sigreturn(u, pc[from - 1]);
	u->snap = snap;
	u->stack = stack;
	u->pc = snap->regs[REGISTER_RIP] - is_return_address;
	u->current = u->image_count;
	u->reads_left = at_most(READS_AT_LEAST + (uint64_t)READS_PER_BYTE * snap->stack_size,
				READS_PER_WALK);
}

/* One frame out. Returns its pc, or 0 at the root or (by_table is not set) at a dead end. */
static uint64_t step(struct pln_unwinder *u, unw_cursor_t *cursor, uint64_t *sp)
{
	unw_word_t ip = 0, new_sp = 0;
	int result;

	u->by_table = false;
	result = unw_step(cursor);
	if (result < 0) {
		u->by_table = false;
		return 0;
	}
	if (!result || unw_get_reg(cursor, UNW_REG_IP, &ip) ||
	    unw_get_reg(cursor, UNW_REG_SP, &new_sp))
		return 0;
	/* Frames further out lie higher; what does not cannot be told from a loop. */
	if (new_sp <= *sp) {
		u->by_table = false;
		return 0;
	}
	*sp = new_sp;
	return ip;
}

unsigned pln_unwinder_finish(struct pln_unwinder *u, const struct pln_snapshot *snap,
			     const uint8_t *stack, uint64_t sp, uint64_t *pc, uint32_t *cfa,
			     unsigned count, unsigned max, bool *root)
{
	uint64_t frame_sp = snap->regs[REGISTER_RSP];
	unsigned last = snap->from_frame;
	unw_cursor_t cursor;

	*root = false;
	if (last > count || last >= max)
		return count;
	start_walk(u, snap, stack, pc);
	if (unw_init_remote(&cursor, u->space, u) < 0)
		return count;
	if (last == count) {
		pc[last] = snap->regs[REGISTER_RIP];
		cfa[last] = 0;
	}
	for (;;) {
		uint64_t next = step(u, &cursor, &frame_sp);
		uint64_t offset = frame_sp - sp;

		if (!next || offset >= PILLION_CFA_GUESSED) {
			*root = !next && u->by_table;
			break;
		}
		cfa[last] = (cfa[last] & PILLION_CFA_GUESSED) | (uint32_t)offset;
		if (last + 1 == max)
			break;
		pc[++last] = next;
		cfa[last] = u->by_table ? 0 : PILLION_CFA_GUESSED;
	}
	return last + 1;
}
