/* SPDX-License-Identifier: MIT */
/*
 * table.c - compiles the call frame information of a module to compact rows.
 *
 * The mapping grows by doubling while rows are added and is cut to size at the end;
 * no other memory is used. See table_i.h for what a row says.
 * Context: sampling thread.
 */
#include "native/table_i.h"

#include <string.h>

#include "native/eh_frame_i.h"
#include "pages.h"

#define FIRST_SIZE (64 * 1024)
/*
 * Bytes between two functions that are padding: the rows of the function before hold
 * there. (A return address may lie in it, behind a call that does not return, but it
 * is looked up at pc - 1, in the function.)
 */
#define PADDING_MAX 16

struct builder {
	struct pln_table *table; /* NULL: out of memory */
	size_t rows_at; /* offset of rows in the mapping */
	uint32_t row_count;
	uintptr_t lo;
	bool signal_frame; /* of the function being compiled */
	bool starts_function; /* the next row is a function's first */
};

static struct pln_row *rows_of(const struct builder *b)
{
	return (struct pln_row *)((char *)b->table + b->rows_at);
}

static bool builder_init(struct builder *b, uintptr_t lo, uintptr_t hi)
{
	size_t index_count = ((hi - lo) >> PLN_TABLE_INDEX_SHIFT) + 2;
	size_t rows_at = (sizeof(struct pln_table) + index_count * sizeof(uint32_t) + 7) & ~7ul;
	size_t size = (rows_at + FIRST_SIZE + 4095) & ~4095ul;
	void *memory = pln_pages_map(size, 0);

	*b = (struct builder){ .rows_at = rows_at, .lo = lo };
	if (memory == MAP_FAILED)
		return false;
	b->table = memory;
	b->table->block.size_bytes = size;
	b->table->index_count = (uint32_t)index_count;
	return true;
}

static void resize(struct builder *b, size_t size)
{
	size_t old_size = b->table->block.size_bytes;
	void *memory = pln_pages_resize(b->table, old_size, size);

	if (memory == MAP_FAILED) {
		pln_pages_unmap(b->table, old_size);
		b->table = NULL;
		return;
	}
	b->table = memory;
	b->table->block.size_bytes = size;
}

static bool same_rules(struct pln_row a, struct pln_row b)
{
	return a.cfa == b.cfa && a.rbp == b.rbp &&
	       !((a.kind ^ b.kind) & ~PLN_ROW_STARTS_FUNCTION & 0xff);
}

/* Rows come with rising pc; one at the pc of the last one takes its place. */
static void add_row(struct builder *b, struct pln_row row)
{
	size_t end = b->rows_at + (b->row_count + 1) * sizeof(row);
	struct pln_row *next;

	if (b->table && end > b->table->block.size_bytes)
		resize(b, 2 * b->table->block.size_bytes);
	if (!b->table)
		return;
	next = rows_of(b) + b->row_count;
	if (b->row_count && next[-1].pc == row.pc) {
		row.kind |= next[-1].kind & PLN_ROW_STARTS_FUNCTION;
		next[-1] = row;
		return;
	}
	if (b->row_count && !(row.kind & PLN_ROW_STARTS_FUNCTION) && same_rules(next[-1], row))
		return;
	*next = row;
	b->row_count++;
}

/* False: the rule does not fit. */
static bool fill_cfa(struct pln_row *row, const struct pln_cfi_state *state, bool signal_frame)
{
	int64_t offset = state->cfa_offset;

	row->kind = (uint8_t)state->cfa_kind;
	switch (state->cfa_kind) {
	case PLN_ROW_RSP:
	case PLN_ROW_RBP:
	case PLN_ROW_RBX:
	case PLN_ROW_R10:
	case PLN_ROW_R11:
		row->cfa = (uint16_t)(offset / 8);
		return offset >= 0 && offset <= 8 * UINT16_MAX && !(offset & 7) && !signal_frame;
	case PLN_ROW_RBP_DEREF:
	case PLN_ROW_RSP_DEREF:
		row->cfa = (uint16_t)offset;
		return offset >= INT16_MIN && offset <= INT16_MAX && !signal_frame;
	case PLN_ROW_PLT:
		row->cfa = (uint16_t)offset;
		return !signal_frame;
	case PLN_ROW_SIGNAL:
		return signal_frame;
	default:
		return false;
	}
}

/* False: a rule whose place cannot be told, though the register may be found later. */
static bool fill_rbp(struct pln_row *row, const struct pln_cfi_rule *rule)
{
	switch (rule->kind) {
	case PLN_CFI_SAME:
		row->rbp = PLN_ROW_RBP_SAME;
		return true;
	case PLN_CFI_AT_CFA:
		row->rbp = (int8_t)(rule->offset / 8);
		return rule->offset < 0 && rule->offset >= 8 * PLN_ROW_RBP_LOWEST &&
		       !(rule->offset & 7);
	case PLN_CFI_AT_RBP:
		row->rbp = PLN_ROW_RBP_AT_RBP;
		return true;
	case PLN_CFI_UNDEFINED:
		row->rbp = PLN_ROW_RBP_UNKNOWN;
		return true;
	default:
		return false;
	}
}

static unsigned rbx_code(const struct pln_cfi_rule *rule)
{
	if (rule->kind == PLN_CFI_SAME)
		return PLN_ROW_RBX_SAME;
	if (rule->kind == PLN_CFI_AT_CFA && rule->offset >= -56 && rule->offset <= -16 &&
	    !(rule->offset & 7))
		return (unsigned)(-rule->offset / 8);
	return PLN_ROW_RBX_UNKNOWN;
}

static struct pln_row row_of(const struct pln_cfi_state *state, bool signal_frame)
{
	struct pln_row row = { .kind = PLN_ROW_UNSUPPORTED };
	const struct pln_cfi_rule *ra = &state->ra;

	if (ra->kind == PLN_CFI_UNDEFINED)
		return (struct pln_row){ .kind = PLN_ROW_END };
	if (!fill_cfa(&row, state, signal_frame))
		return (struct pln_row){ .kind = PLN_ROW_UNSUPPORTED };
	if (state->cfa_kind == PLN_ROW_SIGNAL)
		return row;
	if (ra->kind != PLN_CFI_AT_CFA || ra->offset != -8 || !fill_rbp(&row, &state->rbp))
		return (struct pln_row){ .kind = PLN_ROW_UNSUPPORTED };
	row.kind |= (uint8_t)(rbx_code(&state->rbx) << PLN_ROW_RBX_SHIFT);
	return row;
}

static void add_function_row(struct builder *b, uintptr_t pc, struct pln_row row)
{
	row.pc = (uint32_t)(pc - b->lo);
	if (b->starts_function)
		row.kind |= PLN_ROW_STARTS_FUNCTION;
	b->starts_function = false;
	add_row(b, row);
}

static void add_state(uintptr_t pc, const struct pln_cfi_state *state, void *arg)
{
	struct builder *b = arg;

	add_function_row(b, pc, row_of(state, b->signal_frame));
}

static void add_gap(struct builder *b, uintptr_t pc)
{
	add_row(b, (struct pln_row){ .pc = (uint32_t)(pc - b->lo), .kind = PLN_ROW_GAP });
}

static void add_function(struct builder *b, const struct pln_cie *cie, const struct pln_fde *fde,
			 uintptr_t limit)
{
	struct pln_cfi_state state = cie->initial;
	struct pln_cfi_run run = { .program = fde->program,
				   .factors = cie->factors,
				   .initial = &cie->initial,
				   .pc = fde->lo,
				   .limit = limit,
				   .emit = add_state,
				   .arg = b };

	b->signal_frame = cie->signal_frame;
	b->starts_function = true;
	if (!pln_cfi_run(&run, &state) && run.pc < limit)
		add_function_row(b, run.pc, (struct pln_row){ .kind = PLN_ROW_UNSUPPORTED });
}

static void add_functions(struct builder *b, const struct pln_eh_image *image, uintptr_t hi,
			  const struct pln_fde_place *places, size_t count)
{
	struct pln_cie cie = { .valid = false };
	uintptr_t covered = b->lo;

	for (size_t i = 0; i < count && b->table; i++) {
		uintptr_t next = i + 1 < count ? b->lo + places[i + 1].start : hi;
		struct pln_fde fde;

		if (!pln_eh_frame_parse(image, places[i].offset, &cie, &fde) ||
		    fde.lo != b->lo + places[i].start || next == fde.lo)
			continue;
		if (fde.lo - covered >= PADDING_MAX || covered == b->lo)
			add_gap(b, covered);
		covered = fde.hi < next ? fde.hi : next;
		add_function(b, &cie, &fde, covered);
	}
	if (hi - covered >= PADDING_MAX || covered == b->lo)
		add_gap(b, covered);
}

/* The first row of each span, and one entry more, so that [i], [i + 1] always bound. */
static void fill_index(struct pln_table *table, uint32_t *index, const struct pln_row *rows)
{
	uint32_t row = 0;

	for (uint32_t i = 0; i < table->index_count; i++) {
		while (row + 1 < table->row_count &&
		       rows[row + 1].pc <= (uint64_t)i << PLN_TABLE_INDEX_SHIFT)
			row++;
		index[i] = row;
	}
}

static struct pln_table *finish(struct builder *b)
{
	size_t size = b->table ? b->rows_at + b->row_count * sizeof(struct pln_row) : 0;
	uint32_t *index;

	if (b->table)
		resize(b, (size + 4095) & ~4095ul);
	if (!b->table)
		return NULL;
	index = (uint32_t *)(b->table + 1);
	b->table->row_count = b->row_count;
	b->table->list = (struct pln_row_list){ index, rows_of(b) };
	fill_index(b->table, index, b->table->list.rows);
	return b->table;
}

struct pln_table *pln_table_build(const struct pln_eh_image *image, uintptr_t lo, uintptr_t hi)
{
	size_t count = pln_eh_frame_list(image, lo, hi, NULL, 0);
	size_t size = count * sizeof(struct pln_fde_place) + 1;
	struct pln_fde_place *places;
	struct builder b;

	if (hi - lo > UINT32_MAX || !builder_init(&b, lo, hi))
		return NULL;
	places = pln_pages_map(size, 0);
	if (places == MAP_FAILED) {
		pln_pages_unmap(b.table, b.table->block.size_bytes);
		return NULL;
	}
	pln_eh_frame_list(image, lo, hi, places, count);
	add_functions(&b, image, hi, places, count);
	pln_pages_unmap(places, size);
	return finish(&b);
}
