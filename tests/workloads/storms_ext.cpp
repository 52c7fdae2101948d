/* SPDX-License-Identifier: MIT */
/*
 * storms_ext.cpp - what takes the loader's, the allocator's or the kernel's locks, over and
 * over: a sample that took one of them, too, would stand still sooner or later.
 *
 * storms_ext.storm(kind, seconds)   does it for so long without the GIL; returns how often,
 *                                   and how many of them failed
 * storms_ext.repeat(kind, count)    so many times, for counting instructions
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <dlfcn.h>
#include <link.h>
#include <netdb.h>
#include <pthread.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <stdexcept>

static const char program[] = "/bin/true";

static double now()
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* Each returns whether it went as it should. */

__attribute__((noinline)) static void throw_from(int depth)
{
	if (depth)
		throw_from(depth - 1);
	else
		throw std::runtime_error("thrown");
	__asm__ volatile("");
}

static bool exception()
{
	try {
		throw_from(10);
	} catch (const std::exception &e) {
		return !strcmp(e.what(), "thrown");
	}
	return false;
}

static int count_module(struct dl_phdr_info *info, size_t size, void *count)
{
	(void)info;
	(void)size;
	++*static_cast<unsigned *>(count);
	return 0;
}

static bool loader()
{
	void *library = dlopen("libutil.so.1", RTLD_NOW);
	unsigned modules = 0;
	bool found = dlsym(RTLD_DEFAULT, "getpid");

	dl_iterate_phdr(count_module, &modules);
	return library && !dlclose(library) && found && modules > 3;
}

static bool allocator()
{
	void *volatile blocks[16];

	for (unsigned i = 0; i < 16; i++) {
		blocks[i] = malloc(16u << i);
		if (blocks[i])
			*static_cast<volatile char *>(blocks[i]) = 1;
	}
	for (unsigned i = 0; i < 16; i++)
		free(blocks[i]);
	return true;
}

static bool small_blocks()
{
	for (unsigned i = 1; i <= 16; i++) {
		void *volatile block = malloc(16 * i);

		free(block);
	}
	return true;
}

/* Asking for its own stack: the one of the first thread is looked up in a file. */
static void *ask_for_stack(void *failed)
{
	pthread_attr_t attr;
	size_t size = 0;
	void *lowest;

	if (pthread_getattr_np(pthread_self(), &attr))
		return failed;
	pthread_attr_getstack(&attr, &lowest, &size);
	pthread_attr_destroy(&attr);
	return size ? nullptr : failed;
}

static bool threads()
{
	pthread_t thread;
	void *result = nullptr;
	char failed;

	if (pthread_create(&thread, nullptr, ask_for_stack, &failed))
		return false;
	return !ask_for_stack(&failed) && !pthread_join(thread, &result) && !result;
}

static bool ended_well(pid_t pid)
{
	int status = -1;

	return pid > 0 && waitpid(pid, &status, 0) == pid && !status;
}

static char *const arguments[] = { const_cast<char *>(program), nullptr };

static bool fork_and_exec()
{
	pid_t pid = fork();

	if (!pid) {
		execve(program, arguments, environ);
		_exit(127);
	}
	return ended_well(pid);
}

static bool vfork_and_exec()
{
	pid_t pid = vfork();

	if (!pid) {
		execve(program, arguments, environ);
		_exit(127);
	}
	return ended_well(pid);
}

static bool spawn()
{
	pid_t pid;

	return !posix_spawn(&pid, program, nullptr, nullptr, arguments, environ) && ended_well(pid);
}

static bool names()
{
	struct addrinfo *found = nullptr;
	struct addrinfo hints = {};

	hints.ai_flags = AI_NUMERICSERV;
	if (getaddrinfo("127.0.0.1", "80", &hints, &found))
		return false;
	freeaddrinfo(found);
	return true;
}

/* With the GIL: for repeat() alone. */
static bool documents()
{
	static PyObject *json = PyImport_ImportModule("json");
	PyObject *read, *written;

	read = PyObject_CallMethod(
		json, "loads", "s",
		"{\"rows\": [{\"id\": 1, \"name\": \"one\", \"price\": 1.5},"
		" {\"id\": 2, \"name\": \"two\", \"tags\": [\"a\", \"b\", null, true]},"
		" {\"id\": 3, \"name\": \"three\", \"tags\": [], \"note\": \"\u00e4\"}]}");
	written = read ? PyObject_CallMethod(json, "dumps", "O", read) : nullptr;
	Py_XDECREF(read);
	Py_XDECREF(written);
	return written;
}

static const struct kind {
	const char *name;
	bool (*once)();
} kinds[] = {
	{ "exception", exception }, { "loader", loader },      { "allocator", allocator },
	{ "threads", threads },	    { "fork", fork_and_exec }, { "vfork", vfork_and_exec },
	{ "spawn", spawn },	    { "names", names },	       { "small blocks", small_blocks },
	{ "documents", documents },
};

static const struct kind *find(const char *name)
{
	for (const struct kind &kind : kinds)
		if (!strcmp(kind.name, name))
			return &kind;
	PyErr_Format(PyExc_ValueError, "no storm is called %s", name);
	return nullptr;
}

static PyObject *storm(PyObject *, PyObject *args)
{
	unsigned long rounds = 0, failed = 0;
	const struct kind *kind;
	const char *name;
	double seconds;

	if (!PyArg_ParseTuple(args, "sd", &name, &seconds) || !(kind = find(name)))
		return nullptr;
	Py_BEGIN_ALLOW_THREADS;
	for (double end = now() + seconds; now() < end; rounds++)
		failed += !kind->once();
	Py_END_ALLOW_THREADS;
	return Py_BuildValue("kk", rounds, failed);
}

/* callgrind counts what happens in here, and in what it calls. */
extern "C" __attribute__((noinline)) unsigned long storms_ext_counted(bool (*once)(),
								      unsigned long count)
{
	unsigned long good = 0;

	while (count--)
		good += once();
	return good;
}

static PyObject *repeat(PyObject *, PyObject *args)
{
	const struct kind *kind;
	unsigned long count;
	const char *name;

	if (!PyArg_ParseTuple(args, "sk", &name, &count) || !(kind = find(name)))
		return nullptr;
	return PyLong_FromUnsignedLong(storms_ext_counted(kind->once, count));
}

static PyMethodDef methods[] = {
	{ "storm", storm, METH_VARARGS, nullptr },
	{ "repeat", repeat, METH_VARARGS, nullptr },
	{ nullptr, nullptr, 0, nullptr },
};

static struct PyModuleDef module = {
	PyModuleDef_HEAD_INIT,
	"storms_ext",
	nullptr,
	-1,
	methods,
	nullptr,
	nullptr,
	nullptr,
	nullptr,
};

PyMODINIT_FUNC PyInit_storms_ext()
{
	return PyModule_Create(&module);
}
