/* SPDX-License-Identifier: MIT */
/*
 * session_fixture.c - see session_fixture.h.
 */
#include "session_fixture.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/socket.h"

#define PATIENCE_MS 10000

static int give_output(pid_t pid, const char *executable, char *why, size_t size, void *arg)
{
	struct fixture *fx = arg;

	(void)pid;
	(void)executable;
	(void)why;
	(void)size;
	return fx->output_fd;
}

static void on_event(struct pln_session *session, enum pln_session_event event, void *arg)
{
	struct fixture *fx = arg;

	(void)session;
	if (event == PLN_SESSION_IDLE)
		fx->idle_events++;
	else if (event == PLN_SESSION_TIME_OVER)
		fx->over_events++;
}

static void give_up(const char *what)
{
	perror(what);
	exit(1);
}

void fixture_open(struct fixture *fx, uint64_t duration_ns)
{
	struct pln_session_options options = {
		.loop = &fx->loop,
		.need_token = true,
		.duration_ns = duration_ns,
		.recording = { .command = "fake",
			       .host = "host",
			       .pillion_version = "test",
			       .working_directory = "/",
			       .exit_status = -1 },
		.open_output = give_output,
		.event = on_event,
		.arg = fx,
	};

	memset(fx, 0, sizeof(*fx));
	strcpy(fx->path, "/tmp/test_ingest.XXXXXX");
	fx->output_fd = mkstemp(fx->path);
	if (fx->output_fd < 0 || pln_socket_random_address(fx->address) ||
	    pln_token_random(fx->token))
		give_up("fixture");
	fx->listen_fd = options.listen_fd = pln_socket_listen(fx->address);
	memcpy(options.token, fx->token, sizeof(fx->token));
	if (fx->listen_fd < 0 || pln_loop_open(&fx->loop) ||
	    pln_session_open(&fx->session, &options))
		give_up("fixture");
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

bool fixture_serve(struct fixture *fx, int ms, bool (*done)(void *arg), void *arg)
{
	uint64_t until = now_ms() + (uint64_t)ms;

	while (!done || !done(arg)) {
		uint64_t now = now_ms();

		if (now >= until)
			return !done;
		pln_loop_poll(&fx->loop, until - now < 5 ? (int)(until - now) : 5);
	}
	return true;
}

bool fixture_has_joined(void *session)
{
	struct pln_session_summary sum;

	pln_session_summarize(session, &sum);
	return sum.processes > 0;
}

bool fixture_was_refused(void *session)
{
	struct pln_session_summary sum;

	pln_session_summarize(session, &sum);
	return sum.refused_count > 0;
}

void fixture_join(struct fixture *fx, struct fake *fake, uint32_t lanes, uint32_t lane_size)
{
	int sock;

	if (fake_create(fake, lanes, lane_size, true))
		give_up("fake_create");
	sock = fake_hello(fake, fx->address, fx->token, PILLION_WIRE_VERSION);
	if (sock < 0 || !fixture_serve(fx, PATIENCE_MS, fixture_has_joined, fx->session))
		give_up("fixture_join");
	close(sock);
}

void fixture_finish(struct fixture *fx)
{
	pln_session_finish(fx->session, 0);
	if (pln_profile_open(&fx->profile, fx->path, true))
		fx->profile = NULL;
}

void fixture_close(struct fixture *fx)
{
	if (fx->profile)
		pln_profile_close(fx->profile);
	pln_session_free(fx->session);
	pln_loop_close(&fx->loop);
	close(fx->listen_fd);
	close(fx->output_fd);
	unlink(fx->path);
}

struct rows {
	struct pln_sample_row *row;
	size_t count;
	size_t capacity;
};

static int keep_row(const struct pln_sample_row *row, void *arg)
{
	struct rows *rows = arg;

	if (rows->count == rows->capacity)
		return 1;
	rows->row[rows->count++] = *row;
	return 0;
}

struct pln_sample_row *fixture_rows(const struct fixture *fx, size_t *count)
{
	struct rows rows = { .capacity = fx->profile->sample_count };

	rows.row = calloc(rows.capacity + 1, sizeof(*rows.row));
	if (!rows.row)
		give_up("rows");
	pln_profile_each_sample(fx->profile, keep_row, &rows);
	*count = rows.count;
	return rows.row;
}

static void format_frame(char *out, size_t size, const struct pln_profile *p,
			 const struct pln_frame *frame)
{
	const char *path, *base;

	if (frame->kind == PLN_FRAME_PYTHON) {
		snprintf(out, size, "%s:%" PRIu32, p->functions[frame->function].name, frame->line);
		return;
	}
	if (frame->module == PLN_NONE) {
		snprintf(out, size, "0x%" PRIx64, frame->address);
		return;
	}
	path = p->modules[frame->module].path;
	base = strrchr(path, '/');
	snprintf(out, size, "%s+0x%" PRIx64, base ? base + 1 : path, frame->address);
}

const char *fixture_stack(const struct fixture *fx, uint32_t stack)
{
	static char text[4096];
	char frame[256], rest[4096];

	text[0] = '\0';
	for (; stack != PLN_NONE; stack = fx->profile->stacks[stack].parent) {
		format_frame(frame, sizeof(frame), fx->profile,
			     &fx->profile->frames[fx->profile->stacks[stack].frame]);
		snprintf(rest, sizeof(rest), "%s", text);
		snprintf(text, sizeof(text), "%s%s%.3800s", frame, *rest ? ";" : "", rest);
	}
	return text;
}
