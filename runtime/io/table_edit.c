/* table_edit.c: makes and changes tables in memory: adds, replaces and removes columns, selects rows. */
#include "io.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

gal_status gal_table_new(gal_table **out, int64_t rows)
{
    gal_table *table = calloc(1, sizeof *table);
    *out = NULL;
    if (!table || !(table->path = strdup("table"))) {
        free(table);
        return gal_fail(GAL_MEMORY, "table: no memory for a table");
    }
    table->rows = rows;
    *out = table;
    return GAL_OK;
}

/* Makes room for one more column, table->column[table->columns], and clears it. NULL where there is no
 * memory. */
static gal_column *append(gal_table *table)
{
    gal_column *more = realloc(table->column, (size_t)(table->columns + 1) * sizeof *more);
    if (!more)
        return NULL;
    table->column = more;
    more += table->columns;
    *more = (gal_column){.loaded = 1};
    return more;
}

/* Copies a new column's strings, and notes where each starts. Returns 0 where there is no memory. */
static int copy_strings(gal_column *c, const char *text, int64_t n)
{
    int64_t size = 0;
    c->start = malloc((size_t)(n + 1) * sizeof *c->start);
    for (int64_t k = 0; c->start && k < n; k++) {
        c->start[k] = size;
        size += (int64_t)strlen(text + size) + 1;
    }
    c->text = malloc((size_t)size + 1);
    if (!c->start || !c->text)
        return 0;
    memcpy(c->text, text, (size_t)size);
    return 1;
}

gal_status gal_table_add(gal_table *table, const char *name, int type, int letter, int64_t width,
                         const void *values)
{
    int64_t n = table->rows * width;
    gal_column *c = append(table);
    if (!c)
        return gal_fail(GAL_MEMORY, "table: no memory for column \"%s\"", name);
    c->name = strdup(name);
    c->type = type;
    c->width = width;
    c->form.letter = (char)letter;
    int made = c->name != NULL;
    if (type == GAL_COLUMN_STRING)
        made = made && copy_strings(c, values, n);
    else if (type == GAL_COLUMN_I64)
        made = made && (c->i64 = malloc((size_t)(n + 1) * sizeof *c->i64)) &&
               memcpy(c->i64, values, (size_t)n * sizeof *c->i64);
    else
        made = made && (c->f64 = malloc((size_t)(n + 1) * sizeof *c->f64)) &&
               memcpy(c->f64, values, (size_t)n * sizeof *c->f64);
    if (!made) {
        gal_column_free(c);
        return gal_fail(GAL_MEMORY, "table: no memory for column \"%s\"", name);
    }
    gal_table_count(table, table->columns++);
    return GAL_OK;
}

gal_status gal_table_replace(gal_table *table, int i)
{
    int last = table->columns - 1;
    if (i < 0 || i >= last)
        return gal_fail(GAL_VALUE, "%s: column %d of %d can't be replaced by the last", table->path, i,
                        table->columns);
    gal_column *old = &table->column[i], *new = &table->column[last], kept = *old;
    old->name = new->name;
    old->unit = old->about = NULL;
    gal_column_free(old);
    *old = *new;
    old->name = kept.name;
    if (new->unit)
        free(kept.unit);
    else
        old->unit = kept.unit;
    if (new->about)
        free(kept.about);
    else
        old->about = kept.about;
    table->columns--;
    return GAL_OK;
}

gal_status gal_table_remove(gal_table *table, int i)
{
    if (i < 0 || i >= table->columns)
        return gal_fail(GAL_VALUE, "%s: column %d of %d", table->path, i, table->columns);
    gal_column_free(&table->column[i]);
    table->columns--;
    memmove(&table->column[i], &table->column[i + 1], (size_t)(table->columns - i) * sizeof *table->column);
    return GAL_OK;
}

/* ---- selecting rows ---- */

/* Text k of a column {rows, width}, whose row is rows[k / width]; "" where that is below 0. */
static const char *text_at(const gal_column *from, const int64_t *rows, int64_t k)
{
    int64_t row = rows[k / from->width];
    return row < 0 ? "" : from->text + from->start[row * from->width + k % from->width];
}

/* Copies the strings of `from` at rows {n} into c. Returns 0 where there is no memory. */
static int select_strings(gal_column *c, const gal_column *from, const int64_t *rows, int64_t n)
{
    int64_t w = from->width, size = 0;
    for (int64_t k = 0; k < n * w; k++)
        size += (int64_t)strlen(text_at(from, rows, k)) + 1;
    c->text = malloc((size_t)size + 1);
    c->start = malloc((size_t)(n * w + 1) * sizeof *c->start);
    if (!c->text || !c->start)
        return 0;
    size = 0;
    for (int64_t k = 0; k < n * w; k++) {
        const char *text = text_at(from, rows, k);
        c->start[k] = size;
        size_t bytes = strlen(text) + 1;
        memcpy(c->text + size, text, bytes);
        size += (int64_t)bytes;
    }
    return 1;
}

/* Rows {n} of {…, bytes} in memory of their own, the caller's, zeros where a row is below 0; NULL where there
 * is none. */
static void *select_bytes(const void *from, size_t bytes, const int64_t *rows, int64_t n)
{
    char *to = calloc((size_t)n * bytes + 1, 1);
    for (int64_t k = 0; to && k < n; k++)
        if (rows[k] >= 0)
            memcpy(to + (size_t)k * bytes, (const char *)from + (size_t)rows[k] * bytes, bytes);
    return to;
}

/* Column `from`, its values loaded or never to be (GAL_COLUMN_OTHER), at rows {n}. */
static int select_column(gal_column *c, const gal_column *from, const int64_t *rows, int64_t n)
{
    size_t w = (size_t)from->width;
    c->type = from->type;
    c->width = from->width;
    c->form = from->form;
    c->form.dimensions = from->form.dimensions ? strdup(from->form.dimensions) : NULL;
    c->name = strdup(from->name);
    c->unit = from->unit ? strdup(from->unit) : NULL;
    c->about = from->about ? strdup(from->about) : NULL;
    if (!c->name || (from->unit && !c->unit) || (from->about && !c->about) ||
        (from->form.dimensions && !c->form.dimensions))
        return 0;
    if (from->text && !select_strings(c, from, rows, n))
        return 0;
    if (from->f64 && !(c->f64 = select_bytes(from->f64, w * sizeof *c->f64, rows, n)))
        return 0;
    if (from->i64 && !(c->i64 = select_bytes(from->i64, w * sizeof *c->i64, rows, n)))
        return 0;
    return !from->missing || (c->missing = select_bytes(from->missing, w, rows, n)) != NULL;
}

/* The values of c {n, width} are missing where a row is below 0. Returns 0 where there is no memory. */
static int lose_values(gal_column *c, const int64_t *rows, int64_t n)
{
    if (c->i64 && !c->missing && !(c->missing = calloc((size_t)(n * c->width) + 1, 1)))
        return 0;
    for (int64_t k = 0; k < n * c->width; k++) {
        if (rows[k / c->width] >= 0)
            continue;
        if (c->f64)
            c->f64[k] = NAN;
        if (c->missing)
            c->missing[k] = 1;
    }
    return 1;
}

gal_status gal_table_take(gal_table *table, const char *name, gal_table *from, int i, const int64_t *rows)
{
    gal_column *of = NULL, *c = NULL;
    gal_status status = gal_table_loaded(&of, from, i);
    int64_t lost = 0;
    for (int64_t k = 0; !status && k < table->rows; k++) {
        lost += rows[k] < 0;
        if (rows[k] >= from->rows)
            status = gal_fail(GAL_VALUE, "row %lld of a table that has %lld", (long long)rows[k] + 1,
                              (long long)from->rows);
    }
    if (status)
        return status;
    char *own = strdup(name);
    c = own ? append(table) : NULL; /* moves the columns, where `from` is the table itself */
    of = &from->column[i];
    if (!c || !select_column(c, of, rows, table->rows) || (lost && !lose_values(c, rows, table->rows))) {
        if (c)
            gal_column_free(c);
        free(own);
        return gal_fail(GAL_MEMORY, "table: no memory for column \"%s\"", name);
    }
    free(c->name);
    c->name = own;
    gal_table_count(table, table->columns++);
    return GAL_OK;
}

/* Which line or row of its file each row was. */
static int select_lines(gal_table *to, const gal_table *from, const int64_t *rows, int64_t n)
{
    to->in_lines = from->in_lines;
    to->line = malloc((size_t)(n + 1) * sizeof *to->line);
    for (int64_t k = 0; to->line && k < n; k++)
        to->line[k] = from->line ? from->line[rows[k]] : from->before + rows[k] + 1;
    return to->line != NULL;
}

gal_status gal_table_select(gal_table **out, gal_table *table, const int64_t *rows, int64_t n)
{
    *out = NULL;
    for (int64_t k = 0; k < n; k++)
        if (rows[k] < 0 || rows[k] >= table->rows)
            return gal_fail(GAL_VALUE, "select: row %lld of a table that has %lld", (long long)rows[k] + 1,
                            (long long)table->rows);
    gal_table *chosen = NULL;
    gal_status status = gal_table_new(&chosen, n);
    if (status)
        return status;
    free(chosen->path);
    int made = (chosen->path = strdup(table->path)) != NULL && select_lines(chosen, table, rows, n);
    for (int i = 0; !status && made && i < table->columns; i++) {
        gal_column *from = &table->column[i], *c = append(chosen);
        if (from->type != GAL_COLUMN_OTHER)
            status = gal_table_loaded(&from, table, i);
        if (c)
            chosen->columns++;
        made = !status && c && select_column(c, from, rows, n);
    }
    if (!status && !made)
        status = gal_fail(GAL_MEMORY, "%s: no memory for %lld of its rows", table->path, (long long)n);
    for (int k = 0; !status && k < table->keys; k++)
        status = gal_table_set_key(chosen, table->key[k].name, table->key[k].text, table->key[k].number);
    if (status) {
        gal_table_free(chosen);
        return status;
    }
    for (int i = 0; i < chosen->columns; i++)
        gal_table_count(chosen, i);
    *out = chosen;
    return GAL_OK;
}
