/* SPDX-License-Identifier: MIT */
/*
 * loaded.c - describes one loaded module: range, path, build id, unwind sections.
 *
 * Headers of a module are trusted as far as the loader trusts them; what they point
 * at is read by checked reads where possible.
 * Context: sampling thread; the description under the loader's lock.
 */
#include "native/modules_i.h"

#include <elf.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "checked_read.h"

#define NOTES_MAX 1024
#define HDR_HEAD 32 /* enough of .eh_frame_hdr to find .eh_frame */

static char program_path[sizeof(((struct pln_module *)0)->path)];
static uintptr_t vdso;

void pln_loaded_init(void)
{
	ssize_t size = readlink("/proc/self/exe", program_path, sizeof(program_path) - 1);

	program_path[size > 0 ? size : 0] = 0;
	vdso = getauxval(AT_SYSINFO_EHDR);
}

/* As much of [addr, addr + size) as can be read. Under the loader's lock all of it can. */
static size_t read_some(uintptr_t addr, void *dst, size_t size)
{
	if (pln_checked_read_works_sigsafe())
		return pln_checked_read_some_sigsafe(addr, dst, size);
	memcpy(dst, (const void *)addr, size);
	return size;
}

static uint64_t aligned(uint64_t size, uint64_t align)
{
	return (size + align - 1) & ~(align - 1);
}

static void take_build_id(const uint8_t *notes, size_t size, uint64_t align,
			  struct pln_module *module)
{
	const ElfW(Nhdr) * note;
	uint64_t desc_at, next;

	for (uint64_t at = 0; at + sizeof(*note) <= size; at = next) {
		note = (const ElfW(Nhdr) *)(notes + at);
		desc_at = at + aligned(sizeof(*note) + note->n_namesz, align);
		next = aligned(desc_at + note->n_descsz, align);
		if (next > size)
			return;
		if (note->n_type != NT_GNU_BUILD_ID || note->n_namesz != 4 ||
		    memcmp(note + 1, "GNU", 4))
			continue;
		module->build_id_size = note->n_descsz < sizeof(module->build_id)
						? note->n_descsz
						: sizeof(module->build_id);
		memcpy(module->build_id, notes + desc_at, module->build_id_size);
		return;
	}
}

static void describe_notes(const struct dl_phdr_info *info, const ElfW(Phdr) * segment,
			   struct pln_module *module)
{
	_Alignas(8) uint8_t notes[NOTES_MAX];
	size_t size = segment->p_memsz < sizeof(notes) ? segment->p_memsz : sizeof(notes);

	if (module->build_id_size)
		return;
	size = read_some(info->dlpi_addr + segment->p_vaddr, notes, size);
	take_build_id(notes, size, segment->p_align == 8 ? 8 : 4, module);
}

/* Bytes from `addr` to the end of the segment that it lies in, 0: in none. */
static size_t left_in_segment(const struct dl_phdr_info *info, uintptr_t addr)
{
	for (unsigned i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
		uintptr_t lo = info->dlpi_addr + segment->p_vaddr;

		if (segment->p_type == PT_LOAD && addr >= lo && addr - lo < segment->p_memsz)
			return segment->p_memsz - (addr - lo);
	}
	return 0;
}

static void describe_eh_frame(const struct dl_phdr_info *info, const ElfW(Phdr) * segment,
			      struct pln_loaded *out)
{
	uintptr_t addr = info->dlpi_addr + segment->p_vaddr;
	size_t size = segment->p_memsz;
	uint8_t head[HDR_HEAD];

	if (left_in_segment(info, addr) < size)
		return;
	out->module.eh_frame_hdr = addr;
	out->module.eh_frame_hdr_size = size;
	size = read_some(addr, head, size < sizeof(head) ? size : sizeof(head));
	out->eh_frame = pln_eh_frame_address(head, size, addr);
	out->eh_frame_size = left_in_segment(info, out->eh_frame);
	if (!out->eh_frame_size || out->eh_frame_size > UINT32_MAX)
		out->eh_frame = 0;
}

static void append(char *path, size_t size, const char *text)
{
	size_t used = strlen(path);
	size_t room = size - used - 1;
	size_t length = strnlen(text, room);

	memcpy(path + used, text, length);
	path[used + length] = 0;
}

/* A name without a leading slash is relative to where the program was then. */
static void describe_path(const struct dl_phdr_info *info, struct pln_module *module)
{
	const char *name = info->dlpi_name ? info->dlpi_name : "";
	size_t size = sizeof(module->path);

	if (vdso && info->dlpi_addr == vdso)
		name = "[vdso]";
	else if (!*name)
		name = program_path;
	else if (*name != '/' && getcwd(module->path, size / 2))
		append(module->path, size, "/");
	append(module->path, size, name);
}

/* The interpreter, libc, the loader: nearly every stack goes through them. */
static bool is_eager(const struct dl_phdr_info *info, const char *path)
{
	static const char *const prefixes[] = { "libpython", "libc.so", "libc-", "ld-", "[vdso]" };
	const char *slash = strrchr(path, '/');
	const char *base = slash ? slash + 1 : path;

	if (info->dlpi_name && !*info->dlpi_name)
		return true;
	for (unsigned i = 0; i < sizeof(prefixes) / sizeof(*prefixes); i++)
		if (!strncmp(base, prefixes[i], strlen(prefixes[i])))
			return true;
	return false;
}

void pln_loaded_describe(const struct dl_phdr_info *info, const ElfW(Phdr) * segment,
			 struct pln_loaded *out)
{
	memset(out, 0, sizeof(*out));
	out->module.bias = info->dlpi_addr;
	out->module.lo = info->dlpi_addr + segment->p_vaddr;
	out->module.hi = out->module.lo + segment->p_memsz;
	for (unsigned i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *other = &info->dlpi_phdr[i];

		if (other->p_type == PT_NOTE)
			describe_notes(info, other, &out->module);
		else if (other->p_type == PT_GNU_EH_FRAME)
			describe_eh_frame(info, other, out);
	}
	describe_path(info, &out->module);
	out->eager = is_eager(info, out->module.path);
}

/* The path is compared from its last slash on: a relative one depends on the directory. */
bool pln_loaded_is_same(const struct pln_loaded *a, const struct pln_loaded *b)
{
	const char *base_a = strrchr(a->module.path, '/');
	const char *base_b = strrchr(b->module.path, '/');

	return a->module.lo == b->module.lo && a->module.hi == b->module.hi &&
	       a->module.bias == b->module.bias &&
	       a->module.eh_frame_hdr == b->module.eh_frame_hdr &&
	       a->module.build_id_size == b->module.build_id_size &&
	       !memcmp(a->module.build_id, b->module.build_id, a->module.build_id_size) &&
	       !strcmp(base_a ? base_a : a->module.path, base_b ? base_b : b->module.path);
}

static void set_image(struct pln_loaded_copy *copy, size_t hdr_size, size_t frames_size)
{
	const struct pln_loaded *m = copy->module;

	copy->image = (struct pln_eh_image){ .hdr = copy->bytes,
					     .hdr_size = hdr_size,
					     .hdr_addr = m->module.eh_frame_hdr,
					     .frames = copy->bytes + hdr_size,
					     .frames_size = frames_size,
					     .frames_addr = m->eh_frame };
}

void pln_loaded_copy_checked(struct pln_loaded_copy *copy)
{
	const struct pln_loaded *m = copy->module;
	size_t hdr_size = m->module.eh_frame_hdr_size, size;

	/* Unmapped meanwhile: the next look will find out. */
	if (!pln_checked_read_sigsafe(m->module.eh_frame_hdr, copy->bytes, hdr_size))
		return;
	size = pln_checked_read_some_sigsafe(m->eh_frame, copy->bytes + hdr_size, m->eh_frame_size);
	if (size)
		set_image(copy, hdr_size, size);
}

void pln_loaded_copy_plainly(struct pln_loaded_copy *copy)
{
	const struct pln_loaded *m = copy->module;
	size_t hdr_size = m->module.eh_frame_hdr_size;

	memcpy(copy->bytes, (const void *)m->module.eh_frame_hdr, hdr_size);
	memcpy(copy->bytes + hdr_size, (const void *)m->eh_frame, m->eh_frame_size);
	set_image(copy, hdr_size, m->eh_frame_size);
}
