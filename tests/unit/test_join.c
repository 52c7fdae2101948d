/* SPDX-License-Identifier: MIT */
/*
 * Python frames go in the place of their C eval calls; whatever markers say, no Python
 * frame is lost or moved past another, and no native frame but an eval call disappears.
 *
 * Stacks are written as text, innermost first: a digit or letter is a frame, "E" an
 * eval call. The joined stack is compared as text too.
 */
#include <stdlib.h>
#include <time.h>

#include "check.h"
#include "stacks/stacks.h"

#define MAX 128
#define NONE PILLION_NO_MARKER
#define FRAME_SIZE 32u /* of each native frame made here */
#define EVAL_LO 0x5000u
#define EVAL_HI 0x5100u

struct stack {
	uint64_t pc[MAX];
	uint32_t cfa[MAX];
	struct pln_wire_frame python[MAX];
	char text[2 * MAX + 1]; /* of the joined stack */
	bool mismatch;
	struct pln_raw_stack raw;
};

/* Native frame i is named native[i] and covers [32 i, 32 i + 32). */
static void make(struct stack *s, const char *native, const char *python, const uint32_t *marker)
{
	*s = (struct stack){ 0 };
	for (unsigned i = 0; native[i]; i++) {
		s->pc[i] = native[i] == 'E' ? EVAL_LO + 8 : (uint64_t)native[i];
		s->cfa[i] = (i + 1) * FRAME_SIZE;
	}
	for (unsigned i = 0; python[i]; i++)
		s->python[i] = (struct pln_wire_frame){ (uint64_t)python[i], i,
							marker ? marker[i] : NONE };
	s->raw = (struct pln_raw_stack){
		.pc = s->pc,
		.cfa = s->cfa,
		.native_count = (unsigned)strlen(native),
		.native_complete = true,
		.python = s->python,
		.python_count = (unsigned)strlen(python),
		.eval_lo = EVAL_LO,
		.eval_hi = EVAL_HI,
	};
}

static const char *joined(struct stack *s)
{
	struct pln_joined_frame out[2 * MAX];
	unsigned count = pln_join(&s->raw, out, &s->mismatch);

	for (unsigned i = 0; i < count; i++)
		s->text[i] = out[i].value == EVAL_LO + 8 ? 'E' : (char)out[i].value;
	s->text[count] = '\0';
	return s->text;
}

/* A marker inside native frame i. */
#define IN(i) ((i)*FRAME_SIZE + 16)

static void segments_replace_their_eval_calls(void)
{
	static const uint32_t marker[] = { NONE, IN(2), IN(4) };
	struct stack s;

	make(&s, "01E3E5", "fgm", marker);
	CHECK_STR(joined(&s), "01fg3m5");
	CHECK(!s.mismatch);
}

static void one_eval_call_may_run_all_frames(void)
{
	static const uint32_t marker[] = { NONE, NONE, IN(0) };
	struct stack s;

	make(&s, "E12", "fgm", marker);
	CHECK_STR(joined(&s), "fgm12");
	CHECK(!s.mismatch);
}

static void nested_calls_without_glue_between(void)
{
	static const uint32_t marker[] = { IN(1), IN(2), IN(3) };
	struct stack s;

	make(&s, "0EEE4", "abc", marker);
	CHECK_STR(joined(&s), "0abc4");
	CHECK(!s.mismatch);
}

static void two_markers_in_one_native_frame(void)
{
	static const uint32_t marker[] = { 34, 60, IN(3) };
	struct stack s;

	make(&s, "0E2E4", "abc", marker);
	CHECK_STR(joined(&s), "0ab2c4");
	CHECK(!s.mismatch);
}

static void c_function_between_python_frames_stays(void)
{
	static const uint32_t marker[] = { IN(1), IN(4) };
	struct stack s;

	make(&s, "0EstE5", "km", marker); /* sorted(key=k) */
	CHECK_STR(joined(&s), "0kstm5");
	CHECK(!s.mismatch);
}

static void bounds_of_a_frame_are_half_open(void)
{
	static const uint32_t first[] = { 32 }, last[] = { 63 };
	struct stack s;

	make(&s, "0E2", "m", first);
	CHECK_STR(joined(&s), "0m2");
	make(&s, "0E2", "m", last);
	CHECK_STR(joined(&s), "0m2");
}

static void eval_call_without_python_frames_stays_native(void)
{
	static const uint32_t marker[] = { IN(3) };
	struct stack s;

	make(&s, "0E2E4", "m", marker); /* frame 1 has not linked its marker yet */
	CHECK_STR(joined(&s), "0E2m4");
	CHECK(!s.mismatch);
}

static void cut_native_walk_keeps_python_at_the_outer_end(void)
{
	static const uint32_t marker[] = { IN(1), NONE, IN(7), IN(9) };
	struct stack s;

	make(&s, "0E2", "abcd", marker);
	s.raw.native_complete = false;
	CHECK_STR(joined(&s), "0a2bcd");
	CHECK(!s.mismatch);
}

static void markers_beyond_a_complete_walk_are_a_mismatch(void)
{
	static const uint32_t marker[] = { IN(1), IN(40) };
	struct stack s;

	make(&s, "0E23", "ab", marker);
	CHECK_STR(joined(&s), "0ab23");
	CHECK(s.mismatch);
}

static void wrong_marker_waits_for_the_next_right_one(void)
{
	static const uint32_t high[] = { IN(90), IN(3), IN(5) };
	static const uint32_t backwards[] = { IN(3), IN(1), IN(5) };
	struct stack s;

	make(&s, "0E2E4E6", "abc", high);
	CHECK_STR(joined(&s), "0E2ab4c6");
	CHECK(s.mismatch);
	make(&s, "0E2E4E6", "abc", backwards);
	CHECK_STR(joined(&s), "0E2a4bc6");
	CHECK(s.mismatch);
}

static void no_marker_at_all_keeps_both_stacks(void)
{
	struct stack s;

	make(&s, "01", "ab", NULL);
	CHECK_STR(joined(&s), "01ab");
}

static void cut_python_chain_stays_next_to_its_segment(void)
{
	static const uint32_t marker[] = { IN(1), NONE };
	struct stack s;

	make(&s, "0E2E4", "ab", marker);
	CHECK_STR(joined(&s), "0ab2E4");
	CHECK(!s.mismatch);
}

static void one_side_may_be_missing(void)
{
	static const uint32_t marker[] = { NONE, IN(1) };
	struct stack s;

	make(&s, "", "ab", marker);
	CHECK_STR(joined(&s), "ab");
	CHECK(!s.mismatch);
	make(&s, "012", "", NULL);
	CHECK_STR(joined(&s), "012");
	CHECK(!s.mismatch);
	make(&s, "", "", NULL);
	CHECK_STR(joined(&s), "");
}

static void last_frame_may_have_no_cfa(void)
{
	static const uint32_t marker[] = { IN(1) };
	struct stack s;

	make(&s, "0E2", "m", marker);
	s.cfa[2] = 0;
	CHECK_STR(joined(&s), "0m2");
	CHECK(!s.mismatch);
}

static void leaf_and_guessed_are_told(void)
{
	static const uint32_t marker[] = { IN(2) };
	struct pln_joined_frame out[MAX];
	struct stack s;

	make(&s, "01E3", "m", marker);
	s.cfa[1] |= PILLION_CFA_GUESSED;
	s.python[0].instr = 42;
	CHECK_EQ(pln_join(&s.raw, out, &s.mismatch), 4);
	CHECK(out[0].is_leaf && !out[1].is_leaf && !out[3].is_leaf);
	CHECK(!out[0].guessed && out[1].guessed && !out[3].guessed);
	CHECK(out[2].is_python && out[2].instr == 42 && !out[2].is_leaf);
	CHECK(!s.mismatch);
}

/* ------------------------------------------------------- 3.8 and 3.9: by range */

static void make_unmarked(struct stack *s, const char *native, const char *python)
{
	make(s, native, python, NULL);
	s->raw.no_markers = true;
}

static void without_markers_one_frame_for_each_eval_call(void)
{
	struct stack s;

	make_unmarked(&s, "0E2E4", "ab");
	CHECK_STR(joined(&s), "0a2b4");
	CHECK(!s.mismatch);
}

static void pc_is_looked_up_one_before_a_return_address(void)
{
	struct pln_joined_frame out[4];
	struct stack s;

	make_unmarked(&s, "012", "a");
	s.pc[0] = EVAL_HI; /* the leaf's own pc: just outside */
	s.pc[1] = EVAL_HI; /* a return address: the call was the last instruction inside */
	s.pc[2] = EVAL_LO; /* behind a call just before it */
	CHECK_EQ(pln_join(&s.raw, out, &s.mismatch), 3);
	CHECK(!out[0].is_python && out[1].is_python && !out[2].is_python);
	CHECK(!s.mismatch);
	s.pc[0] = EVAL_LO;
	s.raw.native_count = 1;
	CHECK_STR(joined(&s), "a");
}

static void eval_call_being_entered_has_no_frame(void)
{
	struct stack s;

	make_unmarked(&s, "E1E3", "m");
	CHECK_STR(joined(&s), "E1m3");
	CHECK(!s.mismatch);
}

static void more_python_frames_than_eval_calls(void)
{
	struct stack s;

	make_unmarked(&s, "0E2", "abc");
	CHECK_STR(joined(&s), "0abc2");
	CHECK(s.mismatch);
	s.raw.native_complete = false;
	CHECK_STR(joined(&s), "0a2bc");
	CHECK(!s.mismatch);
}

static void far_more_eval_calls_than_python_frames(void)
{
	struct stack s;

	make_unmarked(&s, "0EEE4", "a");
	CHECK_STR(joined(&s), "0aEE4");
	CHECK(s.mismatch);
}

/* -------------------------------------------------------------- made at random */

static uint64_t random_state = 12345;

static unsigned below(unsigned limit)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(random_state >> 33) % limit;
}

/* A true stack: each 'E' runs one to three Python frames, named A-Z in order. */
static void make_truth(char *native, char *python, uint32_t *marker, char *want)
{
	unsigned natives = 1 + below(30), pythons = 0, wanted = 0;

	for (unsigned i = 0; i < natives; i++) {
		if (below(3) || pythons > 20) {
			want[wanted++] = native[i] = (char)('a' + below(20));
			continue;
		}
		native[i] = 'E';
		for (unsigned left = 1 + below(3); left; left--) {
			marker[pythons] = left == 1 ? IN(i) : NONE;
			python[pythons] = (char)('A' + pythons % 4);
			want[wanted++] = python[pythons++];
		}
	}
	native[natives] = python[pythons] = want[wanted] = '\0';
}

/* `part` is `whole` with some characters left out. */
static bool is_subsequence(const char *part, const char *whole)
{
	for (; *whole && *part; whole++)
		part += *part == *whole;
	return !*part;
}

static void true_stacks_join_truly(void)
{
	for (int round = 0; round < 5000; round++) {
		char native[MAX], python[MAX], want[2 * MAX];
		uint32_t marker[MAX];
		struct stack s;

		make_truth(native, python, marker, want);
		make(&s, native, python, marker);
		CHECK_STR(joined(&s), want);
		CHECK(!s.mismatch);
	}
}

/* Cut the native walk anywhere: the joined stack begins as the whole one does. */
static void cut_walks_keep_what_they_have(void)
{
	for (int round = 0; round < 2000; round++) {
		char native[MAX], python[MAX], want[2 * MAX];
		uint32_t marker[MAX];
		struct stack s;

		make_truth(native, python, marker, want);
		make(&s, native, python, marker);
		s.raw.native_count = below(s.raw.native_count) + 1;
		s.raw.native_complete = false;
		joined(&s);
		CHECK(is_subsequence(python, s.text));
		CHECK(is_subsequence(s.text, want));
		CHECK(!s.mismatch);
	}
}

/* Break markers at random: frames keep their order, only eval calls may be replaced. */
static void wrong_markers_lose_nothing(void)
{
	for (int round = 0; round < 5000; round++) {
		char native[MAX], python[MAX], want[2 * MAX];
		uint32_t marker[MAX];
		struct stack s;
		unsigned frames, evals = 0;

		make_truth(native, python, marker, want);
		for (unsigned i = 0; python[i]; i++)
			if (!below(3))
				marker[i] = below(2) ? below(2000) : NONE;
		make(&s, native, python, marker);
		s.raw.native_complete = below(2);
		for (unsigned i = 0; native[i]; i++)
			s.cfa[i] = below(50) ? s.cfa[i] : below(2000);
		joined(&s);
		frames = (unsigned)strlen(s.text);
		CHECK(is_subsequence(python, s.text));
		for (unsigned i = 0; i < frames; i++)
			evals += s.text[i] == 'E';
		CHECK(frames <= strlen(native) + strlen(python) && evals <= strlen(native));
	}
}

/* All but the first inside of what was walked, and in no frame: each costs a look at every frame.
 */
static void markers_in_no_frame_have_an_end(void)
{
	enum { COUNT = 60000 };
	struct pln_joined_frame *out = calloc(2 * COUNT, sizeof(*out));
	struct pln_wire_frame *python = calloc(COUNT, sizeof(*python));
	uint64_t *pc = calloc(COUNT, sizeof(*pc));
	uint32_t *cfa = calloc(COUNT, sizeof(*cfa));
	struct pln_raw_stack raw = { .pc = pc,
				     .cfa = cfa,
				     .native_count = COUNT,
				     .native_complete = true,
				     .python = python,
				     .python_count = COUNT };
	clock_t began = clock();
	bool mismatch = false;

	for (unsigned i = 0; i < COUNT; i++) {
		cfa[i] = i ? 200 : 100;
		python[i].marker = i && i < COUNT - 1 ? 50 : 150;
	}
	CHECK_EQ(pln_join(&raw, out, &mismatch), 2 * COUNT - 1);
	CHECK(mismatch);
	CHECK((clock() - began) / CLOCKS_PER_SEC < 1);
	free(out);
	free(python);
	free(pc);
	free(cfa);
}

int main(void)
{
	segments_replace_their_eval_calls();
	one_eval_call_may_run_all_frames();
	nested_calls_without_glue_between();
	two_markers_in_one_native_frame();
	c_function_between_python_frames_stays();
	bounds_of_a_frame_are_half_open();
	eval_call_without_python_frames_stays_native();
	cut_native_walk_keeps_python_at_the_outer_end();
	markers_beyond_a_complete_walk_are_a_mismatch();
	wrong_marker_waits_for_the_next_right_one();
	no_marker_at_all_keeps_both_stacks();
	cut_python_chain_stays_next_to_its_segment();
	one_side_may_be_missing();
	last_frame_may_have_no_cfa();
	leaf_and_guessed_are_told();
	without_markers_one_frame_for_each_eval_call();
	pc_is_looked_up_one_before_a_return_address();
	eval_call_being_entered_has_no_frame();
	more_python_frames_than_eval_calls();
	far_more_eval_calls_than_python_frames();
	true_stacks_join_truly();
	cut_walks_keep_what_they_have();
	wrong_markers_lose_nothing();
	markers_in_no_frame_have_an_end();
	return check_result();
}
