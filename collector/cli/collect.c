/* SPDX-License-Identifier: MIT */
/*
 * collect.c - pillion collect: record processes that somebody else starts.
 *
 *   --listen ADDRESS   serves whoever says hello there, until SIGTERM or SIGINT
 *   --inherit FD       started by the library in a target, with a socket that already
 *                      listens: serves that target and its children, then ends
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <pillion/kernel_clock.h>
#include <pillion/pillion.h>

#include "cli/cli.h"
#include "cli/outcome.h"
#include "cli/rotation.h"
#include "cli/socket.h"
#include "cli/template.h"
#include "cli/variables.h"
#include "ingest/session.h"

#define NOT_GIVEN UINT64_MAX
#define OUTER_PID_NAMESPACE 0xEFFFFFFCu /* PROC_PID_INIT_INO in the kernel's proc_ns.h */
#define USERS_MAX 64u

struct collector {
	const char *listen;
	uint64_t inherit;
	const char *output_text, *rotate_text, *keep_text, *allow_text;
	uint64_t duration; /* nanoseconds */
	bool force, quiet;

	int listen_fd;
	uint8_t token[PILLION_TOKEN_SIZE];
	bool need_token;
	struct pln_rotation rotation;
	char notice[256];
	uid_t users[USERS_MAX];
	size_t user_count;
	bool any_user;
	struct pln_loop loop;
	struct pln_watch signals;
	bool asked_to_end; /* by a signal */
	struct pln_session *session;
	char host[256];
	char directory[4096];
	uint64_t start_ns;
};

/* ------------------------------------------------------------------ options */

static const char *const examples[] = {
	"pillion collect --listen @here -o %e.%p.pillion",
	"pillion collect --listen /run/pillion/sock --allow all --rotate 5min",
	"LD_PRELOAD=/path/libpillion.so PILLION_SOCKET=@here python app.py",
	NULL,
};

static bool parse_users(struct collector *c)
{
	const char *text = c->allow_text;
	char *end;

	c->any_user = !strcmp(text, "all");
	while (!c->any_user) {
		unsigned long user;

		errno = 0;
		user = strtoul(text, &end, 10);
		if (*text < '0' || *text > '9' || errno || user >= UINT32_MAX ||
		    (*end && *end != ',') || c->user_count >= USERS_MAX)
			return false;
		c->users[c->user_count++] = (uid_t)user;
		if (!*end)
			break;
		text = end + 1;
	}
	return true;
}

/* -1, or the exit code after a complaint. */
static int check(struct collector *c, const struct pln_verb *verb,
		 const struct pln_operands *operands)
{
	if (operands->count)
		return pln_cli_usage_error(verb, "'%s' is not an option", operands->value[0]);
	if (!c->listen == (c->inherit == NOT_GIVEN))
		return pln_cli_usage_error(verb, "--listen ADDRESS is missing");
	if (c->allow_text && !parse_users(c))
		return pln_cli_usage_error(verb, "--allow wants numbers of users, or all; not '%s'",
					   c->allow_text);
	/* A mistake in the environment is for the profile to tell. */
	if (pln_rotation_choose(&c->rotation, c->rotate_text, c->keep_text, c->notice,
				sizeof(c->notice)) &&
	    (c->rotate_text || c->keep_text))
		return pln_cli_usage_error(verb, "%s", c->notice);
	return -1;
}

#define OPTIONS_MAX 12u

/* Each puts its options into `rows` and returns how many. */
static size_t put_profile_options(struct pln_option *rows, struct collector *c)
{
	const struct pln_variable *out = &pln_variables[PLN_VARIABLE_output];
	const struct pln_variable *rotate = &pln_variables[PLN_VARIABLE_rotate];
	const struct pln_variable *keep = &pln_variables[PLN_VARIABLE_keep];
	const struct pln_option options[] = {
		{ .type = PLN_OPTION_TEXT,
		  .name = "output",
		  .letter = 'o',
		  .metavar = out->metavar,
		  .help = out->help,
		  .to = &c->output_text },
		{ .type = PLN_OPTION_FLAG,
		  .name = "force",
		  .letter = 'f',
		  .help = "overwrite a profile that exists",
		  .to = &c->force },
		{ .type = PLN_OPTION_TEXT,
		  .name = "rotate",
		  .metavar = rotate->metavar,
		  .help = rotate->help,
		  .to = &c->rotate_text },
		{ .type = PLN_OPTION_TEXT,
		  .name = "keep",
		  .metavar = keep->metavar,
		  .help = keep->help,
		  .to = &c->keep_text },
	};

	memcpy(rows, options, sizeof(options));
	return sizeof(options) / sizeof(*options);
}

static size_t put_other_options(struct pln_option *rows, struct collector *c)
{
	const struct pln_variable *end = &pln_variables[PLN_VARIABLE_duration];
	const struct pln_option options[] = {
		{ .type = PLN_OPTION_TEXT,
		  .name = "allow",
		  .metavar = "UID,...|all",
		  .help = "users whose processes may join, beside our own and root",
		  .to = &c->allow_text },
		{ .type = PLN_OPTION_SECONDS,
		  .name = "duration",
		  .letter = 'd',
		  .metavar = end->metavar,
		  .help = end->help,
		  .max = end->max,
		  .to = &c->duration },
		{ .type = PLN_OPTION_FLAG,
		  .name = "quiet",
		  .letter = 'q',
		  .help = "print nothing but errors",
		  .to = &c->quiet },
		{ .type = PLN_OPTION_NUMBER,
		  .name = "inherit",
		  .metavar = "FD",
		  .max = INT_MAX,
		  .help = "serve the socket that listens at this descriptor",
		  .hidden = true,
		  .to = &c->inherit },
	};

	memcpy(rows, options, sizeof(options));
	return sizeof(options) / sizeof(*options);
}

static int parse(struct collector *c, int argc, char **argv)
{
	struct pln_option options[OPTIONS_MAX] = {
		{ .type = PLN_OPTION_TEXT,
		  .name = "listen",
		  .letter = 'l',
		  .metavar = "ADDRESS",
		  .help = "where to listen: @abstract-name or /path",
		  .to = &c->listen },
	};
	size_t count = 1 + put_profile_options(options + 1, c);
	struct pln_verb verb = {
		.name = "collect",
		.usage = "--listen ADDRESS [options]",
		.summary = "Record processes that are started elsewhere, until SIGTERM or SIGINT.",
		.options = options,
		.examples = examples,
	};
	struct pln_operands operands;
	int result;

	verb.option_count = count + put_other_options(options + count, c);
	c->inherit = c->duration = NOT_GIVEN;
	result = pln_cli_parse(&verb, argc, argv, &operands);
	return result >= 0 ? result : check(c, &verb, &operands);
}

static bool is_inherited(const struct collector *c)
{
	return !c->listen;
}

/* Its first process may be an init, which ends with its program, and the kernel us with it. */
static bool is_in_container(void)
{
	struct stat st;

	return !stat("/proc/self/ns/pid", &st) && st.st_ino != OUTER_PID_NAMESPACE;
}

/* -------------------------------------------------------------------- set up */

/*
 * The target's collector must hold nothing of the target: not its terminal, not its
 * pipes (their readers would wait for us), not our own library.
 */
static void detach(int keep)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	(void)setsid();
	for (int fd = 0; fd < 3 && null >= 0; fd++)
		dup2(null, fd);
	if (keep > 3)
		(void)syscall(SYS_close_range, 3u, (unsigned)keep - 1, 0u);
	(void)syscall(SYS_close_range, (unsigned)keep + 1, ~0u, 0u);
	unsetenv("LD_PRELOAD");
}

static bool is_listening(int fd)
{
	int type = 0, accepts = 0;
	socklen_t size = sizeof(int);

	return !getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) && type == SOCK_SEQPACKET &&
	       !getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &accepts, &size) && accepts;
}

static int take_token(struct collector *c)
{
	const char *text = getenv("PILLION_TOKEN");

	if (!text || !*text)
		return 0;
	c->need_token = true;
	return pln_token_parse(text, c->token) ? 0 : -EINVAL;
}

static int open_socket(struct collector *c)
{
	if (!is_inherited(c)) {
		c->listen_fd = pln_socket_listen(c->listen);
		/* Others could not reach it: who is who, the kernel says. */
		if (c->listen_fd >= 0 && c->allow_text && c->listen[0] == '/')
			(void)chmod(c->listen, 0666);
		if (c->listen_fd >= 0)
			return 0;
		pln_cli_message("cannot listen at '%s': %s; give @name or /path that is free",
				c->listen, strerror(-c->listen_fd));
		return PLN_EXIT_FAILURE;
	}
	if (!is_listening((int)c->inherit)) {
		pln_cli_message("descriptor %d is no listening socket", (int)c->inherit);
		return PLN_EXIT_USAGE;
	}
	c->listen_fd = (int)c->inherit;
	detach(c->listen_fd);
	return 0;
}

/* What cannot work is said at once, not when the first process has run. Returns an exit code. */
static int check_output(const struct collector *c)
{
	char why[5000];

	/* Started for a process that has begun, and that will be told. */
	if (is_inherited(c) ||
	    !pln_output_check(c->output_text, c->force ? PLN_OVERWRITE_YES : PLN_OVERWRITE_NO, why,
			      sizeof(why)))
		return PLN_EXIT_OK;
	pln_cli_message("%s", why);
	return PLN_EXIT_FAILURE;
}

/* Named after the first process that says hello. */
static int open_output(pid_t pid, const char *executable, char *why, size_t size, void *arg)
{
	struct collector *c = arg;
	enum pln_overwrite overwrite = c->force ? PLN_OVERWRITE_YES : PLN_OVERWRITE_NO;
	int error;

	/* Nobody is there to choose another name. */
	if (is_inherited(c))
		overwrite = PLN_OVERWRITE_AVOID;
	/* That of a process before could not be written to. */
	pln_output_close(&c->rotation.output, true);
	error = pln_rotation_open(&c->rotation, c->output_text, pid, executable, overwrite, why,
				  size);
	if (!error)
		error = pln_output_commit(&c->rotation.output);
	if (error)
		pln_cli_message("%s", why);
	else if (!c->quiet)
		pln_cli_message("recording into %s", c->rotation.output.path);
	return error ? error : c->rotation.output.fd;
}

static int next_output(char *why, size_t size, void *arg)
{
	struct collector *c = arg;
	int fd = pln_rotation_next(&c->rotation, why, size);

	if (fd < 0)
		pln_cli_message("%s", why);
	else if (!c->quiet)
		pln_cli_message("recording into %s", c->rotation.output.path);
	return fd;
}

static void output_ended(int fd, void *arg)
{
	struct collector *c = arg;

	pln_rotation_ended(&c->rotation, fd);
}

static void on_event(struct pln_session *session, enum pln_session_event event, void *arg)
{
	struct collector *c = arg;

	(void)session;
	if (event == PLN_SESSION_WRITTEN)
		pln_rotation_make_room(&c->rotation);
	else if (event == PLN_SESSION_TIME_OVER || is_inherited(c))
		pln_loop_stop(&c->loop);
}

static void on_signal(struct pln_watch *watch)
{
	struct collector *c = pln_watch_owner(watch, struct collector, signals);
	struct signalfd_siginfo si;

	while (read(watch->fd, &si, sizeof(si)) == sizeof(si))
		c->asked_to_end = true;
	if (c->asked_to_end)
		pln_loop_stop(&c->loop);
}

static void on_progress(size_t done, size_t total, void *arg)
{
	const struct collector *c = arg;

	if (!c->quiet)
		pln_outcome_progress(done, total);
}

/* A signal ends the recording in order; the second one, while we write, ends us. */
static int watch_signals(struct collector *c)
{
	sigset_t mask;

	sigemptyset(&mask);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGINT);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	/* Who started us may have blocked or ignored anything. */
	signal(SIGTERM, SIG_DFL);
	signal(SIGINT, SIG_DFL);
	sigprocmask(SIG_SETMASK, &mask, NULL);
	c->signals =
		(struct pln_watch){ signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK), on_signal };
	if (c->signals.fd < 0)
		return -errno;
	return pln_loop_add(&c->loop, &c->signals);
}

static void on_first_signal(int signo)
{
	(void)signo; /* it asks for what we are at; it has the default action again */
}

/* One that ended the recording was the first; it may also come after the target's own end. */
static void unwatch_signals(struct collector *c)
{
	struct sigaction action = { .sa_handler = c->asked_to_end ? SIG_DFL : on_first_signal,
				    .sa_flags = SA_RESTART | (int)SA_RESETHAND };
	sigset_t none;

	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	pln_loop_remove(&c->loop, &c->signals);
	close(c->signals.fd);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static int open_session(struct collector *c)
{
	struct pln_session_options options = {
		.loop = &c->loop,
		.listen_fd = c->listen_fd,
		.need_token = c->need_token,
		.any_user = c->any_user,
		.users = c->users,
		.user_count = c->user_count,
		.rotate_ns = c->rotation.every_ns,
		.rotate_bytes = c->rotation.size_bytes,
		.open_output = open_output,
		.next_output = next_output,
		.output_ended = output_ended,
		.event = on_event,
		.progress = on_progress,
		.arg = c,
		.notice = *c->notice ? c->notice : NULL,
		.dies_with_targets = is_inherited(c) && is_in_container(),
	};

	(void)gethostname(c->host, sizeof(c->host) - 1);
	if (!getcwd(c->directory, sizeof(c->directory)))
		c->directory[0] = '\0';
	memcpy(options.token, c->token, sizeof(options.token));
	if (c->duration == NOT_GIVEN)
		c->duration = pln_variable_number(PLN_VARIABLE_duration);
	options.duration_ns = c->duration;
	options.recording = (struct pln_recording){
		.command = "", /* nobody gave us one */
		.host = c->host,
		.pillion_version = PILLION_VERSION,
		.working_directory = c->directory,
		.start_real_ns = pln_kernel_clock_ns(CLOCK_REALTIME),
		.start_ns = c->start_ns,
		.exit_status = -1,
	};
	return pln_session_open(&c->session, &options);
}

static void choose_output(struct collector *c)
{
	if (!c->output_text)
		c->output_text = getenv("PILLION_OUTPUT");
	if (!c->output_text || !*c->output_text)
		c->output_text = PLN_TEMPLATE_DEFAULT;
}

/* ---------------------------------------------------------------------- run */

/* Its place is free for the next collector, whatever we still have to write. */
static void stop_listening(struct collector *c)
{
	if (c->listen)
		pln_socket_remove(c->listen);
	pln_session_close_doors(c->session);
	close(c->listen_fd);
	c->listen_fd = -1;
}

static int conclude(struct collector *c)
{
	struct pln_session_summary sum;

	stop_listening(c);
	pln_session_finish(c->session, -1);
	pln_session_summarize(c->session, &sum);
	if (sum.processes)
		pln_outcome_print(&sum, c->rotation.output.path,
				  pln_kernel_clock_ns(CLOCK_MONOTONIC) - c->start_ns, c->quiet);
	else
		pln_cli_message("nothing was recorded: %s",
				sum.refused_count ? sum.refused : "no process said hello");
	pln_output_close(&c->rotation.output, !sum.processes);
	pln_rotation_make_room(&c->rotation);
	return sum.write_error || !sum.processes ? PLN_EXIT_FAILURE : PLN_EXIT_OK;
}

static int run(struct collector *c)
{
	int error = pln_loop_open(&c->loop);

	pln_socket_raise_fd_limit();
	c->start_ns = pln_kernel_clock_ns(CLOCK_MONOTONIC);
	if (!error)
		error = watch_signals(c);
	if (!error)
		error = open_session(c);
	if (error) {
		pln_cli_message("cannot record: %s", strerror(-error));
		return PLN_EXIT_FAILURE;
	}
	if (!c->quiet && c->listen)
		pln_cli_message("listening at %s", c->listen);
	(void)pln_loop_run(&c->loop);
	unwatch_signals(c);
	return conclude(c);
}

int pln_cmd_collect(int argc, char **argv)
{
	static struct collector c = {
		.listen_fd = -1,
		.rotation = { .output = { .fd = -1 } },
		.loop = { .epoll_fd = -1 },
	};
	int result = parse(&c, argc, argv);

	if (result >= 0)
		return result;
	choose_output(&c);
	if (take_token(&c)) {
		pln_cli_message("PILLION_TOKEN must be 32 hex digits");
		return PLN_EXIT_USAGE;
	}
	result = check_output(&c);
	if (!result)
		result = open_socket(&c);
	if (result)
		return result;
	result = run(&c);
	pln_session_free(c.session);
	pln_loop_close(&c.loop);
	if (c.listen && c.listen_fd >= 0)
		pln_socket_remove(c.listen);
	return result;
}
