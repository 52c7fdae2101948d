/* SPDX-License-Identifier: MIT */
/*
 * names.c - see names.h.
 */
#include "report/names.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

enum {
	LONG_NAME = 32, /* of a native function: a longer one is shown without its arguments */
	LONG_ARGUMENT = 20, /* of a template */
	LONG_COMMAND = 40,
	LONG_START = 12, /* of a command, behind its program */
	WHEEL_HASH = 9, /* "-96fb9b2e" */
};

/* Made at build time from <asm/unistd_64.h>: lines of the form [0] = "read". */
static const char *const syscall_names[] = {
#include "syscall_names.inc"
};

const char *pln_syscall_name(int32_t number)
{
	size_t count = sizeof(syscall_names) / sizeof(*syscall_names);

	return number >= 0 && (size_t)number < count ? syscall_names[number] : NULL;
}

/* Behind the last "/<mark>" of the path, or NULL. */
static const char *behind_last(const char *file, const char *mark)
{
	const char *found = NULL;

	for (const char *at = file; (at = strstr(at, mark)); at++)
		found = at + strlen(mark);
	return found;
}

/* Behind ".../lib/python3.11/", or NULL. */
static const char *behind_standard_library(const char *file)
{
	const char *version = behind_last(file, "/lib/python3.");
	const char *slash = version ? strchr(version, '/') : NULL;

	return slash ? slash + 1 : NULL;
}

/* What a package or the standard library calls the file, or NULL. */
static const char *behind_installed(const char *file)
{
	const char *found = behind_last(file, "/site-packages/");

	if (!found)
		found = behind_last(file, "/dist-packages/");
	return found ? found : behind_standard_library(file);
}

const char *pln_short_file(const char *file, const char *working_directory)
{
	size_t size = working_directory ? strlen(working_directory) : 0;
	const char *found = behind_installed(file);

	if (!found && size > 1 && !strncmp(file, working_directory, size) && file[size] == '/')
		found = file + size + 1;
	return found && *found ? found : file;
}

bool pln_is_library_file(const char *file)
{
	static const char *const typed[] = { "<string>", "<stdin>", "<ipython-input-" };

	for (size_t i = 0; i < sizeof(typed) / sizeof(*typed); i++)
		if (!strncmp(file, typed[i], strlen(typed[i])))
			return false;
	return *file == '<' || behind_installed(file);
}

const char *pln_short_library(const char *name, char *buffer, size_t size)
{
	static const char *const ends[] = { ".cpython-", ".abi3.", ".so" };
	size_t length = strlen(name);

	for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++) {
		const char *end = strstr(name, ends[i]);

		if (end && end > name && (size_t)(end - name) < length)
			length = (size_t)(end - name);
	}
	/* Wheels bring libraries with a hash behind their name. */
	if (length > WHEEL_HASH && name[length - WHEEL_HASH] == '-' &&
	    strspn(name + length - WHEEL_HASH + 1, "0123456789abcdef") >= WHEEL_HASH - 1)
		length -= WHEEL_HASH;
	snprintf(buffer, size, "%.*s", (int)length, name);
	return buffer;
}

const char *pln_function_name(const struct pln_profile *profile, uint32_t id)
{
	return id < profile->function_count ? profile->functions[id].name : "(no stack)";
}

/* Opening brackets that belong to a name, not around arguments. */
static size_t plain_bracket(const char *name, const char *at)
{
	static const char *const words[] = { "(anonymous namespace)", "<lambda", "<unknown>" };
	static const char behind[] = "operator";
	size_t before = (size_t)(at - name), size = sizeof(behind) - 1;

	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
		if (!strncmp(at, words[i], strlen(words[i])))
			return strlen(words[i]);
	}
	if (before >= size && !strncmp(at - size, behind, size))
		return *at == '(' ? 2 : strspn(at, "<=");
	return 0;
}

/* Behind the bracket that closes the one at `at`, or NULL. */
static const char *behind_bracket(const char *at)
{
	unsigned depth = 0;

	for (; *at; at++) {
		if (*at == '<' || *at == '(')
			depth++;
		else if (*at == ')' || (*at == '>' && at[-1] != '-'))
			depth--;
		if (!depth)
			return at + 1;
	}
	return NULL;
}

/* Bytes of the first argument in the brackets [at, end). */
static size_t first_argument(const char *at, const char *end)
{
	const char *start = ++at, *last = end - 1;

	while (at < last && *at != ',') {
		const char *behind = *at == '<' || *at == '(' ? behind_bracket(at) : NULL;

		at = behind ? behind : at + 1;
	}
	/* A "less than" among the arguments has no other end. */
	return (size_t)((at < last ? at : last) - start);
}

/* The brackets [at, end) with what tells instances of a template apart: a short argument. */
static size_t put_brackets(char *buffer, size_t size, const char *at, const char *end)
{
	size_t all = (size_t)(end - at) - 2, first = first_argument(at, end);
	const char *rest = ", ..";
	int used;

	if (*at == '(' || first > LONG_ARGUMENT) {
		first = 0;
		rest = all ? ".." : "";
	} else if (first >= all) {
		rest = "";
	}
	used = snprintf(buffer, size, "%c%.*s%s%c", *at, (int)first, at + 1, rest, end[-1]);
	return (size_t)used < size ? (size_t)used : size - 1;
}

/*
 * "<Cell>" of "<pyo3::sync::Cell<T> as Drop>", with which Rust names begin: the type, without
 * its path, arguments and trait. Bytes used; 0: it is no plain type.
 */
static size_t put_own_type(char *buffer, size_t size, const char *at, const char *end)
{
	static const char letters[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
	const char *type = at + 1, *behind = type;
	int used;

	while (behind < end - 1) {
		size_t part = strspn(behind, letters);

		if (!part)
			return 0;
		type = behind;
		behind += part;
		if (strncmp(behind, "::", 2))
			break;
		behind += 2;
	}
	if (behind >= end || !strchr("<> ", *behind))
		return 0;
	used = snprintf(buffer, size, "<%.*s>", (int)(behind - type), type);
	return (size_t)used < size ? (size_t)used : size - 1;
}

const char *pln_short_symbol(const char *name, char *buffer, size_t size)
{
	size_t used = 0, own;
	const char *at = name;

	while (*at && used + 5 < size) {
		bool opens = *at == '<' || *at == '(';
		size_t plain = opens ? plain_bracket(name, at) : 1;
		const char *end = plain ? NULL : behind_bracket(at);

		if (plain) {
			plain = strnlen(at, plain < size - used - 5 ? plain : size - used - 5);
			memcpy(buffer + used, at, plain ? plain : 1);
			used += plain ? plain : 1;
			at += plain ? plain : 1;
			continue;
		}
		if (!end) /* Not balanced: leave it alone. */
			return name;
		own = at == name && *at == '<' && end[0] == ':'
			      ? put_own_type(buffer, size, at, end)
			      : 0;
		used += own ? own : put_brackets(buffer + used, size - used, at, end);
		at = end;
	}
	buffer[used] = '\0';
	return buffer;
}

/* "_json+0x1234" of "_json.cpython-311-x86_64-linux-gnu.so+0x1234". */
static const char *short_unknown(const char *name, char *buffer, size_t size)
{
	const char *plus = strrchr(name, '+');
	char library[128];

	if (!plus || (size_t)(plus - name) >= sizeof(library))
		return name;
	snprintf(buffer, size, "%.*s", (int)(plus - name), name);
	snprintf(buffer, size, "%s%s", pln_short_library(buffer, library, sizeof(library)), plus);
	return buffer;
}

const char *pln_short_function_name(const struct pln_profile *profile, uint32_t id, char *buffer,
				    size_t size)
{
	const char *name = pln_function_name(profile, id);

	if (id >= profile->function_count || strlen(name) <= LONG_NAME ||
	    profile->functions[id].kind == PLN_FUNCTION_PYTHON)
		return name;
	if (profile->functions[id].unknown)
		return short_unknown(name, buffer, size);
	return pln_short_symbol(name, buffer, size);
}

const char *pln_function_kind_name(const struct pln_profile *profile, uint32_t id)
{
	if (id >= profile->function_count)
		return "";
	return profile->functions[id].kind == PLN_FUNCTION_PYTHON ? "python" : "native";
}

const char *pln_base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash && slash[1] ? slash + 1 : path;
}

/* "multiprocessing.spawn" out of "... from multiprocessing.spawn import ...": its bytes. */
static size_t starter(const char *command, const char **name)
{
	static const char mark[] = "from multiprocessing.";
	const char *at = strstr(command, mark);

	if (!at)
		return 0;
	*name = at + strlen("from ");
	return strcspn(*name, " ");
}

const char *pln_short_command(const char *command, size_t same, char *buffer, size_t size)
{
	size_t program = strcspn(command, " "), used, text;
	const char *base = command + program, *rest = command + program, *name = NULL;

	while (base > command && base[-1] != '/')
		base--;
	text = starter(command, &name);
	if (text) {
		snprintf(buffer, size, "%.*s", (int)text, name);
		return buffer;
	}
	used = (size_t)snprintf(buffer, size, "%.*s", (int)(rest - base), base);
	if (strlen(command) > LONG_COMMAND && same > program + LONG_START) {
		/* From the word on in which they differ. */
		for (rest = command + same; rest[-1] != ' ' && rest[-1] != '\n'; rest--)
			;
		used += (size_t)snprintf(buffer + (used < size ? used : size - 1),
					 used < size ? size - used : 1, " .. ");
	}
	for (; *rest && used + 1 < size; rest++) {
		bool blank = strchr(" \t\n", *rest) != NULL;

		if (!blank || !used || buffer[used - 1] != ' ')
			buffer[used++] = blank ? ' ' : *rest;
	}
	buffer[used < size ? used : size - 1] = '\0';
	return buffer;
}

const char *pln_thread_name(const struct pln_thread *thread, char *buffer, size_t size)
{
	if (thread->name && *thread->name)
		return thread->name;
	snprintf(buffer, size, "tid %u", thread->tid);
	return buffer;
}

const char *pln_python_version(uint32_t hex, char *buffer, size_t size)
{
	unsigned level = hex >> 4 & 0xf;
	const char *suffix = level == 0xa ? "a" : level == 0xb ? "b" : level == 0xc ? "rc" : "";
	int used;

	if (!hex)
		return "none";
	used = snprintf(buffer, size, "%u.%u.%u%s", hex >> 24, hex >> 16 & 0xff, hex >> 8 & 0xff,
			suffix);
	if (*suffix && used > 0 && (size_t)used < size)
		snprintf(buffer + used, size - (size_t)used, "%u", hex & 0xf);
	return buffer;
}

const char *pln_exit_text(int32_t status, char *buffer, size_t size)
{
	if (status == -1)
		return "unknown";
	if (WIFSIGNALED(status)) {
		const char *name = sigabbrev_np(WTERMSIG(status));

		if (name)
			snprintf(buffer, size, "killed by SIG%s", name);
		else
			snprintf(buffer, size, "killed by signal %d", WTERMSIG(status));
	} else {
		snprintf(buffer, size, "exit %d", WEXITSTATUS(status));
	}
	return buffer;
}

const char *pln_process_end_text(const struct pln_process *process, bool recording_ended,
				 char *buffer, size_t size)
{
	if (process->end_ns)
		return pln_exit_text(process->exit_status, buffer, size);
	if (!recording_ended)
		return "still running";
	if (process->exit_status == -1)
		return "ran on after the recording";
	snprintf(buffer, size, "ran on; ");
	pln_exit_text(process->exit_status, buffer + strlen(buffer), size - strlen(buffer));
	return buffer;
}

static const struct {
	const char *key;
	const char *text;
} drops[PILLION_DROP_COUNT] = {
	[PILLION_DROP_LANE_FULL] = { "lane_full", "the collector did not keep up (lane full)" },
	[PILLION_DROP_RECURSION] = { "recursion", "the handler was already running" },
	[PILLION_DROP_SMALL_STACK] = { "small_stack", "no room left on the thread's stack" },
	[PILLION_DROP_NO_LANE] = { "no_lane", "more threads than lanes (--max-threads)" },
	[PILLION_DROP_NO_TIMER] = { "no_timer",
				    "a thread got no timer (RLIMIT_SIGPENDING, ulimit -i)" },
	[PILLION_DROP_SIGNAL_TAKEN] = { "signal_taken", "the program took our signal (--signal)" },
	[PILLION_DROP_SIGNAL_BLOCKED] = { "signal_blocked", "a thread blocks our signal" },
	[PILLION_DROP_BLOCKED_RACE] = { "blocked_race",
					"a blocked thread woke up while it was read" },
	[PILLION_DROP_STALE_SIGNAL] = { "stale_signal", "a signal for a thread already gone" },
	[PILLION_DROP_CODE_UNREADABLE] = { "code_unreadable",
					   "a code object could not be described" },
	[PILLION_DROP_ALLOC_NESTED] = { "alloc_nested", "an allocation inside of another's sample "
							"was not sampled" },
	[PILLION_DROP_LIVE_FULL] = { "live_full", "the free of a sampled block is not followed: "
						  "too many are live" },
	[PILLION_DROP_FREE_LOST] = { "free_lost", "the free of a sampled block was not told: it "
						  "looks live" },
	[PILLION_DROP_CHILD] = { "child", "a forked child is not sampled: a tick did not end in "
					  "time" },
};

const char *pln_drop_text(unsigned drop)
{
	return drop < PILLION_DROP_COUNT ? drops[drop].text : "unknown";
}

const char *pln_drop_key(unsigned drop)
{
	return drop < PILLION_DROP_COUNT ? drops[drop].key : "unknown";
}

unsigned pln_utf8_size(const char *s, uint32_t *code_point)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	const unsigned char *u = (const unsigned char *)s;
	unsigned size = *u < 0x80	      ? 1
			: (*u & 0xe0) == 0xc0 ? 2
			: (*u & 0xf0) == 0xe0 ? 3
			: (*u & 0xf8) == 0xf0 ? 4
					      : 0;
	uint32_t c = size == 1 ? *u : *u & (0x7fu >> size);

	for (unsigned i = 1; i < size; i++) {
		if ((u[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (u[i] & 0x3f);
	}
	if (!size || c < least[size] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return 0;
	*code_point = c;
	return size;
}

/* Would change what stands around it: control, line separator, or direction override. */
static bool is_disruptive(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029 ||
	       (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0x200e ||
	       c == 0x200f || c == 0xfeff;
}

char *pln_printable(const char *text)
{
	/* The longest escape of one byte has four characters; \u2028 has six for three bytes. */
	char *copy = malloc(4 * strlen(text) + 1), *out = copy;

	while (copy && *text) {
		uint32_t c;
		unsigned size = pln_utf8_size(text, &c);

		if (!size) {
			out += sprintf(out, "\\x%02x", (unsigned char)*text++);
		} else if (is_disruptive(c)) {
			out += c == '\n'   ? sprintf(out, "\\n")
			       : c == '\t' ? sprintf(out, "\\t")
			       : c < 0x100 ? sprintf(out, "\\x%02x", c)
					   : sprintf(out, "\\u%04x", c);
			text += size;
		} else {
			memcpy(out, text, size);
			out += size;
			text += size;
		}
	}
	if (copy)
		*out = '\0';
	return copy;
}
