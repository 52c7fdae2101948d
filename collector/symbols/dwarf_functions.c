/* SPDX-License-Identifier: MIT */
/*
 * dwarf_functions.c - the functions of a unit and what is inlined into them.
 *
 * The tree of DIEs becomes nodes (one per function and per inlined copy, each knowing
 * its caller) and spans of addresses that are flattened, so that every address knows
 * its innermost node.
 */
#include "symbols/dwarf_i.h"

/* Trees are some dozens deep; recursion stops at what only a damaged one has. */
#define TREE_MAX_DEPTH 400

struct walk {
	struct pln_dwarf_session *session;
	struct pln_dwarf_message *message;
	struct pln_dwarf_names names;
	struct pln_array spans;
	uint64_t base; /* of the unit, for its range lists */
	uint32_t first_file;
	uint32_t file_count;
	int rc;
};

/* The node that a range belongs to. */
struct owner {
	struct walk *walk;
	uint32_t node;
	uint32_t depth;
};

static void walk_children(struct walk *walk, Dwarf_Die parent, uint32_t caller, uint32_t depth);

static int add_span(uint64_t low, uint64_t high, void *arg)
{
	struct owner *owner = arg;
	struct pln_span span = { low, high, owner->node, owner->depth };

	return pln_array_append(&owner->walk->spans, &span, sizeof(span));
}

static uint32_t call_file(struct walk *walk, Dwarf_Die die)
{
	uint64_t number;

	if (!pln_die_number(walk->session, die, DW_AT_call_file, &number) ||
	    number < walk->first_file || number - walk->first_file >= walk->file_count)
		return PLN_DWARF_NONE;
	return (uint32_t)(number - walk->first_file);
}

/* Adds the node of a function or of an inlined copy; the walk goes on below it. */
static void visit_function(struct walk *walk, Dwarf_Die die, uint32_t caller, uint32_t depth,
			   bool inlined)
{
	struct pln_dwarf_node node = { .caller = PLN_DWARF_NONE, .call_file = PLN_DWARF_NONE };
	struct pln_array *nodes = &walk->message->arrays[PLN_DWARF_NODES];
	struct owner owner = { walk, pln_dwarf_count(walk->message, PLN_DWARF_NODES, sizeof(node)),
			       depth };
	size_t spans = walk->spans.size;
	uint64_t line;

	walk->rc = pln_die_ranges(walk->session, die, walk->base, add_span, &owner);
	if (walk->rc)
		return;
	if (!inlined && walk->spans.size == spans) {
		/* A declaration or an abstract function: no code, but code may be inside. */
		walk_children(walk, die, PLN_DWARF_NONE, depth + 1);
		return;
	}
	if (inlined) {
		node.caller = caller;
		node.call_file = call_file(walk, die);
		if (pln_die_number(walk->session, die, DW_AT_call_line, &line) &&
		    line <= UINT32_MAX)
			node.call_line = (uint32_t)line;
	}
	walk->rc = pln_dwarf_name(&walk->names, die, &node.function);
	if (!walk->rc)
		walk->rc = pln_array_append(nodes, &node, sizeof(node));
	walk_children(walk, die, owner.node, depth + 1);
}

static void visit(struct walk *walk, Dwarf_Die die, uint32_t caller, uint32_t depth)
{
	switch (pln_die_tag(walk->session, die)) {
	case DW_TAG_subprogram:
		visit_function(walk, die, caller, depth, false);
		break;
	case DW_TAG_inlined_subroutine:
		/* Inside of an abstract function it describes no code. */
		if (caller != PLN_DWARF_NONE)
			visit_function(walk, die, caller, depth, true);
		break;
	case DW_TAG_namespace:
	case DW_TAG_module:
	case DW_TAG_class_type:
	case DW_TAG_structure_type:
	case DW_TAG_union_type:
	case DW_TAG_interface_type:
	case DW_TAG_lexical_block:
	case DW_TAG_try_block:
	case DW_TAG_catch_block:
	case DW_TAG_with_stmt:
		walk_children(walk, die, caller, depth + 1);
		break;
	default:
		break;
	}
}

static void walk_children(struct walk *walk, Dwarf_Die parent, uint32_t caller, uint32_t depth)
{
	Dwarf_Die die;

	if (walk->rc || depth > TREE_MAX_DEPTH)
		return;
	for (die = pln_die_child(walk->session, parent); die;
	     die = pln_die_next(walk->session, die, false)) {
		visit(walk, die, caller, depth);
		if (walk->rc)
			break;
	}
	if (die)
		dwarf_dealloc_die(die);
}

int pln_dwarf_read_functions(struct pln_dwarf_session *session, Dwarf_Die unit, uint32_t first_file,
			     struct pln_dwarf_message *message)
{
	struct walk walk = {
		.session = session,
		.message = message,
		.names = { .session = session, .message = message },
		.first_file = first_file,
		.file_count = pln_dwarf_count(message, PLN_DWARF_FILES, sizeof(uint32_t)),
	};
	Dwarf_Addr base;

	if (pln_dwarf_ok(session, dwarf_lowpc(unit, &base, &session->error)))
		walk.base = base;
	walk_children(&walk, unit, PLN_DWARF_NONE, 0);
	if (!walk.rc)
		walk.rc = pln_spans_flatten(walk.spans.data,
					    walk.spans.size / sizeof(struct pln_span),
					    &message->arrays[PLN_DWARF_SLICES]);
	pln_array_free(&walk.spans);
	pln_array_free(&walk.names.table);
	return walk.rc;
}
