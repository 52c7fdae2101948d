/* SPDX-License-Identifier: MIT */
/*
 * cli.h - what every verb of the command line shares.
 *
 * A verb is a function pln_cmd_<verb>(argc, argv), argv[0] being the verb's name; it
 * returns an enum pln_exit. It describes itself by a struct pln_verb and a table of
 * struct pln_option, from which come both the parsing and the help, so that the two
 * cannot disagree. Messages are one line on stderr: what, why, what to do.
 */
#ifndef PILLION_COLLECTOR_CLI_H
#define PILLION_COLLECTOR_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum pln_exit {
	PLN_EXIT_OK = 0,
	PLN_EXIT_FAILURE = 1, /* I/O, unreadable profile */
	PLN_EXIT_USAGE = 2, /* unknown option or verb, malformed value */
	PLN_EXIT_NO_SAMPLES = 3, /* the profile holds nothing that was asked for */
	PLN_EXIT_DIFFERENT = 4, /* diff --fail-on: something grew */
	PLN_EXIT_WRAPPER = 125, /* record failed before the command was started */
	PLN_EXIT_NOT_EXECUTABLE = 126, /* command found, but it cannot be executed */
	PLN_EXIT_NOT_FOUND = 127, /* command not found */
};

int pln_cmd_record(int argc, char **argv);
int pln_cmd_collect(int argc, char **argv);
int pln_cmd_env(int argc, char **argv);
int pln_cmd_ctl(int argc, char **argv);
int pln_cmd_report(int argc, char **argv);
int pln_cmd_info(int argc, char **argv);
int pln_cmd_export(int argc, char **argv);
int pln_cmd_annotate(int argc, char **argv);
int pln_cmd_diff(int argc, char **argv);
int pln_cmd_merge(int argc, char **argv);
int pln_cmd_stat(int argc, char **argv);
int pln_cmd_html(int argc, char **argv);

/* ------------------------------------------------------------- options.c */

enum pln_option_type {
	PLN_OPTION_GROUP = 0, /* no option: `help` is a heading */
	PLN_OPTION_FLAG, /* to: bool *, set to true */
	PLN_OPTION_NO, /* to: bool *, set to false ("--no-x") */
	PLN_OPTION_TEXT, /* to: const char ** */
	PLN_OPTION_LIST, /* to: char **, what was given, with commas between; freed by the caller */
	PLN_OPTION_NUMBER, /* to: uint64_t *, decimal, min..max */
	PLN_OPTION_SECONDS, /* to: uint64_t *, in nanoseconds; "90", "0.5", "5m"; min..max: seconds
			     */
	PLN_OPTION_CHOICE, /* to: unsigned *, the index in choices[] */
};

struct pln_option {
	enum pln_option_type type;
	const char *name; /* "output" for --output */
	char letter; /* 'o' for -o, or 0 */
	const char *metavar; /* of the value; NULL for flags */
	const char *help;
	void *to;
	uint64_t min, max; /* NUMBER */
	uint64_t alone; /* NUMBER: the value without "=VALUE"; 0: there must be one */
	const char *const *choices; /* CHOICE: ends with NULL; unambiguous prefixes are accepted */
	bool (*is_good)(const char *value); /* NUMBER, LIST: more than the type says; or NULL */
	const char *wanted; /* what is_good() takes: "--name wants ..." */
	bool hidden; /* accepted, not in the help */
	bool rare; /* named in the help, shown by --help=all and in the man page */
};

/* -h, --help and --help=all need no row: they are always there. */
struct pln_verb {
	const char *name;
	const char *usage; /* what follows "usage: pillion NAME ": "[options] [FILE]" */
	const char *summary; /* what it does, one sentence */
	const struct pln_option *options;
	size_t option_count;
	const char *const *examples; /* ends with NULL; "command  # what for" */
	bool command_follows; /* the first operand ends the options (record) */
};

/* What is left of argv without its options, in order. */
struct pln_operands {
	char **value;
	int count;
};

/*
 * Parses argv[1..] by the verb's table: --name VALUE, --name=VALUE, --name[=VALUE], unambiguous
 * prefixes of names, -xVALUE, -x VALUE, clustered flags, "--". Returns -1 when the verb is to go
 * on, else the exit code: help was printed to stdout (PLN_EXIT_OK), or an error and a
 * hint to stderr (PLN_EXIT_USAGE). argv is permuted.
 */
int pln_cli_parse(const struct pln_verb *verb, int argc, char **argv,
		  struct pln_operands *operands);

/* As pillion/duration.h has it, to nanoseconds; false for anything else, and outside of min..max
 * seconds. */
bool pln_cli_parse_seconds(const char *text, uint64_t min, uint64_t max, uint64_t *ns);

/* Prints "pillion VERB: ..." and where help is; returns PLN_EXIT_USAGE. */
int pln_cli_usage_error(const struct pln_verb *verb, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* ------------------------------------------------------------ terminal.c */

/* One line on stderr, "pillion: " before it and a newline behind it. */
void pln_cli_message(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Ends what goes to stdout; PLN_EXIT_OK, or PLN_EXIT_FAILURE and a line that says why. */
int pln_cli_end_output(void);

/* "cannot write to stdout: ..."; returns PLN_EXIT_FAILURE. `err`: -errno. */
int pln_cli_cannot_print(int err);

/* As --color=auto|always|never; auto obeys NO_COLOR, CLICOLOR_FORCE, TERM and isatty. */
enum pln_color {
	PLN_COLOR_AUTO = 0,
	PLN_COLOR_ALWAYS = 1,
	PLN_COLOR_NEVER = 2,
};
extern const char *const pln_color_choices[]; /* in the order of enum pln_color */
bool pln_cli_use_color(FILE *stream, enum pln_color when);

/* Columns of the terminal behind `stream`; `otherwise` when it is none. */
unsigned pln_cli_width(FILE *stream, unsigned otherwise);

/* -------------------------------------------------------------- newest.c */

/*
 * The profile to read when none is named: the newest *.pillion of the current
 * directory. Returns it in `path`, or -ENOENT.
 */
int pln_cli_newest_profile(char *path, size_t size);

#endif
