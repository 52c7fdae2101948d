/* SPDX-License-Identifier: MIT */
/*
 * samples.h - the payload of a SAMPLES chunk: rows to bytes and back.
 */
#ifndef PILLION_COLLECTOR_SAMPLES_H
#define PILLION_COLLECTOR_SAMPLES_H

#include "profile/codec.h"
#include "profile/model.h"

enum pln_sample_column {
	PLN_COLUMN_THREAD, /* (thread, number of its rows) for each thread */
	PLN_COLUMN_SHAPE, /* which of the fields below the row has */
	PLN_COLUMN_KIND, /* cause and GIL state */
	PLN_COLUMN_FLAGS,
	PLN_COLUMN_TIME,
	PLN_COLUMN_STACK,
	PLN_COLUMN_CPU,
	PLN_COLUMN_OFFCPU,
	PLN_COLUMN_RUNNABLE,
	PLN_COLUMN_SYSCALL,
	PLN_COLUMN_ALLOC_CALLS,
	PLN_COLUMN_ALLOC_BYTES,
	PLN_COLUMN_FREE_CALLS,
	PLN_COLUMN_FREE_BYTES,
	PLN_COLUMN_COUNT,
};

/* Buffers of the encoder, kept between chunks. All zero at first. */
struct pln_sample_encoder {
	struct pln_buffer column[PLN_COLUMN_COUNT];
	struct pln_buffer order;
};

/*
 * Appends the payload of `count` rows to `out`. The rows come back ordered by thread,
 * and as given within a thread. Returns false when memory ran out.
 */
bool pln_samples_encode(struct pln_sample_encoder *e, struct pln_buffer *out,
			const struct pln_sample_row *rows, size_t count);
void pln_sample_encoder_free(struct pln_sample_encoder *e);

struct pln_sample_decoder {
	struct pln_decoder column[PLN_COLUMN_COUNT];
	uint64_t rows_left;
	uint64_t base_time;
	uint32_t thread_rows_left;
	struct pln_sample_row row; /* the newest; the next one of its thread builds on it */
	bool failed;
};

/* Rows that it promises (each justified by a byte of the payload); failed when it makes no sense.
 */
uint64_t pln_samples_begin(struct pln_sample_decoder *d, const void *payload, size_t size);
/* The next row (valid until the next call); NULL at the end, or failed. */
const struct pln_sample_row *pln_samples_next(struct pln_sample_decoder *d);

#endif
