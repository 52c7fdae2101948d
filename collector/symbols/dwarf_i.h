/* SPDX-License-Identifier: MIT */
/*
 * dwarf_i.h - what the dwarf_*.c files share; the only header that includes libdwarf's.
 *
 * All of it runs in the worker process (dwarf_worker.h), which may be killed at any
 * moment: memory is freed where it would pile up, not for tidiness. libdwarf 20210528
 * (Debian 12) and 0.x (later ones) differ in the few places that test
 * DW_LIBDWARF_VERSION.
 *
 * libdwarf's tracking of its allocations is off (it costs a fifth of the time), so
 * every DIE, attribute and error that it hands out is given back by hand.
 */
#ifndef PILLION_COLLECTOR_SYMBOLS_DWARF_I_H
#define PILLION_COLLECTOR_SYMBOLS_DWARF_I_H

#include "symbols/dwarf_data.h"
#include "symbols/elf_file.h"

#include <dwarf.h>
#include <libdwarf.h>

#include <stdbool.h>
#include <stdint.h>

/* One file's DWARF, opened through libelf. */
struct pln_dwarf_object;

struct pln_dwarf_session {
	struct pln_dwarf_object *object;
	struct pln_dwarf_object *alt_object;
	Dwarf_Debug dbg;
	Dwarf_Debug alt; /* dwz's common file; NULL: none */
	uint64_t code_low; /* what lies outside of [code_low, code_high) is no code of this file */
	uint64_t code_high;
	uint64_t steps; /* DIEs that may still be read for the request */
	Dwarf_Error error;
};

/* A DIE by its place: in the alt file or not, and the offset there. */
struct pln_die_ref {
	bool alt;
	Dwarf_Off offset;
};

/* dwarf_object.c; `alt` may be NULL. Takes the files over on success. 0 or -errno. */
int pln_dwarf_session_open(struct pln_dwarf_session *session, struct pln_elf *file,
			   struct pln_elf *alt);
/* Bytes of DWARF in its files. */
uint64_t pln_dwarf_session_size(const struct pln_dwarf_session *session);
/* Bytes of one of them in the main file, or NULL. */
const uint8_t *pln_dwarf_section(struct pln_dwarf_session *session, const char *name, size_t *size);

/* dwarf_die.c: whether a call gave something; gives back its error. */
bool pln_dwarf_ok(struct pln_dwarf_session *session, int rc);
/* False when the request has read more DIEs than its files hold: they go round in circles. */
bool pln_dwarf_step(struct pln_dwarf_session *session);
Dwarf_Die pln_die_at(struct pln_dwarf_session *session, struct pln_die_ref ref);
Dwarf_Die pln_die_child(struct pln_dwarf_session *session, Dwarf_Die die);
/* Gives `die` back and returns the next one, or NULL. */
Dwarf_Die pln_die_next(struct pln_dwarf_session *session, Dwarf_Die die, bool alt);
Dwarf_Half pln_die_tag(struct pln_dwarf_session *session, Dwarf_Die die);
bool pln_die_number(struct pln_dwarf_session *session, Dwarf_Die die, Dwarf_Half attribute,
		    uint64_t *value);
/* The same for an offset into another section. */
bool pln_die_offset(struct pln_dwarf_session *session, Dwarf_Die die, Dwarf_Half attribute,
		    uint64_t *offset);
/* NULL when absent. Points into the file's sections. */
const char *pln_die_string(struct pln_dwarf_session *session, Dwarf_Die die, Dwarf_Half attribute);
bool pln_die_reference(struct pln_dwarf_session *session, Dwarf_Die die, bool in_alt,
		       Dwarf_Half attribute, struct pln_die_ref *ref);

/* dwarf_ranges.c: calls `add` for every range of code of the DIE. */
typedef int (*pln_range_fn)(uint64_t low, uint64_t high, void *arg);
int pln_die_ranges(struct pln_dwarf_session *session, Dwarf_Die die, uint64_t base,
		   pln_range_fn add, void *arg);

/* dwarf_lines.c: rows and files of a unit. `*first_file` is the number of files[0]. */
int pln_dwarf_read_lines(struct pln_dwarf_session *session, Dwarf_Die unit,
			 struct pln_dwarf_message *message, uint32_t *first_file);

/* dwarf_names.c: functions of a unit, each described once. */
struct pln_dwarf_names {
	struct pln_dwarf_session *session;
	struct pln_dwarf_message *message;
	struct pln_array table; /* open-addressing map from pln_die_ref to function */
	size_t used;
};
int pln_dwarf_name(struct pln_dwarf_names *names, Dwarf_Die die, uint32_t *function);

/* dwarf_functions.c: nodes and slices of a unit. */
int pln_dwarf_read_functions(struct pln_dwarf_session *session, Dwarf_Die unit, uint32_t first_file,
			     struct pln_dwarf_message *message);

/* dwarf_index.c: where every unit's code is; then one unit. */
int pln_dwarf_read_index(struct pln_dwarf_session *session, struct pln_dwarf_message *message);
int pln_dwarf_read_unit(struct pln_dwarf_session *session, uint64_t offset,
			struct pln_dwarf_message *message);

/* Appends a string; `*offset` is where. */
int pln_dwarf_add_string(struct pln_dwarf_message *message, const char *string, uint32_t *offset);

static inline bool pln_dwarf_is_code(const struct pln_dwarf_session *session, uint64_t low,
				     uint64_t high)
{
	/* Linkers leave what they drop at 0, 1 or the end of the address space. */
	return low < high && low > 1 && low >= session->code_low && high <= session->code_high;
}

static inline uint32_t pln_dwarf_count(const struct pln_dwarf_message *message,
				       enum pln_dwarf_array array, size_t item_size)
{
	return (uint32_t)(message->arrays[array].size / item_size);
}

#endif
