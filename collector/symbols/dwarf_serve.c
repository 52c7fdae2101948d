/* SPDX-License-Identifier: MIT */
/*
 * dwarf_serve.c - the worker process: opens the file, answers one request at a time.
 *
 * The file is mapped, not read: should somebody cut it now, the SIGBUS is ours alone.
 */
#include "symbols/dwarf_serve.h"

#include "symbols/dwarf_i.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/* On top of what the process has already: a debug file of 1 GB needs about this. */
#define MEMORY_MAX_BYTES ((rlim_t)3 << 30)

/* More DIEs than a file has bytes can only be read in circles; scopes are walked repeatedly. */
#define STEPS_PER_BYTE 16

static void close_between(int low, int high)
{
	long limit;

	if (low > high || !close_range((unsigned)low, (unsigned)high, 0))
		return;
	/* Linux before 5.9. */
	limit = sysconf(_SC_OPEN_MAX);
	for (int fd = low; fd <= high && fd < limit; fd++)
		close(fd);
}

static int compare_ints(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

/* Sockets of targets must not stay open because of us. */
static void close_others(int socket, const struct pln_dwarf_source *source)
{
	int keep[] = { STDERR_FILENO, source->alt_fd, source->fd, socket };
	int last = STDERR_FILENO;

	qsort(keep, 4, sizeof(keep[0]), compare_ints);
	for (int i = 0; i < 4; i++) {
		if (keep[i] <= last)
			continue;
		close_between(last + 1, keep[i] - 1);
		last = keep[i];
	}
	close_between(last + 1, INT32_MAX);
}

/* What libc says of a damaged heap must not appear among the collector's own lines. */
static void be_quiet(int socket, const struct pln_dwarf_source *source)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	/* A collector that was started without them may have other files there. */
	for (int fd = STDIN_FILENO; null >= 0 && fd <= STDERR_FILENO; fd++) {
		if (fd != socket && fd != source->fd && fd != source->alt_fd)
			dup2(null, fd);
	}
}

static rlim_t memory_in_use(void)
{
	unsigned long data = 0;
	FILE *file = fopen("/proc/self/statm", "re");

	if (!file || fscanf(file, "%*u %*u %*u %*u %*u %lu", &data) != 1)
		data = 0;
	if (file)
		fclose(file);
	return (rlim_t)data * (rlim_t)sysconf(_SC_PAGESIZE);
}

static void set_limit(int which, rlim_t value)
{
	struct rlimit limit = { value, value };

	setrlimit(which, &limit);
}

static void confine(int socket, const struct pln_dwarf_source *source)
{
	static const int quiet[] = { SIGINT, SIGQUIT, SIGHUP, SIGPIPE, SIGTERM };
	static const int fatal[] = { SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL };

	/* Signals of the terminal are the collector's business; it ends us. */
	for (size_t i = 0; i < sizeof(quiet) / sizeof(quiet[0]); i++)
		signal(quiet[i], SIG_IGN);
	for (size_t i = 0; i < sizeof(fatal) / sizeof(fatal[0]); i++)
		signal(fatal[i], SIG_DFL);
	be_quiet(socket, source);
	close_others(socket, source);
	set_limit(RLIMIT_CORE, 0);
	set_limit(RLIMIT_DATA, memory_in_use() + MEMORY_MAX_BYTES);
}

static int open_elf(int fd, struct pln_elf **file)
{
	*file = NULL;
	return fd < 0 ? 0 : pln_elf_open_fd(fd, PLN_ELF_MAP, file);
}

static int open_session(struct pln_dwarf_session *session, const struct pln_dwarf_source *source)
{
	struct pln_elf *file, *alt;
	int rc = open_elf(source->fd, &file);

	if (rc)
		return rc;
	if (open_elf(source->alt_fd, &alt))
		alt = NULL;
	rc = pln_dwarf_session_open(session, file, alt);
	/* A debug file's own segments are what is left of the main file's. */
	session->code_low = source->code_low;
	session->code_high = source->code_high;
	return rc;
}

static bool write_all(int socket, struct iovec *parts, int count)
{
	while (count) {
		ssize_t done = writev(socket, parts, count);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return false;
		for (; count && (size_t)done >= parts->iov_len; parts++, count--)
			done -= (ssize_t)parts->iov_len;
		if (count) {
			parts->iov_base = (char *)parts->iov_base + done;
			parts->iov_len -= (size_t)done;
		}
	}
	return true;
}

static bool send_message(int socket, int error, const struct pln_dwarf_message *message)
{
	static const char padding[8];
	struct pln_dwarf_header header = { .error = error };
	struct iovec parts[1 + 2 * PLN_DWARF_ARRAYS] = { { &header, sizeof(header) } };
	int count = 1;

	for (int i = 0; !error && i < PLN_DWARF_ARRAYS; i++) {
		const struct pln_array *array = &message->arrays[i];

		header.sizes[i] = array->size;
		parts[count++] = (struct iovec){ array->data, array->size };
		parts[count++] = (struct iovec){ (char *)padding, -array->size & 7 };
	}
	return write_all(socket, parts, count);
}

static bool receive_request(int socket, uint64_t *offset)
{
	ssize_t got;

	do
		got = recv(socket, offset, sizeof(*offset), MSG_WAITALL);
	while (got < 0 && errno == EINTR);
	return got == sizeof(*offset);
}

static int answer(struct pln_dwarf_session *session, uint64_t offset,
		  struct pln_dwarf_message *message)
{
	int rc = pln_array_append(&message->arrays[PLN_DWARF_STRINGS], "", 1);

	if (rc)
		return rc;
	session->steps = STEPS_PER_BYTE * pln_dwarf_session_size(session);
	if (offset == PLN_DWARF_INDEX)
		return pln_dwarf_read_index(session, message);
	return pln_dwarf_read_unit(session, offset, message);
}

void pln_dwarf_serve(int socket, const struct pln_dwarf_source *source)
{
	struct pln_dwarf_session session;
	uint64_t offset;
	bool going = true;
	int rc;

	confine(socket, source);
	rc = open_session(&session, source);
	while (going && receive_request(socket, &offset)) {
		struct pln_dwarf_message message = { 0 };
		int error = rc ? rc : answer(&session, offset, &message);

		going = send_message(socket, error, &message);
		for (int i = 0; i < PLN_DWARF_ARRAYS; i++)
			pln_array_free(&message.arrays[i]);
	}
	/* Not exit(): what the collector had buffered is the collector's to write. */
	_exit(0);
}
