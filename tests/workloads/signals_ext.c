/* SPDX-License-Identifier: MIT */
/*
 * signals_ext.c - threads that a signal may harm, and that tell whether one did.
 *
 * signals_ext.on_signal_stack(size, seconds)   a thread's handler burns CPU on an alternate
 *                                              stack of so many bytes above what the kernel
 *                                              needs at least; returns how many bytes
 *                                              around it were changed
 * signals_ext.faults(seconds)                  faults, burns in its own SIGSEGV handler and
 *                                              jumps out of it; returns how often
 * signals_ext.keeps_errno(seconds)             returns how often errno was not what it was
 *                                              set to before some CPU time passed
 * signals_ext.burn_blocked(seconds)            with all signals blocked, and as long again
 *                                              without; returns its CPU clock
 * signals_ext.raw_thread(seconds)              made by clone(), without memory of its own
 *                                              for __thread; returns its CPU clock
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef AT_MINSIGSTKSZ
#define AT_MINSIGSTKSZ 51
#endif
#define AROUND 4096u /* bytes on each side of an alternate stack */
#define FILLER 0xa5
#define RAW_STACK (64u << 10)

volatile uint64_t signals_ext_sink;

static double now(clockid_t clock)
{
	struct timespec time;

	clock_gettime(clock, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

void burn_round(void)
{
	for (int i = 0; i < 20000; i++)
		signals_ext_sink += (uint64_t)i;
}

static void burn(double seconds)
{
	double end = now(CLOCK_THREAD_CPUTIME_ID) + seconds;

	while (now(CLOCK_THREAD_CPUTIME_ID) < end)
		burn_round();
}

static int run_thread(void *(*run)(void *), void *arg)
{
	pthread_t thread;
	int error = pthread_create(&thread, NULL, run, arg);

	return error ? error : pthread_join(thread, NULL);
}

/* ------------------------------------------------------- alternate stacks */

struct signal_stack {
	unsigned char *area; /* filler, the stack, filler */
	size_t size;
	Py_ssize_t changed; /* -1: the handler did not run */
};

static double handler_seconds;
static volatile sig_atomic_t handler_ran;

void burn_on_signal_stack(int signo)
{
	(void)signo;
	burn(handler_seconds);
	handler_ran = 1;
}

static void *signal_stack_main(void *arg)
{
	struct signal_stack *s = arg;
	stack_t stack = { .ss_sp = s->area + AROUND, .ss_size = s->size };
	stack_t none = { .ss_flags = SS_DISABLE };

	handler_ran = 0;
	if (!sigaltstack(&stack, NULL))
		pthread_kill(pthread_self(), SIGUSR2);
	sigaltstack(&none, NULL);
	s->changed = handler_ran ? 0 : -1;
	for (size_t i = 0; i < 2 * AROUND; i++)
		s->changed += s->area[i < AROUND ? i : s->size + i] != FILLER;
	return NULL;
}

static PyObject *on_signal_stack(PyObject *self, PyObject *args)
{
	struct sigaction action = { .sa_handler = burn_on_signal_stack, .sa_flags = SA_ONSTACK };
	struct signal_stack s = { .changed = -1 };
	Py_ssize_t more;

	(void)self;
	if (!PyArg_ParseTuple(args, "nd", &more, &handler_seconds))
		return NULL;
	s.size = getauxval(AT_MINSIGSTKSZ) + (size_t)more;
	s.area = malloc(s.size + 2 * AROUND);
	if (!s.area || sigaction(SIGUSR2, &action, NULL))
		return PyErr_SetFromErrno(PyExc_OSError);
	memset(s.area, FILLER, s.size + 2 * AROUND);
	burn(0); /* binds what the handler calls */
	Py_BEGIN_ALLOW_THREADS;
	(void)run_thread(signal_stack_main, &s);
	Py_END_ALLOW_THREADS;
	free(s.area);
	return PyLong_FromSsize_t(s.changed);
}

/* ----------------------------------------------------------------- faults */

static sigjmp_buf after_fault;
static volatile int *volatile nowhere;

void burn_in_fault(int signo)
{
	(void)signo;
	burn(0.005);
	siglongjmp(after_fault, 1);
}

static PyObject *faults(PyObject *self, PyObject *args)
{
	struct sigaction action = { .sa_handler = burn_in_fault }, old;
	volatile long rounds = 0;
	double seconds, end;

	(void)self;
	if (!PyArg_ParseTuple(args, "d", &seconds) || sigaction(SIGSEGV, &action, &old))
		return NULL;
	end = now(CLOCK_THREAD_CPUTIME_ID) + seconds;
	while (now(CLOCK_THREAD_CPUTIME_ID) < end) {
		rounds++;
		if (!sigsetjmp(after_fault, 1))
			*nowhere = 0;
	}
	sigaction(SIGSEGV, &old, NULL);
	return PyLong_FromLong(rounds);
}

/* ------------------------------------------------------------------ errno */

static PyObject *keeps_errno(PyObject *self, PyObject *args)
{
	long changed = 0;
	double seconds, end;

	(void)self;
	if (!PyArg_ParseTuple(args, "d", &seconds))
		return NULL;
	end = now(CLOCK_THREAD_CPUTIME_ID) + seconds;
	for (int i = 1; now(CLOCK_THREAD_CPUTIME_ID) < end; i++) {
		errno = i;
		burn_round();
		changed += errno != i;
	}
	return PyLong_FromLong(changed);
}

/* ---------------------------------------------------------------- blocked */

struct clock_job {
	double seconds;
	double cpu;
};

static void *blocked_main(void *arg)
{
	struct clock_job *job = arg;
	sigset_t all, old;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	burn(job->seconds);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	burn(job->seconds);
	job->cpu = now(CLOCK_THREAD_CPUTIME_ID);
	return NULL;
}

static PyObject *burn_blocked(PyObject *self, PyObject *args)
{
	struct clock_job job = { .cpu = 0 };

	(void)self;
	if (!PyArg_ParseTuple(args, "d", &job.seconds))
		return NULL;
	Py_BEGIN_ALLOW_THREADS;
	(void)run_thread(blocked_main, &job);
	Py_END_ALLOW_THREADS;
	return PyFloat_FromDouble(job.cpu);
}

/* ------------------------------------------------------------ raw threads */

/* Its thread pointer is its creator's: nothing of libc that has an errno, or a lock. */
static int raw_main(void *arg)
{
	struct clock_job *job = arg;

	burn(job->seconds);
	job->cpu = now(CLOCK_THREAD_CPUTIME_ID);
	return 0;
}

static PyObject *raw_thread(PyObject *self, PyObject *args)
{
	const int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD |
			  CLONE_SYSVSEM | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID;
	static _Atomic int tid;
	struct clock_job job = { .cpu = 0 };
	char *stack;
	int seen;

	(void)self;
	if (!PyArg_ParseTuple(args, "d", &job.seconds))
		return NULL;
	stack = mmap(NULL, RAW_STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (stack == MAP_FAILED)
		return PyErr_SetFromErrno(PyExc_OSError);
	Py_BEGIN_ALLOW_THREADS;
	seen = clone(raw_main, stack + RAW_STACK, flags, &job, &tid, NULL, &tid);
	/* The kernel clears it, and wakes us, when the thread is no more. */
	while (seen > 0 && (seen = tid))
		syscall(SYS_futex, &tid, FUTEX_WAIT, seen, NULL, NULL, 0);
	Py_END_ALLOW_THREADS;
	munmap(stack, RAW_STACK);
	return PyFloat_FromDouble(job.cpu);
}

static PyMethodDef methods[] = {
	{ "on_signal_stack", on_signal_stack, METH_VARARGS, NULL },
	{ "faults", faults, METH_VARARGS, NULL },
	{ "keeps_errno", keeps_errno, METH_VARARGS, NULL },
	{ "burn_blocked", burn_blocked, METH_VARARGS, NULL },
	{ "raw_thread", raw_thread, METH_VARARGS, NULL },
	{ NULL, NULL, 0, NULL },
};

static struct PyModuleDef module = {
	PyModuleDef_HEAD_INIT, "signals_ext", NULL, -1, methods, NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit_signals_ext(void)
{
	return PyModule_Create(&module);
}
