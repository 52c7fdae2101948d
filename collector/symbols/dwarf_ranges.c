/* SPDX-License-Identifier: MIT */
/*
 * dwarf_ranges.c - the code of a DIE: one range, or a list (.debug_ranges of DWARF 4,
 * .debug_rnglists of 5).
 */
#include "symbols/dwarf_i.h"

struct range_sink {
	struct pln_dwarf_session *session;
	pln_range_fn add;
	void *arg;
};

static int give(const struct range_sink *sink, uint64_t low, uint64_t high)
{
	if (!pln_dwarf_is_code(sink->session, low, high))
		return 0;
	return sink->add(low, high, sink->arg);
}

/* low_pc and high_pc; false when the DIE has none. */
static bool single_range(struct pln_dwarf_session *session, Dwarf_Die die, uint64_t *low,
			 uint64_t *high)
{
	enum Dwarf_Form_Class class;
	Dwarf_Addr from, to;
	Dwarf_Half form;

	if (!pln_dwarf_ok(session, dwarf_lowpc(die, &from, &session->error)) ||
	    !pln_dwarf_ok(session, dwarf_highpc_b(die, &to, &form, &class, &session->error)))
		return false;
	*low = from;
	*high = class == DW_FORM_CLASS_CONSTANT ? from + to : to;
	return true;
}

static void free_ranges(Dwarf_Debug dbg, Dwarf_Ranges *ranges, Dwarf_Signed count)
{
#ifdef DW_LIBDWARF_VERSION
	dwarf_dealloc_ranges(dbg, ranges, count);
#else
	dwarf_ranges_dealloc(dbg, ranges, count);
#endif
}

static int list_4(const struct range_sink *sink, Dwarf_Die die, uint64_t offset, uint64_t base)
{
	struct pln_dwarf_session *session = sink->session;
	Dwarf_Unsigned bytes;
	Dwarf_Off real_offset;
	Dwarf_Ranges *ranges;
	Dwarf_Signed count;
	int rc = 0;

	if (!pln_dwarf_ok(session, dwarf_get_ranges_b(session->dbg, offset, die, &real_offset,
						      &ranges, &count, &bytes, &session->error)))
		return 0;
	for (Dwarf_Signed i = 0; !rc && i < count; i++) {
		if (ranges[i].dwr_type == DW_RANGES_ADDRESS_SELECTION)
			base = ranges[i].dwr_addr2;
		else if (ranges[i].dwr_type == DW_RANGES_ENTRY)
			rc = give(sink, base + ranges[i].dwr_addr1, base + ranges[i].dwr_addr2);
	}
	free_ranges(session->dbg, ranges, count);
	return rc;
}

/* Entry `i` of a list; false when it is no range. */
static bool entry_5(struct pln_dwarf_session *session, Dwarf_Rnglists_Head head, Dwarf_Unsigned i,
		    uint64_t *low, uint64_t *high)
{
	Dwarf_Unsigned raw_low, raw_high, cooked_low, cooked_high;
	unsigned length, kind;
	Dwarf_Bool unavailable;

	if (!pln_dwarf_ok(session,
			  dwarf_get_rnglists_entry_fields_a(head, i, &length, &kind, &raw_low,
							    &raw_high, &unavailable, &cooked_low,
							    &cooked_high, &session->error)))
		return false;
	*low = cooked_low;
	*high = cooked_high;
	return !unavailable && kind != DW_RLE_end_of_list && kind != DW_RLE_base_address &&
	       kind != DW_RLE_base_addressx;
}

static int list_5(const struct range_sink *sink, Dwarf_Attribute attribute, Dwarf_Half form,
		  uint64_t index_or_offset)
{
	struct pln_dwarf_session *session = sink->session;
	Dwarf_Unsigned count, offset;
	Dwarf_Rnglists_Head head;
	uint64_t low, high;
	int rc = 0;

	if (!pln_dwarf_ok(session,
			  dwarf_rnglists_get_rle_head(attribute, form, index_or_offset, &head,
						      &count, &offset, &session->error)))
		return 0;
	for (Dwarf_Unsigned i = 0; !rc && i < count; i++) {
		if (entry_5(session, head, i, &low, &high))
			rc = give(sink, low, high);
	}
	dwarf_dealloc_rnglists_head(head);
	return rc;
}

/* The value of DW_AT_ranges: an index (DWARF 5 only) or an offset, in one of many forms. */
static bool list_place(struct pln_dwarf_session *session, Dwarf_Attribute attribute,
		       Dwarf_Half *form, uint64_t *value)
{
	Dwarf_Unsigned number;
	Dwarf_Off offset;

	if (!pln_dwarf_ok(session, dwarf_whatform(attribute, form, &session->error)))
		return false;
	if (*form != DW_FORM_rnglistx &&
	    pln_dwarf_ok(session, dwarf_global_formref(attribute, &offset, &session->error))) {
		*value = offset;
		return true;
	}
	if (!pln_dwarf_ok(session, dwarf_formudata(attribute, &number, &session->error)))
		return false;
	*value = number;
	return true;
}

int pln_die_ranges(struct pln_dwarf_session *session, Dwarf_Die die, uint64_t base,
		   pln_range_fn add, void *arg)
{
	struct range_sink sink = { session, add, arg };
	Dwarf_Half version = 0, offset_size, form;
	Dwarf_Attribute attribute;
	uint64_t low, high, place;
	int rc = 0;

	if (single_range(session, die, &low, &high))
		return give(&sink, low, high);
	if (!pln_dwarf_ok(session, dwarf_attr(die, DW_AT_ranges, &attribute, &session->error)))
		return 0;
	dwarf_get_version_of_die(die, &version, &offset_size);
	if (list_place(session, attribute, &form, &place))
		rc = version >= 5 ? list_5(&sink, attribute, form, place)
				  : list_4(&sink, die, place, base);
	dwarf_dealloc_attribute(attribute);
	return rc;
}
