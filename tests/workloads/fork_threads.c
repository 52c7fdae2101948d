/* SPDX-License-Identifier: MIT */
/*
 * fork_threads.c - fork() in several threads at once.
 *
 * fork_threads.run(threads, seconds)   each forks children that exit at once, without the
 *                                      GIL, so that the calls overlap; returns how many
 * fork_threads.nested(times)           forks, up to so often, until a signal came in the middle of
 *                                      it whose handler has forked as well; returns how often
 *                                      that was
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_THREADS 16

static struct timespec end;
static atomic_long forks;

static int is_over(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec > end.tv_sec || (now.tv_sec == end.tv_sec && now.tv_nsec >= end.tv_nsec);
}

static void *fork_until_over(void *arg)
{
	while (!is_over()) {
		pid_t pid = fork();
		int status;

		if (!pid)
			_exit(0);
		if (pid > 0 && waitpid(pid, &status, 0) == pid && !status)
			atomic_fetch_add(&forks, 1);
	}
	return arg;
}

static PyObject *run(PyObject *self, PyObject *args)
{
	pthread_t threads[MAX_THREADS];
	int count, started = 0;
	double seconds;

	(void)self;
	if (!PyArg_ParseTuple(args, "id", &count, &seconds))
		return NULL;
	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += (time_t)seconds;
	Py_BEGIN_ALLOW_THREADS while (
		started < count && started < MAX_THREADS &&
		!pthread_create(&threads[started], NULL, fork_until_over, NULL)) started++;
	for (int i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
	Py_END_ALLOW_THREADS return PyLong_FromLong(atomic_load(&forks));
}

static volatile sig_atomic_t forking, nestings;

/* In the child that it makes, too, the fork that was interrupted goes on. */
static void fork_again(int signo)
{
	pid_t pid;

	(void)signo;
	if (!forking || nestings)
		return;
	pid = fork();
	if (pid > 0)
		waitpid(pid, NULL, 0);
	nestings = 1;
}

static PyObject *nested(PyObject *self, PyObject *args)
{
	struct itimerval soon = { .it_value.tv_usec = 300 };
	pid_t own = getpid(), pid;
	int times;

	(void)self;
	if (!PyArg_ParseTuple(args, "i", &times))
		return NULL;
	signal(SIGALRM, fork_again);
	for (int i = 0; i < times && !nestings; i++) {
		forking = 1;
		setitimer(ITIMER_REAL, &soon, NULL);
		pid = fork();
		forking = 0;
		if (pid > 0)
			waitpid(pid, NULL, 0);
		if (getpid() != own)
			_exit(0);
	}
	return PyLong_FromLong(nestings);
}

static PyMethodDef methods[] = {
	{ "nested", nested, METH_VARARGS, "fork until a signal's handler has forked meanwhile" },
	{ "run", run, METH_VARARGS, "fork in so many threads for so many seconds" },
	{ NULL, NULL, 0, NULL },
};

static struct PyModuleDef module = { PyModuleDef_HEAD_INIT, .m_name = "fork_threads", .m_size = -1,
				     .m_methods = methods };

PyMODINIT_FUNC PyInit_fork_threads(void);
PyMODINIT_FUNC PyInit_fork_threads(void)
{
	return PyModule_Create(&module);
}
