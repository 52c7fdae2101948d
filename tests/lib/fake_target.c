/* SPDX-License-Identifier: MIT */
/*
 * fake_target.c - see fake_target.h.
 */
#include "fake_target.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <pillion/atomic.h>
#include <pillion/lane.h>
#include <pillion/pillion.h>

#define CONTROL_DATA 65536u
#define MAX_RECORD 16384

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void lay_out(struct fake *f, struct pln_segment *plan, uint32_t lanes)
{
	memset(plan, 0, sizeof(*plan));
	plan->version = PILLION_WIRE_VERSION;
	plan->header_size = sizeof(*plan);
	plan->pid = (uint32_t)getpid();
	plan->ppid = (uint32_t)getppid();
	plan->start_mono_ns = now_ns();
	plan->lane_count = lanes;
	plan->lane_size = (uint32_t)sizeof(struct pln_lane) + f->lane_data;
	plan->slots_off = 4096;
	plan->control_off = plan->slots_off + lanes * sizeof(struct pln_slot);
	plan->control_size = sizeof(struct pln_lane) + CONTROL_DATA;
	plan->sampler_off = plan->control_off + plan->control_size;
	plan->sampler_size = sizeof(struct pln_lane) + f->lane_data;
	plan->lanes_off = plan->sampler_off + plan->sampler_size;
	plan->size = plan->lanes_off + (uint64_t)lanes * plan->lane_size;
	plan->period_ns = plan->tick_ns = 10000000;
	strcpy(plan->executable, "/usr/bin/fake-python");
	memcpy(plan->arguments, "fake-python\0it's.py", 20);
}

int fake_create(struct fake *f, uint32_t lanes, uint32_t lane_data, bool seal)
{
	struct pln_segment plan;

	f->lane_data = lane_data;
	f->control_data = CONTROL_DATA;
	lay_out(f, &plan, lanes);
	f->memfd = memfd_create("fake", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (f->memfd < 0 || ftruncate(f->memfd, (off_t)plan.size))
		return -errno;
	if (seal && fcntl(f->memfd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW))
		return -errno;
	f->seg = mmap(NULL, plan.size, PROT_READ | PROT_WRITE, MAP_SHARED, f->memfd, 0);
	if (f->seg == MAP_FAILED)
		return -errno;
	memcpy(f->seg, &plan, sizeof(plan));
	for (uint32_t i = 0; i < lanes; i++) {
		pln_store_relaxed(&fake_slot(f, i)->serial, i + 1);
		pln_store_relaxed(&fake_slot(f, i)->tid, (uint32_t)getpid());
		pln_store_relaxed(&fake_slot(f, i)->state, PILLION_SLOT_LIVE);
	}
	pln_store_release(&f->seg->magic, PILLION_SEGMENT_MAGIC);
	return 0;
}

void fake_destroy(struct fake *f)
{
	munmap(f->seg, f->seg->size);
	close(f->memfd);
}

/* --------------------------------------------------------------------- hello */

static int connect_to(const char *address)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	size_t length = strlen(address);
	int sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	memcpy(un.sun_path, address, length);
	if (address[0] == '@')
		un.sun_path[0] = '\0';
	length += offsetof(struct sockaddr_un, sun_path) + (address[0] != '@');
	if (sock >= 0 && connect(sock, (struct sockaddr *)&un, (socklen_t)length)) {
		int error = -errno;

		close(sock);
		return error;
	}
	return sock < 0 ? -errno : sock;
}

int fake_hello(const struct fake *f, const char *address, const uint8_t *token, uint16_t version)
{
	struct pln_hello hello = {
		.magic = PILLION_HELLO_MAGIC,
		.version = version,
		.size = sizeof(hello),
		.pid = (uint32_t)getpid(),
		.build = PILLION_VERSION,
	};
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec iov = { &hello, sizeof(hello) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	int sock = connect_to(address);

	if (sock < 0)
		return sock;
	if (token)
		memcpy(hello.token, token, sizeof(hello.token));
	if (f) {
		struct cmsghdr *c = (struct cmsghdr *)control;

		msg.msg_control = control;
		msg.msg_controllen = sizeof(control);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &f->memfd, sizeof(int));
	}
	if (sendmsg(sock, &msg, MSG_NOSIGNAL) != sizeof(hello)) {
		close(sock);
		return -EIO;
	}
	return sock;
}

int fake_welcome(int sock, struct pln_welcome *welcome)
{
	struct timeval patience = { .tv_sec = 2 };

	setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (recv(sock, welcome, sizeof(*welcome), 0) != sizeof(*welcome))
		return -ENODATA;
	return welcome->status;
}

/* ------------------------------------------------------------------- records */

struct pln_slot *fake_slot(const struct fake *f, uint32_t index)
{
	return (struct pln_slot *)((char *)f->seg + f->seg->slots_off) + index;
}

struct pln_lane *fake_lane(const struct fake *f, uint32_t index)
{
	return (struct pln_lane *)((char *)f->seg + f->seg->lanes_off +
				   (uint64_t)index * f->seg->lane_size);
}

struct pln_lane *fake_control(const struct fake *f)
{
	return (struct pln_lane *)((char *)f->seg + f->seg->control_off);
}

struct pln_lane *fake_sampler(const struct fake *f)
{
	return (struct pln_lane *)((char *)f->seg + f->seg->sampler_off);
}

bool fake_put(struct pln_lane *lane, uint32_t data_size, uint16_t type, const void *record,
	      size_t size)
{
	struct pln_record *rec = pln_lane_reserve_sigsafe(lane, data_size, (uint32_t)size);

	if (!rec)
		return false;
	memcpy(rec + 1, (const char *)record + sizeof(*rec), size - sizeof(*rec));
	rec->type = type;
	pln_lane_commit_sigsafe(lane, data_size, rec);
	return true;
}

static bool put_control(const struct fake *f, uint16_t type, const void *record, size_t size)
{
	return fake_put(fake_control(f), f->control_data, type, record, size);
}

bool fake_thread(const struct fake *f, uint32_t index, uint16_t type, const char *name,
		 uint64_t cpu_ns)
{
	struct pln_wire_thread rec = {
		.time_ns = now_ns(),
		.start_ns = f->seg->start_mono_ns,
		.cpu_ns = cpu_ns,
		.thread = index + 1,
		.tid = (uint32_t)getpid() + index,
		.is_main = index == 0,
	};

	memcpy(rec.name, name, strnlen(name, sizeof(rec.name)));
	return put_control(f, type, &rec, sizeof(rec));
}

/* The record in `bytes`, with `text` behind its `size` bytes. Returns the whole size. */
static size_t with_text(char *bytes, const void *record, size_t size, const char *text)
{
	memcpy(bytes, record, size);
	memcpy(bytes + size, text, strlen(text));
	return size + strlen(text);
}

bool fake_module(const struct fake *f, uint64_t lo, uint64_t hi, const char *path, uint64_t time_ns)
{
	char bytes[MAX_RECORD];
	struct pln_wire_module rec = {
		.lo = lo,
		.hi = hi,
		.bias = lo,
		.time_ns = time_ns,
		.path_size = (uint32_t)strlen(path),
	};

	return put_control(f, PILLION_RECORD_MODULE, bytes,
			   with_text(bytes, &rec, sizeof(rec), path));
}

bool fake_module_gone(const struct fake *f, uint64_t lo, uint64_t hi, uint64_t time_ns)
{
	struct pln_wire_module_gone rec = { .lo = lo, .hi = hi, .time_ns = time_ns };

	return put_control(f, PILLION_RECORD_MODULE_GONE, &rec, sizeof(rec));
}

bool fake_note(const struct fake *f, const char *text)
{
	char bytes[MAX_RECORD];
	struct pln_wire_note rec = { .time_ns = now_ns(), .text_size = (uint32_t)strlen(text) };

	return put_control(f, PILLION_RECORD_NOTE, bytes,
			   with_text(bytes, &rec, sizeof(rec), text));
}

bool fake_code(const struct fake *f, uint32_t lane, uint64_t key, const char *name,
	       const char *file, uint32_t first_line)
{
	/* Two bytes of instructions a line: lnotab pairs (2, 1). */
	static const uint8_t table[] = { 2, 1, 2, 1, 2, 1, 2, 1 };
	char bytes[MAX_RECORD];
	struct pln_wire_code rec = {
		.key = key,
		.first_line = first_line,
		.linetable_size = sizeof(table),
		.qualname_size = (uint16_t)strlen(name),
		.filename_size = (uint16_t)strlen(file),
		.linetable_kind = PILLION_LINETABLE_LNOTAB,
	};
	size_t size = with_text(bytes, &rec, sizeof(rec), name);

	memcpy(bytes + size, file, strlen(file));
	size += strlen(file);
	memcpy(bytes + size, table, sizeof(table));
	return fake_put(fake_lane(f, lane), f->lane_data, PILLION_RECORD_CODE, bytes,
			size + sizeof(table));
}

static size_t align8(size_t size)
{
	return (size + 7) & ~(size_t)7;
}

/* Native frame i lies in [16 i, 16 i + 16); Python frame i marks native frame i. */
bool fake_sample(const struct fake *f, struct pln_lane *lane, const struct fake_sample *s)
{
	char bytes[MAX_RECORD] = { 0 };
	struct pln_sample rec = {
		.time_ns = s->time_ns ? s->time_ns : now_ns(),
		.cpu_ns = s->cpu_ns,
		.stack_hash = s->hash,
		.sp = 0x7000,
		.thread = s->serial,
		.syscall_nr = -1,
		.flags = s->flags,
		.native_count = (uint16_t)s->native_count,
		.python_count = (uint16_t)s->python_count,
	};
	size_t at = sizeof(rec);

	memcpy(bytes, &rec, sizeof(rec));
	for (unsigned i = 0; i < s->native_count; i++, at += sizeof(uint64_t))
		memcpy(bytes + at, &s->pc[i], sizeof(uint64_t));
	for (unsigned i = 0; i < s->native_count; i++, at += sizeof(uint32_t)) {
		uint32_t cfa = 16 * (i + 1);

		memcpy(bytes + at, &cfa, sizeof(cfa));
	}
	at = align8(at);
	for (unsigned i = 0; i < s->python_count; i++, at += sizeof(struct pln_wire_frame)) {
		struct pln_wire_frame frame = { s->codes[i], s->instr ? s->instr[i] : 0,
						16 * i + 8 };

		memcpy(bytes + at, &frame, sizeof(frame));
	}
	return fake_put(lane, f->lane_data, PILLION_RECORD_SAMPLE, bytes, at);
}
