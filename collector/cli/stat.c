/* SPDX-License-Identifier: MIT */
/*
 * stat.c - `pillion stat`: of a profile, or of a command that is recorded for it.
 *
 * The command is recorded by a child that is `pillion record` in all but name, so signals and
 * exit statuses are record's. We wait for it, and end as it did.
 */
#include "stat/stat.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/shared_options.h"
#include "cli/write.h"

#define FUNCTIONS 10

enum format { FORMAT_TEXT = 0, FORMAT_JSON, FORMAT_GITHUB };
static const char *const formats[] = { "text", "json", "github", NULL };

static struct {
	const char *output;
	const char *profile;
	unsigned format; /* enum format */
	unsigned color; /* enum pln_color */
	uint64_t limit;
	bool append;
	bool force;
	bool json;
} args = { .limit = FUNCTIONS };

static const struct pln_option options[] = {
	{ .type = PLN_OPTION_CHOICE,
	  .name = "format",
	  .letter = 'f',
	  .metavar = "FORMAT",
	  .help = "text (default), json, or github: Markdown for a job summary, and warnings as "
		  "workflow commands on stderr",
	  .to = &args.format,
	  .choices = formats },
	{ .type = PLN_OPTION_FLAG,
	  .name = "json",
	  .letter = 'j',
	  .help = "as -f json",
	  .to = &args.json },
	{ .type = PLN_OPTION_TEXT,
	  .name = "output",
	  .letter = 'o',
	  .metavar = "FILE",
	  .help = "where to, - for stdout; default: stdout, for a command stderr",
	  .to = &args.output },
	PLN_OPTION_FORCE(&args.force),
	{ .type = PLN_OPTION_FLAG,
	  .name = "append",
	  .help = "add to the end of that file",
	  .to = &args.append },
	{ .type = PLN_OPTION_TEXT,
	  .name = "profile",
	  .metavar = "FILE",
	  .help = "keep the profile of the command there",
	  .to = &args.profile },
	{ .type = PLN_OPTION_NUMBER,
	  .name = "limit",
	  .letter = 'n',
	  .metavar = "N",
	  .help = "functions shown (default 10), 0: all",
	  .to = &args.limit,
	  .max = UINT32_MAX },
	{ .type = PLN_OPTION_CHOICE,
	  .name = "color",
	  .metavar = "WHEN",
	  .help = "auto (default), always or never",
	  .to = &args.color,
	  .choices = pln_color_choices },
};

static const char *const examples[] = {
	"pillion stat app.pillion",
	"pillion stat -- python app.py",
	"pillion stat -f github -o \"$GITHUB_STEP_SUMMARY\" --append -- pytest",
	NULL,
};

static const struct pln_verb verb = {
	.name = "stat",
	.usage = "[options] [PROFILE | -- COMMAND [ARGUMENT...]]",
	.summary = "Count what a run took: time, GIL, waits, memory, samples, own cost.",
	.options = options,
	.option_count = sizeof(options) / sizeof(*options),
	.examples = examples,
};

/* ---------------------------------------------------------------------- output */

static void write_stat(const struct pln_stat *stat, FILE *out)
{
	struct pln_screen screen = pln_report_screen(args.color);

	screen.out = out;
	if (out != stdout) {
		screen.color = pln_cli_use_color(out, args.color);
		screen.width = pln_cli_width(out, screen.width);
	}
	if (args.format == FORMAT_JSON)
		pln_stat_json(stat, out);
	else if (args.format == FORMAT_GITHUB)
		pln_stat_github(stat, out);
	else
		pln_stat_text(stat, &screen);
	if (args.format == FORMAT_GITHUB)
		pln_stat_github_warnings(stat, stderr);
}

/* Before a command runs: afterwards it is too late to name another place. Returns 0 or -errno. */
static int try_output(const char *path)
{
	const char *slash = strrchr(path, '/');
	char directory[PATH_MAX];
	struct stat st;

	if (!strcmp(path, "-"))
		return 0;
	if (!stat(path, &st) && (args.append || !S_ISREG(st.st_mode)))
		return access(path, W_OK) ? -errno : 0;
	if (snprintf(directory, sizeof(directory), "%.*s", slash ? (int)(slash - path) + 1 : 1,
		     slash ? path : ".") >= (int)sizeof(directory))
		return -ENAMETOOLONG;
	return access(directory, W_OK | X_OK) ? -errno : 0;
}

static int fill(FILE *out, const void *stat)
{
	errno = 0;
	write_stat(stat, out);
	return fflush(out) || ferror(out) ? -(errno ? errno : EIO) : 0;
}

static int append_to(const char *path, const struct pln_stat *stat)
{
	FILE *out = fopen(path, "ae");
	int err;

	if (!out)
		return -errno;
	err = fill(out, stat);
	if (fclose(out) && !err)
		err = -errno;
	return err;
}

/* `path`: NULL, none is named. */
static void cannot_write(const char *path, int err)
{
	pln_cli_message("%s: cannot write: %s%s", path ? path : "the output", strerror(-err),
			path ? "; -o names another place" : "");
}

/* `otherwise`: where to when no file is named. Returns an enum pln_exit. */
static int write_output(const struct pln_stat *stat, FILE *otherwise)
{
	int err;

	if (args.output && !args.append)
		return pln_cli_write(args.output, args.force, fill, stat);
	err = args.output ? append_to(args.output, stat) : fill(otherwise, stat);
	if (!err)
		return PLN_EXIT_OK;
	cannot_write(args.output, err);
	return PLN_EXIT_FAILURE;
}

/* `path`: NULL, it is not kept. */
static int show(struct pln_profile *profile, const char *path, FILE *otherwise)
{
	const struct pln_report_options what = { .view = PLN_VIEW_CPU, .limit = args.limit };
	struct pln_report report;
	struct pln_stat stat;
	int err = pln_report_build(&report, profile, path, &what), status;

	if (err) {
		status = pln_cli_cannot_read(path ? path : "the recording", err);
	} else {
		pln_stat_build(&stat, &report);
		status = write_output(&stat, otherwise);
		/* A command that has run does not run again for another place. */
		if (status && args.output && otherwise == stderr)
			(void)fill(stderr, &stat);
		pln_stat_free(&stat);
	}
	pln_report_free(&report);
	return status;
}

/* --------------------------------------------------------------------- command */

static volatile sig_atomic_t recorder;

/* The recorder decides what becomes of it, as it does when it is called by itself. */
static void pass_on(int signo)
{
	int saved = errno;

	if (recorder > 0)
		kill((pid_t)recorder, signo);
	errno = saved;
}

/* What comes from the terminal the recorder gets as well; all else is passed on. */
static void watch_signals(void)
{
	static const int passed[] = { SIGTERM, SIGHUP, SIGUSR1, SIGUSR2 };
	struct sigaction pass = { .sa_handler = pass_on, .sa_flags = SA_RESTART };

	signal(SIGINT, SIG_IGN);
	signal(SIGQUIT, SIG_IGN);
	for (size_t i = 0; i < sizeof(passed) / sizeof(*passed); i++)
		sigaction(passed[i], &pass, NULL);
}

/* As a template that means just this path; NULL: out of memory. */
static char *literal(const char *path)
{
	char *text = malloc(2 * strlen(path) + 1), *out = text;

	if (!text)
		return NULL;
	for (; *path; path++) {
		if (*path == '%')
			*out++ = '%';
		*out++ = *path;
	}
	*out = '\0';
	return text;
}

/* In the child. One file has to hold all of it, whatever the environment says. */
static int run_record(char **command, int count, const char *path)
{
	static char name[] = "record", output[] = "-o", quiet[] = "-q",
		    whole[] = "--rotate=", all[] = "--keep=", end[] = "--";
	char *own[] = { name, output, literal(path), quiet, whole, all, end };
	size_t own_count = sizeof(own) / sizeof(*own);
	char **argv = calloc(own_count + (size_t)count + 1, sizeof(*argv));

	if (!argv || !own[2])
		return PLN_EXIT_WRAPPER;
	memcpy(argv, own, sizeof(own));
	memcpy(&argv[own_count], command, (size_t)count * sizeof(*command));
	return pln_cmd_record((int)own_count + count, argv);
}

/* Returns wait(2)'s status, or -1 when there was no process to be had. */
static int record(char **command, int count, const char *path)
{
	int status;
	pid_t pid = fork();

	if (!pid)
		exit(run_record(command, count, path));
	if (pid < 0)
		return -1;
	recorder = pid;
	watch_signals();
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	recorder = 0;
	return status;
}

/* As the command ended, so do we. */
static int end_as(int status)
{
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	prctl(PR_SET_DUMPABLE, 0);
	signal(WTERMSIG(status), SIG_DFL);
	raise(WTERMSIG(status));
	return 128 + WTERMSIG(status);
}

/* Returns the path to record to, in `path` unless the user named it; NULL, with a message. */
static const char *choose_profile(char *directory, size_t size, char *path, size_t path_size)
{
	const char *tmp = getenv("TMPDIR");

	if (args.profile && access(args.profile, F_OK))
		return args.profile;
	if (args.profile) {
		pln_cli_message("%s is there already; name another", args.profile);
		return NULL;
	}
	snprintf(directory, size, "%s/pillion-stat-XXXXXX", tmp && *tmp ? tmp : "/tmp");
	if (!mkdtemp(directory)) {
		pln_cli_message("%s: cannot make a directory: %s; set TMPDIR, or name a place with "
				"--profile",
				directory, strerror(errno));
		return NULL;
	}
	snprintf(path, path_size, "%s/run.pillion", directory);
	return path;
}

static int stat_of_command(char **command, int count)
{
	char directory[PATH_MAX - 32], own[PATH_MAX], opened[PATH_MAX];
	struct pln_profile *profile = NULL;
	const char *path;
	int status = args.output ? try_output(args.output) : 0;

	if (args.output && !args.append && !pln_cli_may_write(args.output, args.force))
		return PLN_EXIT_WRAPPER;
	if (status) {
		cannot_write(args.output, status);
		return PLN_EXIT_WRAPPER;
	}
	path = choose_profile(directory, sizeof(directory), own, sizeof(own));
	if (!path)
		return PLN_EXIT_WRAPPER;
	status = record(command, count, path);
	if (status >= 0 && !access(path, F_OK))
		profile = pln_report_open(path, false, opened, sizeof(opened));
	if (profile)
		(void)show(profile, args.profile ? opened : NULL, stderr);
	pln_profile_close(profile);
	if (!args.profile) {
		unlink(path);
		rmdir(directory);
	}
	if (status >= 0)
		return end_as(status);
	pln_cli_message("cannot start a process: %s", strerror(errno));
	return PLN_EXIT_WRAPPER;
}

/* --------------------------------------------------------------------- profile */

static int stat_of_profile(const char *name)
{
	struct pln_profile *profile;
	char path[PATH_MAX];
	int status;

	profile = pln_report_open(name, false, path, sizeof(path));
	if (!profile)
		return PLN_EXIT_FAILURE;
	status = show(profile, path, stdout);
	pln_profile_close(profile);
	return status;
}

static int check_arguments(const struct pln_operands *operands, bool command)
{
	if (command && operands->count)
		return pln_cli_usage_error(&verb, "a profile (%s) or a command, not both",
					   operands->value[0]);
	if (operands->count > 1)
		return pln_cli_usage_error(&verb,
					   "one profile at a time, not also %s; a command is "
					   "written behind --",
					   operands->value[1]);
	if (args.output && !*args.output)
		return pln_cli_usage_error(&verb, "-o wants a file's name, and has an empty one");
	if (args.append && !args.output)
		return pln_cli_usage_error(&verb, "--append to what? -o names the file");
	if (args.profile && !command)
		return pln_cli_usage_error(&verb, "--profile is of a command, behind --");
	if (args.json)
		args.format = FORMAT_JSON;
	if (args.output && !strcmp(args.output, "-"))
		args.append = false;
	return -1;
}

int pln_cmd_stat(int argc, char **argv)
{
	struct pln_operands operands;
	int own = 1, status;

	/* What is behind "--" is the command's. */
	while (own < argc && strcmp(argv[own], "--"))
		own++;
	status = pln_cli_parse(&verb, own, argv, &operands);
	if (status < 0)
		status = check_arguments(&operands, own < argc);
	if (status >= 0)
		return status;
	if (own + 1 == argc)
		return pln_cli_usage_error(&verb, "there is no command behind --");
	if (own < argc)
		return stat_of_command(&argv[own + 1], argc - own - 1);
	return stat_of_profile(operands.count ? operands.value[0] : NULL);
}
