/* io.h: what the files of runtime/io share. Files are read by pread (never mapped: a file that another process cuts short would be a
 * SIGBUS) and written under a temporary name that is renamed when all is on disk. */
#ifndef GAL_IO_H
#define GAL_IO_H
#include "runtime.h"

/* ---- file.c ---- */
/* A regular file open for reading; path is borrowed and has to outlive it. */
typedef struct gal_file {
    int fd;
    int64_t size; /* bytes, when it was opened */
    const char *path;
} gal_file;
gal_status gal_file_open(gal_file *file, const char *path);
/* bytes {n} from offset; GAL_FILE where the file ends before. */
gal_status gal_file_at(const gal_file *file, void *bytes, int64_t n, int64_t offset);
void gal_file_close(gal_file *file);

/* A file being written. A put or commit that fails has already abandoned it; abandon may be called again. */
typedef struct gal_writer {
    int fd; /* -1: none */
    char *path, *temporary;
} gal_writer;
gal_status gal_writer_open(gal_writer *writer, const char *path);
gal_status gal_writer_put(gal_writer *writer, const void *bytes, int64_t n);
/* The values of x in row-major order, from any device and any strides. */
gal_status gal_writer_put_tensor(gal_writer *writer, const gal_tensor *x);
gal_status gal_writer_commit(gal_writer *writer);
void gal_writer_abandon(gal_writer *writer);

/* Whether name ends in suffix, case ignored. */
int gal_name_ends(const char *name, const char *suffix);

/* ---- gzip.c ---- */
int gal_gzip_is(const char *bytes, int64_t n);
/* The content of a gzip file, several members joined: *out {*out_n + 1}, the last byte 0, freed by gal_file_free. A stream that is cut or
 * damaged is GAL_FILE. */
gal_status gal_gzip_inflate(char **out, int64_t *out_n, const char *bytes, int64_t n, const char *path);

/* ---- arrays.c, npy.c, safetensors.c ---- */
typedef enum gal_stored {
    GAL_STORED_BOOL,
    GAL_STORED_U8,
    GAL_STORED_I8,
    GAL_STORED_U16,
    GAL_STORED_I16,
    GAL_STORED_U32,
    GAL_STORED_I32,
    GAL_STORED_U64,
    GAL_STORED_I64,
    GAL_STORED_F16,
    GAL_STORED_BF16,
    GAL_STORED_F32,
    GAL_STORED_F64
} gal_stored;
typedef struct gal_array {
    char *name;
    gal_stored stored;
    int big_endian, fortran;
    int rank;
    int64_t shape[GAL_RANK];
    int64_t count, offset; /* elements; byte in the file */
} gal_array;
struct gal_arrays {
    char *path;
    gal_file file;
    int64_t count, pairs;
    gal_array *array;    /* {count} */
    char **key, **value; /* {pairs} */
};
int gal_stored_size(gal_stored stored);
/* count = product of shape {rank}; 0 where it, times 8, would not fit an int64. */
int gal_shape_product(int64_t *count, const int64_t *shape, int rank);
gal_status gal_npy_parse(gal_arrays *arrays);
gal_status gal_safetensors_parse(gal_arrays *arrays);

/* ---- table.c, csv.c, fits.c ---- */
/* One column: what is known of it, and its values once loaded. Values are {rows, width}. */
typedef struct gal_column {
    char *name, *unit;
    int type;
    int64_t width;
    int loaded;
    double *f64;      /* GAL_COLUMN_F64; missing is NaN */
    int64_t *i64;     /* GAL_COLUMN_I64 */
    uint8_t *missing; /* GAL_COLUMN_I64, or NULL: none is */
    char *text;       /* GAL_COLUMN_STRING: strings with their zeros, value k at text + start[k]; "" is missing */
    int64_t *start;
} gal_column;
struct gal_table {
    char *path;
    int64_t rows;
    int columns;
    gal_column *column; /* {columns} */
    int64_t *line;      /* {rows}: the line of each row in a CSV file; NULL elsewhere */
    /* Where columns are read late: fills column i; source is closed by close. */
    gal_status (*load)(gal_table *table, int i);
    void (*close)(void *source);
    void *source;
    char scratch[40]; /* the text of a number, for gal_table_text */
};
gal_status gal_csv_parse(gal_table *table, const char *text, int64_t n);
/* hdu as in gal_table_open. bytes {n}: the whole file where it was gzipped, and then the table's; else NULL and the path is opened. */
gal_status gal_fits_parse(gal_table *table, char *bytes, int64_t n, int hdu);
/* "line 18" or "row 17": row k as the user counts. From a ring of four buffers. */
const char *gal_row_text(const gal_table *table, int64_t row);

/* ---- number.c: numbers in text, the same in every locale ---- */
typedef enum gal_text_kind {
    GAL_TEXT_MISSING, /* "" or null */
    GAL_TEXT_INTEGER, /* decimal and an int64, written as it would be printed */
    GAL_TEXT_DIGITS,  /* an integer that would not print the same: 007, +5, 20 digits */
    GAL_TEXT_FLOAT,   /* any other number; nan and inf too */
    GAL_TEXT_OTHER
} gal_text_kind;
/* What text {n} is, outer blanks aside; *i for INTEGER, *f for every number (NaN for MISSING). f may be NULL:
 * only the kind is wanted, for a third of the time. */
gal_text_kind gal_number_parse(const char *text, int64_t n, int64_t *i, double *f);
/* The shortest of 15, 16 or 17 digits that reads back as value. size: at least 32. */
void gal_number_print(char *text, size_t size, double value);

#endif
