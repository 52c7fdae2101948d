/* SPDX-License-Identifier: MIT */
/*
 * any_libc.c - calls what the library stands before, in threads and children and over an exec,
 * and prints what came of it: the same with the library and without, whatever libc it is.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static _Atomic int caught;

static void on_signal(int signo)
{
	(void)signo;
	caught++;
}

static unsigned sum_of(const unsigned char *bytes, size_t size)
{
	unsigned sum = 0;

	while (size--)
		sum += *bytes++;
	return sum;
}

static unsigned allocate(unsigned seed)
{
	unsigned sum = 0;
	void *aligned = NULL;

	for (unsigned i = 1; i < 2000; i++) {
		size_t size = (seed * i) % 9000 + 1;
		unsigned char *p = memset(malloc(size), (int)i, size);

		p = realloc(p, size / 2 + 1);
		sum += sum_of(p, size / 2 + 1);
		free(p);
		p = calloc(i % 7 + 1, size);
		sum += sum_of(p, (i % 7 + 1) * size) + (malloc_usable_size(p) < size);
		free(p);
	}
	sum += posix_memalign(&aligned, 256, 1000) || (uintptr_t)aligned % 256;
	free(aligned);
	free(aligned_alloc(64, 640));
	free(memalign(4096, 10));
	free(NULL);
	return sum;
}

static unsigned map(void)
{
	unsigned char *p =
		mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	p[5] = 7;
	p = mremap(p, 1 << 20, 2 << 20, MREMAP_MAYMOVE);
	p[(2 << 20) - 1] = 9;
	return p[5] + p[(2 << 20) - 1] + (unsigned)munmap(p, 2 << 20);
}

static void *in_thread(void *arg)
{
	unsigned sum = allocate((unsigned)(uintptr_t)arg) + map();

	if ((uintptr_t)arg % 2)
		pthread_exit((void *)(uintptr_t)sum);
	return (void *)(uintptr_t)sum;
}

static void thread(void)
{
	pthread_t threads[6];
	uintptr_t sum = 0;
	void *part;

	for (uintptr_t i = 0; i < 6; i++)
		if (pthread_create(&threads[i], NULL, in_thread, (void *)(i + 17)))
			puts("no thread");
	for (unsigned i = 0; i < 6; i++) {
		pthread_join(threads[i], &part);
		sum += (uintptr_t)part;
	}
	printf("threads %lu\n", (unsigned long)sum);
}

/* Each way to wait for a signal that is pending. */
static void wait_for_signals(void)
{
	struct sigaction action = { .sa_handler = on_signal }, old;
	struct timespec second = { .tv_sec = 1 };
	struct signalfd_siginfo told;
	sigset_t set, none;
	siginfo_t info;
	int signo, fd;

	sigemptyset(&none);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaction(SIGUSR1, &action, NULL);
	sigprocmask(SIG_BLOCK, &set, NULL);
	raise(SIGUSR1);
	sigpending(&none);
	printf("pending %d", sigismember(&none, SIGUSR1));
	sigwait(&set, &signo);
	raise(SIGUSR1);
	printf(" %d %d", signo, sigwaitinfo(&set, &info));
	raise(SIGUSR1);
	printf(" %d", sigtimedwait(&set, &info, &second));
	raise(SIGUSR1);
	fd = signalfd(-1, &set, SFD_CLOEXEC);
	printf(" %d", read(fd, &told, sizeof(told)) == sizeof(told) ? (int)told.ssi_signo : -1);
	close(fd);
	sigemptyset(&none);
	raise(SIGUSR1);
	printf(" %d", sigsuspend(&none));
	raise(SIGUSR1);
	printf(" %d", ppoll(NULL, 0, &second, &none));
	raise(SIGUSR1);
	printf(" %d", pselect(0, NULL, NULL, NULL, &second, &none));
	fd = epoll_create1(EPOLL_CLOEXEC);
	raise(SIGUSR1);
	printf(" %d", epoll_pwait(fd, &(struct epoll_event){ 0 }, 1, 1000, &none));
	close(fd);
	sigaction(SIGUSR1, NULL, &old);
	printf(" caught %d by %d, %d\n", caught, old.sa_handler == on_signal,
	       signal(SIGUSR1, SIG_DFL) == on_signal);
}

static int wait_for_child(pid_t pid)
{
	int status = -1;

	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void have_children(const char *self)
{
	static const char *const kinds[] = { "execl", "execlp", "execle",
					     "execv", "execvp", "execve" };
	char *argv[] = { (char *)self, "child", NULL };

	fflush(stdout);
	for (unsigned i = 0; i < 6; i++) {
		pid_t pid = fork();

		if (!pid) {
			if (allocate(i) == 1)
				_exit(99);
			switch (i) {
			case 0:
				execl(self, self, "child", NULL);
				break;
			case 1:
				execlp(self, self, "child", NULL);
				break;
			case 2:
				execle(self, self, "child", NULL, environ);
				break;
			case 3:
				execv(self, argv);
				break;
			case 4:
				execvp(self, argv);
				break;
			default:
				execve(self, argv, environ);
			}
			_exit(98);
		}
		printf("%s %d\n", kinds[i], wait_for_child(pid));
		fflush(stdout);
	}
}

static void read_file(void)
{
	FILE *file = fopen("/proc/self/stat", "r");
	int pid = 0;

	printf("file %d %d", file && fscanf(file, "%d", &pid) == 1 && pid == getpid(),
	       !fopen("/nonexistent", "r"));
	if (file)
		fclose(file);
	printf(" %d\n", unshare(CLONE_FILES));
}

int main(int argc, char **argv)
{
	if (argc > 1)
		return 42 + (allocate(3) == 1);
	printf("here %u %u\n", allocate(5), map());
	thread();
	wait_for_signals();
	read_file();
	have_children(argv[0]);
	return 7;
}
