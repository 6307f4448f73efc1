/* fits.h: what fits_check.c (the frame of a file), fits.c (headers), fits_values.c (columns) and fits_write.c
 * share; nobody else includes CFITSIO. */
#ifndef GAL_FITS_H
#define GAL_FITS_H
#include "io.h"
#include <fitsio.h>

typedef struct fits_column {
    int code;        /* CFITSIO's type: TLONGLONG, TSTRING, … */
    int64_t letters; /* of each string */
    double scale, zero;
    LONGLONG null; /* the raw integer that means missing, where has_null */
    int has_null;
} fits_column;
typedef struct fits_source {
    fitsfile *fits;
    void *bytes; /* the unpacked file, or NULL; CFITSIO keeps the addresses of these two */
    size_t size;
    fits_column *column;
} fits_source;

/* Where the table is, and its size as its header says, checked against the file's length. */
typedef struct gal_fits_place {
    int hdu, fields;
    int64_t rows, row_bytes;
} gal_fits_place;
/* Walks the headers up to the binary table wanted (an HDU's number, or -1 for the first): GAL_FILE where
 * there is none, and where a mandatory card is damaged or data is cut. bytes {n}: the file, or NULL and it is
 * read from path. */
gal_status gal_fits_find(gal_fits_place *place, const char *path, const char *bytes, int64_t n, int wanted);

/* Bytes of one value in the file; 0 for what is not read. */
int64_t gal_fits_value_bytes(const fits_column *f);
/* TZERO = 2^63 is how FITS says uint64. */
int gal_fits_is_uint64(const fits_column *f);
/* An integer column moved by a whole number (unsigned integers, signed bytes) stays one. */
int gal_fits_stays_integer(const fits_column *f);
int gal_fits_is_integer(const fits_column *f);
/* Fills the values of column i; the table's load. */
gal_status gal_fits_load(gal_table *table, int i);
/* The same for uint64, which becomes a column of text where a value does not fit an int64. */
gal_status gal_fits_load_uint64(gal_table *table, int i);
/* GAL_FILE with CFITSIO's reason; clears its messages. */
gal_status gal_fits_error(const gal_table *table, const char *doing, int status);
/* The file's column that column i of the table is. */
fits_column *gal_fits_column(const gal_table *table, int i);
gal_status gal_fits_no_memory(const gal_table *table);

#endif
