/* SPDX-License-Identifier: MIT */
/*
 * sources.c - see sources.h.
 */
#include "html/sources.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NS_PER_S 1000000000u

struct file {
	const char *name;
	double weight;
};

struct list {
	struct pln_intern *names;
	struct file *files;
};

/* ---------------------------------------------------------------- weights */

static int add_weight(struct list *list, const char *name, double weight)
{
	bool is_new;
	uint32_t id;

	if (!*name || !(weight > 0))
		return 0;
	id = pln_intern_add(list->names, name, strlen(name) + 1, &is_new);
	if (id == PLN_NONE)
		return -ENOMEM;
	/* Room doubles whenever the count is a power of two. */
	if (is_new && !(id & (id - 1))) {
		size_t room = id ? 2 * (size_t)id : 1;
		struct file *files = realloc(list->files, room * sizeof(*files));

		if (!files)
			return -ENOMEM;
		list->files = files;
	}
	if (is_new)
		list->files[id] = (struct file){ .name = name };
	list->files[id].weight += weight;
	return 0;
}

/* By node, what is spent in itself, as shares of all time and all memory. */
static double *own_weights(const struct pln_html_tree *tree)
{
	double ns = fmax((double)tree->weight[PLN_HTML_NS], 1);
	double bytes = fmax((double)tree->weight[PLN_HTML_BYTES], 1);
	double *own = calloc(tree->count + 1, sizeof(*own));

	for (size_t n = 0; own && n < tree->count; n++) {
		const struct pln_html_node *node = &tree->nodes[n];
		double weight = (double)node->weight[PLN_HTML_NS] / ns +
				(double)node->weight[PLN_HTML_BYTES] / bytes;

		own[n] += weight;
		if (node->parent != PLN_NONE)
			own[node->parent] -= weight;
	}
	return own;
}

static const struct pln_function *function_of(const struct pln_html_tree *tree, uint32_t node)
{
	uint32_t id = tree->nodes[node].function;

	return id < tree->profile->function_count ? &tree->profile->functions[id] : NULL;
}

/* A call counts for its own file, and for that of the nearest Python one. */
static int weigh_files(struct list *list, const struct pln_html_tree *tree)
{
	double *own = own_weights(tree);
	const struct pln_function **python = calloc(tree->count + 1, sizeof(const void *));
	int err = own && python ? 0 : -ENOMEM;

	for (uint32_t n = 0; !err && n < tree->count; n++) {
		const struct pln_function *f = function_of(tree, n);
		uint32_t parent = tree->nodes[n].parent;
		bool is_python = f && f->kind == PLN_FUNCTION_PYTHON;

		python[n] = is_python ? f : parent == PLN_NONE ? NULL : python[parent];
		if (python[n])
			err = add_weight(list, python[n]->file, own[n]);
		if (!err && f && !is_python)
			err = add_weight(list, f->file, own[n]);
	}
	free(own);
	free(python);
	return err;
}

static int by_weight(const void *a, const void *b)
{
	const struct file *fa = a, *fb = b;

	if (fa->weight != fb->weight)
		return fa->weight > fb->weight ? -1 : 1;
	return strcmp(fa->name, fb->name);
}

/* ------------------------------------------------------------------ files */

static bool is_source_name(const char *name)
{
	static const char *const ends[] = { ".py", ".pyx", ".pxd", ".pxi", ".pyi", ".c",
					    ".h",  ".cc",  ".cpp", ".cxx", ".hh",  ".hpp",
					    ".rs", ".f",   ".f90", ".cu",  ".S",   ".inc" };
	size_t size = strlen(name);

	for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++) {
		size_t end = strlen(ends[i]);

		if (size > end && !strcmp(name + size - end, ends[i]))
			return name[0] == '/';
	}
	return false;
}

static char *read_whole(int fd, size_t size)
{
	char *text = malloc(size + 1);
	size_t used = 0;

	while (text && used < size) {
		ssize_t got = read(fd, text + used, size - used);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		used += (size_t)got;
	}
	if (text)
		text[used] = '\0';
	return text;
}

/* Takes the file into the list when it is there; returns bytes taken. */
static size_t take_file(struct pln_html_sources *s, const char *name, size_t room,
			uint64_t start_real_ns)
{
	int fd = open(name, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat st;
	char *text = NULL;

	if (fd < 0)
		return 0;
	if (fstat(fd, &st) || !S_ISREG(st.st_mode) || !st.st_size) {
		close(fd);
		return 0;
	}
	if (s->count < PLN_HTML_SOURCES_MAX && st.st_size <= (off_t)PLN_HTML_SOURCE_BYTES &&
	    st.st_size <= (off_t)room)
		text = read_whole(fd, (size_t)st.st_size);
	else
		s->left_out++;
	close(fd);
	if (!text)
		return 0;
	s->files[s->count++] = (struct pln_html_source){
		.file = name,
		.text = text,
		.changed = (uint64_t)st.st_mtim.tv_sec * NS_PER_S + (uint64_t)st.st_mtim.tv_nsec >
			   start_real_ns,
	};
	return (size_t)st.st_size;
}

int pln_html_sources_read(struct pln_html_sources *sources, const struct pln_html_tree *tree)
{
	struct list list = { .names = pln_intern_new() };
	size_t room = PLN_HTML_SOURCES_BYTES, count;
	int err = -ENOMEM;

	memset(sources, 0, sizeof(*sources));
	sources->files = calloc(PLN_HTML_SOURCES_MAX, sizeof(*sources->files));
	if (list.names && sources->files)
		err = weigh_files(&list, tree);
	count = err ? 0 : pln_intern_count(list.names);
	if (count)
		qsort(list.files, count, sizeof(*list.files), by_weight);
	for (size_t i = 0; i < count; i++) {
		if (is_source_name(list.files[i].name))
			room -= take_file(sources, list.files[i].name, room,
					  tree->profile->recording.start_real_ns);
	}
	pln_intern_free(list.names);
	free(list.files);
	return err;
}

void pln_html_sources_free(struct pln_html_sources *sources)
{
	for (size_t i = 0; i < sources->count; i++)
		free(sources->files[i].text);
	free(sources->files);
	memset(sources, 0, sizeof(*sources));
}
