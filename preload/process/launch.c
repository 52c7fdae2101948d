/* SPDX-License-Identifier: MIT */
/*
 * launch.c - with the environment alone, the library starts its collector.
 *
 * Context: start of sampling, normal context; the end of a container's first process. The
 * collector is a grandchild: its parent is gone at once, so the program never finds it in
 * wait(), and no SIGCHLD is sent. It runs without our LD_PRELOAD (else it would start a
 * collector, which would start one...) and holds none of the program's descriptors (else a
 * pipe's reader would wait for it).
 *
 * A program that orphans come to, as the first process of a container, would get it all
 * the same. There the parent stays: the keeper, a child that only waits for the collector.
 * wait() does not see it, as it has no exit signal; it would get one by an exec of its own. One
 * of ours leaves it as it is: the next program has its number from PILLION_KEEPER. When the
 * collector ends before the program, the sampling thread is its wait().
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <pillion/syscall.h>

#include "log.h"
#include "options.h"
#include "process/process.h"
#include "sampling/scan.h"
#include "segment.h"
#include "text.h"

#define LISTEN_FD 3
#define PATH_SIZE 4096
#define CHILD_STACK (16u << 10)
#define FINISH_LIMIT_MS 5000 /* to look symbols up and write them; 0.1 to 1 s */
#define OTHERS_LIMIT_MS 20 /* to get out of the kernel: theirs is the CPU now */
#define FINISH_SIGNAL SIGUSR1 /* to the keeper */
#define SIGNAL_BIT(signo) (1ull << ((signo)-1))

static int keeper; /* 0: none */

struct launch {
	char *argv[5];
	char **envp;
	int listen_fd;
};

/* ------------------------------------------------------------ executable */

static bool try_path(char *path, size_t directory, const char *rest)
{
	if (directory + strlen(rest) >= PATH_SIZE)
		return false;
	strcpy(path + directory, rest);
	return !access(path, X_OK);
}

/* The pillion that this library was installed, or built, with. */
static bool find_collector(char path[PATH_SIZE])
{
	static const char *const places[] = {
		"/../../bin/pillion", /* lib/pillion/ */
		"/../../../bin/pillion", /* lib/<triplet>/pillion/ */
		"/../bin/pillion", /* build tree */
		"/pillion", /* side by side, as in a container's volume */
	};
	Dl_info self;
	char *slash;

	if (pln_options.collector[0]) {
		strcpy(path, pln_options.collector);
		return !access(path, X_OK);
	}
	if (!dladdr(&pln_options, &self) || !self.dli_fname || !realpath(self.dli_fname, path))
		return false;
	slash = strrchr(path, '/');
	for (unsigned i = 0; slash && i < sizeof(places) / sizeof(*places); i++)
		if (try_path(path, (size_t)(slash - path), places[i]))
			return true;
	return false;
}

/* --------------------------------------------------------------- address */

static void to_hex(const uint8_t *bytes, unsigned count, char *out)
{
	for (unsigned i = 0; i < count; i++) {
		*out++ = "0123456789abcdef"[bytes[i] >> 4];
		*out++ = "0123456789abcdef"[bytes[i] & 15];
	}
	*out = '\0';
}

/* Listens on a new abstract address; fills pln_options.socket and .token. */
static int listen_anew(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	uint8_t random[PILLION_TOKEN_SIZE + 8];
	char name[32];
	size_t length;
	int sock;

	if (pln_syscall3(SYS_getrandom, (long)random, sizeof(random), 0) != sizeof(random))
		return -EIO;
	to_hex(random, PILLION_TOKEN_SIZE, pln_options.token);
	to_hex(random + PILLION_TOKEN_SIZE, 8, name);
	strcpy(pln_options.socket, "@pillion-");
	strcat(pln_options.socket, name);
	length = strlen(pln_options.socket);
	memcpy(address.sun_path + 1, pln_options.socket + 1, length - 1);
	sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (sock < 0)
		return -errno;
	if (bind(sock, (struct sockaddr *)&address,
		 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length)) ||
	    listen(sock, 128)) {
		int error = -errno;

		close(sock);
		return error;
	}
	return sock;
}

/* ----------------------------------------------------------- environment */

static bool kept(const char *entry)
{
	return strncmp(entry, "LD_PRELOAD=", 11) && strncmp(entry, "LD_AUDIT=", 9) &&
	       strncmp(entry, "PILLION_TOKEN=", 14) && strncmp(entry, "PILLION_SOCKET=", 15);
}

/* The program's environment but for what would make the collector a target. Freed by the caller. */
static char **collector_environment(char *token_entry)
{
	size_t count = 0, out = 0;
	char **copy;

	while (environ && environ[count])
		count++;
	copy = malloc((count + 2) * sizeof(*copy));
	if (!copy)
		return NULL;
	for (size_t i = 0; i < count; i++)
		if (kept(environ[i]))
			copy[out++] = environ[i];
	copy[out++] = token_entry;
	copy[out] = NULL;
	return copy;
}

/* ------------------------------------------------------------------ start */

/* Before Linux 5.9 those that programs commonly have. */
static void close_from(long first)
{
	if (pln_syscall3(SYS_close_range, first, ~0u, 0) < 0)
		for (long fd = first; fd < 1024; fd++)
			(void)pln_syscall3(SYS_close, fd, 0, 0);
}

/* In the grandchild: a process of its own. System calls only. */
static void become_collector(const struct launch *launch)
{
	static const char null[] = "/dev/null";
	sigset_t none;
	long fd;

	if (launch->listen_fd != LISTEN_FD)
		(void)pln_syscall3(SYS_dup3, launch->listen_fd, LISTEN_FD, 0);
	else
		(void)pln_syscall3(SYS_fcntl, LISTEN_FD, F_SETFD, 0);
	close_from(LISTEN_FD + 1);
	fd = pln_syscall4(SYS_openat, AT_FDCWD, (long)null, O_RDWR, 0);
	for (int i = 0; fd >= 0 && i <= 2; i++)
		(void)pln_syscall3(SYS_dup3, fd, i, 0);
	if (fd > LISTEN_FD)
		(void)pln_syscall3(SYS_close, fd, 0, 0);
	sigemptyset(&none);
	(void)pln_syscall4(SYS_rt_sigprocmask, SIG_SETMASK, (long)&none, 0, 8);
	(void)pln_syscall3(SYS_execve, (long)launch->argv[0], (long)launch->argv,
			   (long)launch->envp);
	(void)pln_syscall3(SYS_exit_group, 127, 0, 0);
}

/*
 * Shares our memory (CLONE_VFORK: we wait), so system calls only; so does its own child,
 * until it is the collector: to copy our page tables costs more than that takes.
 */
static int in_child(void *arg)
{
	long pid;

	(void)pln_syscall3(SYS_setsid, 0, 0, 0);
	pid = pln_syscall6(SYS_clone, SIGCHLD | CLONE_VM | CLONE_VFORK, 0, 0, 0, 0, 0);
	if (!pid)
		become_collector(arg);
	return pid < 0;
}

/* Our copies would keep a pipe's reader, or an unmount, waiting. */
static void let_go_of_everything(void)
{
	static const char root[] = "/";

	close_from(0);
	(void)pln_syscall3(SYS_chdir, (long)root, 0, 0);
}

/* In the keeper, which has a copy of our memory, and all signals blocked. System calls only. */
static void keep(const struct launch *launch)
{
	static const char name[] = "pillion-keeper";
	uint64_t set = SIGNAL_BIT(SIGCHLD) | SIGNAL_BIT(FINISH_SIGNAL);
	long pid;

	(void)pln_syscall3(SYS_setsid, 0, 0, 0);
	(void)pln_syscall3(SYS_prctl, PR_SET_NAME, (long)name, 0);
	pid = pln_syscall6(SYS_clone, SIGCHLD, 0, 0, 0, 0, 0);
	if (!pid)
		become_collector(launch);
	let_go_of_everything();
	while (pid > 0 && !pln_syscall4(SYS_wait4, pid, 0, WNOHANG, 0))
		if (pln_syscall4(SYS_rt_sigtimedwait, (long)&set, 0, 0, sizeof(set)) ==
		    FINISH_SIGNAL)
			(void)pln_syscall3(SYS_kill, pid, SIGTERM, 0);
	(void)pln_syscall3(SYS_exit_group, pid < 0, 0, 0);
}

static int start_kept(const struct launch *launch)
{
	sigset_t all, old;
	long pid;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &old);
	pid = pln_syscall6(SYS_clone, 0, 0, 0, 0, 0, 0);
	if (!pid)
		keep(launch);
	sigprocmask(SIG_SETMASK, &old, NULL);
	if (pid < 0)
		return (int)pid;
	keeper = (int)pid;
	return 0;
}

static bool gets_orphans(void)
{
	int subreaper = 0;

	(void)prctl(PR_GET_CHILD_SUBREAPER, &subreaper);
	return pln_getpid_sigsafe() == 1 || subreaper;
}

static int start_detached(struct launch *launch)
{
	char *stack = malloc(CHILD_STACK);
	sigset_t all, old;
	int pid, status = 0;

	if (!stack)
		return -ENOMEM;
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &old);
	/* No exit signal: the program gets no SIGCHLD, and its wait() does not see this child. */
	pid = clone(in_child, stack + CHILD_STACK, CLONE_VM | CLONE_VFORK, launch);
	if (pid > 0)
		(void)waitpid(pid, &status, __WCLONE);
	sigprocmask(SIG_SETMASK, &old, NULL);
	free(stack);
	return pid < 0 || status ? -EAGAIN : 0;
}

static void publish_address(void)
{
	struct pln_text number = { .size = 0 };

	(void)setenv("PILLION_SOCKET", pln_options.socket, 1);
	(void)setenv("PILLION_TOKEN", pln_options.token, 1);
	(void)unsetenv("PILLION_KEEPER");
	pln_text_add_number(&number, (uint64_t)keeper);
	if (keeper)
		(void)setenv("PILLION_KEEPER", number.bytes, 1);
}

int pln_launch_collector(void)
{
	char path[PATH_SIZE], token_entry[64] = "PILLION_TOKEN=";
	struct launch launch = { .argv = { path, "collect", "--inherit", "3", NULL } };
	int error;

	if (!find_collector(path)) {
		pln_log(PLN_LOG_ERROR,
			"not sampling: no pillion executable beside the library; set "
			"PILLION_COLLECTOR to its path",
			"");
		return -ENOENT;
	}
	launch.listen_fd = listen_anew();
	if (launch.listen_fd < 0) {
		pln_log(PLN_LOG_ERROR,
			"not sampling: no socket for the collector; allow socket, bind and listen "
			"where system calls are filtered (seccomp)",
			"");
		return launch.listen_fd;
	}
	strcat(token_entry, pln_options.token);
	launch.envp = collector_environment(token_entry);
	if (!launch.envp)
		error = -ENOMEM;
	else
		error = gets_orphans() ? start_kept(&launch) : start_detached(&launch);
	free(launch.envp);
	close(launch.listen_fd);
	if (error)
		pln_log(PLN_LOG_ERROR,
			"not sampling: no process for the collector; raise the limit (ulimit -u)",
			"");
	if (!error)
		publish_address();
	return error;
}

/* -------------------------------------------------------------------- end */

/* Or is no child of ours that wait() does not see: its number may be another one's by now. */
static bool has_ended(int pid)
{
	return waitpid(pid, NULL, __WCLONE | WNOHANG) != 0;
}

/* Of this program, or of the one that it was before an exec. 0: there is none. */
static int find_keeper(void)
{
	const char *text = pln_options.keeper;
	uint64_t number = keeper ? (uint64_t)keeper : pln_parse_decimal(&text);

	return number && number <= INT_MAX && !has_ended((int)number) ? (int)number : 0;
}

void pln_launch_reap(void)
{
	static bool none; /* any more; also in a forked child, whose parent's it is */

	none = none || !find_keeper();
}

/* A thread that the program has joined may be on its way out of the kernel yet. */
static bool is_last_thread(const struct timespec *nap)
{
	for (int i = 0; i < OTHERS_LIMIT_MS && !pln_scan_is_last_thread(1); i++)
		nanosleep(nap, NULL);
	return pln_scan_is_last_thread(1);
}

/*
 * The kernel ends all processes of a PID namespace with its first one: the collector would
 * die in the middle of its work. So that one waits at its exit, after our other destructor.
 * Not with other threads around, as they may crash where the interpreter is no more.
 */
__attribute__((destructor(101))) static void let_collector_finish(void)
{
	struct timespec nap = { .tv_nsec = 1000000 };
	int pid = pln_getpid_sigsafe() == 1 ? find_keeper() : 0;

	if (!pid || !pln_segment_is_ours_sigsafe() || !is_last_thread(&nap))
		return;
	if (kill(pid, FINISH_SIGNAL))
		return;
	for (int i = 0; i < FINISH_LIMIT_MS && !has_ended(pid); i++)
		nanosleep(&nap, NULL);
}
