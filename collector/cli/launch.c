/* SPDX-License-Identifier: MIT */
/*
 * launch.c - see launch.h. The profile is named after the pid of the command and must
 * be open before it runs: so there is a child first, and a program in it afterwards.
 */
#include "cli/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/program.h"

static void close_pair(const int pair[2])
{
	close(pair[0]);
	close(pair[1]);
}

/*
 * execvp gives what the kernel cannot execute to a shell. That is right for a script
 * without #!, but a program for another machine is no script.
 */
static void exec_command(char **command)
{
	char path[PATH_MAX];

	if (pln_program_find(command[0], path) && pln_program_is_elf(path))
		execv(path, command);
	else
		execvp(command[0], command);
}

/* Does not return. `go` ends without a byte when the parent gave up, or died. */
static _Noreturn void run_child(int go, int failed, char **command)
{
	char byte;
	int error;

	if (read(go, &byte, 1) != 1)
		_exit(125);
	exec_command(command);
	error = errno;
	(void)!write(failed, &error, sizeof(error));
	_exit(127);
}

int pln_launch_prepare(struct pln_launch *launch, char **command,
		       void (*set_environment)(void *arg), void *arg)
{
	int go[2], failed[2], error;

	if (pipe2(go, O_CLOEXEC))
		return -errno;
	if (pipe2(failed, O_CLOEXEC)) {
		error = -errno;
		close_pair(go);
		return error;
	}
	launch->pid = fork();
	if (launch->pid < 0) {
		error = -errno;
		close_pair(go);
		close_pair(failed);
		return error;
	}
	if (launch->pid == 0) {
		close(go[1]);
		set_environment(arg);
		run_child(go[0], failed[1], command);
	}
	close(go[0]);
	close(failed[1]);
	launch->go = go[1];
	launch->failed = failed[0];
	return 0;
}

static void reap(pid_t pid)
{
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

int pln_launch_go(struct pln_launch *launch)
{
	int error = 0;
	ssize_t n;

	(void)!write(launch->go, "g", 1);
	close(launch->go);
	/* Ends by itself when exec succeeds: the other side is close-on-exec. */
	do
		n = read(launch->failed, &error, sizeof(error));
	while (n < 0 && errno == EINTR);
	close(launch->failed);
	if (n != sizeof(error))
		return 0;
	reap(launch->pid);
	return -error;
}

void pln_launch_cancel(struct pln_launch *launch)
{
	close(launch->go);
	close(launch->failed);
	reap(launch->pid);
}
