/* SPDX-License-Identifier: MIT */
/*
 * socket.h - the socket that targets say hello to, and the token they show.
 */
#ifndef PILLION_COLLECTOR_SOCKET_H
#define PILLION_COLLECTOR_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <pillion/wire.h>

#define PLN_ADDRESS_SIZE 108

/* A listening SOCK_SEQPACKET at "@name" or "/path". Returns its fd or -errno. */
int pln_socket_listen(const char *address);

/* "@pillion-<random>". Returns 0 or -errno. */
int pln_socket_random_address(char address[PLN_ADDRESS_SIZE]);

/*
 * Connects, and checks that who listens there is our user or root (root trusts anybody); waits
 * a second at most for what is sent and received. Returns its fd or -errno.
 */
int pln_socket_connect(const char *address);

/* Takes the file of a "/path" away. */
void pln_socket_remove(const char *address);

/* A process that is recorded takes a descriptor or two, a profile that is merged one: as many as
 * may be had. */
void pln_socket_raise_fd_limit(void);

int pln_token_random(uint8_t token[PILLION_TOKEN_SIZE]);
void pln_token_format(const uint8_t token[PILLION_TOKEN_SIZE],
		      char text[2 * PILLION_TOKEN_SIZE + 1]);
/* False when it is not 32 hex digits. */
bool pln_token_parse(const char *text, uint8_t token[PILLION_TOKEN_SIZE]);

#endif
