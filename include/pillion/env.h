/* SPDX-License-Identifier: MIT */
/*
 * env.h - every PILLION_* variable, once.
 *
 * From this table come: the parsing in the library, the options of `pillion
 * record`, `pillion env --help` and pillion-env(7). A row is
 *
 *   X(id, NAME, type, default, min, max, "--long", 's', "METAVAR", "help")
 *
 * type: FLAG (on/off, 1/0, yes/no, true/false), NUMBER (decimal, min..max), SECONDS (as
 * duration.h has it, min..max), CHOICE (a word of METAVAR; the value is its number), TEXT
 * (up to 1023 bytes), LIST (a TEXT with commas in it; its option may be given several times),
 * SECRET (set by pillion itself, shown in no help). '--long' is the option of `record` that sets
 * it ("" when there is none; FLAG options have no value: "--no-x" sets 0, any other sets 1), 's'
 * its short form or 0. An unknown or malformed value means the default, and a note in the profile;
 * of PILLION_DISABLE it means yes.
 *
 * The library does something only when PILLION_OUTPUT or PILLION_SOCKET is set
 * and PILLION_DISABLE is not.
 */
#ifndef PILLION_ENV_H
#define PILLION_ENV_H

/* Bytes of a TEXT, with the one at its end. */
#define PILLION_TEXT_MAX 1024

/* Lanes of a segment are numbered below this. */
#define PILLION_THREADS_MAX 16384

/* What "--burst" alone asks for. */
#define PILLION_BURST_HZ 1000000

enum pln_memory_choice {
	PILLION_MEMORY_OFF,
	PILLION_MEMORY_COUNT,
	PILLION_MEMORY_SAMPLE,
};

#define PILLION_ENV_TABLE(X)                                                                       \
	X(disable, "PILLION_DISABLE", FLAG, 0, 0, 1, "", 0, "0|1",                                 \
	  "do nothing at all; wins over everything else")                                          \
	X(output, "PILLION_OUTPUT", TEXT, 0, 0, 0, "--output", 'o', "FILE|DIR",                    \
	  "where the profile goes; %p pid, %h host, %t time, %e program, %n number")               \
	X(freq, "PILLION_FREQ", NUMBER, 100, 1, 10000, "--freq", 'F', "HZ",                        \
	  "samples per CPU second of each thread")                                                 \
	X(start, "PILLION_START", FLAG, 1, 0, 1, "--no-start", 0, "off|on",                        \
	  "start sampling before pillion_start() is called")                                       \
	X(burst, "PILLION_BURST", NUMBER, 0, 0, 10000000, "--burst", 0, "RATE",                    \
	  "samples a second of Python alone")                                                      \
	X(native, "PILLION_NATIVE", FLAG, 1, 0, 1, "--no-native", 0, "0|1",                        \
	  "record native frames")                                                                  \
	X(subprocesses, "PILLION_SUBPROCESSES", FLAG, 1, 0, 1, "--no-subprocesses", 0, "0|1",      \
	  "follow fork and exec into Python children")                                             \
	X(duration, "PILLION_DURATION", SECONDS, 0, 0, 31536000, "--duration", 'd', "TIME",        \
	  "stop sampling after this long; the program runs on")                                    \
	X(include, "PILLION_INCLUDE", LIST, 0, 0, 0, "--include", 0, "GLOB,...",                   \
	  "record only processes whose program or arguments match")                                \
	X(exclude, "PILLION_EXCLUDE", LIST, 0, 0, 0, "--exclude", 0, "GLOB,...",                   \
	  "do not record processes whose program or arguments match")                              \
	X(labels, "PILLION_LABELS", LIST, 0, 0, 0, "--label", 0, "KEY=VALUE,...",                  \
	  "what to call the process in reports, as service=api,env=prod")                          \
	X(rotate, "PILLION_ROTATE", TEXT, 0, 0, 0, "--rotate", 0, "60s|10M",                       \
	  "go on in a new profile after so long, or at this size")                                 \
	X(keep, "PILLION_KEEP", TEXT, 0, 0, 0, "--keep", 0, "SIZE",                                \
	  "remove the oldest profiles of this name beyond that, such as 2G")                       \
	X(memory, "PILLION_MEMORY", CHOICE, PILLION_MEMORY_SAMPLE, 0, 2, "--memory", 0,            \
	  "off|count|sample", "what is done with malloc and free")                                 \
	X(objects, "PILLION_OBJECTS", FLAG, 0, 0, 1, "--objects", 0, "0|1",                        \
	  "follow Python's own small objects, too")                                                \
	X(alloc_interval, "PILLION_ALLOC_INTERVAL", NUMBER, 0, 0, 1099511627776,                   \
	  "--alloc-interval", 0, "BYTES",                                                          \
	  "mean bytes between sampled allocations, 1: each; 0: 524288, more if busy")              \
	X(max_depth, "PILLION_MAX_DEPTH", NUMBER, 512, 16, 1024, "--max-depth", 0, "FRAMES",       \
	  "most frames kept of a stack, of each kind")                                             \
	X(max_threads, "PILLION_MAX_THREADS", NUMBER, 1024, 16, PILLION_THREADS_MAX,               \
	  "--max-threads", 0, "N", "most threads of a process sampled at one time")                \
	X(signal, "PILLION_SIGNAL", NUMBER, 0, 0, 64, "--signal", 0, "NUMBER",                     \
	  "signal used for CPU samples; 0: a free one")                                            \
	X(log, "PILLION_LOG", TEXT, 0, 0, 0, "", 0, "error|info|debug",                            \
	  "let the library write to stderr; unset: silent")                                        \
	X(collector, "PILLION_COLLECTOR", TEXT, 0, 0, 0, "", 0, "PATH",                            \
	  "which pillion the library starts; default: its own")                                    \
	X(socket, "PILLION_SOCKET", TEXT, 0, 0, 0, "", 0, "ADDRESS",                               \
	  "where a collector listens: @abstract name or /path")                                    \
	X(pager, "PILLION_PAGER", TEXT, 0, 0, 0, "", 0, "COMMAND",                                 \
	  "what pillion shows long text on a terminal with; default: PAGER, else less")            \
	X(token, "PILLION_TOKEN", SECRET, 0, 0, 0, "", 0, "HEX",                                   \
	  "proves to the collector that the process belongs to the session")                       \
	X(only_pid, "PILLION_ONLY_PID", SECRET, 0, 0, 0, "", 0, "PID",                             \
	  "the one process to sample when children are not followed")                              \
	X(keeper, "PILLION_KEEPER", SECRET, 0, 0, 0, "", 0, "PID",                                 \
	  "the process that a container's first one waits for at its end")

#endif
