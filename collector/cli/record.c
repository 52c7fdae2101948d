/* SPDX-License-Identifier: MIT */
/*
 * record.c - pillion record: run a command, and record what it does.
 *
 * To its command it is as if it were not there: signals, limits, descriptors and
 * stdout are the command's own, and the command's exit status or signal becomes ours
 * whatever happens to the profile. In order: everything that can fail is tried before
 * the command runs; then it runs, and from there on nothing stops it.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <pillion/kernel_clock.h>
#include <pillion/pillion.h>

#include "cli/bystander.h"
#include "cli/cli.h"
#include "cli/diagnose.h"
#include "cli/launch.h"
#include "cli/library.h"
#include "cli/outcome.h"
#include "cli/rotation.h"
#include "cli/socket.h"
#include "cli/template.h"
#include "cli/variables.h"
#include "ingest/quote.h"
#include "ingest/session.h"

#define OWN_OPTIONS 8
#define HELP_SIZE 128

struct recorder {
	struct pln_variable_value values[PLN_VARIABLE_COUNT];
	bool force, wait, quiet, verbose, strict;

	char **command;
	struct pln_library library;
	char address[PLN_ADDRESS_SIZE];
	uint8_t token[PILLION_TOKEN_SIZE];
	int listen_fd;
	struct pln_launch launch;
	struct pln_bystander bystander;
	struct pln_rotation rotation;
	char notice[256];
	struct pln_loop loop;
	struct pln_watch signals; /* a signalfd */
	sigset_t old_mask;
	struct pln_session *session;
	char *command_text;
	char host[256];
	char directory[4096];
	uint64_t start_ns;
	bool over; /* the profile is written, whether or not the command still runs */
	bool failed; /* there is no profile, or it is incomplete */
};

/* ------------------------------------------------------------------ options */

static const char *const examples[] = {
	"pillion record python app.py --its-own-options",
	"pillion record -o app.pillion -F 1000 -d 30 -- python -m app",
	NULL,
};

static const char output_help[] =
	"default name: " PLN_TEMPLATE_DEFAULT "; %p pid, %h host, %t time, %e program, %n number";

struct option_rows {
	struct pln_option rows[PLN_VARIABLE_COUNT + OWN_OPTIONS];
	char help[PLN_VARIABLE_COUNT][HELP_SIZE];
	size_t count;
};

static void add_variable(struct option_rows *o, struct recorder *r, enum pln_variable_id id)
{
	if (pln_variable_option(id, &r->values[id], o->help[id], HELP_SIZE, &o->rows[o->count]))
		o->count++;
}

static void add_own(struct option_rows *o, enum pln_option_type type, const char *name, char letter,
		    const char *help, bool *to)
{
	o->rows[o->count++] = (struct pln_option){
		.type = type, .name = name, .letter = letter, .help = help, .to = to
	};
}

/* Output first, then what the table says, then how we behave. */
static void build_options(struct option_rows *o, struct recorder *r)
{
	o->count = 0;
	add_own(o, PLN_OPTION_GROUP, "", 0, "Profile", NULL);
	add_variable(o, r, PLN_VARIABLE_output);
	o->rows[o->count - 1].help = output_help;
	add_own(o, PLN_OPTION_FLAG, "force", 'f', "overwrite a profile that exists", &r->force);
	add_own(o, PLN_OPTION_GROUP, "", 0, "Sampling", NULL);
	for (unsigned id = 0; id < PLN_VARIABLE_COUNT; id++)
		if (id != PLN_VARIABLE_output)
			add_variable(o, r, id);
	add_own(o, PLN_OPTION_FLAG, "wait", 0, "go on until the processes it left have ended too",
		&r->wait);
	o->rows[o->count - 1].rare = true;
	add_own(o, PLN_OPTION_GROUP, "", 0, "Messages", NULL);
	add_own(o, PLN_OPTION_FLAG, "quiet", 'q', "print nothing but errors", &r->quiet);
	add_own(o, PLN_OPTION_FLAG, "verbose", 'v', "say what is done, and with which files",
		&r->verbose);
	add_own(o, PLN_OPTION_FLAG, "strict", 0, "exit with 125 when the recording failed",
		&r->strict);
	o->rows[o->count - 1].rare = true;
}

/* Returns -1, or the exit code. A mistake in the environment is for the profile to tell. */
static int choose_rotation(struct recorder *r, const struct pln_verb *verb)
{
	const char *rotate = r->values[PLN_VARIABLE_rotate].text;
	const char *keep = r->values[PLN_VARIABLE_keep].text;

	if (pln_rotation_choose(&r->rotation, rotate, keep, r->notice, sizeof(r->notice)) &&
	    (rotate || keep))
		return pln_cli_usage_error(verb, "%s", r->notice);
	return -1;
}

static int parse(struct recorder *r, int argc, char **argv)
{
	struct option_rows options;
	struct pln_operands operands;
	struct pln_verb verb = {
		.name = "record",
		.usage = "[options] [--] COMMAND [ARGUMENT...]",
		.summary = "Run a command and record the stacks of its Python processes.",
		.examples = examples,
		.command_follows = true,
	};
	int result;

	pln_variable_values_init(r->values);
	build_options(&options, r);
	verb.options = options.rows;
	verb.option_count = options.count;
	result = pln_cli_parse(&verb, argc, argv, &operands);
	if (result >= 0)
		return result;
	if (!operands.count)
		return pln_cli_usage_error(&verb, "there is no command to run");
	/* Operands were moved within argv; what is behind them is left over. */
	operands.value[operands.count] = NULL;
	r->command = operands.value;
	return choose_rotation(r, &verb);
}

/* ----------------------------------------------------------- before it runs */

/* In the child: single-threaded, and no program yet. */
static void set_environment(void *arg)
{
	const struct recorder *r = arg;
	char text[2 * PILLION_TOKEN_SIZE + 1];

	for (unsigned id = 0; id < PLN_VARIABLE_COUNT; id++)
		(void)pln_variable_export(id, &r->values[id]);
	/* Without the socket a process must not start a collector of its own. */
	unsetenv("PILLION_OUTPUT");
	setenv("PILLION_SOCKET", r->address, 1);
	pln_token_format(r->token, text);
	setenv("PILLION_TOKEN", text, 1);
	unsetenv("PILLION_ONLY_PID");
	if (!pln_variable_flag(PLN_VARIABLE_subprocesses)) {
		snprintf(text, sizeof(text), "%ld", (long)getpid());
		setenv("PILLION_ONLY_PID", text, 1);
	}
	/* Which would end at its start. */
	if (pln_library_is_behind_another() || !pln_diagnose_has_sanitizer(r->command[0]))
		(void)pln_library_preload(&r->library);
}

static const char *output_text(const struct recorder *r)
{
	const char *text = r->values[PLN_VARIABLE_output].text;

	if (!text)
		text = getenv("PILLION_OUTPUT");
	return text && *text ? text : PLN_TEMPLATE_DEFAULT;
}

static int wrapper_error(const char *what, int error, const char *then)
{
	pln_cli_message("%s: %s; %s", what, strerror(-error), then);
	return PLN_EXIT_WRAPPER;
}

/* The library, the socket, a child that waits, and the file named after its pid. */
static int prepare(struct recorder *r)
{
	char why[5000];
	int error;

	if (pln_library_open(&r->library, why, sizeof(why))) {
		pln_cli_message("%s", why);
		return PLN_EXIT_WRAPPER;
	}
	error = pln_socket_random_address(r->address);
	if (!error)
		error = pln_token_random(r->token);
	if (!error)
		error = r->listen_fd = pln_socket_listen(r->address);
	if (error < 0)
		return wrapper_error("cannot make a socket to talk to the command", error,
				     "allow Unix sockets here, or run the command without pillion");
	error = pln_launch_prepare(&r->launch, r->command, set_environment, r);
	if (error)
		return wrapper_error("cannot start a process", error,
				     "raise the limit of processes (ulimit -u)");
	error = pln_rotation_open(&r->rotation, output_text(r), r->launch.pid, r->command[0],
				  r->force ? PLN_OVERWRITE_YES : PLN_OVERWRITE_NO, why,
				  sizeof(why));
	if (error) {
		pln_launch_cancel(&r->launch);
		pln_cli_message("%s", why);
		return PLN_EXIT_WRAPPER;
	}
	return -1;
}

/* ------------------------------------------------------------ while it runs */

static bool child_has_ended(const struct recorder *r)
{
	siginfo_t si = { 0 };

	/* Not reaped yet: until the end its pid must stay its own. */
	return !waitid(P_PID, (id_t)r->launch.pid, &si, WEXITED | WNOHANG | WNOWAIT) && si.si_pid;
}

/*
 * What the terminal sends goes to the command as well, and so does what is sent to our
 * whole group, or to every process of a service; only what is meant for us is passed on.
 */
static void pass_on(struct recorder *r, const struct signalfd_siginfo *si)
{
	if (si->ssi_signo == SIGCHLD || si->ssi_code > 0)
		return;
	/* To its parent, which we are by accident. */
	if (si->ssi_pid == (uint32_t)r->launch.pid)
		return;
	if (getpgid(r->launch.pid) != getpgrp())
		kill(r->launch.pid, (int)si->ssi_signo);
	else
		pln_bystander_ask(&r->bystander, (int)si->ssi_signo);
}

/* Not reaped before the end: there is nobody else that this could reach. */
static void on_alone(int signo, void *arg)
{
	const struct recorder *r = arg;

	kill(r->launch.pid, signo);
}

static void on_signal(struct pln_watch *watch)
{
	struct recorder *r = pln_watch_owner(watch, struct recorder, signals);
	bool ended = child_has_ended(r), told = false;
	struct signalfd_siginfo si;

	while (read(watch->fd, &si, sizeof(si)) == sizeof(si)) {
		told |= si.ssi_signo != SIGCHLD;
		if (!ended)
			pass_on(r, &si);
	}
	/* With --wait a signal that finds no command any more is for us. */
	if (child_has_ended(r) && (!r->wait || r->over || (ended && told)))
		pln_loop_stop(&r->loop);
}

static int watch_signals(struct recorder *r)
{
	static const int watched[] = {
		SIGCHLD, SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2
	};
	sigset_t mask;
	int error;

	sigemptyset(&mask);
	for (size_t i = 0; i < sizeof(watched) / sizeof(watched[0]); i++)
		sigaddset(&mask, watched[i]);
	/* A full disk or a closed terminal is an error to report, not our end. */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	sigprocmask(SIG_BLOCK, &mask, &r->old_mask);
	r->signals =
		(struct pln_watch){ signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK), on_signal };
	if (r->signals.fd < 0)
		return -errno;
	error = pln_bystander_listen(&r->bystander, &r->loop, on_alone, r);
	return error ? error : pln_loop_add(&r->loop, &r->signals);
}

/*
 * Who sends a signal now wants the command to end, which it has, and us, who are at it: some
 * send it again and again until we are gone. A key is different: who is there can wait no longer.
 */
static void on_late_signal(int signo, siginfo_t *si, void *context)
{
	(void)context;
	if (si->si_code <= 0)
		return;
	signal(signo, SIG_DFL);
	raise(signo);
}

/* While the profile is written. What was ignored when we came stays so. */
static void await_end(void)
{
	static const int ending[] = { SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2 };
	struct sigaction late = { .sa_sigaction = on_late_signal,
				  .sa_flags = SA_SIGINFO | SA_RESTART };
	struct sigaction old;

	for (size_t i = 0; i < sizeof(ending) / sizeof(ending[0]); i++)
		if (!sigaction(ending[i], NULL, &old) && old.sa_handler == SIG_DFL)
			(void)sigaction(ending[i], &late, NULL);
}

static void unwatch_signals(struct recorder *r)
{
	struct signalfd_siginfo si;

	await_end();
	/* A Ctrl-C that the command answered by ending in order was not meant for us. */
	while (read(r->signals.fd, &si, sizeof(si)) == sizeof(si))
		;
	pln_loop_remove(&r->loop, &r->signals);
	close(r->signals.fd);
	sigprocmask(SIG_SETMASK, &r->old_mask, NULL);
}

static int give_output(pid_t pid, const char *executable, char *why, size_t size, void *arg)
{
	struct recorder *r = arg;
	int error = pln_output_commit(&r->rotation.output);

	if (r->verbose)
		pln_cli_message("process %ld says hello: %s", (long)pid, executable);
	if (error)
		snprintf(why, size, "%s: %s", r->rotation.output.path, strerror(-error));
	return error ? error : r->rotation.output.fd;
}

static int next_output(char *why, size_t size, void *arg)
{
	struct recorder *r = arg;
	int fd = pln_rotation_next(&r->rotation, why, size);

	if (r->verbose)
		pln_cli_message("%s", fd < 0 ? why : r->rotation.output.path);
	return fd;
}

static void output_ended(int fd, void *arg)
{
	struct recorder *r = arg;

	pln_rotation_ended(&r->rotation, fd);
}

static uint64_t duration_ns(const struct recorder *r)
{
	uint64_t given = r->values[PLN_VARIABLE_duration].number;

	return given != UINT64_MAX ? given : pln_variable_number(PLN_VARIABLE_duration);
}

/* Processes that outlive the command are not recorded any more: daemons should not keep us. */
static void tell_left_behind(const struct recorder *r, const struct pln_session_summary *sum)
{
	if (!r->quiet && sum->running)
		pln_cli_message("%u process%s left behind and not recorded any more; --wait goes "
				"on until all have ended",
				sum->running, sum->running == 1 ? " was" : "es were");
}

static void explain_nothing(struct recorder *r, const struct pln_session_summary *sum)
{
	char why[1200];

	r->failed = true;
	if (sum->refused_count)
		snprintf(why, sizeof(why), "%s", sum->refused);
	else
		pln_diagnose(r->command[0], why, sizeof(why));
	pln_cli_message("nothing was recorded: %s", why);
}

/* Writes what is left and says what came of it. */
static void conclude(struct recorder *r, int exit_status)
{
	struct pln_session_summary sum;

	if (r->over)
		return;
	r->over = true;
	pln_session_finish(r->session, exit_status);
	pln_session_summarize(r->session, &sum);
	if (sum.processes) {
		r->failed = sum.write_error != 0;
		pln_outcome_print(&sum, r->rotation.output.path,
				  pln_kernel_clock_ns(CLOCK_MONOTONIC) - r->start_ns, r->quiet);
		if (exit_status != -1 && !r->wait)
			tell_left_behind(r, &sum);
	} else {
		explain_nothing(r, &sum);
	}
	pln_rotation_make_room(&r->rotation);
	/* A profile stays open: how the command ended may come later. */
	if (!sum.processes)
		pln_output_close(&r->rotation.output, true);
	/* Who says hello from now on is told so at once by the kernel. */
	close(r->listen_fd);
	r->listen_fd = -1;
}

static void tell_time_over(const struct recorder *r)
{
	if (!r->quiet && !child_has_ended(r))
		pln_cli_message("sampling ended after %g s as asked; the command runs on",
				(double)duration_ns(r) / 1e9);
}

static void on_event(struct pln_session *session, enum pln_session_event event, void *arg)
{
	struct recorder *r = arg;

	(void)session;
	if (event == PLN_SESSION_WRITTEN) {
		pln_rotation_make_room(&r->rotation);
		return;
	}
	/* The command may run for days; its profile is ready now. */
	if (event == PLN_SESSION_TIME_OVER) {
		conclude(r, -1);
		tell_time_over(r);
	}
	if (child_has_ended(r))
		pln_loop_stop(&r->loop);
}

static void on_progress(size_t done, size_t total, void *arg)
{
	const struct recorder *r = arg;

	if (!r->quiet)
		pln_outcome_progress(done, total);
}

static int open_session(struct recorder *r)
{
	size_t count = 0;
	struct pln_session_options options = {
		.loop = &r->loop,
		.listen_fd = r->listen_fd,
		.need_token = true,
		.rotate_ns = r->rotation.every_ns,
		.rotate_bytes = r->rotation.size_bytes,
		.open_output = give_output,
		.next_output = next_output,
		.output_ended = output_ended,
		.event = on_event,
		.progress = on_progress,
		.arg = r,
		.notice = *r->notice ? r->notice : NULL,
	};

	while (r->command[count])
		count++;
	r->command_text = pln_quote_words((const char *const *)r->command, count);
	(void)gethostname(r->host, sizeof(r->host) - 1);
	if (!getcwd(r->directory, sizeof(r->directory)))
		r->directory[0] = '\0';
	memcpy(options.token, r->token, sizeof(options.token));
	options.duration_ns = duration_ns(r);
	options.recording = (struct pln_recording){
		.command = r->command_text ? r->command_text : r->command[0],
		.host = r->host,
		.pillion_version = PILLION_VERSION,
		.working_directory = r->directory,
		.start_real_ns = pln_kernel_clock_ns(CLOCK_REALTIME),
		.start_ns = r->start_ns,
		.exit_status = -1,
	};
	return pln_session_open(&r->session, &options);
}

/* --------------------------------------------------------------------- end */

/* Waits for the command and returns its status, which stays there to be reaped. */
static int await_command(const struct recorder *r)
{
	siginfo_t si = { 0 };

	while (waitid(P_PID, (id_t)r->launch.pid, &si, WEXITED | WNOWAIT) && errno == EINTR)
		;
	if (si.si_code == CLD_EXITED)
		return W_EXITCODE(si.si_status, 0);
	return W_EXITCODE(0, si.si_status) | (si.si_code == CLD_DUMPED ? WCOREFLAG : 0);
}

/* As the command ended, so do we: by the same signal, or with the same code. */
static int end_as(int status)
{
	int signo = WTERMSIG(status);
	sigset_t one;

	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	/* Its core dump is its own business; ours would be noise. */
	prctl(PR_SET_DUMPABLE, 0);
	signal(signo, SIG_DFL);
	sigemptyset(&one);
	sigaddset(&one, signo);
	sigprocmask(SIG_UNBLOCK, &one, NULL);
	raise(signo);
	return 128 + signo;
}

static int exec_error(const struct recorder *r, int error)
{
	const char *command = r->command[0];
	bool missing = error == -ENOENT;

	if (missing && access(command, F_OK))
		pln_cli_message("cannot run '%s': %s; give its path, or install it", command,
				strerror(-error));
	else
		/* By its path, it is the interpreter that is missing. */
		pln_cli_message("cannot run '%s': %s; a script needs its interpreter%s: pillion "
				"record -- python3 SCRIPT",
				command, strerror(-error),
				missing && strchr(command, '/') ? ", which its first line names"
								: "");
	return missing ? PLN_EXIT_NOT_FOUND : PLN_EXIT_NOT_EXECUTABLE;
}

static void release(struct recorder *r, bool nothing_written)
{
	pln_bystander_stop(&r->bystander);
	pln_session_free(r->session);
	pln_loop_close(&r->loop);
	pln_output_close(&r->rotation.output, nothing_written);
	if (r->listen_fd >= 0)
		close(r->listen_fd);
	pln_library_close(&r->library);
	free(r->command_text);
}

/* Our arguments lie in memory up to the end of the command's last one. */
static void start_bystander(struct recorder *r)
{
	char *first = program_invocation_name, *last = r->command[0];

	for (char **word = r->command; *word; word++)
		last = *word;
	pln_bystander_start(&r->bystander, first, (size_t)(last - first) + strlen(last));
}

/* Ready to record: sets up what watches, lets the command go. Returns -1, or the exit code. */
static int begin(struct recorder *r)
{
	int error = pln_loop_open(&r->loop);

	start_bystander(r);
	pln_socket_raise_fd_limit();
	r->start_ns = pln_kernel_clock_ns(CLOCK_MONOTONIC);
	if (!error)
		error = watch_signals(r);
	if (!error)
		error = open_session(r);
	if (error) {
		pln_launch_cancel(&r->launch);
		return wrapper_error("cannot record", error,
				     "raise the limits of files and memory (ulimit -n, -v)");
	}
	if (r->verbose)
		pln_cli_message("recording with %s into %s", r->library.path,
				r->rotation.output.path);
	error = pln_launch_go(&r->launch);
	return error ? exec_error(r, error) : -1;
}

static int run(struct recorder *r)
{
	int result = prepare(r), status;

	if (result < 0)
		result = begin(r);
	if (result >= 0) {
		release(r, true);
		return result;
	}
	/* It could have ended before SIGCHLD was watched for. */
	if ((r->wait || !child_has_ended(r)) && pln_loop_run(&r->loop))
		pln_cli_message("the recording stopped: the command runs on");
	status = await_command(r);
	unwatch_signals(r);
	if (r->over)
		pln_session_amend(r->session, status);
	else
		conclude(r, status);
	(void)waitpid(r->launch.pid, NULL, 0);
	release(r, false);
	if (r->strict && r->failed)
		return PLN_EXIT_WRAPPER;
	return end_as(status);
}

int pln_cmd_record(int argc, char **argv)
{
	static struct recorder r = {
		.listen_fd = -1,
		.bystander = { .words.fd = -1, .timer.fd = -1 },
		.rotation = { .output = { .fd = -1 } },
		.loop = { .epoll_fd = -1 },
		.signals = { .fd = -1 },
	};
	int result = parse(&r, argc, argv);

	return result >= 0 ? result : run(&r);
}
