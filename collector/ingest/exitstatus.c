/* SPDX-License-Identifier: MIT */
/*
 * exitstatus.c - how a process ended that is, mostly, not our child.
 *
 * Our own child is asked with waitid, and left to be reaped by who started it. Of
 * others only newer kernels (6.15) tell, and only once their parent has reaped them.
 */
#include "ingest/target.h"

#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

/* As in the kernel's linux/pidfd.h, which older systems lack: its first, 64-byte version. */
struct pidfd_info_v0 {
	uint64_t mask;
	uint64_t cgroup_id;
	uint32_t ids[11]; /* pid tgid ppid, then user and group ids */
	int32_t exit_code; /* wait(2) form; when mask has INFO_EXIT */
};
static_assert(sizeof(struct pidfd_info_v0) == 64, "kernel layout");
#define INFO_EXIT (1u << 3)
#define GET_INFO _IOWR(0xff, 11, struct pidfd_info_v0)

int pln_pidfd_open(pid_t pid)
{
	return (int)syscall(SYS_pidfd_open, pid, 0);
}

static int status_of_child(int pidfd)
{
	siginfo_t si;

	memset(&si, 0, sizeof(si));
	if (waitid((idtype_t)P_PIDFD, (id_t)pidfd, &si, WEXITED | WNOHANG | WNOWAIT))
		return PLN_EXIT_NEVER_TOLD;
	if (!si.si_pid)
		return PLN_EXIT_NOT_YET;
	if (si.si_code == CLD_EXITED)
		return W_EXITCODE(si.si_status, 0);
	return W_EXITCODE(0, si.si_status) | (si.si_code == CLD_DUMPED ? WCOREFLAG : 0);
}

int pln_exit_status(int pidfd)
{
	struct pidfd_info_v0 info = { .mask = INFO_EXIT };
	int status = status_of_child(pidfd);

	if (status != PLN_EXIT_NEVER_TOLD)
		return status;
	/* ENOTTY: before 6.13. ESRCH, of who was reaped: before 6.15. */
	if (ioctl(pidfd, GET_INFO, &info))
		return PLN_EXIT_NEVER_TOLD;
	return info.mask & INFO_EXIT ? info.exit_code : PLN_EXIT_NOT_YET;
}
