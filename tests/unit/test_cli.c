/* SPDX-License-Identifier: MIT */
/*
 * test_cli.c - options as users type them, and helpers that verbs share.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "cli/cli.h"
#include "cli/socket.h"

static const char *const kinds[] = { "folded", "pprof", "speedscope", NULL };

static struct {
	bool quiet, verbose, native;
	const char *output;
	uint64_t freq;
	unsigned kind;
} got;

static const struct pln_option options[] = {
	{ .type = PLN_OPTION_GROUP, .name = "", .help = "Group" },
	{ .type = PLN_OPTION_FLAG, .name = "quiet", .letter = 'q', .help = "h", .to = &got.quiet },
	{ .type = PLN_OPTION_FLAG,
	  .name = "verbose",
	  .letter = 'v',
	  .help = "h",
	  .to = &got.verbose },
	{ .type = PLN_OPTION_NO, .name = "no-native", .help = "h", .to = &got.native },
	{ .type = PLN_OPTION_TEXT,
	  .name = "output",
	  .letter = 'o',
	  .metavar = "FILE",
	  .help = "h",
	  .to = &got.output },
	{ .type = PLN_OPTION_NUMBER,
	  .name = "freq",
	  .letter = 'F',
	  .metavar = "HZ",
	  .help = "h",
	  .to = &got.freq,
	  .min = 1,
	  .max = 1000 },
	{ .type = PLN_OPTION_CHOICE,
	  .name = "format",
	  .letter = 'f',
	  .metavar = "FORMAT",
	  .help = "h",
	  .to = &got.kind,
	  .choices = kinds },
};

/* Parses the words of `line`; the operands come back joined by '|'. */
static int parse(const char *line, bool command_follows, char *operands)
{
	struct pln_verb verb = { .name = "test",
				 .usage = "",
				 .summary = "",
				 .options = options,
				 .option_count = sizeof(options) / sizeof(options[0]),
				 .command_follows = command_follows };
	static char copy[256];
	char *argv[32] = { "test" }, *save = NULL;
	struct pln_operands left;
	int argc = 1, result;

	memset(&got, 0, sizeof(got));
	got.native = true;
	snprintf(copy, sizeof(copy), "%s", line);
	for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save))
		argv[argc++] = word;
	result = pln_cli_parse(&verb, argc, argv, &left);
	*operands = '\0';
	for (int i = 0; i < left.count; i++) {
		strcat(operands, i ? "|" : "");
		strcat(operands, left.value[i]);
	}
	return result;
}

static void check_parse(const char *line, bool command_follows, const char *expected)
{
	char operands[256];

	CHECK_EQ(parse(line, command_follows, operands), -1);
	CHECK_STR(operands, expected);
}

static void test_what_users_type(void)
{
	check_parse("-q a --output=x b", false, "a|b");
	CHECK(got.quiet && got.native && !strcmp(got.output, "x"));
	check_parse("-qvo x", false, "");
	CHECK(got.quiet && got.verbose && !strcmp(got.output, "x"));
	check_parse("-ox -F99 -f pp", false, "");
	CHECK(!strcmp(got.output, "x") && got.freq == 99 && got.kind == 1);
	check_parse("--no-n --fr 7 --out=", false, "");
	CHECK(!got.native && got.freq == 7 && got.output && !*got.output);
	check_parse("a -- -q --freq", false, "a|-q|--freq");
	CHECK(!got.quiet);
	check_parse("- -q", false, "-");
	CHECK(got.quiet);
}

static void test_a_command_keeps_its_options(void)
{
	check_parse("-q python -v --freq x -- y", true, "python|-v|--freq|x|--|y");
	CHECK(got.quiet && !got.verbose);
	check_parse("-q -- -v x", true, "-v|x");
	CHECK(!got.verbose);
}

static void test_mistakes(void)
{
	static const char *const lines[] = {
		"--nothing",   "-x",	    "--freq",	  "-F",	       "--freq 0",
		"--freq=1001", "--freq -1", "--freq 1e2", "--quiet=1", "--f 1",
		"-f nothing",  "--=x",	    "-f=",	  "--freq=",   "-F 99999999999999999999",
	};
	char operands[256];

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		if (!CHECK_EQ(parse(lines[i], false, operands), PLN_EXIT_USAGE))
			fprintf(stderr, "\t'%s' was taken\n", lines[i]);
}

static void test_color(void)
{
	unsetenv("NO_COLOR");
	unsetenv("FORCE_COLOR");
	unsetenv("CLICOLOR_FORCE");
	CHECK(pln_cli_use_color(stdout, PLN_COLOR_ALWAYS));
	CHECK(!pln_cli_use_color(stdout, PLN_COLOR_NEVER));
	setenv("FORCE_COLOR", "1", 1);
	CHECK(pln_cli_use_color(stdout, PLN_COLOR_AUTO));
	setenv("NO_COLOR", "1", 1);
	CHECK(!pln_cli_use_color(stdout, PLN_COLOR_AUTO));
	CHECK(pln_cli_use_color(stdout, PLN_COLOR_ALWAYS));
}

static void put_file(const char *name, time_t when)
{
	struct timespec times[2] = { { .tv_sec = when }, { .tv_sec = when } };
	int fd = open(name, O_CREAT | O_WRONLY, 0600);

	CHECK(fd >= 0 && !futimens(fd, times));
	close(fd);
}

static void test_newest_profile(void)
{
	char dir[] = "/tmp/test_cli.XXXXXX", path[256], command[64];

	CHECK(mkdtemp(dir) && !chdir(dir));
	CHECK_EQ(pln_cli_newest_profile(path, sizeof(path)), -ENOENT);
	put_file("b.pillion", 2000);
	put_file("c.pillion", 3000);
	put_file("a.pillion", 1000);
	put_file("newer.txt", 9000);
	put_file(".pillion", 9000);
	CHECK(!mkdir("d.pillion", 0700));
	CHECK_EQ(pln_cli_newest_profile(path, sizeof(path)), 0);
	CHECK_STR(path, "c.pillion");
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	CHECK(!chdir("/") && !system(command));
}

static void test_token(void)
{
	uint8_t token[PILLION_TOKEN_SIZE], parsed[PILLION_TOKEN_SIZE];
	char text[2 * PILLION_TOKEN_SIZE + 1];

	CHECK_EQ(pln_token_random(token), 0);
	pln_token_format(token, text);
	CHECK_EQ(strlen(text), 2 * PILLION_TOKEN_SIZE);
	CHECK(pln_token_parse(text, parsed) && !memcmp(token, parsed, sizeof(token)));
	text[5] = 'x';
	CHECK(!pln_token_parse(text, parsed));
	text[5] = '\0';
	CHECK(!pln_token_parse(text, parsed));
}

static void test_addresses(void)
{
	char path[] = "/tmp/test_cli.socket";
	int fd;

	CHECK_EQ(pln_socket_listen("no-address"), -EINVAL);
	CHECK_EQ(pln_socket_listen("@"), -EINVAL);
	fd = pln_socket_listen(path);
	CHECK(fd >= 0);
	/* In use, then left behind by a collector that was killed. */
	CHECK_EQ(pln_socket_listen(path), -EADDRINUSE);
	close(fd);
	fd = pln_socket_listen(path);
	CHECK(fd >= 0);
	close(fd);
	pln_socket_remove(path);
	CHECK(access(path, F_OK));
}

int main(void)
{
	test_what_users_type();
	test_a_command_keeps_its_options();
	test_mistakes();
	test_color();
	test_newest_profile();
	test_token();
	test_addresses();
	return check_result();
}
