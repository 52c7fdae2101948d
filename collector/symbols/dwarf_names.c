/* SPDX-License-Identifier: MIT */
/*
 * dwarf_names.c - what a function is called.
 *
 * A concrete function says little itself: abstract_origin leads to the abstract one,
 * specification to the declaration in its class, perhaps in another unit (LTO) or in
 * dwz's common file. Names found on the way are kept per DIE: thousands of inlined
 * copies share an origin.
 */
#include "symbols/dwarf_i.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Longer chains than two or three are damage. */
#define CHAIN_MAX_STEPS 8
/* Scopes within scopes. */
#define SCOPE_MAX_DEPTH 32
#define SCOPED_NAME_MAX 4096

/* What the DIEs of a chain say; the first that says it counts. */
struct identity {
	const char *name;
	const char *linkage_name;
	uint64_t decl_line;
	struct pln_die_ref last; /* end of the chain: the DIE inside of its scopes */
};

struct name_slot {
	Dwarf_Off offset; /* of the DIE that was asked for, +1; 0: free */
	bool alt;
	uint32_t function;
};

static void read_identity(struct pln_dwarf_session *session, Dwarf_Die die,
			  struct identity *identity)
{
	if (!identity->linkage_name)
		identity->linkage_name = pln_die_string(session, die, DW_AT_linkage_name);
	if (!identity->linkage_name)
		identity->linkage_name = pln_die_string(session, die, DW_AT_MIPS_linkage_name);
	if (!identity->name)
		identity->name = pln_die_string(session, die, DW_AT_name);
	if (!identity->decl_line)
		pln_die_number(session, die, DW_AT_decl_line, &identity->decl_line);
}

/* Follows the chain from `ref` on, to its end. */
static void follow(struct pln_dwarf_session *session, struct pln_die_ref ref,
		   struct identity *identity)
{
	for (int i = 0; i < CHAIN_MAX_STEPS; i++) {
		Dwarf_Die die = pln_die_at(session, ref);
		bool more;

		if (!die)
			return;
		identity->last = ref;
		read_identity(session, die, identity);
		more = pln_die_reference(session, die, ref.alt, DW_AT_abstract_origin, &ref) ||
		       pln_die_reference(session, die, ref.alt, DW_AT_specification, &ref);
		dwarf_dealloc_die(die);
		if (!more)
			return;
	}
}

/* Languages without namespaces: most functions, and no reason to look for scopes. */
static bool is_flat_language(uint64_t language)
{
	switch (language) {
	case DW_LANG_C89:
	case DW_LANG_C:
	case DW_LANG_C99:
	case DW_LANG_C11:
	case DW_LANG_Mips_Assembler:
		return true;
	default:
		return false;
	}
}

/* The DIE of the unit that holds `ref`, when its language has scopes. */
static Dwarf_Die unit_with_scopes(struct pln_dwarf_session *session, struct pln_die_ref ref)
{
	Dwarf_Die die = pln_die_at(session, ref), unit;
	uint64_t language = 0;
	bool found;

	if (!die)
		return NULL;
	found = pln_dwarf_ok(session,
			     dwarf_CU_dieoffset_given_die(die, &ref.offset, &session->error));
	dwarf_dealloc_die(die);
	unit = found ? pln_die_at(session, ref) : NULL;
	if (!unit)
		return NULL;
	pln_die_number(session, unit, DW_AT_language, &language);
	if (!is_flat_language(language))
		return unit;
	dwarf_dealloc_die(unit);
	return NULL;
}

static const char *scope_name(struct pln_dwarf_session *session, Dwarf_Die die)
{
	switch (pln_die_tag(session, die)) {
	case DW_TAG_namespace: {
		const char *name = pln_die_string(session, die, DW_AT_name);

		return name ? name : "(anonymous namespace)";
	}
	case DW_TAG_class_type:
	case DW_TAG_structure_type:
	case DW_TAG_union_type:
	case DW_TAG_interface_type:
	case DW_TAG_module:
	case DW_TAG_subprogram:
		return pln_die_string(session, die, DW_AT_name);
	default:
		return NULL;
	}
}

static Dwarf_Off offset_of(struct pln_dwarf_session *session, Dwarf_Die die)
{
	Dwarf_Off offset;

	if (!pln_dwarf_ok(session, dwarf_dieoffset(die, &offset, &session->error)))
		return UINT64_MAX;
	return offset;
}

/* The child of `parent` at the offset or around it; gives `parent` back. */
static Dwarf_Die child_around(struct pln_dwarf_session *session, Dwarf_Die parent,
			      struct pln_die_ref ref)
{
	Dwarf_Debug dbg = ref.alt ? session->alt : session->dbg;
	Dwarf_Die die = pln_die_child(session, parent);

	dwarf_dealloc_die(parent);
	while (die && pln_dwarf_step(session)) {
		Dwarf_Die next;

		if (!pln_dwarf_ok(session, dwarf_siblingof_b(dbg, die, 1, &next, &session->error)))
			return die;
		if (offset_of(session, next) > ref.offset) {
			dwarf_dealloc_die(next);
			return die;
		}
		dwarf_dealloc_die(die);
		die = next;
	}
	if (die)
		dwarf_dealloc_die(die);
	return NULL;
}

/*
 * Writes "outer::inner::" into `out`: DIEs do not know their parents, so the way to the
 * DIE is walked from the top of its unit.
 */
static void write_scopes(struct pln_dwarf_session *session, struct pln_die_ref ref, char *out,
			 size_t size)
{
	Dwarf_Die die = unit_with_scopes(session, ref);
	size_t used = 0;

	out[0] = '\0';
	for (int depth = 0; die && depth < SCOPE_MAX_DEPTH; depth++) {
		const char *name;
		int length;

		die = child_around(session, die, ref);
		if (!die || offset_of(session, die) >= ref.offset)
			break;
		name = scope_name(session, die);
		if (!name)
			continue;
		length = snprintf(out + used, size - used, "%s::", name);
		if (length < 0 || (size_t)length >= size - used)
			break;
		used += (size_t)length;
	}
	out[used] = '\0';
	if (die)
		dwarf_dealloc_die(die);
}

static bool is_mangled(const char *name)
{
	return name && name[0] == '_' && (name[1] == 'Z' || name[1] == 'R');
}

static int add_function(struct pln_dwarf_names *names, const struct identity *identity,
			uint32_t *index)
{
	struct pln_dwarf_message *message = names->message;
	struct pln_dwarf_function function = { 0 };
	char name[SCOPED_NAME_MAX];
	size_t used;
	int rc;

	/* A mangled name says more than scopes do. */
	name[0] = '\0';
	if (!is_mangled(identity->linkage_name) && identity->name)
		write_scopes(names->session, identity->last, name, sizeof(name));
	used = strlen(name);
	snprintf(name + used, sizeof(name) - used, "%s", identity->name ? identity->name : "");
	rc = pln_dwarf_add_string(message, name, &function.name);
	if (!rc)
		rc = pln_dwarf_add_string(message, identity->linkage_name, &function.linkage_name);
	if (identity->decl_line <= UINT32_MAX)
		function.decl_line = (uint32_t)identity->decl_line;
	*index = pln_dwarf_count(message, PLN_DWARF_FUNCTIONS, sizeof(function));
	if (!rc)
		rc = pln_array_append(&message->arrays[PLN_DWARF_FUNCTIONS], &function,
				      sizeof(function));
	return rc;
}

static struct name_slot *find_slot(struct name_slot *slots, size_t count, struct pln_die_ref ref)
{
	size_t i = (ref.offset * UINT64_C(0x9e3779b97f4a7c15) >> 20) & (count - 1);

	while (slots[i].offset && (slots[i].offset != ref.offset + 1 || slots[i].alt != ref.alt))
		i = (i + 1) & (count - 1);
	return &slots[i];
}

/* Keeps the table at most half full. */
static int make_room(struct pln_dwarf_names *names)
{
	const struct name_slot *old = names->table.data;
	size_t count = names->table.size / sizeof(*old);
	size_t new_count = count ? 2 * count : 256;
	struct name_slot *slots;

	if (2 * names->used < count)
		return 0;
	slots = calloc(new_count, sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		struct pln_die_ref ref = { old[i].alt, old[i].offset - 1 };

		if (old[i].offset)
			*find_slot(slots, new_count, ref) = old[i];
	}
	pln_array_free(&names->table);
	names->table.data = slots;
	names->table.size = names->table.capacity = new_count * sizeof(*slots);
	return 0;
}

int pln_dwarf_name(struct pln_dwarf_names *names, Dwarf_Die die, uint32_t *function)
{
	struct pln_dwarf_session *session = names->session;
	struct pln_die_ref ref = { false, offset_of(session, die) };
	struct identity identity = { 0 };
	struct name_slot *slot;
	int rc = make_room(names);

	if (rc)
		return rc;
	/* Copies are known by their origin, so that they share its slot. */
	pln_die_reference(session, die, false, DW_AT_abstract_origin, &ref);
	slot = find_slot(names->table.data, names->table.size / sizeof(*slot), ref);
	if (!slot->offset) {
		follow(session, ref, &identity);
		rc = add_function(names, &identity, function);
		if (rc)
			return rc;
		*slot = (struct name_slot){ ref.offset + 1, ref.alt, *function };
		names->used++;
	}
	*function = slot->function;
	return 0;
}
