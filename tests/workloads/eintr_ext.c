/* SPDX-License-Identifier: MIT */
/*
 * eintr_ext.c - counts how often system calls that wait are interrupted.
 *
 * eintr_ext.run(name, seconds) makes short waits in one kind of call, without the GIL,
 * and returns (calls, interrupted). eintr_ext.names lists the kinds. None of these calls
 * is restarted by the kernel after a signal handler, not even with SA_RESTART.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <errno.h>
#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define WAIT_NS 20000

struct waiter {
	int sockets[2];
	int epoll;
	sem_t semaphore;
	sigset_t signals;
};

static double now_of(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int wait_poll(struct waiter *w)
{
	struct pollfd fd = { .fd = w->sockets[0], .events = POLLIN };

	return poll(&fd, 1, 1);
}

static int wait_epoll(struct waiter *w)
{
	struct epoll_event event;

	return epoll_wait(w->epoll, &event, 1, 1);
}

static int wait_select(struct waiter *w)
{
	struct timeval timeout = { .tv_usec = WAIT_NS / 1000 };
	fd_set set;

	FD_ZERO(&set);
	FD_SET(w->sockets[0], &set);
	return select(w->sockets[0] + 1, &set, NULL, NULL, &timeout);
}

static int wait_nanosleep(struct waiter *w)
{
	struct timespec timeout = { .tv_nsec = WAIT_NS };

	(void)w;
	return nanosleep(&timeout, NULL);
}

static int wait_semaphore(struct waiter *w)
{
	struct timespec deadline;

	clock_gettime(CLOCK_REALTIME, &deadline);
	deadline.tv_nsec += WAIT_NS;
	if (deadline.tv_nsec >= 1000000000) {
		deadline.tv_nsec -= 1000000000;
		deadline.tv_sec++;
	}
	return sem_timedwait(&w->semaphore, &deadline);
}

static int wait_recv(struct waiter *w)
{
	char byte;

	return (int)recv(w->sockets[0], &byte, 1, 0);
}

static int wait_signal(struct waiter *w)
{
	struct timespec timeout = { .tv_nsec = WAIT_NS };

	return sigtimedwait(&w->signals, NULL, &timeout);
}

static const struct kind {
	const char *name;
	int (*wait)(struct waiter *w);
} kinds[] = {
	{ "poll", wait_poll },
	{ "epoll_wait", wait_epoll },
	{ "select", wait_select },
	{ "nanosleep", wait_nanosleep },
	{ "sem_timedwait", wait_semaphore },
	{ "recv", wait_recv },
	{ "sigtimedwait", wait_signal },
};
#define KINDS ((int)(sizeof(kinds) / sizeof(kinds[0])))

static int waiter_open(struct waiter *w)
{
	struct timeval timeout = { .tv_usec = 1000 };
	struct epoll_event event = { .events = EPOLLIN };

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, w->sockets))
		return -1;
	setsockopt(w->sockets[0], SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	w->epoll = epoll_create1(0);
	epoll_ctl(w->epoll, EPOLL_CTL_ADD, w->sockets[0], &event);
	sem_init(&w->semaphore, 0, 0);
	sigemptyset(&w->signals);
	sigaddset(&w->signals, SIGUSR2);
	return 0;
}

static void waiter_close(struct waiter *w)
{
	sem_destroy(&w->semaphore);
	close(w->epoll);
	close(w->sockets[0]);
	close(w->sockets[1]);
}

static PyObject *run(PyObject *self, PyObject *args)
{
	unsigned long long calls = 0, interrupted = 0;
	const struct kind *kind = NULL;
	struct waiter waiter;
	const char *name;
	double seconds;

	(void)self;
	if (!PyArg_ParseTuple(args, "sd", &name, &seconds))
		return NULL;
	for (int i = 0; i < KINDS; i++)
		if (!strcmp(kinds[i].name, name))
			kind = &kinds[i];
	if (!kind)
		return PyErr_Format(PyExc_ValueError, "no such kind of wait: %s", name);
	if (waiter_open(&waiter))
		return PyErr_SetFromErrno(PyExc_OSError);
	Py_BEGIN_ALLOW_THREADS;
	for (double end = now_of(CLOCK_MONOTONIC) + seconds; now_of(CLOCK_MONOTONIC) < end; calls++)
		if (kind->wait(&waiter) < 0 && errno == EINTR)
			interrupted++;
	Py_END_ALLOW_THREADS;
	waiter_close(&waiter);
	return Py_BuildValue("KK", calls, interrupted);
}

static PyMethodDef methods[] = {
	{ "run", run, METH_VARARGS, NULL },
	{ NULL, NULL, 0, NULL },
};

static struct PyModuleDef module = {
	PyModuleDef_HEAD_INIT, "eintr_ext", NULL, -1, methods, NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit_eintr_ext(void)
{
	PyObject *m = PyModule_Create(&module);
	PyObject *names = PyList_New(KINDS);

	if (!m || !names)
		return NULL;
	for (int i = 0; i < KINDS; i++)
		PyList_SET_ITEM(names, i, PyUnicode_FromString(kinds[i].name));
	PyModule_AddObject(m, "names", names);
	return m;
}
