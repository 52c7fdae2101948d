/* SPDX-License-Identifier: MIT */
/*
 * The page where there is no disassembler, which this test is linked with: it has no
 * instructions, and says why. With one, see tests/e2e/test_html_instructions.py.
 */
#include "check.h"
#include "tiny_profile.h"

#include "annotate/disassemble.h"
#include "html/html.h"
#include "html/instructions.h"

static bool holds(const struct pln_buffer *data, const char *text)
{
	return memmem(data->data, data->size, text, strlen(text)) != NULL;
}

static void check_page(bool no_source, const char *note)
{
	const struct pln_report_options what = { .view = PLN_VIEW_CPU };
	const struct pln_html_options options = { .no_source = no_source };
	struct pln_profile *p = tiny_open(true);
	struct pln_report report;
	struct pln_buffer data = { 0 };

	if (!CHECK(p != NULL))
		exit(1);
	CHECK_EQ(pln_report_build(&report, p, "tiny.pillion", &what), 0);
	CHECK_EQ(pln_html_data(&data, &report, &options), 0);
	CHECK(holds(&data, note));
	CHECK(!holds(&data, "\"places\""));
	/* The last part is an empty list. */
	CHECK(data.size > 6 && !memcmp(data.data + data.size - 6, "\2\0\0\0[]", 6));
	pln_buffer_free(&data);
	pln_report_free(&report);
	pln_profile_close(p);
}

static void test_notes(void)
{
	const struct pln_html_instructions some = { .functions = 24, .left_out = 3, .share = 0.01 };
	char text[256];

	CHECK(pln_disassembler_missing() != NULL);
	check_page(false, "built without Capstone");
	check_page(true, "as its source was");
	pln_html_instructions_explain(&some, true, text, sizeof(text));
	CHECK(strstr(text, "24") == NULL);
}

int main(void)
{
	test_notes();
	return check_result();
}
