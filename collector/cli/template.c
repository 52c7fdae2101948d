/* SPDX-License-Identifier: MIT */
/*
 * template.c - see template.h.
 */
#include "cli/template.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MAX_NUMBER 100000u
#define HOW "-o or PILLION_OUTPUT"
#define OWNER_ONLY 0600 /* it tells command lines and paths */
#define LOCK_TRIES 10 /* a millisecond apart: who makes room looks at it for a moment */

struct text {
	char *at;
	size_t left; /* with the terminator */
	bool cut;
};

static void append(struct text *t, const char *part)
{
	size_t length = strlen(part);

	if (length >= t->left) {
		t->cut = true;
		return;
	}
	memcpy(t->at, part, length + 1);
	t->at += length;
	t->left -= length;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash && slash[1] ? slash + 1 : path;
}

/*
 * Others say what they are called, and a name is no place: it has no slash in it, and does not
 * begin with a dot.
 */
static void clean_name(char name[NAME_MAX + 1], const char *said)
{
	size_t n = 0;

	for (; said[n] && n < NAME_MAX; n++) {
		unsigned char c = (unsigned char)said[n];

		name[n] = c == '/' || c < ' ' || c == 0x7f || (c == '.' && !n) ? '_' : said[n];
	}
	name[n] = '\0';
}

static void name_host(char name[NAME_MAX + 1])
{
	char host[256] = "";

	(void)gethostname(host, sizeof(host) - 1);
	clean_name(name, host);
}

static void append_time(struct text *t)
{
	time_t now = time(NULL);
	char text[32] = "";
	struct tm tm;

	if (localtime_r(&now, &tm))
		strftime(text, sizeof(text), "%Y%m%dT%H%M%S", &tm);
	append(t, text);
}

static bool append_value(struct text *t, char letter, const struct pln_template_values *values)
{
	char number[24], name[NAME_MAX + 1];

	switch (letter) {
	case 'p':
		snprintf(number, sizeof(number), "%ld", (long)values->pid);
		append(t, number);
		return true;
	case 'n':
		snprintf(number, sizeof(number), "%u", values->number);
		append(t, number);
		return true;
	case 'h':
		name_host(name);
		append(t, name);
		return true;
	case 't':
		append_time(t);
		return true;
	case 'e':
		clean_name(name, base_name(values->program));
		append(t, name);
		return true;
	case '%':
		append(t, "%");
		return true;
	default:
		return false;
	}
}

int pln_template_expand(char *out, size_t size, const char *text,
			const struct pln_template_values *values, bool *numbered, char *bad)
{
	struct text t = { out, size, false };
	char one[2] = "";

	*numbered = false;
	*out = '\0';
	for (; *text; text++) {
		if (*text != '%') {
			one[0] = *text;
			append(&t, one);
			continue;
		}
		text++;
		*numbered |= *text == 'n';
		if (!append_value(&t, *text, values)) {
			*bad = *text ? *text : ' ';
			return -EINVAL;
		}
	}
	return t.cut ? -ENAMETOOLONG : 0;
}

/* ------------------------------------------------------------------- output */

static bool is_directory(const char *path)
{
	struct stat st;

	return !stat(path, &st) && S_ISDIR(st.st_mode);
}

/* The file's directory is there. */
static bool has_directory(const char *path)
{
	char directory[4096];
	const char *slash = strrchr(path, '/');

	if (!slash)
		return true;
	snprintf(directory, sizeof(directory), "%.*s", (int)(slash - path) + 1, path);
	return is_directory(directory);
}

/* What to do about an errno of opening. */
static const char *advice(int error, const char *path)
{
	switch (error) {
	case EEXIST:
		return "choose another name with -o, or overwrite it with --force";
	case ENOENT:
		if (has_directory(path))
			return "no file can be made there; choose another directory with " HOW;
		return "create the directory first, or choose another with " HOW;
	case EACCES:
	case EPERM:
	case EROFS:
		return "choose a directory that you can write to with " HOW;
	case ENOSPC:
	case EDQUOT:
		return "free some space, or choose another place with " HOW;
	case ELOOP:
		return "it is a symbolic link: name the file itself, or another one, with " HOW;
	default:
		return "choose another name with " HOW;
	}
}

/* A path that is too long for `why` loses its beginning, rather than we the way out. */
static int fail(int error, const char *path, char *why, size_t size)
{
	const char *what = strerror(error), *then = advice(error, path);
	size_t rest = sizeof("cannot write the profile ...: ; ") + strlen(what) + strlen(then);
	size_t length = strlen(path), room = size > rest ? size - rest : 0;
	bool cut = length > room;

	snprintf(why, size, "cannot write the profile %s%s: %s; %s", cut ? "..." : "",
		 path + (cut ? length - room : 0), what, then);
	return -error;
}

static int fail_letter(char bad, const char *text, char *why, size_t size)
{
	snprintf(why, size,
		 "unknown %%%c in the profile's name '%s'; known are %%p %%h %%t %%e %%n %%%%", bad,
		 text);
	return -EINVAL;
}

/* Which may be a pipe: a profile is not written from its first byte to its last. */
static bool is_stdout(const char *text)
{
	return !strcmp(text, "-");
}

static int fail_stdout(char *why, size_t size)
{
	snprintf(why, size,
		 "a profile is written to a file, not to stdout; name it with " HOW
		 " (./- if it is to be called that)");
	return -EINVAL;
}

/* /dev/null and its like may be there already. */
static bool is_device(const char *path)
{
	struct stat st;

	return !stat(path, &st) && S_ISCHR(st.st_mode);
}

/*
 * As long as it is written to: who makes room does not take it. Exclusively, as NFS has no other
 * lock for who only writes.
 */
static int lock_opened(const struct pln_output *o)
{
	const struct timespec nap = { .tv_nsec = 1000000 };

	if (o->fd < 0)
		return -errno;
	for (unsigned i = 0; flock(o->fd, LOCK_EX | LOCK_NB); i++) {
		if (errno != EWOULDBLOCK || i == LOCK_TRIES)
			break;
		nanosleep(&nap, NULL);
	}
	return 0;
}

static int open_new(struct pln_output *o)
{
	int flags = O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC | O_NOCTTY;

	o->fd = open(o->path, flags, OWNER_ONLY);
	o->created = o->fd >= 0;
	return lock_opened(o);
}

/* Whoever may make a link where we write must not choose what we overwrite by it. */
static int open_linked(const char *path, int flags)
{
	int fd = open(path, flags);
	struct stat st;

	if (fd < 0 || (!fstat(fd, &st) && S_ISCHR(st.st_mode)))
		return fd;
	close(fd);
	errno = ELOOP;
	return -1;
}

static int open_old(struct pln_output *o)
{
	int flags = O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;

	o->created = false;
	o->fd = open(o->path, flags | O_NOFOLLOW);
	/* /dev/stdout and its like lead to devices. */
	if (o->fd < 0 && errno == ELOOP)
		o->fd = open_linked(o->path, flags);
	return lock_opened(o);
}

static int open_path(struct pln_output *o, enum pln_overwrite overwrite)
{
	int error = open_new(o);

	if (error == -EEXIST && (overwrite == PLN_OVERWRITE_YES || is_device(o->path)))
		error = open_old(o);
	return error;
}

/* "a.pillion" is taken: "a.2.pillion". */
static int number_path(struct pln_output *o, const char *path, unsigned number)
{
	const char *base = base_name(path);
	const char *dot = strrchr(base, '.');
	size_t stem = dot && dot != base ? (size_t)(dot - path) : strlen(path);
	int n = snprintf(o->path, sizeof(o->path), "%.*s.%u%s", (int)stem, path, number,
			 path + stem);

	return n < (int)sizeof(o->path) ? 0 : -ENAMETOOLONG;
}

static int open_avoiding(struct pln_output *o)
{
	char path[sizeof(o->path)];
	int error = open_path(o, PLN_OVERWRITE_NO);

	strcpy(path, o->path);
	for (unsigned n = 2; error == -EEXIST && n < MAX_NUMBER; n++) {
		error = number_path(o, path, n);
		if (!error)
			error = open_new(o);
	}
	return error;
}

/* A directory as the template means: the usual name in it. */
static int choose_text(char *out, size_t size, const char *text)
{
	size_t length = strlen(text);
	bool slash = length && text[length - 1] == '/';
	int n = snprintf(out, size, "%s", text);

	if (slash || is_directory(text))
		n = snprintf(out, size, "%s%s%s", text, slash ? "" : "/", PLN_TEMPLATE_DEFAULT);
	return n < (int)size ? 0 : -ENAMETOOLONG;
}

int pln_output_open(struct pln_output *o, const char *text, pid_t pid, const char *program,
		    enum pln_overwrite overwrite, char *why, size_t why_size)
{
	struct pln_template_values values = { pid, program, 1 };
	char chosen[sizeof(o->path)];
	bool numbered = false;
	char bad = 0;
	int error;

	*o = (struct pln_output){ .fd = -1 };
	if (is_stdout(text))
		return fail_stdout(why, why_size);
	error = choose_text(chosen, sizeof(chosen), text);
	for (; !error; values.number++) {
		error = pln_template_expand(o->path, sizeof(o->path), chosen, &values, &numbered,
					    &bad);
		if (error)
			break;
		error = overwrite == PLN_OVERWRITE_AVOID && !numbered
				? open_avoiding(o)
				: open_path(o, numbered ? PLN_OVERWRITE_NO : overwrite);
		if (error != -EEXIST || !numbered || values.number >= MAX_NUMBER)
			break;
		error = 0;
	}
	if (error == -EINVAL && bad)
		fail_letter(bad, text, why, why_size);
	else if (error)
		fail(-error, *o->path ? o->path : text, why, why_size);
	return error;
}

static int open_with_number(struct pln_output *o, const char *chosen, pid_t pid,
			    const char *program, unsigned number, char *bad)
{
	struct pln_template_values values = { pid, program, number };
	char path[sizeof(o->path)];
	bool numbered;
	int error = pln_template_expand(path, sizeof(path), chosen, &values, &numbered, bad);

	if (error)
		return error;
	if (!numbered)
		error = number_path(o, path, number);
	else
		strcpy(o->path, path);
	return error ? error : open_new(o);
}

int pln_output_open_numbered(struct pln_output *o, const char *text, pid_t pid, const char *program,
			     unsigned *number, char *why, size_t why_size)
{
	char chosen[sizeof(o->path)], bad = 0;
	int error;

	*o = (struct pln_output){ .fd = -1 };
	error = choose_text(chosen, sizeof(chosen), text);
	while (!error) {
		error = open_with_number(o, chosen, pid, program, *number, &bad);
		if (error != -EEXIST || *number >= MAX_NUMBER)
			break;
		error = 0;
		++*number;
	}
	if (error)
		fail(-error, *o->path ? o->path : text, why, why_size);
	return error;
}

/* -------------------------------------------------------------------- check */

/* The same whoever says hello, and whenever. */
static bool is_settled(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (text[i] == '%' && strchr("pent", text[++i]))
			return false;
	return true;
}

static int check_file(const char *path, enum pln_overwrite overwrite)
{
	if (overwrite == PLN_OVERWRITE_NO && !is_device(path))
		return -EEXIST;
	return access(path, W_OK) ? -errno : 0;
}

static int check_directory(const char *path)
{
	char directory[PATH_MAX];
	int length = (int)(base_name(path) - path);

	snprintf(directory, sizeof(directory), "%.*s", length, path);
	return access(length ? directory : ".", W_OK | X_OK) ? -errno : 0;
}

/* `path`: what `text` becomes, right as far as that is settled. */
static int check_place(const char *text, const char *path, enum pln_overwrite overwrite)
{
	if (!is_settled(text, (size_t)(base_name(text) - text)))
		return 0;
	if (is_settled(text, strlen(text)) && !access(path, F_OK))
		return check_file(path, overwrite);
	return check_directory(path);
}

int pln_output_check(const char *text, enum pln_overwrite overwrite, char *why, size_t why_size)
{
	static const struct pln_template_values nobody = { 1, "", 1 };
	char chosen[PATH_MAX], path[PATH_MAX], bad = 0;
	bool numbered;
	int error;

	if (is_stdout(text))
		return fail_stdout(why, why_size);
	error = choose_text(chosen, sizeof(chosen), text);
	if (!error)
		error = pln_template_expand(path, sizeof(path), chosen, &nobody, &numbered, &bad);
	if (error == -EINVAL)
		return fail_letter(bad, text, why, why_size);
	if (!error)
		error = check_place(chosen, path, overwrite);
	return error ? fail(-error, chosen, why, why_size) : 0;
}

/* ------------------------------------------------------------------ pattern */

/* *dot: where the last dot begins. */
static void append_literally(struct text *t, const char *part, char **dot)
{
	char one[3] = "\\";

	for (; *part; part++) {
		if (*part == '.')
			*dot = t->at;
		one[1] = *part;
		append(t, strchr(".[\\()*+?{|^$", *part) ? one : one + 1);
	}
}

static void append_pattern(struct text *t, char letter, const char *program, char **dot)
{
	char name[NAME_MAX + 1];

	switch (letter) {
	case 'p':
	case 'n':
		append(t, "[0-9]+");
		break;
	case 't':
		append(t, "[0-9]{8}T[0-9]{6}");
		break;
	case 'h':
		name_host(name);
		append_literally(t, name, dot);
		break;
	case 'e':
		clean_name(name, base_name(program));
		append_literally(t, name, dot);
		break;
	default:
		append_literally(t, "%", dot);
		break;
	}
}

static void insert(struct text *t, char *at, const char *part)
{
	size_t length = strlen(part), behind = (size_t)(t->at - at);

	append(t, part);
	if (t->cut)
		return;
	memmove(at + length, at, behind);
	memcpy(at, part, length);
}

int pln_output_pattern(char *pattern, size_t size, const char *text, const char *program)
{
	char chosen[sizeof(((struct pln_output *)0)->path)], one[2] = "";
	struct text t = { pattern, size, false };
	char *start, *dot = NULL;
	bool numbered = false;
	int error = choose_text(chosen, sizeof(chosen), text);

	if (error)
		return error;
	append(&t, "^");
	start = t.at;
	for (const char *base = base_name(chosen); *base; base++) {
		if (*base == '%' && base[1]) {
			numbered |= *++base == 'n';
			append_pattern(&t, *base, program, &dot);
			continue;
		}
		one[0] = *base;
		append_literally(&t, one, &dot);
	}
	/* As number_path() has it. */
	if (!numbered)
		insert(&t, dot && dot != start ? dot : t.at, "(\\.[0-9]+)?");
	append(&t, "$");
	return t.cut ? -ENAMETOOLONG : 0;
}

int pln_output_commit(struct pln_output *o)
{
	struct stat st;

	if (o->created || fstat(o->fd, &st) || !S_ISREG(st.st_mode))
		return 0;
	return ftruncate(o->fd, 0) ? -errno : 0;
}

void pln_output_close(struct pln_output *o, bool nothing_written)
{
	if (o->fd >= 0)
		close(o->fd);
	o->fd = -1;
	if (nothing_written && o->created)
		unlink(o->path);
	o->created = false;
}
