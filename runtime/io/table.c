/* table.c: a table in memory, whichever file it came from: hands out its values, and says which row and
 * column was wrong. csv.c fills all columns at once, fits.c each when it is first asked for. table_edit.c
 * changes tables, formats.c opens and writes them. */
#include "io.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXACT_LIMIT 9007199254740992.0 /* 2^53: beyond it a double may have lost an integer's digits */

const char *gal_row_text(const gal_table *table, int64_t row)
{
    static _Thread_local char ring[4][48];
    static _Thread_local unsigned next;
    char *text = ring[next++ % 4];
    snprintf(text, sizeof *ring, "%s %lld", table->in_lines ? "line" : "row",
             (long long)(table->line ? table->line[row] : table->before + row + 1));
    return text;
}

static void free_values(gal_column *c)
{
    free(c->f64);
    free(c->i64);
    free(c->missing);
    free(c->text);
    free(c->start);
    c->f64 = NULL;
    c->i64 = c->start = NULL;
    c->missing = NULL;
    c->text = NULL;
}

void gal_column_free(gal_column *c)
{
    free_values(c);
    free(c->name);
    free(c->unit);
    free(c->about);
    free(c->form.dimensions);
}

void gal_table_free(gal_table *table)
{
    if (!table)
        return;
    if (table->close)
        table->close(table->source);
    for (int i = 0; i < table->columns && table->column; i++)
        gal_column_free(&table->column[i]);
    for (int k = 0; k < table->keys; k++)
        free(table->key[k].text);
    free(table->key);
    free(table->column);
    free(table->line);
    free(table->path);
    free(table);
}

int64_t gal_table_rows(const gal_table *table)
{
    return table->rows;
}

int gal_table_columns(const gal_table *table)
{
    return table->columns;
}

static int has_column(const gal_table *table, int i)
{
    return i >= 0 && i < table->columns;
}

const char *gal_table_name(const gal_table *table, int i)
{
    return has_column(table, i) ? table->column[i].name : "";
}

const char *gal_table_unit(const gal_table *table, int i)
{
    return has_column(table, i) && table->column[i].unit ? table->column[i].unit : "";
}

const char *gal_table_about(const gal_table *table, int i)
{
    return has_column(table, i) && table->column[i].about ? table->column[i].about : "";
}

int gal_table_type(const gal_table *table, int i)
{
    return has_column(table, i) ? table->column[i].type : GAL_COLUMN_OTHER;
}

int64_t gal_table_width(const gal_table *table, int i)
{
    return has_column(table, i) ? table->column[i].width : 0;
}

void gal_table_count(const gal_table *table, int i)
{
    const gal_column *c = &table->column[i];
    int64_t values = table->rows * c->width, bytes = 0;
    if (c->f64 || c->i64 || c->start)
        bytes = values * (int64_t)sizeof(int64_t) + (c->missing ? values : 0);
    if (c->text && values > 0)
        bytes += c->start[values - 1] + (int64_t)strlen(c->text + c->start[values - 1]);
    gal_memory_outside(bytes);
}

gal_status gal_table_loaded(gal_column **out, gal_table *table, int i)
{
    if (!has_column(table, i))
        return gal_fail(GAL_VALUE, "%s: column %d of %d", table->path, i, table->columns);
    gal_column *c = &table->column[i];
    *out = c;
    if (c->type == GAL_COLUMN_OTHER)
        return gal_fail(
            GAL_TYPE,
            "%s: column \"%s\" holds complex numbers, bits or lists of varying length, which are not read",
            table->path, c->name);
    if (c->loaded)
        return GAL_OK;
    gal_status status = table->load(table, i);
    c->loaded = !status;
    if (status)
        free_values(c);
    else
        gal_table_count(table, i);
    return status;
}

/* Value k of a column as a number; the plain NaN where it is missing: LuaJIT takes some other NaNs for values
 * that are no numbers. */
static gal_status number_at(double *out, const gal_table *table, const gal_column *c, int64_t k)
{
    int64_t i;
    if (c->type == GAL_COLUMN_F64) {
        *out = isnan(c->f64[k]) ? NAN : c->f64[k];
    } else if (c->type == GAL_COLUMN_I64) {
        *out = c->missing && c->missing[k] ? NAN : (double)c->i64[k];
    } else {
        const char *text = c->text + c->start[k];
        if (gal_number_parse(text, (int64_t)strlen(text), &i, out) == GAL_TEXT_OTHER)
            return gal_fail(GAL_TYPE, "%s: column \"%s\" has \"%.60s\" in %s, expected a number%s",
                            table->path, c->name, text, gal_row_text(table, k / c->width),
                            strchr(text, ',') && !strchr(text, '.') ? " (with a decimal point)" : "");
    }
    return GAL_OK;
}

gal_status gal_table_numbers(double *out, gal_table *table, int i)
{
    gal_column *c = NULL;
    gal_status status = gal_table_loaded(&c, table, i);
    for (int64_t k = 0; !status && k < table->rows * c->width; k++)
        status = number_at(&out[k], table, c, k);
    return status;
}

gal_status gal_table_floats(float *out, gal_table *table, int i)
{
    gal_column *c = NULL;
    double value = 0;
    gal_status status = gal_table_loaded(&c, table, i);
    for (int64_t k = 0; !status && k < table->rows * c->width; k++) {
        status = number_at(&value, table, c, k);
        out[k] = (float)value;
    }
    return status;
}

/* Value k as an integer with all its digits; *missing says whether it has none. */
static gal_status integer_at(int64_t *out, uint8_t *missing, const gal_table *table, const gal_column *c,
                             int64_t k)
{
    double value;
    *missing = 0;
    *out = 0;
    if (c->type == GAL_COLUMN_I64) {
        *missing = c->missing && c->missing[k];
        *out = *missing ? 0 : c->i64[k];
        return GAL_OK;
    }
    if (c->type == GAL_COLUMN_STRING) {
        const char *text = c->text + c->start[k];
        gal_text_kind kind = gal_number_parse(text, (int64_t)strlen(text), out, &value);
        *missing = kind == GAL_TEXT_MISSING;
        if (kind == GAL_TEXT_INTEGER || kind == GAL_TEXT_MISSING)
            return GAL_OK;
        if (kind == GAL_TEXT_OTHER || !(fabs(value) <= EXACT_LIMIT) || value != floor(value))
            return gal_fail(GAL_TYPE,
                            "%s: column \"%s\" has \"%.60s\" in %s, expected an integer of at most 64 bits",
                            table->path, c->name, text, gal_row_text(table, k / c->width));
        *out = (int64_t)value;
        return GAL_OK;
    }
    value = c->f64[k];
    *missing = isnan(value);
    if (*missing)
        return GAL_OK;
    if (!(fabs(value) <= EXACT_LIMIT) || value != floor(value))
        return gal_fail(GAL_TYPE,
                        "%s: column \"%s\" has the floating-point number %.17g in %s, expected an integer "
                        "whose digits are all there",
                        table->path, c->name, value, gal_row_text(table, k / c->width));
    *out = (int64_t)value;
    return GAL_OK;
}

gal_status gal_table_integers(int64_t *out, uint8_t *missing, gal_table *table, int i)
{
    gal_column *c = NULL;
    gal_status status = gal_table_loaded(&c, table, i);
    for (int64_t k = 0; !status && k < table->rows * c->width; k++)
        status = integer_at(&out[k], &missing[k], table, c, k);
    return status;
}

static gal_status check_index(gal_table *table, const gal_column *c, int64_t k)
{
    if (k >= 0 && k < table->rows * c->width)
        return GAL_OK;
    return gal_fail(GAL_VALUE, "%s: value %lld of column \"%s\", which has %lld", table->path, (long long)k,
                    c->name, (long long)(table->rows * c->width));
}

gal_status gal_table_text(const char **out, gal_table *table, int i, int64_t k)
{
    gal_column *c = NULL;
    *out = "";
    gal_status status = gal_table_loaded(&c, table, i);
    if (!status)
        status = check_index(table, c, k);
    if (status)
        return status;
    if (c->type == GAL_COLUMN_STRING) {
        *out = c->text + c->start[k];
        return GAL_OK;
    }
    *out = table->scratch;
    table->scratch[0] = 0;
    if (c->type == GAL_COLUMN_I64 && !(c->missing && c->missing[k]))
        snprintf(table->scratch, sizeof table->scratch, "%lld", (long long)c->i64[k]);
    else if (c->type == GAL_COLUMN_F64 && !isnan(c->f64[k]))
        gal_number_print(table->scratch, c->f64[k], c->form.letter == 'E');
    return GAL_OK;
}

gal_status gal_table_id(const char **out, gal_table *table, int i, int64_t k)
{
    gal_column *c = NULL;
    int64_t value;
    uint8_t missing;
    gal_status status = gal_table_text(out, table, i, k);
    if (status)
        return status;
    c = &table->column[i];
    *out += strspn(*out, " \t");
    if (c->type == GAL_COLUMN_F64) {
        status = integer_at(&value, &missing, table, c, k);
        if (!status && !missing)
            snprintf(table->scratch, sizeof table->scratch, "%lld", (long long)value);
    }
    if (!status && **out == 0)
        status = gal_fail(GAL_VALUE, "%s: column \"%s\" has no value in %s, expected an id", table->path,
                          c->name, gal_row_text(table, k / c->width));
    return status;
}
