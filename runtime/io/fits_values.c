/* fits_values.c: the values of FITS columns. CFITSIO gives them raw and they are scaled here: its own scaling
 * goes through doubles, which would cost 64-bit ids their last digits. */
#include "fits.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

gal_status gal_fits_error(const gal_table *table, const char *doing, int status)
{
    char text[FLEN_ERRMSG] = "";
    fits_get_errstatus(status, text);
    fits_clear_errmsg();
    return gal_fail(GAL_FILE, "%s: %s failed, the file is truncated or damaged (CFITSIO %d: %s)", table->path,
                    doing, status, text);
}

gal_status gal_fits_no_memory(const gal_table *table)
{
    return gal_fail(GAL_MEMORY, "%s: no memory for its columns", table->path);
}

fits_column *gal_fits_column(const gal_table *table, int i)
{
    return &((fits_source *)table->source)->column[table->column[i].source];
}

int64_t gal_fits_value_bytes(const fits_column *f)
{
    switch (f->code) {
    case TLOGICAL:
    case TBYTE:
        return 1;
    case TSHORT:
        return 2;
    case TLONG:
    case TFLOAT:
        return 4;
    case TLONGLONG:
    case TDOUBLE:
        return 8;
    case TSTRING:
        return f->letters;
    default:
        return 0;
    }
}

int gal_fits_is_integer(const fits_column *f)
{
    return f->code == TBYTE || f->code == TSHORT || f->code == TLONG || f->code == TLONGLONG;
}

int gal_fits_is_uint64(const fits_column *f)
{
    return f->code == TLONGLONG && f->scale == 1 && f->zero == 9223372036854775808.0;
}

int gal_fits_stays_integer(const fits_column *f)
{
    return gal_fits_is_integer(f) && f->scale == 1 && f->zero == floor(f->zero) &&
           fabs(f->zero) <= 9007199254740992.0;
}

/* The raw integers {n} of column i, and which are missing (NULL where none can be). The caller owns both; on
 * failure both are NULL. */
static gal_status read_raw(gal_table *table, int i, int64_t **raw, uint8_t **missing)
{
    fits_source *s = table->source;
    const gal_column *c = &table->column[i];
    const fits_column *f = gal_fits_column(table, i);
    int64_t n = table->rows * c->width;
    int status = 0;
    *missing = NULL;
    *raw = malloc((size_t)(n + 1) * sizeof **raw);
    if (f->has_null)
        *missing = calloc((size_t)n + 1, 1);
    gal_status failed = *raw && (*missing || !f->has_null) ? GAL_OK : gal_fits_no_memory(table);
    if (!failed) {
        fits_set_tscale(s->fits, c->source + 1, 1, 0, &status);
        fits_read_col(s->fits, TLONGLONG, c->source + 1, 1, 1, n, NULL, *raw, NULL, &status);
        failed = status ? gal_fits_error(table, "reading a column", status) : GAL_OK;
    }
    for (int64_t k = 0; !failed && *missing && k < n; k++)
        (*missing)[k] = (*raw)[k] == f->null;
    if (failed) {
        free(*raw);
        free(*missing);
        *raw = NULL;
        *missing = NULL;
    }
    return failed;
}

static gal_status load_integers(gal_table *table, int i)
{
    gal_column *c = &table->column[i];
    const fits_column *f = gal_fits_column(table, i);
    gal_status status = read_raw(table, i, &c->i64, &c->missing);
    for (int64_t k = 0; !status && k < table->rows * c->width; k++)
        if (!(c->missing && c->missing[k]) && __builtin_add_overflow(c->i64[k], (int64_t)f->zero, &c->i64[k]))
            return gal_fail(GAL_VALUE, "%s: column \"%s\" has a value in %s that does not fit an int64",
                            table->path, c->name, gal_row_text(table, k / c->width));
    return status;
}

gal_status gal_fits_load_uint64(gal_table *table, int i)
{
    gal_column *c = &table->column[i];
    int64_t n = table->rows * c->width, size = 0;
    int fits_int64 = 1;
    gal_status status = read_raw(table, i, &c->i64, &c->missing);
    if (status)
        return status;
    for (int64_t k = 0; k < n; k++) {
        c->i64[k] = (int64_t)((uint64_t)c->i64[k] ^ (uint64_t)1 << 63);
        fits_int64 &= c->i64[k] >= 0 || (c->missing && c->missing[k]);
    }
    if (fits_int64)
        return GAL_OK;
    c->type = GAL_COLUMN_STRING;
    c->text = malloc((size_t)n * 21 + 1); /* 20 digits and a zero */
    c->start = malloc((size_t)(n + 1) * sizeof *c->start);
    if (!c->text || !c->start)
        return gal_fits_no_memory(table);
    for (int64_t k = 0; k < n; k++) {
        c->start[k] = size;
        if (c->missing && c->missing[k])
            c->text[size++] = 0;
        else
            size += sprintf(c->text + size, "%llu", (unsigned long long)c->i64[k]) + 1;
    }
    free(c->i64);
    free(c->missing);
    c->i64 = NULL;
    c->missing = NULL;
    return GAL_OK;
}

static gal_status load_doubles(gal_table *table, int i)
{
    gal_column *c = &table->column[i];
    fits_source *s = table->source;
    const fits_column *f = gal_fits_column(table, i);
    int64_t n = table->rows * c->width, *raw = NULL;
    uint8_t *missing = NULL;
    int status = 0;
    if (!(c->f64 = malloc((size_t)(n + 1) * sizeof *c->f64)))
        return gal_fits_no_memory(table);
    if (gal_fits_is_integer(f)) {
        gal_status failed = read_raw(table, i, &raw, &missing);
        if (failed)
            return failed;
    } else {
        fits_set_tscale(s->fits, c->source + 1, 1, 0, &status);
        /* CFITSIO copies where no value for missing ones is given; with one it would set subnormals to 0. */
        fits_read_col(s->fits, TDOUBLE, c->source + 1, 1, 1, n, NULL, c->f64, NULL, &status);
    }
    for (int64_t k = 0; !status && k < n; k++) {
        double value = raw ? (missing && missing[k] ? NAN : (double)raw[k]) : c->f64[k];
        c->f64[k] = f->scale == 1 && f->zero == 0 ? value : value * f->scale + f->zero;
    }
    free(raw);
    free(missing);
    return status ? gal_fits_error(table, "reading a column", status) : GAL_OK;
}

static gal_status load_logicals(gal_table *table, int i)
{
    gal_column *c = &table->column[i];
    int64_t n = table->rows * c->width;
    int status = 0;
    char undefined = 2, *values = malloc((size_t)n + 1);
    c->i64 = malloc((size_t)(n + 1) * sizeof *c->i64);
    c->missing = calloc((size_t)n + 1, 1);
    if (!values || !c->i64 || !c->missing) {
        free(values);
        return gal_fits_no_memory(table);
    }
    fits_read_col(((fits_source *)table->source)->fits, TLOGICAL, c->source + 1, 1, 1, n, &undefined, values,
                  NULL, &status);
    for (int64_t k = 0; !status && k < n; k++) {
        c->missing[k] = values[k] == undefined;
        c->i64[k] = values[k] == 1;
    }
    free(values);
    return status ? gal_fits_error(table, "reading a column", status) : GAL_OK;
}

/* Reads strings as bytes and cuts them up: CFITSIO does not know the arrays of strings that TDIM describes. A
 * string ends before its first 0, and without the blanks at its end. */
static gal_status load_strings(gal_table *table, int i)
{
    gal_column *c = &table->column[i];
    fits_source *s = table->source;
    int64_t letters = gal_fits_column(table, i)->letters, n = table->rows * c->width,
            row_bytes = letters * c->width, size = 0;
    int status = 0;
    unsigned char *row = malloc((size_t)row_bytes + 1);
    c->text = malloc((size_t)(n * (letters + 1)) + 1);
    c->start = malloc((size_t)(n + 1) * sizeof *c->start);
    if (!c->text || !c->start || !row) {
        free(row);
        return gal_fits_no_memory(table);
    }
    for (int64_t k = 0; !status && k < n; k++) {
        if (k % c->width == 0 && row_bytes > 0)
            fits_read_tblbytes(s->fits, k / c->width + 1, s->fits->Fptr->tableptr[c->source].tbcol + 1,
                               row_bytes, row, &status);
        const char *string = (const char *)row + k % c->width * letters;
        size_t length = strnlen(string, (size_t)letters);
        while (length > 0 && string[length - 1] == ' ')
            length--;
        c->start[k] = size;
        memcpy(c->text + size, string, length);
        c->text[size + (int64_t)length] = 0;
        size += (int64_t)length + 1;
    }
    free(row);
    return status ? gal_fits_error(table, "reading a column", status) : GAL_OK;
}

gal_status gal_fits_load(gal_table *table, int i)
{
    const fits_column *f = gal_fits_column(table, i);
    if (f->code == TSTRING)
        return load_strings(table, i);
    if (f->code == TLOGICAL)
        return load_logicals(table, i);
    return table->column[i].type == GAL_COLUMN_I64 ? load_integers(table, i) : load_doubles(table, i);
}
