/* SPDX-License-Identifier: MIT */
/*
 * control.h - what `pillion ctl` and a collector say to each other.
 *
 * One message and one answer, over the socket that targets say hello to. Both sides ask the
 * kernel who the other is: a collector obeys its own user and root, and nobody else.
 */
#ifndef PILLION_COLLECTOR_CONTROL_H
#define PILLION_COLLECTOR_CONTROL_H

#include <stdint.h>

#define PLN_CONTROL_MAGIC 0x4c544350u /* "PCTL" */
#define PLN_CONTROL_VERSION 1

enum pln_control_verb {
	PLN_CONTROL_QUERY = 0,
	PLN_CONTROL_START = 1,
	PLN_CONTROL_STOP = 2,
	PLN_CONTROL_ROTATE = 3,
};

struct pln_control {
	uint32_t magic; /* PLN_CONTROL_MAGIC */
	uint16_t version;
	uint16_t verb; /* enum pln_control_verb */
	uint32_t pid; /* of a process as the collector sees it, else as it sees itself; or the
			 collector's own: all of its processes */
	uint32_t reserved;
};

struct pln_control_answer {
	uint32_t magic;
	int32_t status; /* 0; -ESRCH: not my process; -EACCES; -EOPNOTSUPP; -ECANCELED: too late */
	uint32_t processes; /* that were meant */
	uint32_t sampling; /* of these */
	uint32_t files; /* that have ended */
	uint32_t reserved;
};

#endif
