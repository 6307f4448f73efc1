/* io.h: what the files of runtime/io share. Files are read by pread and never mapped: a mapped file that
 * another process cuts short would raise SIGBUS. They are written under a temporary name and renamed when all
 * is on disk. */
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
/* The status of a failed system call: GAL_MEMORY where garbage that Lua has not collected yet may hold what
 * was asked for (file handles, memory), else GAL_FILE. */
gal_status gal_file_status(int reason);
/* Flags for opening a file that is written in place, beside O_WRONLY or O_RDWR: a link is not followed, as
 * its target may lie anywhere and would be cut; a FIFO does not block. */
#define GAL_OPEN_OWN (O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
/* The sentence on such a file with a second name, which may lie anywhere, too. */
#define GAL_LINKED "has another name, too (a hard link), expected none: a copy in its place has one name"
/* bytes {n} from offset; GAL_FILE where the file ends before. */
gal_status gal_file_at(const gal_file *file, void *bytes, int64_t n, int64_t offset);
void gal_file_close(gal_file *file);

/* A file being written. A put or commit that fails abandons it; abandoning it again is harmless. */
typedef struct gal_writer {
    int fd; /* -1: none */
    char *path, *temporary;
} gal_writer;
gal_status gal_writer_open(gal_writer *writer, const char *path);
gal_status gal_writer_put(gal_writer *writer, const void *bytes, int64_t n);
/* The values of x in row-major order, from any device and any strides. */
gal_status gal_writer_put_tensor(gal_writer *writer, const gal_tensor *x);
gal_status gal_writer_commit(gal_writer *writer);
/* The same without syncing, for one of thousands of files that gal_disk_sync puts on disk together. A crash
 * before that may lose the file or leave it empty. */
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
/* *out {*out_n + 1} = the content of a gzip file, several members joined, and a 0 behind it; the caller frees
 * it by gal_file_free. GAL_FILE for a stream that is cut or damaged, or unpacks to what no table does. */
gal_status gal_gzip_inflate(char **out, int64_t *out_n, const char *bytes, int64_t n, const char *path);

/* ---- arrays.c: arrays, whatever the format of their file ---- */
/* How a file stores an element. */
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
    char *name, *label; /* label: what sentences about a .npz begin with, else NULL */
    gal_stored stored;
    int big_endian, fortran;
    int rank;
    int64_t shape[GAL_RANK];
    int64_t count, offset; /* elements; the first one's byte in the file, or in the entry of an archive */
    int64_t entry;         /* .npz: which entry of the archive */
} gal_array;
typedef struct gal_array_format gal_array_format;
struct gal_arrays {
    char *path;
    gal_file file;
    const gal_array_format *format;
    void *archive; /* the format's own handle, from its open to its close */
    int64_t count, pairs;
    gal_array *array;    /* {count} */
    char **key, **value; /* {pairs} */
};
int gal_stored_size(gal_stored stored);
/* *count = the product of shape {rank}. Returns 0 where 8 times that would not fit an int64. */
int gal_shape_product(int64_t *count, const int64_t *shape, int rank);
/* Bytes that are read one after the other. */
typedef struct gal_bytes {
    /* The next n. GAL_FILE where there are fewer. */
    gal_status (*take)(struct gal_bytes *bytes, void *to, int64_t n);
    const gal_file *file;
    int64_t at;        /* the next byte of file */
    void *entry;       /* the archive's entry that the bytes are unpacked from; NULL: they stand in file */
    const char *label; /* errors begin with it: the path, or path and entry */
} gal_bytes;
/* The bytes of arrays' file from `at` on. */
gal_bytes gal_bytes_of(const gal_arrays *arrays, int64_t at);
/* Sorts the arrays by name; GAL_FILE where two have the same. */
gal_status gal_arrays_sort(gal_arrays *arrays);
/* npy.c: a from the .npy header that begins bytes of length `size`: dtype, order, shape, count, and in offset
 * the header's length; checked that the values are all there. */
gal_status gal_npy_header(gal_array *a, gal_bytes *bytes, int64_t size);
/* npz_write.c: the write of npz. */
gal_status gal_npz_write(const char *path, int64_t count, const char *const *names,
                         const gal_tensor *const *tensors, int64_t pairs, const char *const *keys,
                         const char *const *values);

/* ---- table.c, table_edit.c: tables, whatever the format of their file ---- */
/* How a FITS file stores a column, so that a loaded column is saved alike. */
typedef struct gal_form {
    char letter; /* L A E D, integers B I J K, signed bytes S, unsigned integers U V W; 0: the type decides */
    int64_t letters; /* A: the least length of each string */
    int has_null;
    int64_t null;     /* the stored integer that means missing, where has_null */
    char *dimensions; /* TDIM, or NULL */
} gal_form;
/* One column: what is known of it, and its values {rows, width} once loaded. */
typedef struct gal_column {
    char *name, *unit, *about; /* unit and about: NULL where there is none */
    int type;
    int64_t width;
    gal_form form;
    int source; /* its number in the file, for load */
    int names;  /* its values name the rows: ids */
    int loaded;
    double *f64;      /* GAL_COLUMN_F64; missing is NaN */
    int64_t *i64;     /* GAL_COLUMN_I64 */
    uint8_t *missing; /* GAL_COLUMN_I64; NULL: none is */
    char *text; /* GAL_COLUMN_STRING: strings with their zeros, value k at text + start[k]; "" is missing */
    int64_t *start;
} gal_column;
typedef struct gal_key { /* a keyword of a FITS header; text NULL: its value is the number */
    char name[9], *text;
    double number;
} gal_key;
struct gal_table {
    char *path;
    int64_t rows;
    int columns;
    gal_column *column; /* {columns} */
    int64_t before;     /* row k, from 0, is the file's row, or line, before + k + 1 */
    int64_t *line; /* {rows}, where they do not follow one another: the number of each, from 1; else NULL */
    int in_lines;  /* these numbers are lines of a CSV file */
    /* Fills column i from source, when it is first asked for; NULL: all are filled. close closes source. */
    gal_status (*load)(gal_table *table, int i);
    void (*close)(void *source);
    void *source;
    char scratch[40]; /* the text of a number, for gal_table_text */
    gal_key *key;     /* {keys} */
    int keys;
};
/* Whether a keyword of that name says something else than how a FITS table is stored. */
int gal_table_free_key(const char *name);
/* csv_write.c and fits_write.c: the writes of csv and fits. */
gal_status gal_csv_write(const char *path, gal_table *table);
gal_status gal_fits_write(const char *path, gal_table *table);
/* *out = column i with its values in memory; the table owns it. */
gal_status gal_table_loaded(gal_column **out, gal_table *table, int i);
void gal_column_free(gal_column *column); /* frees what the column owns */
/* Counts the bytes of column i's values, for Lua's collector (gal_memory_outside). */
void gal_table_count(const gal_table *table, int i);
/* "line 18" or "row 17": the row's place for a reader. The text is in a ring of four buffers. */
const char *gal_row_text(const gal_table *table, int64_t row);

/* ---- formats.c: which formats there are ----
 * A new format is a file that defines gal_NAME_format, and NAME in one of these lists. */
#define GAL_ARRAY_FORMATS(X) X(npy) X(npz) X(safetensors)
#define GAL_TABLE_FORMATS(X) X(csv) X(fits)

struct gal_array_format {
    const char *ending; /* of its files' names, ".npy" */
    int holds;          /* gal_arrays_holds */
    /* Reads the headers of arrays->file into array, count and pairs. */
    gal_status (*open)(gal_arrays *arrays);
    /* Begins the values of array a at the first one; finish ends them, and returns status, or GAL_FILE where
     * that was GAL_OK and their checksum is wrong. Both NULL: the values stand in the file at a->offset. */
    gal_status (*begin)(gal_bytes *bytes, const gal_arrays *arrays, const gal_array *a);
    gal_status (*finish)(gal_bytes *bytes, gal_status status);
    void (*close)(gal_arrays *arrays); /* closes arrays->archive; NULL where there is none */
    /* As gal_arrays_write, for what the format holds. */
    gal_status (*write)(const char *path, int64_t count, const char *const *names,
                        const gal_tensor *const *tensors, int64_t pairs, const char *const *keys,
                        const char *const *values);
};

typedef struct gal_table_format {
    const char *name;        /* "FITS" */
    const char *mark;        /* what each of its files begins with; NULL: the ending tells the format */
    const char *endings[12]; /* of its files' names, the first being the one that is said; .gz may follow */
    int written;             /* so many of them are endings that it is written under, without .gz */
    /* Fills the empty table from the file. bytes {n + 1}, its last one 0: the whole file, unpacked where it
     * was gzipped; the format owns it. NULL for an unpacked file that has the mark: the format reads
     * table->path. */
    gal_status (*open)(gal_table *table, char *bytes, int64_t n, const gal_table_choice *choice);
    gal_status (*write)(const char *path, gal_table *table); /* has columns and rows, all of known types */
} gal_table_format;

#define GAL_DECLARE_ARRAYS(name) extern const gal_array_format gal_##name##_format;
#define GAL_DECLARE_TABLES(name) extern const gal_table_format gal_##name##_format;
GAL_ARRAY_FORMATS(GAL_DECLARE_ARRAYS)
GAL_TABLE_FORMATS(GAL_DECLARE_TABLES)

/* ---- foreign.c ---- */
/* GAL_FILE, with the line that converts the file, where its first bytes {n} or the end of its path say that
 * it is a table in a format that is not read. */
gal_status gal_foreign_refuse(const char *path, const char *bytes, int64_t n);
/* The same of text from `beginning` to end whose first line that is no comment is at first. */
gal_status gal_foreign_text(const char *path, const char *beginning, const char *first, const char *end);

/* ---- number.c: numbers in text, the same in every locale ---- */
typedef enum gal_text_kind {
    GAL_TEXT_MISSING, /* "" or null */
    GAL_TEXT_INTEGER, /* decimal and an int64, written as it would be printed */
    GAL_TEXT_DIGITS,  /* an integer that would not print alike: 007, +5, 20 digits */
    GAL_TEXT_FLOAT,   /* any other number; nan and inf too */
    GAL_TEXT_OTHER
} gal_text_kind;
/* What text {n} is, without its outer blanks. *i = its value for INTEGER, *f for every number; NaN for
 * MISSING. f may be NULL where only the kind is wanted, which takes a third of the time. */
gal_text_kind gal_number_parse(const char *text, int64_t n, int64_t *i, double *f);
/* text {GAL_NUMBER_TEXT} = the shortest of 15, 16 or 17 digits that reads back as value; where single is set
 * and value is one of single precision, of 6 to 9 that read back as that. */
#define GAL_NUMBER_TEXT 32
void gal_number_print(char *text, double value, int single);

#endif
