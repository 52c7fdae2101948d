/* SPDX-License-Identifier: MIT */
/*
 * harness.c - the walker of preload/python in a live interpreter, for check_walk.py.
 *
 * Preloaded into a Python process, and called from it through ctypes. It walks the
 * calling thread, walks a waiting thread from another one, and samples all threads
 * from a signal handler at a high rate; frames and descriptions are handed back raw,
 * to be decoded and judged in Python.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>
#include <unwind.h>

#include <pillion/syscall.h>

#include "checked_read.h"
#include "python/python_i.h"

#define MAX_FRAMES 1024
#define SAMPLE_BYTES (256u << 20)
#define CODE_BYTES (64u << 20)
#define CODE_RECORD_MAX (40u << 10)
#define MAX_THREADS 1024

/* In memory shared with check_walk.py: keep in step with its ctypes structures. */
struct sample {
	uint32_t bytes; /* this struct and its frames; written last */
	uint32_t tid;
	uint32_t count;
	uint32_t ns; /* cost of the walk */
	uint8_t has_tstate;
	uint8_t truncated;
	uint8_t failed;
	uint8_t no_markers;
	uint8_t gil;
	uint8_t trusted;
	uint8_t reads; /* system calls that it made, at most 255 */
	uint8_t reserved;
	struct pln_python_frame frames[];
};

/*
 * Two, used in turn: a handler may still be busy when sampling has been switched off
 * and the samples so far are read.
 */
static struct {
	unsigned char *bytes;
	_Atomic uint64_t end;
} buffers[2];
static _Atomic unsigned turn;
static unsigned char *codes;
static _Atomic uint64_t code_end;
static _Atomic bool sampling, signalling;
static _Atomic bool begun; /* with HARNESS_LATE: the interpreter is looked at from now on */
static _Atomic uint64_t dropped;
static struct pln_wire_interpreter last_info;
static unsigned info_count;
static uint8_t statuses[8];
static pthread_t sampler;
static unsigned sampling_period_us;

static __thread uintptr_t stack_hi;
static struct pln_stack shared_stack; /* seen by walks from outside, too */
static __thread bool in_handler;

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* ------------------------------------------------------------ counting reads */

static __thread unsigned reads;

bool __real_pln_checked_read_sigsafe(uintptr_t addr, void *dst, size_t size);
size_t __real_pln_checked_read_some_sigsafe(uintptr_t addr, void *dst, size_t size);
unsigned __real_pln_checked_read_parts_sigsafe(const struct pln_read_part *parts, unsigned count);
bool __wrap_pln_checked_read_sigsafe(uintptr_t addr, void *dst, size_t size);
size_t __wrap_pln_checked_read_some_sigsafe(uintptr_t addr, void *dst, size_t size);
unsigned __wrap_pln_checked_read_parts_sigsafe(const struct pln_read_part *parts, unsigned count);

bool __wrap_pln_checked_read_sigsafe(uintptr_t addr, void *dst, size_t size)
{
	reads++;
	return __real_pln_checked_read_sigsafe(addr, dst, size);
}

size_t __wrap_pln_checked_read_some_sigsafe(uintptr_t addr, void *dst, size_t size)
{
	reads++;
	return __real_pln_checked_read_some_sigsafe(addr, dst, size);
}

unsigned __wrap_pln_checked_read_parts_sigsafe(const struct pln_read_part *parts, unsigned count)
{
	reads++;
	return __real_pln_checked_read_parts_sigsafe(parts, count);
}

/* ------------------------------------------------------------ samples */

static bool describe(const struct pln_python_frame *frame)
{
	unsigned char record[CODE_RECORD_MAX];
	uint32_t size;
	uint64_t at;

	if (!pln_python_code_is_new_sigsafe(frame))
		return true;
	size = pln_python_describe_sigsafe(frame, record, sizeof(record));
	if (!size)
		return false;
	at = pln_add_relaxed(&code_end, size);
	if (at + size > CODE_BYTES)
		return false;
	memcpy(codes + at, record, size);
	pln_python_code_described_sigsafe(frame);
	return true;
}

static void record_sample(const struct pln_python_walk *walk, uint64_t ns, uint32_t tid)
{
	uint32_t size = (uint32_t)(sizeof(struct sample) + walk->count * sizeof(walk->frames[0]));
	unsigned buffer = turn % 2;
	uint64_t at = pln_add_relaxed(&buffers[buffer].end, size);
	struct sample *sample = (struct sample *)(buffers[buffer].bytes + at);

	if (at + size > SAMPLE_BYTES) {
		pln_add_relaxed(&dropped, 1);
		return;
	}
	*sample = (struct sample){ .tid = tid,
				   .count = walk->count,
				   .ns = (uint32_t)ns,
				   .has_tstate = walk->has_tstate,
				   .truncated = walk->truncated,
				   .failed = walk->failed,
				   .no_markers = walk->no_markers,
				   .gil = walk->gil,
				   .trusted = pln_python.trusted };
	for (unsigned i = 0; i < walk->count; i++) {
		if (!describe(&walk->frames[i]))
			walk->frames[i].code = 0;
		sample->frames[i] = walk->frames[i];
	}
	sample->bytes = size;
}

static void on_signal(int number, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;
	uintptr_t sp = (uintptr_t)uc->uc_mcontext.gregs[REG_RSP];
	struct pln_stack stack = { .lo = sp, .hi = sp, .bytes = (const unsigned char *)sp };
	static __thread struct pln_python_frame frames[MAX_FRAMES];
	struct pln_python_walk walk = { .frames = frames, .max = MAX_FRAMES };
	uint64_t start;

	(void)number;
	(void)info;
	if (in_handler || !pln_python_ready_sigsafe())
		return;
	in_handler = true;
	if (stack_hi > sp)
		stack.hi = stack_hi;
	start = now_ns();
	pln_python_walk_self_sigsafe(&stack, &walk);
	record_sample(&walk, now_ns() - start, (uint32_t)pln_gettid_sigsafe());
	in_handler = false;
}

static unsigned list_threads(uint32_t *tids, uint32_t self)
{
	DIR *dir = opendir("/proc/self/task");
	struct dirent *entry;
	unsigned count = 0;

	while (dir && (entry = readdir(dir)) && count < MAX_THREADS) {
		uint32_t tid = (uint32_t)atoi(entry->d_name);

		if (tid && tid != self)
			tids[count++] = tid;
	}
	if (dir)
		closedir(dir);
	return count;
}

/* Says whose fault it is before dying of it. */
static void on_crash(int number, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;
	char line[160];
	int size = snprintf(line, sizeof(line), "signal %d at %p, pc %p, %s the walk\n", number,
			    info->si_addr, (void *)uc->uc_mcontext.gregs[REG_RIP],
			    in_handler ? "inside" : "outside of");

	if (write(STDERR_FILENO, line, (size_t)size) < 0)
		_exit(1);
	signal(number, SIG_DFL);
}

static void signal_all(void)
{
	static uint32_t tids[MAX_THREADS];
	unsigned count;

	signalling = true;
	count = sampling ? list_threads(tids, (uint32_t)pln_gettid_sigsafe()) : 0;
	for (unsigned i = 0; i < count; i++)
		pln_syscall3(SYS_tgkill, pln_getpid_sigsafe(), tids[i], SIGPROF);
	signalling = false;
}

/*
 * HARNESS_SHIFT=field moves a field of the layout away from where it is, as in a build
 * of CPython that nobody has seen: the self-check has to notice, and nothing may crash.
 */
static void shift_layout(void)
{
	static const struct {
		const char *name;
		size_t at;
	} fields[] = {
		{ "thread.frame", offsetof(struct pln_layout, thread.frame) },
		{ "thread.cframe", offsetof(struct pln_layout, thread.cframe) },
		{ "thread.thread_id", offsetof(struct pln_layout, thread.thread_id) },
		{ "frame.code", offsetof(struct pln_layout, frame.code) },
		{ "frame.previous", offsetof(struct pln_layout, frame.previous) },
		{ "frame.instr", offsetof(struct pln_layout, frame.instr) },
		{ "code.name", offsetof(struct pln_layout, code.name) },
		{ "code.filename", offsetof(struct pln_layout, code.filename) },
		{ "interp.threads", offsetof(struct pln_layout, interp.threads) },
		{ "gil.last_holder", offsetof(struct pln_layout, gil.last_holder) },
	};
	static struct pln_layout shifted;
	const char *wanted = getenv("HARNESS_SHIFT");

	if (!wanted || !pln_python.layout || pln_python.layout == &shifted)
		return;
	shifted = *pln_python.layout;
	for (unsigned i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		uint32_t *field = (uint32_t *)((char *)&shifted + fields[i].at);

		if (!strcmp(fields[i].name, wanted) && pln_has(*field))
			*field += 8;
	}
	pln_python.layout = &shifted;
}

/* The sampling thread: drives the state machine, and signals while sampling is on. */
static void *run(void *unused)
{
	struct pln_wire_interpreter info;

	while (getenv("HARNESS_LATE") && !begun)
		usleep(200);
	while (!unused) {
		if (pln_python_poll(&info)) {
			last_info = info;
			if (info_count < sizeof(statuses))
				statuses[info_count++] = info.status;
		}
		pln_python_tick();
		shift_layout();
		usleep(sampling_period_us);
		signal_all();
	}
	return NULL;
}

static void *map(size_t size)
{
	return mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		    -1, 0);
}

/* As a strict container does. */
static void deny_process_vm_readv(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_process_vm_readv, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(code) / sizeof(code[0]), code };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
		_exit(125);
}

__attribute__((constructor)) static void start(void)
{
	struct sigaction crash = { .sa_sigaction = on_crash, .sa_flags = SA_SIGINFO };
	struct sigaction action = { .sa_sigaction = on_signal,
				    .sa_flags = SA_SIGINFO | SA_RESTART };

	if (!pln_python_find(0))
		return;
	if (getenv("HARNESS_DENY"))
		deny_process_vm_readv();
	if (!getenv("HARNESS_NO_CHECKED_READ"))
		pln_checked_read_init();
	buffers[0].bytes = map(SAMPLE_BYTES);
	buffers[1].bytes = map(SAMPLE_BYTES);
	codes = map(CODE_BYTES);
	sigaction(SIGPROF, &action, NULL);
	sigaction(SIGSEGV, &crash, NULL);
	sigaction(SIGBUS, &crash, NULL);
	sampling_period_us = 200;
	pthread_create(&sampler, NULL, run, NULL);
}

/* ------------------------------------------------------------ called from Python */

void harness_sampling(int on, unsigned period_us);
const unsigned char *harness_samples(uint64_t *size);
const unsigned char *harness_codes(uint64_t *size);
uint64_t harness_dropped(void);
int harness_status(char *detail);
unsigned harness_history(uint8_t *out);
void harness_register_stack(void);
int harness_walk_self(int with_stack, struct pln_python_frame *frames, unsigned max,
		      struct sample *head);
int harness_walk_blocked(uint32_t tid, uintptr_t pthread_id, struct pln_python_frame *frames,
			 unsigned max, struct sample *head, unsigned repeat);
unsigned harness_native(uint64_t *pc, uint64_t *sp, uint8_t *is_eval, unsigned max);
void harness_watch_futex(uint32_t tid, unsigned rounds, unsigned counts[2]);
int harness_tls_offset(const void *function, int64_t *offset);
uint64_t harness_tls_value(int64_t offset);
void harness_trust(int trusted);
void harness_after_fork(void);
void harness_begin(void);
void harness_native_thread(int *gils);
int harness_gil_at_end(void);
int harness_ready(void);

void harness_sampling(int on, unsigned period_us)
{
	if (period_us)
		sampling_period_us = period_us;
	sampling = on;
	while (!on && signalling)
		usleep(50);
}

const unsigned char *harness_samples(uint64_t *size)
{
	unsigned full = turn % 2;

	madvise(buffers[!full].bytes, SAMPLE_BYTES, MADV_DONTNEED);
	buffers[!full].end = 0;
	turn++;
	*size = buffers[full].end < SAMPLE_BYTES ? buffers[full].end : SAMPLE_BYTES;
	return buffers[full].bytes;
}

const unsigned char *harness_codes(uint64_t *size)
{
	*size = pln_load_relaxed(&code_end);
	return codes;
}

uint64_t harness_dropped(void)
{
	return dropped;
}

/* -1: nothing published yet */
int harness_status(char *detail)
{
	if (!info_count)
		return -1;
	memcpy(detail, last_info.detail, sizeof(last_info.detail));
	return last_info.status;
}

unsigned harness_history(uint8_t *out)
{
	memcpy(out, statuses, sizeof(statuses));
	return info_count;
}

/* The calling thread's stack may be read in place from now on. */
void harness_register_stack(void)
{
	pthread_attr_t attr;
	size_t size;
	void *lo;

	pthread_getattr_np(pthread_self(), &attr);
	pthread_attr_getstack(&attr, &lo, &size);
	pthread_attr_destroy(&attr);
	stack_hi = (uintptr_t)lo + size;
}

static void fill_head(struct sample *head, const struct pln_python_walk *walk, uint64_t ns)
{
	*head = (struct sample){ .count = walk->count,
				 .ns = (uint32_t)ns,
				 .has_tstate = walk->has_tstate,
				 .truncated = walk->truncated,
				 .failed = walk->failed,
				 .no_markers = walk->no_markers,
				 .gil = walk->gil,
				 .trusted = pln_python.trusted,
				 .reads = reads < 255 ? (uint8_t)reads : 255 };
}

int harness_walk_self(int with_stack, struct pln_python_frame *frames, unsigned max,
		      struct sample *head)
{
	struct pln_python_walk walk = { .frames = frames, .max = max };
	uintptr_t sp = (uintptr_t)__builtin_frame_address(0);
	struct pln_stack stack = { .lo = sp, .hi = sp, .bytes = (const unsigned char *)sp };
	uint64_t start;

	if (with_stack && stack_hi)
		stack.hi = stack_hi;
	if (with_stack == 2)
		shared_stack = stack;
	reads = 0;
	start = now_ns();
	pln_python_walk_self_sigsafe(&stack, &walk);
	fill_head(head, &walk, now_ns() - start);
	for (unsigned i = 0; i < walk.count; i++)
		if (!describe(&frames[i]))
			return -1;
	return 0;
}

int harness_walk_blocked(uint32_t tid, uintptr_t pthread_id, struct pln_python_frame *frames,
			 unsigned max, struct sample *head, unsigned repeat)
{
	struct pln_python_walk walk = { .frames = frames, .max = max };
	struct pln_stack stack = shared_stack;
	uint64_t start = now_ns();

	for (unsigned i = 0; i < repeat; i++) {
		pln_python_tick();
		reads = 0;
		pln_python_walk_blocked(tid, pthread_id, &stack, &walk);
	}
	fill_head(head, &walk, (now_ns() - start) / repeat);
	for (unsigned i = 0; i < walk.count; i++)
		if (!describe(&frames[i]))
			return -1;
	return 0;
}

struct native {
	uint64_t *pc, *sp;
	uint8_t *is_eval;
	unsigned count, max;
};

static _Unwind_Reason_Code note_native(struct _Unwind_Context *context, void *arg)
{
	struct native *native = arg;
	Dl_info info;

	if (native->count == native->max)
		return _URC_END_OF_STACK;
	native->pc[native->count] = _Unwind_GetIP(context);
	/* libgcc: the CFA of the callee, that is this frame's stack pointer */
	native->sp[native->count] = _Unwind_GetCFA(context);
	native->is_eval[native->count] = dladdr((void *)(_Unwind_GetIP(context) - 1), &info) &&
					 info.dli_sname &&
					 !strcmp(info.dli_sname, "_PyEval_EvalFrameDefault");
	native->count++;
	return _URC_NO_REASON;
}

/* Every native frame of the caller. */
unsigned harness_native(uint64_t *pc, uint64_t *sp, uint8_t *is_eval, unsigned max)
{
	struct native native = { pc, sp, is_eval, 0, max };

	_Unwind_Backtrace(note_native, &native);
	return native.count;
}

/* How often the thread waits in futex for a GIL, and how often for something else. */
void harness_watch_futex(uint32_t tid, unsigned rounds, unsigned counts[2])
{
	char path[64], line[256];
	unsigned long address;
	long number, size;
	int fd;

	snprintf(path, sizeof(path), "/proc/self/task/%u/syscall", tid);
	fd = open(path, O_RDONLY);
	for (unsigned i = 0; fd >= 0 && i < rounds; i++) {
		usleep(1000);
		size = pread(fd, line, sizeof(line) - 1, 0);
		line[size > 0 ? size : 0] = 0;
		if (sscanf(line, "%ld 0x%lx", &number, &address) == 2 && number == SYS_futex)
			counts[!pln_python_is_gil_futex(address)]++;
	}
	close(fd);
}

/* What the accessor's instructions say. Not on the main thread. */
int harness_tls_offset(const void *function, int64_t *offset)
{
	return pln_python_tls_offset(function, offset);
}

uint64_t harness_tls_value(int64_t offset)
{
	uintptr_t tp;

	__asm__("mov %%fs:0, %0" : "=r"(tp));
	return *(uint64_t *)(tp + (uintptr_t)offset);
}

/* 0: as before the self-check, everything through checked reads. */
void harness_trust(int trusted)
{
	pln_store_relaxed(&pln_python.trusted, trusted);
}

void harness_after_fork(void)
{
	pln_checked_read_after_fork();
	pln_python_after_fork();
	pln_python_forget_codes();
	code_end = 0;
}

void harness_begin(void)
{
	begun = true;
}

static _Atomic uint32_t native_tid;

static void *have_no_state(void *gils)
{
	struct pln_stack stack = { 0 };
	struct pln_python_walk walk = { 0 };

	pln_python_walk_self_sigsafe(&stack, &walk);
	((int *)gils)[0] = walk.has_tstate ? -1 : walk.gil;
	pln_store_release(&native_tid, (uint32_t)pln_gettid_sigsafe());
	while (pln_load_acquire(&native_tid))
		usleep(100);
	return NULL;
}

/* The GIL's state as a thread without a Python state sees it, and as others see it of that one. */
void harness_native_thread(int *gils)
{
	struct pln_stack stack = { 0 };
	struct pln_python_walk walk = { 0 };
	pthread_t thread;
	uint32_t tid;

	pthread_create(&thread, NULL, have_no_state, gils);
	while (!(tid = pln_load_acquire(&native_tid)))
		usleep(100);
	pln_python_tick();
	pln_python_walk_blocked(tid, (uintptr_t)thread, &stack, &walk);
	gils[1] = walk.has_tstate ? -1 : walk.gil;
	pln_store_release(&native_tid, 0);
	pthread_join(thread, NULL);
}

static void *ask_gil_at_end(void *unused)
{
	(void)unused;
	return (void *)(uintptr_t)pln_python_gil_at_end_sigsafe(
		pln_python_thread_pointer_sigsafe());
}

/* Of the calling thread, in tens, and of one without a Python state. */
int harness_gil_at_end(void)
{
	pthread_t thread;
	void *other;

	pthread_create(&thread, NULL, ask_gil_at_end, NULL);
	pthread_join(thread, &other);
	return pln_python_gil_at_end_sigsafe(pln_python_thread_pointer_sigsafe()) * 10 +
	       (int)(uintptr_t)other;
}

int harness_ready(void)
{
	return pln_python_ready_sigsafe() && !pln_python_finalizing_sigsafe();
}
