/* SPDX-License-Identifier: MIT */
/*
 * writer.h - append to a .pillion file.
 *
 * Adders return the id of what they added (dense, from 0) and only buffer;
 * pln_writer_flush() writes definitions, then samples, as whole chunks with one
 * write(2) each. When the disk is full the writer keeps definitions and samples up
 * to a bound, counts what it had to give up, and goes on when there is room again.
 */
#ifndef PILLION_COLLECTOR_WRITER_H
#define PILLION_COLLECTOR_WRITER_H

#include "profile/model.h"

struct pln_writer;

/*
 * Starts the file on `fd` (open for writing at its end; not closed by the writer).
 * `recording`: command, host, versions, settings and start times are used.
 * Returns 0 or -errno.
 */
int pln_writer_open(struct pln_writer **writer, int fd, const struct pln_recording *recording);

uint32_t pln_writer_add_process(struct pln_writer *w, const struct pln_process *process);
/* Newest totals, end and exit status of a known process. */
void pln_writer_update_process(struct pln_writer *w, uint32_t id,
			       const struct pln_process *process);
uint32_t pln_writer_add_thread(struct pln_writer *w, const struct pln_thread *thread);
void pln_writer_update_thread(struct pln_writer *w, uint32_t id, const struct pln_thread *thread);
uint32_t pln_writer_add_module(struct pln_writer *w, const struct pln_module_info *module);
/* Functions of Python frames; those of native frames come with the symbols. */
uint32_t pln_writer_add_function(struct pln_writer *w, const struct pln_function *function);
uint32_t pln_writer_add_frame(struct pln_writer *w, const struct pln_frame *frame);
uint32_t pln_writer_add_stack(struct pln_writer *w, const struct pln_stack_node *node);
void pln_writer_add_sample(struct pln_writer *w, const struct pln_sample_row *sample);
/* Returns its id. A block is freed once, whatever the order in which the two are told. */
uint32_t pln_writer_add_block(struct pln_writer *w, const struct pln_block_row *block);
void pln_writer_add_free(struct pln_writer *w, uint32_t block, uint64_t time_ns);
void pln_writer_add_heap_point(struct pln_writer *w, const struct pln_heap_point *point);
void pln_writer_add_label(struct pln_writer *w, const struct pln_label *label);
void pln_writer_add_note(struct pln_writer *w, const struct pln_note_row *note);
/* Symbols of native frame `frame`: innermost (most inlined) location first. */
void pln_writer_add_locations(struct pln_writer *w, uint32_t frame,
			      const struct pln_location *locations, unsigned count);

/* Writes what is buffered. Returns 0 or -errno (what is kept is tried again at the next flush). */
int pln_writer_flush(struct pln_writer *w);

/* Bytes written; what was given up because disk or memory was full: samples; blocks and frees. */
uint64_t pln_writer_bytes(const struct pln_writer *w);
uint64_t pln_writer_lost_samples(const struct pln_writer *w);
uint64_t pln_writer_lost_blocks(const struct pln_writer *w);

/*
 * Symbols are all added: flushes, and writes END (exit status, own cost). What cannot be
 * written any more is given up, and counted. May be called again, when more is known of
 * how it ended. Returns 0 or -errno.
 */
int pln_writer_end(struct pln_writer *w, const struct pln_recording *recording);
void pln_writer_free(struct pln_writer *w);

/* Both at once. */
int pln_writer_close(struct pln_writer *w, const struct pln_recording *recording);

#endif
