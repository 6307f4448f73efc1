/* table.c: a table in memory, whichever file it came from. csv.c fills all columns at once, fits.c each when
 * it is asked for; here is how values are handed out, and the one place that says which row and column was
 * wrong. table_edit.c changes tables. */
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
    snprintf(text, sizeof *ring, "%s %lld", table->line && !table->in_rows ? "line" : "row",
             (long long)(table->line ? table->line[row] : row + 1));
    return text;
}

static int is_fits(const char *bytes, int64_t n)
{
    return n >= 9 && memcmp(bytes, "SIMPLE  =", 9) == 0;
}

static int named_fits(const char *path)
{
    static const char *const ends[] = {".fits", ".fit", ".fts", ".fits.gz", ".fit.gz", ".fts.gz"};
    for (size_t k = 0; k < sizeof ends / sizeof *ends; k++)
        if (gal_name_ends(path, ends[k]))
            return 1;
    return 0;
}

static int named_csv(const char *path)
{
    return gal_name_ends(path, ".csv") || gal_name_ends(path, ".csv.gz") || gal_name_ends(path, ".txt") ||
           gal_name_ends(path, ".txt.gz");
}

/* What the file begins with decides; its name only where that is no FITS. *bytes is the table's, or is freed
 * here. */
static gal_status parse(gal_table *table, const char *path, int hdu)
{
    char start[16] = {0}, *bytes = NULL;
    int64_t n = 0;
    gal_file file;
    gal_status status = gal_file_open(&file, path);
    if (status)
        return status;
    int64_t have = file.size < (int64_t)sizeof start ? file.size : (int64_t)sizeof start;
    status = gal_file_at(&file, start, have, 0);
    gal_file_close(&file);
    if (!status && have == 0)
        status = gal_fail(GAL_FILE, "%s: is empty (0 bytes), expected a table", path);
    if (status)
        return status;
    if (is_fits(start, have))
        return gal_fits_parse(table, NULL, 0, hdu);
    if (!gal_gzip_is(start, have) && named_fits(path))
        return gal_fail(GAL_FILE, "%s: is no FITS file: it does not begin with SIMPLE", path);
    if (!named_fits(path) && !named_csv(path))
        return gal_fail(
            GAL_FILE,
            "%s: is no table: expected a FITS file, or a name that ends in .csv, .txt or these with .gz",
            path);
    status = gal_file_read(&bytes, &n, path);
    if (!status && gal_gzip_is(bytes, n)) {
        char *packed = bytes;
        bytes = NULL;
        status = gal_gzip_inflate(&bytes, &n, packed, n, path);
        gal_file_free(packed);
    }
    if (status)
        return status;
    if (is_fits(bytes, n))
        return gal_fits_parse(table, bytes, n, hdu);
    if (named_fits(path))
        status = gal_fail(GAL_FILE, "%s: is no FITS file: unpacked, it does not begin with SIMPLE", path);
    else
        status = gal_csv_parse(table, bytes, n);
    gal_file_free(bytes);
    return status;
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
    free(c->form.dimensions);
}

gal_status gal_table_open(gal_table **out, const char *path, int hdu)
{
    *out = NULL;
    gal_table *table = calloc(1, sizeof *table);
    if (!table || !(table->path = strdup(path))) {
        free(table);
        return gal_fail(GAL_MEMORY, "%s: no memory to open it", path);
    }
    gal_status status = parse(table, path, hdu);
    if (!status && table->rows == 0)
        status = gal_fail(GAL_VALUE, "%s: the table has no rows", path);
    if (status) {
        gal_table_free(table);
        return status;
    }
    *out = table;
    return GAL_OK;
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

const char *gal_table_name(const gal_table *table, int i)
{
    return table->column[i].name;
}

const char *gal_table_unit(const gal_table *table, int i)
{
    return table->column[i].unit ? table->column[i].unit : "";
}

int gal_table_type(const gal_table *table, int i)
{
    return table->column[i].type;
}

int64_t gal_table_width(const gal_table *table, int i)
{
    return table->column[i].width;
}

gal_status gal_table_loaded(gal_column **out, gal_table *table, int i)
{
    if (i < 0 || i >= table->columns)
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
    return status;
}

/* Value k of a column as a number; NaN where missing, and always the same one: LuaJIT takes some others for
 * values that are no numbers. */
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
            return gal_fail(GAL_TYPE, "%s: column \"%s\" has \"%.60s\" in %s, expected a number", table->path,
                            c->name, text, gal_row_text(table, k / c->width));
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

/* Value k as an integer with all its digits. */
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
        gal_number_print(table->scratch, c->f64[k]);
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

gal_status gal_table_write(const char *path, gal_table *table)
{
    int csv = gal_name_ends(path, ".csv"),
        fits = gal_name_ends(path, ".fits") || gal_name_ends(path, ".fit") || gal_name_ends(path, ".fts");
    if (!csv && !fits)
        return gal_fail(GAL_FILE, "%s: a table is written as .csv or .fits", path);
    if (table->columns == 0 || table->rows == 0)
        return gal_fail(GAL_VALUE, "%s: the table to write has no %s", path,
                        table->columns == 0 ? "columns" : "rows");
    for (int i = 0; i < table->columns; i++)
        if (table->column[i].type == GAL_COLUMN_OTHER)
            return gal_fail(GAL_TYPE,
                            "%s: column \"%s\" holds complex numbers, bits or lists of varying length, which "
                            "are not written: "
                            "t:drop(\"%s\") takes it out",
                            path, table->column[i].name, table->column[i].name);
    return csv ? gal_csv_write(path, table) : gal_fits_write(path, table);
}
