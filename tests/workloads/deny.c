/* SPDX-License-Identifier: MIT */
/*
 * deny.c - runs a command without some system calls, as a strict container would.
 *
 *	deny memfd_create,socket COMMAND ARGUMENT...
 *	deny container COMMAND ARGUMENT...
 *
 * A denied call fails with EPERM (as Docker's own filter does it), in every descendant; clone3
 * with ENOSYS, for the C library to take clone. "container": what the default filters of
 * container engines deny to a process without capabilities, and what older ones did.
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
	{ "clone3", SYS_clone3 },
};

static const int container_calls[] = {
	SYS_process_vm_readv,
	SYS_process_vm_writev,
	SYS_ptrace,
	SYS_kcmp,
	SYS_perf_event_open,
	SYS_bpf,
	SYS_userfaultfd,
	SYS_io_uring_setup,
	SYS_keyctl,
	SYS_add_key,
	SYS_mount,
	SYS_umount2,
	SYS_unshare,
	SYS_setns,
	SYS_pivot_root,
	SYS_open_by_handle_at,
	SYS_syslog,
	SYS_acct,
	SYS_swapon,
	SYS_reboot,
	SYS_init_module,
	SYS_clone3,
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
	unsigned error = number == SYS_clone3 ? ENOSYS : EPERM;
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)number, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(code) / sizeof(code[0]), code };

	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static int deny_as_container(void)
{
	for (size_t i = 0; i < sizeof(container_calls) / sizeof(container_calls[0]); i++)
		if (deny(container_calls[i]))
			return -1;
	return 0;
}

static int deny_each(char *names)
{
	for (char *name = strtok(names, ","); name; name = strtok(NULL, ",")) {
		int number = number_of(name);

		if (number < 0 || deny(number)) {
			fprintf(stderr, "deny: cannot deny %s\n", name);
			return -1;
		}
	}
	return 0;
}

int main(int argc, char **argv)
{
	if (argc < 3 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return 125;
	if (strcmp(argv[1], "container") ? deny_each(argv[1]) : deny_as_container())
		return 125;
	execvp(argv[2], argv + 2);
	perror(argv[2]);
	return 127;
}
