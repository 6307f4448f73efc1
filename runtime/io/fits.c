/* fits.c: FITS binary tables (FITS standard 4.0, section 7.3) by CFITSIO: opens them and reads what their
 * columns are; fits_values.c reads the values. A file is opened as a disk file, so that CFITSIO takes nothing
 * in its name for a filter or a command. */
#include "fits.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void close_source(void *source)
{
    fits_source *s = source;
    int status = 0;
    if (s->fits)
        fits_close_file(s->fits, &status);
    gal_file_free(s->bytes);
    free(s->column);
    free(s);
}

/* Opens the file at its primary HDU. */
static gal_status open_source(gal_table *table, fits_source *s)
{
    int status = 0;
    if (s->bytes) {
        fits_open_memfile(&s->fits, "table", READONLY, &s->bytes, &s->size, 0, NULL, &status);
    } else {
        /* CFITSIO expands a leading ~. */
        char name[FLEN_FILENAME];
        int n = snprintf(name, sizeof name, "%s%s", *table->path == '~' ? "./" : "", table->path);
        if (n >= (int)sizeof name)
            return gal_fail(GAL_FILE, "%s: its path has %d characters, CFITSIO takes at most %d", table->path,
                            n, (int)sizeof name - 1);
        fits_open_diskfile(&s->fits, name, READONLY, &status);
    }
    if (status)
        return gal_fits_error(table, "opening it", status);
    return GAL_OK;
}

/* Moves to the table that gal_fits_find has found, and checks that CFITSIO sees the same there. */
static gal_status move_to(gal_table *table, fitsfile *fits, const gal_fits_place *place)
{
    int status = 0, type = 0, columns = 0;
    LONGLONG rows = 0;
    fits_movabs_hdu(fits, place->hdu + 1, &type, &status);
    if (!status && type == BINARY_TBL) {
        fits_get_num_rowsll(fits, &rows, &status);
        fits_get_num_cols(fits, &columns, &status);
    }
    if (status)
        return gal_fits_error(table, "reading the table's header", status);
    if (type != BINARY_TBL || rows != place->rows || columns != place->fields ||
        fits->Fptr->rowlength != place->row_bytes)
        return gal_fail(GAL_FILE, "%s: is damaged: the sizes in the table's header contradict each other",
                        table->path);
    table->columns = columns;
    table->rows = columns == 0 || place->row_bytes == 0 ? 0 : rows;
    return GAL_OK;
}

/* The letters of each string in a column of `repeat` letters a row: 60A12, or 60A with TDIM (12,5), is five
 * strings of twelve. */
static int64_t string_length(fitsfile *fits, int i, LONGLONG repeat, LONGLONG width)
{
    long size[8] = {0};
    int status = 0, rank = 0;
    fits_read_tdim(fits, i + 1, 8, &rank, size, &status);
    fits_clear_errmsg();
    if (!status && rank > 1 && size[0] > 0 && size[0] <= repeat)
        return size[0];
    return width > 0 && width <= repeat ? width : repeat;
}

/* The letter that the column is written with again; 0 where scaling has made its values another type. */
static char letter_of(const fits_column *f)
{
    int plain = f->scale == 1 && f->zero == 0, moved = f->scale == 1;
    switch (f->code) {
    case TSTRING:
        return 'A';
    case TLOGICAL:
        return 'L';
    case TBYTE:
        return plain ? 'B' : moved && f->zero == -128 ? 'S' : 0;
    case TSHORT:
        return plain ? 'I' : moved && f->zero == 32768 ? 'U' : 0;
    case TLONG:
        return plain ? 'J' : moved && f->zero == 2147483648 ? 'V' : 0;
    case TLONGLONG:
        return plain ? 'K' : gal_fits_is_uint64(f) ? 'W' : 0;
    case TFLOAT:
        return plain ? 'E' : 0;
    default:
        return plain && f->code == TDOUBLE ? 'D' : 0;
    }
}

/* Fills column i with what the header says of it. */
static gal_status describe(gal_table *table, fits_source *s, int i)
{
    gal_column *c = &table->column[i];
    fits_column *f = &s->column[i];
    char name[FLEN_VALUE] = "", unit[FLEN_VALUE] = "", letter[FLEN_VALUE] = "", display[FLEN_VALUE] = "",
         key[16];
    LONGLONG repeat = 0, width = 0;
    long each = 0, null = 0;
    int status = 0, absent = 0, undimensioned = 0;
    fits_get_bcolparms(s->fits, i + 1, name, unit, letter, &each, &f->scale, &f->zero, &null, display,
                       &status);
    fits_get_coltypell(s->fits, i + 1, &f->code, &repeat, &width, &status);
    if (status)
        return gal_fits_error(table, "reading the table's header", status);
    snprintf(key, sizeof key, "TNULL%d", i + 1);
    fits_read_key(s->fits, TLONGLONG, key, &f->null, NULL, &absent);
    f->has_null = !absent && gal_fits_is_integer(f);
    fits_clear_errmsg();
    if (!(c->name = strdup(name)) || !(c->unit = strdup(unit)))
        return gal_fits_no_memory(table);
    c->source = i;
    c->form.letter = letter_of(f);
    c->form.has_null = f->has_null;
    c->form.null = f->null;
    snprintf(key, sizeof key, "TDIM%d", i + 1);
    if (fits_read_key(s->fits, TSTRING, key, unit, NULL, &undimensioned) == 0 &&
        !(c->form.dimensions = strdup(unit)))
        return gal_fits_no_memory(table);
    fits_clear_errmsg();
    c->width = repeat;
    if (f->code == TSTRING) {
        f->letters = string_length(s->fits, i, repeat, width);
        c->width = f->letters > 0 ? repeat / f->letters : 1;
        c->form.letters = f->letters;
    }
    c->type = f->code == TSTRING                                                          ? GAL_COLUMN_STRING
              : f->code == TLOGICAL || gal_fits_stays_integer(f) || gal_fits_is_uint64(f) ? GAL_COLUMN_I64
              : gal_fits_value_bytes(f) > 0                                               ? GAL_COLUMN_F64
                                                                                          : GAL_COLUMN_OTHER;
    int64_t bytes;
    if (c->width < 0 ||
        (c->type != GAL_COLUMN_OTHER && (__builtin_mul_overflow(c->width, gal_fits_value_bytes(f), &bytes) ||
                                         bytes > s->fits->Fptr->rowlength)))
        return gal_fail(GAL_FILE, "%s: is damaged: column \"%s\" is wider than a row of its table",
                        table->path, name);
    return GAL_OK;
}

static gal_status describe_all(gal_table *table, fits_source *s)
{
    int status = 0, compressed = 0;
    fits_read_key(s->fits, TLOGICAL, "ZTABLE", &compressed, NULL, &status);
    fits_clear_errmsg();
    if (!status && compressed)
        return gal_fail(GAL_FILE,
                        "%s: its table is compressed column by column (ZTABLE), which is not read: unpack it "
                        "with funpack",
                        table->path);
    table->column = calloc((size_t)table->columns + 1, sizeof *table->column);
    s->column = calloc((size_t)table->columns + 1, sizeof *s->column);
    if (!table->column || !s->column)
        return gal_fits_no_memory(table);
    for (int i = 0; i < table->columns; i++) {
        gal_status failed = describe(table, s, i);
        /* The values decide whether a uint64 column becomes numbers or text. */
        if (!failed && gal_fits_is_uint64(&s->column[i])) {
            failed = gal_fits_load_uint64(table, i);
            table->column[i].loaded = 1;
        }
        if (failed)
            return failed;
    }
    return GAL_OK;
}

static gal_status open_fits(gal_table *table, char *bytes, int64_t n, const gal_table_choice *choice)
{
    fits_source *s = calloc(1, sizeof *s);
    if (!s) {
        gal_file_free(bytes);
        return gal_fits_no_memory(table);
    }
    s->bytes = bytes;
    s->size = (size_t)n;
    table->source = s;
    table->close = close_source;
    table->load = gal_fits_load;
    gal_fits_place place;
    gal_status status = gal_fits_find(&place, table->path, bytes, n, choice);
    if (!status && bytes && n % GAL_FITS_BLOCK) {
        s->bytes = gal_fits_whole(bytes, n, &s->size);
        gal_file_free(bytes);
        status = s->bytes ? GAL_OK : gal_fits_no_memory(table);
    }
    if (!status)
        status = open_source(table, s);
    if (!status)
        status = move_to(table, s->fits, &place);
    if (!status)
        status = describe_all(table, s);
    if (!status)
        status = gal_fits_keys(table, s);
    return status;
}

const gal_table_format gal_fits_format = {.name = "FITS",
                                          .mark = "SIMPLE  =",
                                          .endings = {".fits", ".fit", ".fts"},
                                          .written = 3,
                                          .open = open_fits,
                                          .write = gal_fits_write};
