/* SPDX-License-Identifier: MIT */
/*
 * table.c - see table.h.
 */
#include "report/table.h"

#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include "report/names.h"

#define GAP 2 /* columns between columns */
#define LEAST_HEAD 3 /* columns of a name's first part */

struct cell {
	char *text; /* printable; NULL: out of memory, shown as nothing */
	char *extra; /* the same; NULL: none */
	enum pln_style style;
};

struct pln_table {
	const struct pln_column *columns;
	unsigned column_count;
	struct cell *cells;
	size_t cell_count;
	size_t capacity;
	unsigned *width; /* by column; 0: left out */
	unsigned *least; /* by column: an elastic one that is narrower is no use */
};

/* ------------------------------------------------------------------- style */

/* Read on dark and on light: yellow, which others use for warnings, is lost on white. */
static const char *const escapes[] = {
	[PLN_STYLE_PLAIN] = "",		 [PLN_STYLE_HEADING] = "\033[1m",
	[PLN_STYLE_DIM] = "\033[2m",	 [PLN_STYLE_HOT] = "\033[1;31m",
	[PLN_STYLE_WARM] = "\033[35m",	 [PLN_STYLE_PYTHON] = "\033[32m",
	[PLN_STYLE_NATIVE] = "\033[36m", [PLN_STYLE_WARNING] = "\033[1;35m",
};

const char *pln_style_on(const struct pln_screen *screen, enum pln_style style)
{
	return screen->color ? escapes[style] : "";
}

const char *pln_style_off(const struct pln_screen *screen, enum pln_style style)
{
	return screen->color && style != PLN_STYLE_PLAIN ? "\033[0m" : "";
}

enum pln_style pln_style_of_share(double share)
{
	return share >= 0.10	? PLN_STYLE_HOT
	       : share >= 0.02	? PLN_STYLE_WARM
	       : share >= 0.005 ? PLN_STYLE_PLAIN
				: PLN_STYLE_DIM;
}

/* ------------------------------------------------------------------- width */

/* wcwidth() knows by the locale; what it does not know is taken for one column. */
static unsigned code_point_width(uint32_t c)
{
	int width = c < 0x7f ? 1 : wcwidth((wchar_t)c);

	return width < 0 ? 1 : (unsigned)width;
}

/* Size in bytes of the first character, and its columns. */
static unsigned step(const char *text, unsigned *columns)
{
	uint32_t c;
	unsigned size = pln_utf8_size(text, &c);

	*columns = size ? code_point_width(c) : 1;
	return size ? size : 1;
}

unsigned pln_text_width(const char *text)
{
	unsigned width = 0, columns;

	while (*text) {
		text += step(text, &columns);
		width += columns;
	}
	return width;
}

/* The longest start of `text` within `width` columns: its bytes; *used its columns. */
static size_t fitting_start(const char *text, unsigned width, unsigned *used)
{
	const char *at = text;

	*used = 0;
	while (*at) {
		unsigned columns, size = step(at, &columns);

		if (*used + columns > width)
			break;
		*used += columns;
		at += size;
	}
	return (size_t)(at - text);
}

/* The longest end of `text` within `width` columns. */
static const char *fitting_end(const char *text, unsigned width, unsigned *used)
{
	unsigned all = pln_text_width(text), columns;

	*used = all;
	while (*used > width) {
		text += step(text, &columns);
		*used -= columns;
	}
	return text;
}

unsigned pln_print_elided(const struct pln_screen *screen, const char *text, unsigned width)
{
	unsigned whole = pln_text_width(text), mark = screen->utf8 ? 1 : 2, head, tail;
	size_t head_bytes;

	if (whole <= width) {
		fputs(text, screen->out);
		return whole;
	}
	if (width <= mark + 2) {
		fwrite(text, 1, fitting_start(text, width, &head), screen->out);
		return head;
	}
	head_bytes = fitting_start(text, (width - mark + 1) / 2, &head);
	fwrite(text, 1, head_bytes, screen->out);
	fputs(screen->utf8 ? "\u2026" : "..", screen->out);
	fputs(fitting_end(text + head_bytes, width - mark - head, &tail), screen->out);
	return head + mark + tail;
}

unsigned pln_print_end(const struct pln_screen *screen, const char *text, unsigned width)
{
	unsigned whole = pln_text_width(text), mark = screen->utf8 ? 1 : 2, tail;
	const char *end;

	if (whole <= width || width <= mark)
		return pln_print_elided(screen, text, width);
	end = fitting_end(text, width - mark, &tail);
	fprintf(screen->out, "%s%s", screen->utf8 ? "\u2026" : "..", end);
	return mark + tail;
}

unsigned pln_print_start(const struct pln_screen *screen, const char *text, unsigned width)
{
	unsigned whole = pln_text_width(text), mark = screen->utf8 ? 1 : 2, head;

	if (whole <= width || width <= mark)
		return pln_print_elided(screen, text, width);
	fwrite(text, 1, fitting_start(text, width - mark, &head), screen->out);
	fputs(screen->utf8 ? "\u2026" : "..", screen->out);
	return head + mark;
}

/* Behind the separator at `at`, "::" or a single "."; NULL: there is none. */
static const char *behind_separator(const char *text, const char *at)
{
	if (at[0] == ':' && at[1] == ':')
		return at + 2;
	if (at[0] == '.' && at[1] != '.' && (at == text || at[-1] != '.'))
		return at + 1;
	return NULL;
}

/*
 * The longest end of a name that begins with a whole part and takes `width` columns at most;
 * its last part when that is longer.
 */
static const char *last_parts(const char *name, unsigned width)
{
	const char *last = name;
	unsigned depth = 0;

	for (const char *at = name; *at; at++) {
		const char *part = depth ? NULL : behind_separator(name, at);

		if (part && *part) {
			last = part;
			if (pln_text_width(part) <= width)
				break;
		}
		/* One with a blank behind it is an arrow, not a bracket. */
		if (*at == '(' || (*at == '<' && at[1] != ' '))
			depth++;
		else if (depth && (*at == ')' || (*at == '>' && at[-1] != '-')))
			depth--;
	}
	return last;
}

static unsigned print_bare_name(const struct pln_screen *screen, const char *text, unsigned width)
{
	unsigned mark = screen->utf8 ? 1 : 2, head = 0, room, tail;
	const char *parts = width > mark ? last_parts(text, width - mark) : text;

	if (parts == text || pln_text_width(text) <= width)
		return pln_print_elided(screen, text, width);
	tail = pln_text_width(parts);
	if (tail + mark > width)
		return pln_print_elided(screen, parts, width);
	room = width - mark - tail;
	/* A piece of a namespace says less than none. */
	if (parts[-1] == '.' && room >= LEAST_HEAD)
		fwrite(text, 1, fitting_start(text, room, &head), screen->out);
	fprintf(screen->out, "%s%s", screen->utf8 ? "\u2026" : "..", parts);
	return head + mark + tail;
}

unsigned pln_print_name(const struct pln_screen *screen, const char *text, unsigned width)
{
	unsigned indent = (unsigned)strspn(text, " ");

	/* The arrow of a caller: "    < Class.method". */
	if (indent && text[indent] == '<' && text[indent + 1] == ' ')
		indent += 2;
	if (indent >= width)
		return pln_print_elided(screen, text, width);
	fwrite(text, 1, indent, screen->out);
	return indent + print_bare_name(screen, text + indent, width - indent);
}

/* ------------------------------------------------------------------- table */

struct pln_table *pln_table_new(const struct pln_column *columns, unsigned count)
{
	struct pln_table *table = calloc(1, sizeof(*table));

	if (!table)
		return NULL;
	table->width = calloc(2 * (size_t)count, sizeof(*table->width));
	if (!table->width) {
		free(table);
		return NULL;
	}
	table->least = table->width + count;
	table->columns = columns;
	table->column_count = count;
	return table;
}

void pln_table_cell(struct pln_table *table, enum pln_style style, const char *format, ...)
{
	char *text = NULL;
	va_list args;
	int size;

	if (!table)
		return;
	if (table->cell_count == table->capacity) {
		size_t capacity = table->capacity ? table->capacity * 2 : 64;
		struct cell *cells = realloc(table->cells, capacity * sizeof(*cells));

		if (!cells)
			return;
		table->cells = cells;
		table->capacity = capacity;
	}
	va_start(args, format);
	size = vasprintf(&text, format, args);
	va_end(args);
	table->cells[table->cell_count++] =
		(struct cell){ .text = size < 0 ? NULL : pln_printable(text), .style = style };
	if (size >= 0)
		free(text);
}

void pln_table_extra(struct pln_table *table, const char *format, ...)
{
	struct cell *cell =
		table && table->cell_count ? &table->cells[table->cell_count - 1] : NULL;
	char *text = NULL;
	va_list args;
	int size;

	if (!cell || cell->extra)
		return;
	va_start(args, format);
	size = vasprintf(&text, format, args);
	va_end(args);
	if (size < 0)
		return;
	cell->extra = pln_printable(text);
	free(text);
}

/* Columns of a cell where there are `room`: without its extra text when that has none. */
static unsigned cell_width(const struct cell *cell, unsigned room)
{
	unsigned own = cell->text ? pln_text_width(cell->text) : 0;
	unsigned extra = cell->extra ? pln_text_width(cell->extra) : 0;

	if (own + extra <= room)
		return own + extra;
	return own < room ? own : room;
}

/* What is in the column takes, where there are `room` columns. */
static unsigned column_width(const struct pln_table *table, unsigned c, unsigned room)
{
	unsigned title = pln_text_width(table->columns[c].title), most = 0;

	for (size_t i = c; i < table->cell_count; i += table->column_count) {
		unsigned width = cell_width(&table->cells[i], room);

		if (width > most)
			most = width;
	}
	return title > most && (most || !table->columns[c].drop_order) ? title : most;
}

/* The same without any extra text. */
static unsigned bare_width(const struct pln_table *table, unsigned c)
{
	unsigned most = pln_text_width(table->columns[c].title);

	for (size_t i = c; i < table->cell_count; i += table->column_count) {
		unsigned width = table->cells[i].text ? pln_text_width(table->cells[i].text) : 0;

		if (width > most)
			most = width;
	}
	return most;
}

static void measure(struct pln_table *table)
{
	static const unsigned least[] = {
		[PLN_RIGID] = 0,       [PLN_ELIDE_MIDDLE] = 12, [PLN_ELIDE_START] = 18,
		[PLN_ELIDE_NAME] = 16, [PLN_ELIDE_END] = 24,
	};

	for (unsigned c = 0; c < table->column_count; c++) {
		enum pln_elastic elastic = table->columns[c].elastic;

		table->width[c] = column_width(table, c, UINT_MAX);
		table->least[c] = elastic == PLN_DROP_EXTRA ? bare_width(table, c) : least[elastic];
	}
}

/* Width of a column when no elastic one is wider than `ceiling`, but for what each needs. */
static unsigned lowered(const struct pln_table *table, unsigned c, unsigned ceiling)
{
	unsigned most = ceiling > table->least[c] ? ceiling : table->least[c];

	return table->columns[c].elastic && table->width[c] > most ? most : table->width[c];
}

/* Columns that the row takes then. */
static unsigned row_width(const struct pln_table *table, unsigned ceiling)
{
	unsigned sum = 0;

	for (unsigned c = 0; c < table->column_count; c++) {
		unsigned width = lowered(table, c, ceiling);

		if (width)
			sum += width + GAP;
	}
	return sum;
}

/* Leaves out the least important column; false when all that are left are needed. */
static bool drop_column(struct pln_table *table)
{
	unsigned worst = 0;

	for (unsigned c = 1; c < table->column_count; c++) {
		if (table->width[c] &&
		    (!table->width[worst] ||
		     table->columns[c].drop_order > table->columns[worst].drop_order))
			worst = c;
	}
	if (!table->columns[worst].drop_order || !table->width[worst])
		return false;
	table->width[worst] = 0;
	return true;
}

/* Takes back what a lowered column does not need without its extra text; false: nothing. */
static bool trim(struct pln_table *table, unsigned ceiling)
{
	for (unsigned c = 0; c < table->column_count; c++) {
		unsigned width = lowered(table, c, ceiling), needed;

		if (width == table->width[c])
			continue;
		needed = column_width(table, c, width);
		if (needed < width) {
			table->width[c] = needed;
			return true;
		}
	}
	return false;
}

/* Drops columns, then lowers the ceiling of the elastic ones until the row fits. */
static void fit(struct pln_table *table, unsigned width)
{
	unsigned ceiling;

	while (row_width(table, 0) > width && drop_column(table))
		;
	do {
		for (ceiling = width; ceiling && row_width(table, ceiling) > width; ceiling--)
			;
	} while (trim(table, ceiling));
	for (unsigned c = 0; c < table->column_count; c++)
		table->width[c] = lowered(table, c, ceiling);
}

/* Prints what fits into `width` columns; returns the columns used. */
static unsigned print_text(const struct pln_screen *screen, const struct cell *cell,
			   enum pln_elastic elastic, unsigned width)
{
	unsigned own = pln_text_width(cell->text);

	if (own <= width) {
		bool all = cell->extra && own + pln_text_width(cell->extra) <= width;

		fprintf(screen->out, "%s%s", cell->text, all ? cell->extra : "");
		return all ? own + pln_text_width(cell->extra) : own;
	}
	if (elastic == PLN_ELIDE_NAME)
		return pln_print_name(screen, cell->text, width);
	if (elastic == PLN_ELIDE_END)
		return pln_print_start(screen, cell->text, width);
	if (elastic == PLN_ELIDE_START && !cell->extra)
		return pln_print_end(screen, cell->text, width);
	return pln_print_elided(screen, cell->text, width);
}

/* Prints a cell; *blanks are owed before the next text, so that no line ends in them. */
static void print_cell(const struct pln_table *table, unsigned c, const struct cell *cell,
		       const struct pln_screen *screen, unsigned *blanks)
{
	unsigned width = table->width[c], own = cell_width(cell, width), pad = width - own;

	if (!width)
		return;
	*blanks += GAP + (table->columns[c].right ? pad : 0);
	if (own) {
		fprintf(screen->out, "%*s%s", (int)*blanks, "", pln_style_on(screen, cell->style));
		own = print_text(screen, cell, table->columns[c].elastic, width);
		fputs(pln_style_off(screen, cell->style), screen->out);
		*blanks = 0;
	}
	*blanks += table->columns[c].right ? 0 : width - own;
}

static void print_titles(const struct pln_table *table, const struct pln_screen *screen)
{
	unsigned blanks = 0;

	for (unsigned c = 0; c < table->column_count; c++) {
		const struct cell title = { .text = (char *)(uintptr_t)table->columns[c].title,
					    .style = PLN_STYLE_DIM };

		print_cell(table, c, &title, screen, &blanks);
	}
	putc('\n', screen->out);
}

void pln_table_free(struct pln_table *table)
{
	if (!table)
		return;
	for (size_t i = 0; i < table->cell_count; i++) {
		free(table->cells[i].text);
		free(table->cells[i].extra);
	}
	free(table->cells);
	free(table->width);
	free(table);
}

void pln_table_print(struct pln_table *table, const struct pln_screen *screen)
{
	unsigned blanks = 0, column = 0;

	/* Titles alone say nothing. */
	if (!table || !table->cell_count) {
		pln_table_free(table);
		return;
	}
	measure(table);
	fit(table, screen->width);
	print_titles(table, screen);
	for (size_t i = 0; i < table->cell_count; i++) {
		print_cell(table, column, &table->cells[i], screen, &blanks);
		if (++column < table->column_count)
			continue;
		putc('\n', screen->out);
		column = blanks = 0;
	}
	pln_table_free(table);
}

/* -------------------------------------------------------------- quantities */

const char *pln_duration_text(char buffer[PLN_QUANTITY_SIZE], uint64_t ns)
{
	double s = (double)ns / 1e9;
	uint64_t whole = ns / 1000000000 + (ns % 1000000000 >= 500000000);

	if (!ns)
		snprintf(buffer, PLN_QUANTITY_SIZE, "0 s");
	else if (ns < 1000)
		snprintf(buffer, PLN_QUANTITY_SIZE, "%" PRIu64 " ns", ns);
	else if (ns < 999500)
		snprintf(buffer, PLN_QUANTITY_SIZE, "%.3g us", s * 1e6);
	else if (ns < 999500000)
		snprintf(buffer, PLN_QUANTITY_SIZE,
			 ns < 9995000	 ? "%.2f ms"
			 : ns < 99950000 ? "%.1f ms"
					 : "%.0f ms",
			 s * 1e3);
	else if (whole < 300)
		snprintf(buffer, PLN_QUANTITY_SIZE, s < 9.995 ? "%.2f s" : "%.1f s", s);
	else if (whole < 7200)
		snprintf(buffer, PLN_QUANTITY_SIZE, "%" PRIu64 " min %02" PRIu64 " s", whole / 60,
			 whole % 60);
	else
		snprintf(buffer, PLN_QUANTITY_SIZE, "%" PRIu64 " h %02" PRIu64 " min", whole / 3600,
			 whole / 60 % 60);
	return buffer;
}

const char *pln_count_text(char buffer[PLN_QUANTITY_SIZE], uint64_t count)
{
	char digits[24];
	int size = snprintf(digits, sizeof(digits), "%" PRIu64, count);
	char *out = buffer;

	for (int i = 0; i < size; i++) {
		if (i && (size - i) % 3 == 0)
			*out++ = ',';
		*out++ = digits[i];
	}
	*out = '\0';
	return buffer;
}

const char *pln_bytes_text(char buffer[PLN_QUANTITY_SIZE], uint64_t bytes)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
	double value = (double)bytes;
	unsigned unit = 0;

	while (value >= 1023.5 && unit < 4) {
		value /= 1024;
		unit++;
	}
	snprintf(buffer, PLN_QUANTITY_SIZE, unit && value < 99.95 ? "%.1f %s" : "%.0f %s", value,
		 units[unit]);
	return buffer;
}

const char *pln_percent_text(char buffer[PLN_QUANTITY_SIZE], uint64_t part, uint64_t whole)
{
	if (!whole)
		return "-";
	snprintf(buffer, PLN_QUANTITY_SIZE, "%.1f", 100.0 * (double)part / (double)whole);
	return buffer;
}

const char *pln_share_text(char buffer[PLN_QUANTITY_SIZE], double part, double whole)
{
	double percent = whole > 0 ? 100.0 * part / whole : 0;

	if (whole <= 0)
		return "unknown";
	snprintf(buffer, PLN_QUANTITY_SIZE, percent < 9.995 ? "%.2f %%" : "%.1f %%", percent);
	return buffer;
}
