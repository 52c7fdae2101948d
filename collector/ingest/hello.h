/* SPDX-License-Identifier: MIT */
/*
 * hello.h - who may join a recording. Private to ingest/.
 */
#ifndef PILLION_COLLECTOR_HELLO_H
#define PILLION_COLLECTOR_HELLO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <pillion/wire.h>

#include "ingest/target.h"

struct pln_hello_rules {
	bool need_token; /* else: the same user, root, or those below */
	bool any_user;
	const uid_t *users;
	size_t user_count;
	uint8_t token[PILLION_TOKEN_SIZE];
};

/*
 * Reads the hello that waits on `conn` and maps its segment. Returns 0, or -errno with
 * the reason in `why`; then nothing is held.
 */
int pln_hello_take(int conn, const struct pln_hello_rules *rules, struct pln_target_hello *hello,
		   char *why, size_t why_size);

/* Lets go of what a hello that was taken holds, where nobody takes it over. */
void pln_hello_release(struct pln_target_hello *hello);

/* Tells the target whether it is in (0) or why not. */
void pln_hello_answer(int conn, int status, const char *why);

#endif
