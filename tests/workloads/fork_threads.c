/* SPDX-License-Identifier: MIT */
/*
 * fork_threads.c - fork() in several threads at once.
 *
 * fork_threads.run(threads, seconds)   each forks children that exit at once, without the
 *                                      GIL, so that the calls overlap; returns how many
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <pthread.h>
#include <stdatomic.h>
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

static PyMethodDef methods[] = {
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
