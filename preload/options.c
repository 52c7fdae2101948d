/* SPDX-License-Identifier: MIT */
/*
 * options.c - PILLION_* variables into struct pln_options.
 *
 * Context: constructor. Works on the envp that the loader hands to constructors:
 * getenv may be the program's own (bash defines one) and not be ready yet.
 */
#include "options.h"

#include <string.h>
#include <strings.h>

#include <pillion/duration.h>
#include <pillion/values.h>

#include "log.h"
#include "text.h"

struct pln_options pln_options = {
#define PLN_DEFAULT_FLAG(id, value) .id = value,
#define PLN_DEFAULT_NUMBER(id, value) .id = value,
#define PLN_DEFAULT_SECONDS(id, value)
#define PLN_DEFAULT_CHOICE(id, value) .id = value,
#define PLN_DEFAULT_TEXT(id, value)
#define PLN_DEFAULT_LIST(id, value)
#define PLN_DEFAULT_SECRET(id, value)
#define PLN_DEFAULT(id, name, type, value, ...) PLN_DEFAULT_##type(id, value)
	PILLION_ENV_TABLE(PLN_DEFAULT)
#undef PLN_DEFAULT
};

static struct pln_text complaint;

/* Decimal digits only, so that "100Hz" is an error and not 100. */
static bool parse_number(const char *text, long min, long max, long *out)
{
	long value = 0;

	if (!*text)
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9' || value > max)
			return false;
		value = value * 10 + (*text - '0');
	}
	if (value < min || value > max)
		return false;
	*out = value;
	return true;
}

/* The profile gets it as a note. */
static void complain(const char *name)
{
	pln_log(PLN_LOG_ERROR, "ignored a bad value of ", name);
	pln_text_add(&complaint,
		     complaint.size ? ", " : "ignored bad values, using the defaults: ");
	pln_text_add(&complaint, name);
}

const char *pln_options_complaint(void)
{
	return complaint.bytes;
}

static void set_number(const char *name, const char *text, long min, long max, long *out)
{
	if (!parse_number(text, min, max, out))
		complain(name);
}

static void set_seconds(const char *name, const char *text, long max, bool *out)
{
	uint64_t ns;

	if (pln_duration_parse(text, &ns) && ns <= (uint64_t)max * PILLION_SECOND_NS)
		*out = ns > 0;
	else
		complain(name);
}

static void set_flag(const char *name, const char *text, bool *out)
{
	if (!pln_value_flag(text, out))
		complain(name);
}

/* `words`: "off|count|sample". */
static void set_choice(const char *name, const char *text, const char *words, unsigned *out)
{
	size_t size = strlen(text);

	for (unsigned i = 0; size && *words; i++) {
		size_t word = strcspn(words, "|");

		if (word == size && !strncasecmp(words, text, size)) {
			*out = i;
			return;
		}
		words += word + (words[word] == '|');
	}
	complain(name);
}

static void set_text(const char *name, const char *text, char *out)
{
	if (strlen(text) >= PILLION_TEXT_MAX)
		complain(name);
	else
		strcpy(out, text);
}

static void set_one(const char *entry)
{
#define PLN_SET_FLAG(id, name, min, max, words) set_flag(name, value, &pln_options.id)
#define PLN_SET_NUMBER(id, name, min, max, words) set_number(name, value, min, max, &pln_options.id)
#define PLN_SET_SECONDS(id, name, min, max, words) set_seconds(name, value, max, &pln_options.id)
#define PLN_SET_CHOICE(id, name, min, max, words) set_choice(name, value, words, &pln_options.id)
#define PLN_SET_TEXT(id, name, min, max, words) set_text(name, value, pln_options.id)
#define PLN_SET_LIST(id, name, min, max, words) set_text(name, value, pln_options.id)
#define PLN_SET_SECRET(id, name, min, max, words) set_text(name, value, pln_options.id)
#define PLN_SET(id, name, type, value_, min, max, option, letter, metavar, help)                   \
	if (!strncmp(entry, name "=", sizeof(name))) {                                             \
		const char *value = entry + sizeof(name);                                          \
		PLN_SET_##type(id, name, min, max, metavar);                                       \
		return;                                                                            \
	}
	PILLION_ENV_TABLE(PLN_SET)
#undef PLN_SET
}

/* What the table does not say. Of labels those that are well-formed are kept. */
static void check_values(void)
{
	if (!pln_value_is_signal((uint64_t)pln_options.signal)) {
		complain("PILLION_SIGNAL");
		pln_options.signal = 0;
	}
	if (!pln_value_is_labels(pln_options.labels))
		complain("PILLION_LABELS");
}

/* What others call the service, in the order of preference; NULL: nothing. */
static const char *find_service(char **envp)
{
	static const char *const names[] = { "OTEL_SERVICE_NAME=", "DD_SERVICE=" };

	for (unsigned i = 0; i < sizeof(names) / sizeof(*names); i++)
		for (char **entry = envp; entry && *entry; entry++)
			if (!strncmp(*entry, names[i], strlen(names[i])) &&
			    (*entry)[strlen(names[i])])
				return *entry + strlen(names[i]);
	return NULL;
}

static bool names_service(const char *labels)
{
	static const char key[] = "service=";

	for (; labels; labels = strchr(labels, ',')) {
		labels += *labels == ',';
		if (!strncmp(labels, key, sizeof(key) - 1))
			return true;
	}
	return false;
}

/* A comma would be the end of the label. */
static void add_service(char **envp)
{
	char *labels = pln_options.labels;
	const char *service = names_service(labels) ? NULL : find_service(envp);
	size_t size = service ? strcspn(service, ",") : 0;

	if (!size || strlen(labels) + sizeof(",service=") + size > sizeof(pln_options.labels))
		return;
	if (*labels)
		strcat(labels, ",");
	strcat(labels, "service=");
	strncat(labels, service, size);
}

#define DISABLE "PILLION_DISABLE="

static bool is_switch(const char *entry)
{
	return !strncmp(entry, DISABLE, sizeof(DISABLE) - 1);
}

void pln_options_parse(char **envp)
{
	char **entry;

	for (entry = envp; entry && *entry; entry++)
		pln_options.disable |=
			is_switch(*entry) && pln_value_disables(*entry + sizeof(DISABLE) - 1);
	if (pln_options.disable)
		return;
	/* First, so that complaints about the others are heard. */
	for (entry = envp; entry && *entry; entry++)
		if (!strncmp(*entry, "PILLION_LOG=", 12) && !pln_log_set_level(*entry + 12))
			complain("PILLION_LOG");
	for (entry = envp; entry && *entry; entry++)
		if (!strncmp(*entry, "PILLION_", 8) && !is_switch(*entry))
			set_one(*entry);
	check_values();
	add_service(envp);
}
