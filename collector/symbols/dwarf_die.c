/* SPDX-License-Identifier: MIT */
/*
 * dwarf_die.c - attributes of a DIE, and its neighbours.
 *
 * References and strings may point into dwz's common file. libdwarf then answers as if
 * nothing were special (a raw offset that belongs to the other file; a placeholder in
 * place of the string), so forms are looked at before values are believed.
 */
#include "symbols/dwarf_i.h"

bool pln_dwarf_ok(struct pln_dwarf_session *session, int rc)
{
	if (rc == DW_DLV_ERROR && session->error) {
		dwarf_dealloc_error(session->dbg, session->error);
		session->error = NULL;
	}
	return rc == DW_DLV_OK;
}

bool pln_dwarf_step(struct pln_dwarf_session *session)
{
	if (!session->steps)
		return false;
	session->steps--;
	return true;
}

Dwarf_Die pln_die_at(struct pln_dwarf_session *session, struct pln_die_ref ref)
{
	Dwarf_Debug dbg = ref.alt ? session->alt : session->dbg;
	Dwarf_Die die;

	if (!dbg ||
	    !pln_dwarf_ok(session, dwarf_offdie_b(dbg, ref.offset, 1, &die, &session->error)))
		return NULL;
	return die;
}

Dwarf_Die pln_die_child(struct pln_dwarf_session *session, Dwarf_Die die)
{
	Dwarf_Die child;

	return pln_dwarf_ok(session, dwarf_child(die, &child, &session->error)) ? child : NULL;
}

Dwarf_Die pln_die_next(struct pln_dwarf_session *session, Dwarf_Die die, bool alt)
{
	Dwarf_Debug dbg = alt ? session->alt : session->dbg;
	Dwarf_Die next = NULL;

	if (!pln_dwarf_step(session) ||
	    !pln_dwarf_ok(session, dwarf_siblingof_b(dbg, die, 1, &next, &session->error)))
		next = NULL;
	dwarf_dealloc_die(die);
	return next;
}

Dwarf_Half pln_die_tag(struct pln_dwarf_session *session, Dwarf_Die die)
{
	Dwarf_Half tag;

	return pln_dwarf_ok(session, dwarf_tag(die, &tag, &session->error)) ? tag : 0;
}

/* The attribute and its form; NULL when absent. */
static Dwarf_Attribute find(struct pln_dwarf_session *session, Dwarf_Die die, Dwarf_Half number,
			    Dwarf_Half *form)
{
	Dwarf_Attribute attribute;

	if (!pln_dwarf_ok(session, dwarf_attr(die, number, &attribute, &session->error)))
		return NULL;
	if (pln_dwarf_ok(session, dwarf_whatform(attribute, form, &session->error)))
		return attribute;
	dwarf_dealloc_attribute(attribute);
	return NULL;
}

bool pln_die_number(struct pln_dwarf_session *session, Dwarf_Die die, Dwarf_Half number,
		    uint64_t *value)
{
	Dwarf_Half form;
	Dwarf_Attribute attribute = find(session, die, number, &form);
	Dwarf_Unsigned as_unsigned;
	Dwarf_Signed as_signed;
	bool found = true;

	if (!attribute)
		return false;
	if (pln_dwarf_ok(session, dwarf_formudata(attribute, &as_unsigned, &session->error)))
		*value = as_unsigned;
	else if (pln_dwarf_ok(session, dwarf_formsdata(attribute, &as_signed, &session->error)))
		*value = as_signed > 0 ? (uint64_t)as_signed : 0;
	else
		found = false;
	dwarf_dealloc_attribute(attribute);
	return found;
}

bool pln_die_offset(struct pln_dwarf_session *session, Dwarf_Die die, Dwarf_Half number,
		    uint64_t *offset)
{
	Dwarf_Half form;
	Dwarf_Attribute attribute = find(session, die, number, &form);
	Dwarf_Off place;
	bool found;

	if (!attribute)
		return false;
	found = pln_dwarf_ok(session, dwarf_global_formref(attribute, &place, &session->error));
	dwarf_dealloc_attribute(attribute);
	if (!found)
		return pln_die_number(session, die, number, offset);
	*offset = place;
	return true;
}

static bool is_alt_string(Dwarf_Half form)
{
	return form == DW_FORM_GNU_strp_alt || form == DW_FORM_strp_sup;
}

const char *pln_die_string(struct pln_dwarf_session *session, Dwarf_Die die, Dwarf_Half number)
{
	Dwarf_Half form;
	Dwarf_Attribute attribute = find(session, die, number, &form);
	char *string = NULL;

	if (!attribute)
		return NULL;
	if ((is_alt_string(form) && !session->alt) ||
	    !pln_dwarf_ok(session, dwarf_formstring(attribute, &string, &session->error)))
		string = NULL;
	dwarf_dealloc_attribute(attribute);
	return string;
}

static bool is_alt_reference(Dwarf_Half form)
{
	return form == DW_FORM_GNU_ref_alt || form == DW_FORM_ref_sup4 || form == DW_FORM_ref_sup8;
}

bool pln_die_reference(struct pln_dwarf_session *session, Dwarf_Die die, bool in_alt,
		       Dwarf_Half number, struct pln_die_ref *ref)
{
	Dwarf_Half form;
	Dwarf_Attribute attribute = find(session, die, number, &form);
	bool found;

	if (!attribute)
		return false;
	ref->alt = in_alt || is_alt_reference(form);
	found = form != DW_FORM_ref_sig8 &&
		pln_dwarf_ok(session,
			     dwarf_global_formref(attribute, &ref->offset, &session->error));
	dwarf_dealloc_attribute(attribute);
	return found;
}
