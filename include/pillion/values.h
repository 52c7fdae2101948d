/* SPDX-License-Identifier: MIT */
/*
 * values.h - what the words of a flag mean, and which values of a variable are of use, where
 * its type in env.h does not say it all. The library and `pillion` agree on these.
 */
#ifndef PILLION_VALUES_H
#define PILLION_VALUES_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

/* A FLAG. What is neither yes nor no leaves *on as it is, and returns false. */
static inline bool pln_value_flag(const char *text, bool *on)
{
	static const char *const words[2][4] = { { "0", "no", "off", "false" },
						 { "1", "yes", "on", "true" } };

	for (unsigned i = 0; i < 8; i++) {
		if (strcasecmp(text, words[i / 4][i % 4]))
			continue;
		*on = i >= 4;
		return true;
	}
	return false;
}

/* PILLION_DISABLE: whoever sets it is in need; what does not say no says yes. */
static inline bool pln_value_disables(const char *text)
{
	bool on = true;

	(void)pln_value_flag(text, &on);
	return *text && on;
}

/* PILLION_SIGNAL: 0, or a signal that a program can do without and that samples can come by. */
static inline bool pln_value_is_signal(uint64_t number)
{
	switch (number) {
	/* Cannot be caught. */
	case SIGKILL:
	case SIGSTOP:
	/* Of faults: blocked while they happen, they end the program. */
	case SIGILL:
	case SIGTRAP:
	case SIGABRT:
	case SIGBUS:
	case SIGFPE:
	case SIGSEGV:
	case SIGSYS:
	/* News for the program: a sample that is pending would swallow them. */
	case SIGCHLD:
	case SIGCONT:
	/* glibc's own: it ends threads by one, and changes their users by the other. */
	case 32:
	case 33:
		return false;
	default:
		return number <= 64;
	}
}

/* PILLION_LABELS: "service=api,env=prod", each with a name. Nothing between commas is nothing. */
static inline bool pln_value_is_labels(const char *text)
{
	for (; *text; text += *text == ',') {
		size_t name = strcspn(text, "=,"), size = strcspn(text, ",");

		if (size && (!name || name == size))
			return false;
		text += size;
	}
	return true;
}

#endif
