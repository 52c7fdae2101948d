/* SPDX-License-Identifier: MIT */
/*
 * callback_ext.c - a C extension with a known C stack, that calls back into Python.
 *
 * callback_ext.burn(seconds)      burns CPU time of this thread in burn_round()
 * callback_ext.call(f)            callback_ext_call > invoke_outer > invoke_inner > f()
 * callback_ext.call_released(f)   the same, giving the GIL up and taking it back before f()
 * callback_ext.burn_released(s)   burns without the GIL
 *
 * Built with -fno-inline -fno-optimize-sibling-calls: each function is a frame.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <time.h>

volatile uint64_t callback_ext_sink;

static uint64_t thread_cpu_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void burn_round(void)
{
	uint64_t x = callback_ext_sink | 1;

	for (int i = 0; i < 200000; i++)
		x = x * 6364136223846793005u + 1442695040888963407u;
	callback_ext_sink = x;
}

void burn_cpu(double seconds)
{
	uint64_t end = thread_cpu_ns() + (uint64_t)(seconds * 1e9);

	while (thread_cpu_ns() < end)
		burn_round();
}

static PyObject *callback_ext_burn(PyObject *self, PyObject *arg)
{
	double seconds = PyFloat_AsDouble(arg);

	(void)self;
	if (PyErr_Occurred())
		return NULL;
	burn_cpu(seconds);
	Py_RETURN_NONE;
}

static PyObject *callback_ext_burn_released(PyObject *self, PyObject *arg)
{
	double seconds = PyFloat_AsDouble(arg);

	(void)self;
	if (PyErr_Occurred())
		return NULL;
	Py_BEGIN_ALLOW_THREADS;
	burn_cpu(seconds);
	Py_END_ALLOW_THREADS;
	Py_RETURN_NONE;
}

PyObject *invoke_inner(PyObject *function)
{
	return PyObject_CallObject(function, NULL);
}

PyObject *invoke_outer(PyObject *function)
{
	return invoke_inner(function);
}

static PyObject *callback_ext_call(PyObject *self, PyObject *function)
{
	(void)self;
	return invoke_outer(function);
}

PyObject *invoke_with_gil(PyObject *function)
{
	PyGILState_STATE state = PyGILState_Ensure();
	PyObject *result = invoke_inner(function);

	PyGILState_Release(state);
	return result;
}

static PyObject *callback_ext_call_released(PyObject *self, PyObject *function)
{
	PyObject *result;

	(void)self;
	Py_BEGIN_ALLOW_THREADS;
	result = invoke_with_gil(function);
	Py_END_ALLOW_THREADS;
	return result;
}

static PyMethodDef methods[] = {
	{ "burn", callback_ext_burn, METH_O, NULL },
	{ "burn_released", callback_ext_burn_released, METH_O, NULL },
	{ "call", callback_ext_call, METH_O, NULL },
	{ "call_released", callback_ext_call_released, METH_O, NULL },
	{ NULL, NULL, 0, NULL },
};

static struct PyModuleDef module = {
	PyModuleDef_HEAD_INIT, "callback_ext", NULL, -1, methods, NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit_callback_ext(void)
{
	return PyModule_Create(&module);
}
