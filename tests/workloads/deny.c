/* SPDX-License-Identifier: MIT */
/*
 * deny.c - runs a command without some system calls, as a strict container would.
 *
 *	deny memfd_create,socket COMMAND ARGUMENT...
 *
 * A denied call fails with EPERM (as Docker's own filter does it), in every descendant.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static const struct {
	const char *name;
	int number;
} calls[] = {
	{ "memfd_create", SYS_memfd_create },
	{ "socket", SYS_socket },
	{ "process_vm_readv", SYS_process_vm_readv },
	{ "timer_create", SYS_timer_create },
	{ "pidfd_open", SYS_pidfd_open },
};

static int number_of(const char *name)
{
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		if (!strcmp(calls[i].name, name))
			return calls[i].number;
	return -1;
}

static int deny(int number)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)number, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(code) / sizeof(code[0]), code };

	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

int main(int argc, char **argv)
{
	if (argc < 3 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return 125;
	for (char *name = strtok(argv[1], ","); name; name = strtok(NULL, ",")) {
		int number = number_of(name);

		if (number < 0 || deny(number)) {
			fprintf(stderr, "deny: cannot deny %s\n", name);
			return 125;
		}
	}
	execvp(argv[2], argv + 2);
	perror(argv[2]);
	return 127;
}
