/* SPDX-License-Identifier: MIT */
/*
 * tables.h - equal functions, modules, frames and stacks of a recording get one id.
 *
 * The ids are those of the profile: each first appearance is handed to the writer.
 * Modules and frames are kept here as well, since their symbols come at the end.
 */
#ifndef PILLION_COLLECTOR_TABLES_H
#define PILLION_COLLECTOR_TABLES_H

#include "profile/model.h"
#include "profile/writer.h"
#include "stacks/stacks.h"

struct pln_tables {
	struct pln_writer *writer;
	struct pln_intern *functions;
	struct pln_intern *modules;
	struct pln_intern *frames;
	struct pln_intern *stacks;
	struct pln_frame *frame_rows; /* by frame id */
	size_t frame_count, frame_capacity;
	struct pln_module_info *module_rows; /* by module id; paths are owned */
	size_t module_count, module_capacity;
	struct pln_intern *problems; /* paths of modules whose debug information has been noted */
	uint32_t unknown_function; /* stands in for code that was never described */
};

/* Returns 0 or -ENOMEM. */
int pln_tables_open(struct pln_tables *t, struct pln_writer *writer);
void pln_tables_close(struct pln_tables *t);

/* Each returns an id, PLN_NONE when memory ran out. */
uint32_t pln_tables_function(struct pln_tables *t, const struct pln_function *function);
uint32_t pln_tables_frame(struct pln_tables *t, const struct pln_frame *frame);
uint32_t pln_tables_stack(struct pln_tables *t, uint32_t parent, uint32_t frame);
uint32_t pln_tables_module(struct pln_tables *t, const struct pln_module_info *module);

#endif
