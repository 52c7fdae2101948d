/* SPDX-License-Identifier: MIT */
/*
 * prune.c - see prune.h.
 */
#include "html/prune.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct walk {
	const struct pln_html_tree *tree;
	struct pln_html_pruned *pruned;
	uint32_t *first_child; /* by node: kept ones only */
	uint32_t *next_sibling;
	bool *has_small; /* by node: calls one that is not kept */
	uint32_t first_root;
	bool small_roots;
};

/* A call never weighs more than its caller, so what is kept is a tree. */
static double share_of(const struct pln_html_tree *tree, const struct pln_html_node *node)
{
	double most = 0;

	for (unsigned i = 0; i < PLN_HTML_WEIGHTS; i++) {
		double all = (double)tree->weight[i];

		if (all > 0 && (double)node->weight[i] / all > most)
			most = (double)node->weight[i] / all;
	}
	return most;
}

static int descending(const void *a, const void *b)
{
	double da = *(const double *)a, db = *(const double *)b;

	return (da < db) - (da > db);
}

/* The share that a node must exceed; less than 0: all are kept. */
static int find_share(struct pln_html_pruned *pruned, const struct pln_html_tree *tree,
		      size_t nodes_max)
{
	double *shares;

	pruned->share = -1;
	if (tree->count <= nodes_max)
		return 0;
	shares = malloc(tree->count * sizeof(*shares));
	if (!shares)
		return -ENOMEM;
	for (size_t n = 0; n < tree->count; n++)
		shares[n] = share_of(tree, &tree->nodes[n]);
	qsort(shares, tree->count, sizeof(*shares), descending);
	pruned->share = shares[nodes_max];
	free(shares);
	return 0;
}

static bool is_kept(const struct walk *w, uint32_t node)
{
	return share_of(w->tree, &w->tree->nodes[node]) > w->pruned->share;
}

static void link_nodes(struct walk *w)
{
	w->first_root = PLN_NONE;
	memset(w->first_child, 0xff, (w->tree->count + 1) * sizeof(uint32_t));
	for (uint32_t n = (uint32_t)w->tree->count; n-- > 0;) {
		uint32_t parent = w->tree->nodes[n].parent;
		bool root = parent == PLN_NONE;
		uint32_t *first = root ? &w->first_root : &w->first_child[parent];

		if (!is_kept(w, n)) {
			*(root ? &w->small_roots : &w->has_small[parent]) = true;
			w->pruned->left_out++;
			continue;
		}
		w->next_sibling[n] = *first;
		*first = n;
	}
}

static uint32_t put(struct walk *w, const struct pln_html_page_node *node)
{
	w->pruned->nodes[w->pruned->count] = *node;
	return (uint32_t)w->pruned->count++;
}

static void put_small(struct walk *w, uint32_t depth)
{
	put(w, &(struct pln_html_page_node){ .depth = depth,
					     .function = w->tree->first_place + PLN_HTML_SMALL });
}

/* What is too small stands right behind its caller, where give_small() finds it. */
static void put_node(struct walk *w, uint32_t n, uint32_t depth)
{
	const struct pln_html_node *node = &w->tree->nodes[n];

	w->pruned->page_node[n] = put(w, &(struct pln_html_page_node){ .depth = depth,
								       .function = node->function,
								       .line = node->line,
								       .guessed = node->guessed });
	if (w->has_small[n])
		put_small(w, depth + 1);
}

/* Depth first without recursion: stacks may be thousands of frames deep. */
static void put_nodes(struct walk *w)
{
	uint32_t n = w->first_root, depth = 0;

	if (w->small_roots)
		put_small(w, 0);
	while (n != PLN_NONE) {
		put_node(w, n, depth);
		if (w->first_child[n] != PLN_NONE) {
			n = w->first_child[n];
			depth++;
			continue;
		}
		while (n != PLN_NONE && w->next_sibling[n] == PLN_NONE) {
			n = w->tree->nodes[n].parent;
			depth--;
		}
		if (n != PLN_NONE)
			n = w->next_sibling[n];
	}
}

static bool is_small(const struct walk *w, uint32_t page_node)
{
	return w->pruned->nodes[page_node].function == w->tree->first_place + PLN_HTML_SMALL;
}

static void give_small(struct walk *w)
{
	uint32_t *page = w->pruned->page_node;

	for (uint32_t n = 0; n < w->tree->count; n++) {
		uint32_t parent = w->tree->nodes[n].parent;

		if (is_kept(w, n))
			continue;
		if (parent == PLN_NONE)
			page[n] = 0;
		else
			page[n] = is_small(w, page[parent]) ? page[parent] : page[parent] + 1;
	}
}

int pln_html_prune(struct pln_html_pruned *pruned, const struct pln_html_tree *tree,
		   size_t nodes_max)
{
	struct walk w = { .tree = tree, .pruned = pruned };
	size_t count = tree->count + 1;
	int err = -ENOMEM;

	memset(pruned, 0, sizeof(*pruned));
	w.first_child = malloc(count * sizeof(uint32_t));
	w.next_sibling = malloc(count * sizeof(uint32_t));
	w.has_small = calloc(count, sizeof(bool));
	/* Each kept call has at most one child that stands for small ones. */
	pruned->nodes = malloc(2 * count * sizeof(*pruned->nodes));
	pruned->page_node = malloc(count * sizeof(uint32_t));
	if (w.first_child && w.next_sibling && w.has_small && pruned->nodes && pruned->page_node)
		err = find_share(pruned, tree, nodes_max);
	if (!err) {
		link_nodes(&w);
		put_nodes(&w);
		give_small(&w);
	}
	free(w.first_child);
	free(w.next_sibling);
	free(w.has_small);
	return err;
}

void pln_html_pruned_free(struct pln_html_pruned *pruned)
{
	free(pruned->nodes);
	free(pruned->page_node);
	memset(pruned, 0, sizeof(*pruned));
}
