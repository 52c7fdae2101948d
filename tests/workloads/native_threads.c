/* SPDX-License-Identifier: MIT */
/*
 * native_threads.c - threads that Python knows nothing of.
 *
 * native_threads.burn(threads, seconds)    so many threads burn CPU in native_burner();
 *                                          returns their ids once all have ended
 * native_threads.churn(threads, seconds)   so many threads, one after the other, each
 *                                          burning for so long; returns the sum of their
 *                                          CPU clocks
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <pthread.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>

#define MAX_THREADS 64

struct job {
	pthread_t thread;
	double seconds;
	double cpu;
	int tid;
};

volatile uint64_t native_threads_sink;

static double thread_cpu(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

void native_burner(double seconds)
{
	while (thread_cpu() < seconds)
		for (int i = 0; i < 100000; i++)
			native_threads_sink += (uint64_t)i;
}

static void *native_main(void *arg)
{
	struct job *job = arg;

	job->tid = gettid();
	pthread_setname_np(pthread_self(), "burner");
	native_burner(job->seconds);
	job->cpu = thread_cpu();
	return NULL;
}

static PyObject *burn(PyObject *self, PyObject *args)
{
	struct job jobs[MAX_THREADS];
	int count, started = 0;
	double seconds;
	PyObject *tids;

	(void)self;
	if (!PyArg_ParseTuple(args, "id", &count, &seconds))
		return NULL;
	if (count < 0 || count > MAX_THREADS)
		return PyErr_Format(PyExc_ValueError, "0 to %d threads", MAX_THREADS);
	Py_BEGIN_ALLOW_THREADS;
	for (; started < count; started++) {
		jobs[started].seconds = seconds;
		if (pthread_create(&jobs[started].thread, NULL, native_main, &jobs[started]))
			break;
	}
	for (int i = 0; i < started; i++)
		pthread_join(jobs[i].thread, NULL);
	Py_END_ALLOW_THREADS;
	tids = PyList_New(started);
	for (int i = 0; tids && i < started; i++)
		PyList_SET_ITEM(tids, i, PyLong_FromLong(jobs[i].tid));
	return tids;
}

static PyObject *churn(PyObject *self, PyObject *args)
{
	struct job job;
	double cpu = 0;
	int count;

	(void)self;
	if (!PyArg_ParseTuple(args, "id", &count, &job.seconds))
		return NULL;
	Py_BEGIN_ALLOW_THREADS;
	while (count-- > 0 && !pthread_create(&job.thread, NULL, native_main, &job)) {
		pthread_join(job.thread, NULL);
		cpu += job.cpu;
	}
	Py_END_ALLOW_THREADS;
	return PyFloat_FromDouble(cpu);
}

static PyMethodDef methods[] = {
	{ "burn", burn, METH_VARARGS, NULL },
	{ "churn", churn, METH_VARARGS, NULL },
	{ NULL, NULL, 0, NULL },
};

static struct PyModuleDef module = {
	PyModuleDef_HEAD_INIT, "native_threads", NULL, -1, methods, NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit_native_threads(void)
{
	return PyModule_Create(&module);
}
