/* fits.h: what fits_check.c (a first walk over the headers), fits.c (headers), fits_keys.c (keywords),
 * fits_values.c (columns), fits_write.c and fits_image.c (images) share; no other file includes CFITSIO.
 * third_party/README.md names what they read of its own struct. */
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

/* Where the table is, and its size by its header, checked against the file's length. */
typedef struct gal_fits_place {
    int hdu, fields;
    int64_t rows, row_bytes;
} gal_fits_place;
/* Walks the headers to the binary table that is wanted. GAL_FILE where there is none, where a mandatory card
 * is damaged, and where data is cut. bytes {n}: the file; NULL: it is read from path. */
gal_status gal_fits_find(gal_fits_place *place, const char *path, const char *bytes, int64_t n,
                         const gal_table_choice *wanted);

/* The HDUs of a file that are images with pixels, compressed ones too, in their order, at most so many; and
 * whether one is a table. */
#define GAL_FITS_IMAGES 64
typedef struct gal_fits_images {
    int count, tables;
    int hdu[GAL_FITS_IMAGES];
} gal_fits_images;
/* Walks all headers of the file's bytes {n}. GAL_FILE where a mandatory card is damaged or data is cut. */
gal_status gal_fits_list_images(gal_fits_images *out, const char *path, const char *bytes, int64_t n);

/* A copy of a file's bytes {n} with zeros up to a whole block, of *size bytes, which the caller frees:
 * CFITSIO reads memory block by block, and past its end where the last one is cut. NULL without memory. */
char *gal_fits_whole(const char *bytes, int64_t n, size_t *size);
/* Bytes a FITS file is a multiple of (FITS standard 4.0, section 3.1). */
#define GAL_FITS_BLOCK 2880

/* Bytes of one value in the file; 0 for a type that is not read. */
int64_t gal_fits_value_bytes(const fits_column *f);
/* FITS stores uint64 as int64 with TZERO = 2^63. */
int gal_fits_is_uint64(const fits_column *f);
/* Whether scaling leaves the column integers: none, or an offset by a whole number (unsigned integers, signed
 * bytes). */
int gal_fits_stays_integer(const fits_column *f);
int gal_fits_is_integer(const fits_column *f);
/* The table's load: fills the values of column i. */
gal_status gal_fits_load(gal_table *table, int i);
/* The same for uint64: int64 where all values fit, else their digits as text. */
gal_status gal_fits_load_uint64(gal_table *table, int i);
/* GAL_FILE with CFITSIO's reason; clears its messages. */
gal_status gal_fits_error(const gal_table *table, const char *doing, int status);
/* The file's column that column i of the table is. */
fits_column *gal_fits_column(const gal_table *table, int i);
/* fits_keys.c: takes the keywords of the file's headers, and what its columns are in words. */
gal_status gal_fits_keys(gal_table *table, fits_source *s);
gal_status gal_fits_no_memory(const gal_table *table);

#endif
