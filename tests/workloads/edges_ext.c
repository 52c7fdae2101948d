/* SPDX-License-Identifier: MIT */
/*
 * edges_ext.c - what a sample may meet at the edges of a program's life and of its stacks.
 *
 * edges_ext.start_fibers(threads)            so many threads run fibers to the program's end,
 *                                            one after the other, on stacks that are mapped
 *                                            for each and unmapped behind it
 * edges_ext.burn_far_away(seconds)            burns CPU on a stack that lies far from the thread's,
 *                                            as Go's and Julia's do
 * edges_ext.recurse(stack, seconds)          a thread with so many bytes of stack burns CPU
 *                                            close to their end
 * edges_ext.recurse_here(room, seconds)      burns CPU on the calling thread's own stack, where so
 *                                            many bytes are left beside the kernel's for a signal
 * edges_ext.burn_at_exit(seconds)            burns CPU once the interpreter is gone
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <time.h>
#include <ucontext.h>

#define PAGE 4096u
#define FAR_AWAY ((void *)0xc000000000) /* below all that the kernel maps by itself */
#ifndef AT_MINSIGSTKSZ
#define AT_MINSIGSTKSZ 51
#endif

volatile uint64_t edges_ext_sink;
static double at_exit;

static double now(clockid_t clock)
{
	struct timespec time;

	clock_gettime(clock, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void burn(double seconds)
{
	double end = now(CLOCK_THREAD_CPUTIME_ID) + seconds;

	while (now(CLOCK_THREAD_CPUTIME_ID) < end)
		for (int i = 0; i < 1000; i++)
			edges_ext_sink += (uint64_t)i;
}

void burn_in_fiber(void)
{
	burn(0.002);
}

/* The neighbour above is mapped with the stack, as one mapping, and goes first. */
static void run_fiber(size_t size)
{
	char *stack =
		mmap(NULL, 2 * size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ucontext_t fiber, back;

	if (stack == MAP_FAILED)
		return;
	getcontext(&fiber);
	fiber.uc_stack.ss_sp = stack;
	fiber.uc_stack.ss_size = size;
	fiber.uc_link = &back;
	makecontext(&fiber, burn_in_fiber, 0);
	munmap(stack + size, size);
	swapcontext(&back, &fiber);
	munmap(stack, size);
}

static void *fibers_main(void *unused)
{
	(void)unused;
	for (unsigned i = 0;; i++)
		run_fiber(PAGE << (2 + i % 6));
	return NULL;
}

static PyObject *start_fibers(PyObject *self, PyObject *args)
{
	int count, started = 0;
	pthread_t thread;

	(void)self;
	if (!PyArg_ParseTuple(args, "i", &count))
		return NULL;
	while (started < count && !pthread_create(&thread, NULL, fibers_main, NULL))
		started++;
	return PyLong_FromLong(started);
}

static double far_away_seconds;

void burn_on_far_stack(void)
{
	burn(far_away_seconds);
}

static PyObject *burn_far_away(PyObject *self, PyObject *args)
{
	size_t size = 64 * PAGE;
	ucontext_t fiber, back;
	char *stack;

	(void)self;
	if (!PyArg_ParseTuple(args, "d", &far_away_seconds))
		return NULL;
	stack = mmap(FAR_AWAY, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (stack == MAP_FAILED)
		return PyErr_SetFromErrno(PyExc_OSError);
	getcontext(&fiber);
	fiber.uc_stack.ss_sp = stack;
	fiber.uc_stack.ss_size = size;
	fiber.uc_link = &back;
	makecontext(&fiber, burn_on_far_stack, 0);
	swapcontext(&back, &fiber);
	munmap(stack, size);
	return PyBool_FromLong(stack == FAR_AWAY);
}

struct recursion {
	char *lowest; /* where to stop */
	double seconds;
};

void recurse_until(const struct recursion *r)
{
	volatile char here[256];

	here[0] = 0;
	if ((char *)here > r->lowest)
		recurse_until(r);
	else
		burn(r->seconds);
	here[1] = 0;
}

static void *recursion_main(void *arg)
{
	recurse_until(arg);
	return NULL;
}

static PyObject *recurse(PyObject *self, PyObject *args)
{
	struct recursion r;
	pthread_attr_t attr;
	pthread_t thread;
	Py_ssize_t size;
	char *stack;
	int error;

	(void)self;
	if (!PyArg_ParseTuple(args, "nd", &size, &r.seconds))
		return NULL;
	/* A guard page below, of our own. */
	stack = mmap(NULL, (size_t)size + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		     -1, 0);
	if (stack == MAP_FAILED || mprotect(stack, PAGE, PROT_NONE))
		return PyErr_SetFromErrno(PyExc_OSError);
	/* Room for what the kernel puts there when a signal comes, and for little more. */
	r.lowest = stack + PAGE + getauxval(AT_MINSIGSTKSZ) + 1200;
	burn(0); /* binds what it calls, which takes a lot of stack */
	pthread_attr_init(&attr);
	pthread_attr_setstack(&attr, stack + PAGE, (size_t)size);
	Py_BEGIN_ALLOW_THREADS;
	error = pthread_create(&thread, &attr, recursion_main, &r);
	if (!error)
		pthread_join(thread, NULL);
	Py_END_ALLOW_THREADS;
	pthread_attr_destroy(&attr);
	munmap(stack, (size_t)size + PAGE);
	return PyLong_FromLong(error);
}

static void burn_now(void)
{
	burn(at_exit);
}

static PyObject *burn_at_exit(PyObject *self, PyObject *args)
{
	(void)self;
	if (!PyArg_ParseTuple(args, "d", &at_exit))
		return NULL;
	return PyLong_FromLong(atexit(burn_now));
}

static PyObject *recurse_here(PyObject *self, PyObject *args)
{
	struct recursion r;
	pthread_attr_t attr;
	Py_ssize_t room;
	void *stack;
	size_t size;

	(void)self;
	if (!PyArg_ParseTuple(args, "nd", &room, &r.seconds))
		return NULL;
	burn(0); /* binds what it calls, which takes a lot of stack */
	if (pthread_getattr_np(pthread_self(), &attr) ||
	    pthread_attr_getstack(&attr, &stack, &size))
		return PyErr_SetFromErrno(PyExc_OSError);
	pthread_attr_destroy(&attr);
	r.lowest = (char *)stack + getauxval(AT_MINSIGSTKSZ) + room;
	recurse_until(&r);
	Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
	{ "recurse_here", recurse_here, METH_VARARGS, NULL },
	{ "start_fibers", start_fibers, METH_VARARGS, NULL },
	{ "burn_far_away", burn_far_away, METH_VARARGS, NULL },
	{ "recurse", recurse, METH_VARARGS, NULL },
	{ "burn_at_exit", burn_at_exit, METH_VARARGS, NULL },
	{ NULL, NULL, 0, NULL },
};

static struct PyModuleDef module = {
	PyModuleDef_HEAD_INIT, "edges_ext", NULL, -1, methods, NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit_edges_ext(void)
{
	return PyModule_Create(&module);
}
