/* SPDX-License-Identifier: MIT */
/*
 * ctl.c - pillion ctl: switch a recording that runs.
 *
 * Collectors that record and the library start listen at abstract addresses that begin with
 * "@pillion-": every one in this network namespace is asked whether the process is its own.
 * One that was told where to listen is found by --socket, PILLION_SOCKET, or the variable of
 * that name that the process itself was started with.
 *
 * A collector that writes or reads symbols may be busy for seconds. That it gives no answer in time
 * says nothing; that nobody listens any more says that it has ended.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <pillion/kernel_clock.h>

#include "cli/cli.h"
#include "cli/socket.h"
#include "ingest/control.h"

#define OWN_PREFIX "@pillion-"
#define NAP_MS 20
#define SWITCH_PATIENCE_MS 3000
#define ROTATE_PATIENCE_MS 60000 /* reading symbols can take long */

struct control_call {
	uint32_t pid;
	enum pln_control_verb verb;
	const char *given; /* --socket; NULL: none */
	char address[PLN_ADDRESS_SIZE]; /* of the collector that knows the process */
	struct pln_control_answer answer;
	bool busy; /* a collector was asked, and gave no answer in time */
};

static const char *const examples[] = {
	"pillion ctl 4711 start       # as pillion_start() in the program",
	"pillion ctl 4711 rotate      # end the profile, begin the next one",
	NULL,
};

/* ---------------------------------------------------------------- one collector */

static uint64_t now_ms(void)
{
	return pln_kernel_clock_ns(CLOCK_MONOTONIC) / 1000000;
}

static unsigned patience_ms(const struct control_call *call)
{
	return call->verb == PLN_CONTROL_ROTATE ? ROTATE_PATIENCE_MS : SWITCH_PATIENCE_MS;
}

static void wait_with_patience(const struct control_call *call, int fd)
{
	const struct timeval limit = { .tv_sec = patience_ms(call) / 1000 };

	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
}

/*
 * Returns 0 when an answer came, -EAGAIN when the collector is too busy for one, else -errno. A
 * question may be put again; a wish is not, as two rotations are not one.
 */
static int ask(const struct control_call *call, const char *address, enum pln_control_verb verb,
	       struct pln_control_answer *answer)
{
	const struct pln_control message = {
		.magic = PLN_CONTROL_MAGIC,
		.version = PLN_CONTROL_VERSION,
		.verb = (uint16_t)verb,
		.pid = call->pid,
	};
	int fd = pln_socket_connect(address), error = 0;

	if (fd < 0)
		return fd;
	if (verb != PLN_CONTROL_QUERY)
		wait_with_patience(call, fd);
	errno = 0;
	if (send(fd, &message, sizeof(message), MSG_NOSIGNAL) < 0 ||
	    recv(fd, answer, sizeof(*answer), 0) != sizeof(*answer) ||
	    answer->magic != PLN_CONTROL_MAGIC)
		error = errno ? -errno : -EPROTO;
	close(fd);
	return error;
}

/* Whether this is the collector that we look for: it knows the process, or says why it will not. */
static bool try_address(struct control_call *call, const char *address)
{
	int error = ask(call, address, PLN_CONTROL_QUERY, &call->answer);

	call->busy |= error == -EAGAIN;
	if (error || call->answer.status == -ESRCH)
		return false;
	snprintf(call->address, sizeof(call->address), "%s", address);
	return true;
}

/* --------------------------------------------------------------------- find it */

/* The variable that the process was started with. Its own business when it cannot be read. */
static bool try_its_environment(struct control_call *call)
{
	static const char name[] = "PILLION_SOCKET=";
	char path[64], *entry = NULL;
	size_t size = 0;
	bool found = false;
	FILE *in;

	snprintf(path, sizeof(path), "/proc/%u/environ", call->pid);
	in = fopen(path, "re");
	while (in && !found && getdelim(&entry, &size, '\0', in) > 0)
		if (!strncmp(entry, name, sizeof(name) - 1))
			found = try_address(call, entry + sizeof(name) - 1);
	free(entry);
	if (in)
		fclose(in);
	return found;
}

/* Those who listen: Num RefCount Protocol Flags Type St Inode Path. */
static bool try_all(struct control_call *call)
{
	char line[512], address[PLN_ADDRESS_SIZE];
	unsigned flags, type;
	bool found = false;
	FILE *in = fopen("/proc/net/unix", "re");

	while (in && !found && fgets(line, sizeof(line), in)) {
		if (sscanf(line, "%*s %*s %*s %x %x %*s %*s %107s", &flags, &type, address) != 3 ||
		    !(flags & 0x10000) || type != SOCK_SEQPACKET ||
		    strncmp(address, OWN_PREFIX, sizeof(OWN_PREFIX) - 1) != 0)
			continue;
		found = try_address(call, address);
	}
	if (in)
		fclose(in);
	return found;
}

static bool look_around(struct control_call *call)
{
	const char *set = getenv("PILLION_SOCKET");

	if (call->given)
		return try_address(call, call->given);
	return (set && *set && try_address(call, set)) || try_its_environment(call) ||
	       try_all(call);
}

/* One that is busy may be it, or another's: the others are asked before it is asked again. */
static bool find_collector(struct control_call *call)
{
	uint64_t until_ms = now_ms() + patience_ms(call);

	do {
		call->busy = false;
		if (look_around(call))
			return true;
	} while (call->busy && now_ms() < until_ms);
	return false;
}

/* ---------------------------------------------------------------------- switch */

static bool is_done(const struct control_call *call, const struct pln_control_answer *now)
{
	switch (call->verb) {
	case PLN_CONTROL_START:
		return now->sampling == now->processes;
	case PLN_CONTROL_STOP:
		return !now->sampling;
	default:
		return now->files > call->answer.files;
	}
}

/* A process that ends meanwhile has obeyed as well. */
static bool await_effect(const struct control_call *call)
{
	const struct timespec nap = { .tv_nsec = NAP_MS * 1000000 };
	uint64_t until_ms = now_ms() + patience_ms(call);
	struct pln_control_answer now;

	do {
		int error = ask(call, call->address, PLN_CONTROL_QUERY, &now);

		if (error ? error != -EAGAIN : now.status || is_done(call, &now))
			return true;
		nanosleep(&nap, NULL);
	} while (now_ms() < until_ms);
	return false;
}

static int refused(const struct control_call *call, int status)
{
	const char *why = status == -EACCES ? "it obeys its own user and root only"
			  : status == -ECANCELED
				  ? "the recording is over"
				  : "the collector is of another version, or cannot do that";

	pln_cli_message("process %u: %s", call->pid, why);
	return PLN_EXIT_FAILURE;
}

static int not_found(const struct control_call *call)
{
	if (call->busy)
		pln_cli_message("no collector that answers records process %u; one that does not "
				"is busy, or stopped: try again",
				call->pid);
	else
		pln_cli_message("no collector that can be reached from here records process %u; "
				"give its address with --socket, or run this where it runs",
				call->pid);
	return PLN_EXIT_FAILURE;
}

static int run(struct control_call *call)
{
	struct pln_control_answer answer = { 0 };
	int error;

	if (!find_collector(call))
		return not_found(call);
	if (call->answer.status)
		return refused(call, call->answer.status);
	error = ask(call, call->address, call->verb, &answer);
	if (error == -EAGAIN) {
		pln_cli_message("process %u: its collector does not answer; it is busy, or "
				"stopped: try again",
				call->pid);
		return PLN_EXIT_FAILURE;
	}
	if (error)
		answer.status = -ECANCELED;
	if (answer.status)
		return refused(call, answer.status);
	if (await_effect(call))
		return PLN_EXIT_OK;
	pln_cli_message("process %u was told, but nothing has happened yet", call->pid);
	return PLN_EXIT_FAILURE;
}

static int parse_operands(struct control_call *call, const struct pln_verb *verb,
			  const struct pln_operands *operands)
{
	static const char *const names[] = { "", "start", "stop", "rotate" };
	char *end;
	unsigned long pid;

	if (operands->count != 2)
		return pln_cli_usage_error(verb, "it wants a process and start, stop or rotate");
	errno = 0;
	pid = strtoul(operands->value[0], &end, 10);
	if (errno || *end || !pid || pid > INT32_MAX || operands->value[0][0] == '+')
		return pln_cli_usage_error(verb, "'%s' is not the number of a process",
					   operands->value[0]);
	call->pid = (uint32_t)pid;
	for (unsigned i = 1; i < sizeof(names) / sizeof(*names); i++)
		if (!strcmp(operands->value[1], names[i]))
			call->verb = (enum pln_control_verb)i;
	if (call->verb == PLN_CONTROL_QUERY)
		return pln_cli_usage_error(verb, "it can start, stop or rotate; not '%s'",
					   operands->value[1]);
	return -1;
}

int pln_cmd_ctl(int argc, char **argv)
{
	struct control_call call = { .verb = PLN_CONTROL_QUERY };
	const struct pln_option options[] = {
		{ .type = PLN_OPTION_TEXT,
		  .name = "socket",
		  .metavar = "ADDRESS",
		  .help = "where the collector listens (else it is looked for)",
		  .to = &call.given },
	};
	const struct pln_verb verb = {
		.name = "ctl",
		.usage = "[--socket ADDRESS] PID start|stop|rotate",
		.summary = "Switch sampling on or off in a process, or begin a new profile, from "
			   "outside.",
		.options = options,
		.option_count = sizeof(options) / sizeof(options[0]),
		.examples = examples,
	};
	struct pln_operands operands;
	int result = pln_cli_parse(&verb, argc, argv, &operands);

	if (result < 0)
		result = parse_operands(&call, &verb, &operands);
	return result >= 0 ? result : run(&call);
}
