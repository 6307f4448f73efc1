/* io.h: what the files of runtime/io share. Files are read by pread (never mapped: a file that another
 * process cuts short would be a SIGBUS) and written under a temporary name that is renamed when all is on
 * disk. */
#ifndef GAL_IO_H
#define GAL_IO_H
#include "core/core.h"

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
/* The same without syncing: for one of thousands of files, which gal_disk_sync puts on disk together. A crash
 * before that may lose it or leave it empty. */
gal_status gal_writer_commit_unsynced(gal_writer *writer);
void gal_writer_abandon(gal_writer *writer);
/* Syncs the folder that path is in; 0, or -1 with errno. */
int gal_folder_sync(const char *path);

/* Whether name ends in suffix, case ignored. */
int gal_name_ends(const char *name, const char *suffix);
/* Whether text is UTF-8: no overlong forms, no surrogates, nothing above U+10FFFF (RFC 3629). */
int gal_is_utf8(const char *text);

/* ---- gzip.c ---- */
int gal_gzip_is(const char *bytes, int64_t n);
/* The content of a gzip file, several members joined: *out {*out_n + 1}, the last byte 0, freed by
 * gal_file_free. A stream that is cut or damaged is GAL_FILE. */
gal_status gal_gzip_inflate(char **out, int64_t *out_n, const char *bytes, int64_t n, const char *path);

/* ---- arrays.c, npy.c, npz.c, safetensors.c ---- */
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
    char *name, *label; /* label: what errors begin with in .npz, else NULL */
    gal_stored stored;
    int big_endian, fortran;
    int rank;
    int64_t shape[GAL_RANK];
    int64_t count, offset; /* elements; byte in the file, or in the member */
    int64_t member;        /* .npz: which entry of the archive */
} gal_array;
struct gal_arrays {
    char *path;
    gal_file file;
    struct zip *zip; /* .npz, else NULL */
    int64_t count, pairs;
    gal_array *array;    /* {count} */
    char **key, **value; /* {pairs} */
};
int gal_stored_size(gal_stored stored);
/* count = product of shape {rank}; 0 where it, times 8, would not fit an int64. */
int gal_shape_product(int64_t *count, const int64_t *shape, int rank);
/* Bytes that are read one after the other: of a file from `at` on, or of an entry of a zip archive. */
typedef struct gal_bytes {
    const gal_file *file;
    struct zip_file *member; /* NULL: file */
    int64_t at;
    const char *label; /* what errors begin with: the path, or path and entry */
} gal_bytes;
/* The next n. GAL_FILE where there are fewer. */
gal_status gal_bytes_take(gal_bytes *bytes, void *to, int64_t n);
/* a from the .npy header that begins bytes of length `size`: dtype, order, shape, count, and in offset the
 * header's length; checked that the values are all there. */
gal_status gal_npy_header(gal_array *a, gal_bytes *bytes, int64_t size);
/* By name; GAL_FILE where two are the same. */
gal_status gal_arrays_sort(gal_arrays *arrays);
gal_status gal_npy_parse(gal_arrays *arrays);
gal_status gal_npz_parse(gal_arrays *arrays);
/* Array a's entry, unpacked from its first value on. Closed by gal_npz_finish, which tells whether its
 * checksum was right (only where status is GAL_OK). */
gal_status gal_npz_begin(gal_bytes *bytes, const gal_arrays *arrays, const gal_array *a);
gal_status gal_npz_finish(gal_bytes *bytes, gal_status status);
gal_status gal_npz_take(gal_bytes *bytes, void *to, int64_t n);
void gal_npz_close(gal_arrays *arrays);
gal_status gal_safetensors_parse(gal_arrays *arrays);

/* ---- table.c, table_edit.c, csv.c, fits.c ---- */
/* How a FITS file stores a column, so that one that was loaded is saved alike. */
typedef struct gal_form {
    char letter; /* L A E D, integers B I J K, those moved to signed bytes and unsigned S U V W; 0: not said,
                    the type decides */
    int64_t letters; /* A: of each string, at least */
    int has_null;
    int64_t null;     /* the stored integer that means missing, where has_null */
    char *dimensions; /* TDIM, or NULL */
} gal_form;
/* One column: what is known of it, and its values once loaded. Values are {rows, width}. */
typedef struct gal_column {
    char *name, *unit;
    int type;
    int64_t width;
    gal_form form;
    int source; /* where columns are read late: which of the file's it is */
    int loaded;
    double *f64;      /* GAL_COLUMN_F64; missing is NaN */
    int64_t *i64;     /* GAL_COLUMN_I64 */
    uint8_t *missing; /* GAL_COLUMN_I64, or NULL: none is */
    char *text; /* GAL_COLUMN_STRING: strings with their zeros, value k at text + start[k]; "" is missing */
    int64_t *start;
} gal_column;
typedef struct gal_key { /* a keyword of a FITS header; text NULL: its value is the number */
    char name[9], *text;
    int64_t number;
} gal_key;
struct gal_table {
    char *path;
    int64_t rows;
    int columns;
    gal_column *column; /* {columns} */
    int64_t *line; /* {rows}: the line in its CSV file, or (in_rows) the row in its table, that each row was;
                      NULL: row k is row k */
    int in_rows;
    /* Where columns are read late: fills column i; source is closed by close. */
    gal_status (*load)(gal_table *table, int i);
    void (*close)(void *source);
    void *source;
    char scratch[40]; /* the text of a number, for gal_table_text */
    gal_key *key;     /* {keys} */
    int keys;
};
gal_status gal_csv_parse(gal_table *table, const char *text, int64_t n);
/* hdu as in gal_table_open. bytes {n}: the whole file where it was gzipped, and then the table's; else NULL
 * and the path is opened. */
gal_status gal_fits_parse(gal_table *table, char *bytes, int64_t n, int hdu);
/* Writes a .fits file, checked to have columns and rows. */
gal_status gal_fits_write(const char *path, gal_table *table);
gal_status gal_csv_write(const char *path, gal_table *table);
/* What column i is measured in: "mag", "" for none; written as TUNIT. */
gal_status gal_table_set_unit(gal_table *table, int i, const char *unit);
/* A keyword of the header of the FITS file that the table is written as: name of at most 8 characters, text
 * of at most 60, or NULL and the number. CSV has none. */
gal_status gal_table_set_key(gal_table *table, const char *name, const char *text, int64_t number);
/* Column i with its values in memory. */
gal_status gal_table_loaded(gal_column **out, gal_table *table, int i);
void gal_column_free(gal_column *column); /* what it owns */
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
/* text {GAL_NUMBER_TEXT} = the shortest of 15, 16 or 17 digits that reads back as value. */
#define GAL_NUMBER_TEXT 32
void gal_number_print(char *text, double value);

#endif
