/* SPDX-License-Identifier: MIT */
/*
 * objects_ext.c - a known number of requests to CPython's allocators, on threads of their own.
 *
 * Each thread counts what it asks for in the words that Pillion uses: alloc calls and bytes,
 * free calls. Around that, CPython makes a thread state, always in the same way: a thread of
 * no rounds tells what that takes.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <unistd.h>

#include <sys/syscall.h>

#define MAX_THREADS 64

struct counts {
	uint64_t alloc_calls, alloc_bytes, free_calls;
};

struct domain {
	void *(*malloc)(size_t size);
	void *(*calloc)(size_t count, size_t size);
	void *(*realloc)(void *p, size_t size);
	void (*free)(void *p);
};

struct work {
	pthread_t thread;
	unsigned rounds;
	long tid;
	struct counts counts;
};

static const struct domain domains[] = {
	{ PyObject_Malloc, PyObject_Calloc, PyObject_Realloc, PyObject_Free },
	{ PyMem_Malloc, PyMem_Calloc, PyMem_Realloc, PyMem_Free },
};

static void *got(struct counts *c, void *p, size_t size)
{
	if (!p)
		abort();
	c->alloc_calls++;
	c->alloc_bytes += size ? size : 1;
	return p;
}

static void *resized(struct counts *c, const struct domain *d, void *p, size_t size)
{
	c->free_calls += p != NULL;
	return got(c, d->realloc(p, size), size);
}

static void let_go(struct counts *c, const struct domain *d, void *p)
{
	d->free(p);
	c->free_calls++;
}

static void every_kind(struct counts *c, const struct domain *d, unsigned round)
{
	static const size_t sizes[] = { 0, 1, 16, 200, 480, 481, 512, 513, 5000, 300000 };
	size_t size = sizes[round % 10];
	void *p = got(c, d->malloc(size), size);

	let_go(c, d, got(c, d->calloc(3, size), 3 * size));
	p = resized(c, d, p, 2 * size);
	p = resized(c, d, p, size / 2);
	p = resized(c, d, p, 3 * size + 100);
	p = resized(c, d, p, 0);
	/* What fails is no request. */
	if (d->realloc(p, PY_SSIZE_T_MAX) || d->malloc(PY_SSIZE_T_MAX) ||
	    d->calloc(PY_SSIZE_T_MAX, 2))
		abort();
	let_go(c, d, p);
	let_go(c, d, resized(c, d, NULL, size));
	d->free(NULL);
}

/* More than pymalloc has at hand, so that arenas come and go. */
static void many_at_once(struct counts *c, const struct domain *d)
{
	enum { BLOCKS = 10000 };
	void **blocks = malloc(BLOCKS * sizeof(*blocks));

	for (unsigned i = 0; blocks && i < BLOCKS; i++)
		blocks[i] = got(c, d->malloc(500), 500);
	for (unsigned i = 0; blocks && i < BLOCKS; i++)
		let_go(c, d, blocks[i]);
	free(blocks);
}

static void *work(void *argument)
{
	struct work *w = argument;
	PyGILState_STATE state = PyGILState_Ensure();

	w->tid = syscall(SYS_gettid);
	for (unsigned i = 0; i < w->rounds; i++) {
		every_kind(&w->counts, &domains[i % 2], i / 2);
		if (i % 100 == 0) {
			Py_BEGIN_ALLOW_THREADS usleep(100);
			Py_END_ALLOW_THREADS
		}
	}
	for (unsigned i = 0; w->rounds && i < 2; i++)
		many_at_once(&w->counts, &domains[i]);
	PyGILState_Release(state);
	return NULL;
}

static PyObject *told(const struct work *work, int threads)
{
	PyObject *rows = PyList_New(threads);

	for (int i = 0; rows && i < threads; i++) {
		const struct counts *c = &work[i].counts;

		PyList_SetItem(rows, i,
			       Py_BuildValue("lKKK", work[i].tid, c->alloc_calls, c->alloc_bytes,
					     c->free_calls));
	}
	return rows;
}

/* drive(threads, rounds) -> [(tid, alloc_calls, alloc_bytes, free_calls)] */
static PyObject *drive(PyObject *self, PyObject *arguments)
{
	struct work threads[MAX_THREADS] = { { 0 } };
	unsigned rounds;
	int count;

	(void)self;
	if (!PyArg_ParseTuple(arguments, "iI", &count, &rounds) || count > MAX_THREADS)
		return NULL;
	for (int i = 0; i < count; i++)
		threads[i].rounds = rounds;
	Py_BEGIN_ALLOW_THREADS for (int i = 0; i < count;
				    i++) if (pthread_create(&threads[i].thread, NULL, work,
							    &threads[i])) abort();
	for (int i = 0; i < count; i++)
		(void)pthread_join(threads[i].thread, NULL);
	Py_END_ALLOW_THREADS return told(threads, count);
}

/* is_wrapped() -> bool: whether the allocator is Pillion's */
static PyObject *is_wrapped(PyObject *self, PyObject *none)
{
	PyMemAllocatorEx now;
	Dl_info found;

	(void)self;
	(void)none;
	PyMem_GetAllocator(PYMEM_DOMAIN_OBJ, &now);
	return PyBool_FromLong(dladdr((void *)now.malloc, &found) &&
			       strstr(found.dli_fname, "libpillion"));
}

static PyMethodDef methods[] = {
	{ "drive", drive, METH_VARARGS, NULL },
	{ "is_wrapped", is_wrapped, METH_NOARGS, NULL },
	{ 0 },
};

static struct PyModuleDef module = { PyModuleDef_HEAD_INIT, .m_name = "objects_ext", .m_size = -1,
				     .m_methods = methods };

PyMODINIT_FUNC PyInit_objects_ext(void)
{
	return PyModule_Create(&module);
}
