/* galrun_io.h: files: whole files and folders, arrays, images, tables. galrun.h has the conventions. */
#ifndef GALRUN_IO_H
#define GALRUN_IO_H
#include "galrun_core.h"

GAL_BEGIN

/* ---- whole files and folders ----
 * A path is a plain path: no URL, no wildcard, no extended-filename syntax. A failure is GAL_FILE unless said
 * otherwise, and its sentence begins with the path. */

/* The whole of a regular file: *bytes {*n + 1}, the last one 0; the caller frees it with gal_file_free. */
GAL_API gal_status gal_file_read(char **bytes, int64_t *n, const char *path);
GAL_API void gal_file_free(char *bytes); /* NULL does nothing */
/* Writes bytes {n} under a temporary name in the same folder, syncs and renames: a reader sees the old file
 * or the new one, never a part. On failure the temporary is gone and the old file stays. A symbolic link is
 * followed. */
GAL_API gal_status gal_file_write(const char *path, const void *bytes, int64_t n);
/* Makes the file with these bytes where nothing is at path, and sets *made to 1; where something is, to 0: of
 * all processes on all machines that share the folder one gets 1, without locks. A process that is killed in
 * between leaves an empty file. */
GAL_API gal_status gal_file_create(const char *path, const void *bytes, int64_t n, int *made);
/* The file's time of change becomes now, by its file system's clock: *modified, in nanoseconds since 1970. */
GAL_API gal_status gal_file_touch(const char *path, int64_t *modified);
/* 0: nothing is there; 1: a file; 2: a folder; -1, with the sentence in gal_error(), where that can't be
 * told: a folder that may not be searched, a disk that answers with an error, a link that leads nowhere. */
GAL_API int gal_path_exists(const char *path);
/* The CRC-32 of bytes {n}, as gzip, PNG and Python's zlib.crc32 have it (ISO 3309). */
GAL_API uint32_t gal_crc32(const void *bytes, int64_t n);
/* Makes the folder and those above it that are absent (mkdir -p); a folder that exists is no error. */
GAL_API gal_status gal_make_folder(const char *path);
/* Removes the temporary files in the folder that killed processes left behind; those that a living process is
 * writing stay, on whatever machine it runs. Errors are ignored. */
GAL_API void gal_folder_sweep(const char *path);
/* When this returns, all that was written so far in the file system of the folder `path` is on disk. */
GAL_API gal_status gal_disk_sync(const char *path);
/* 1 where path is a regular file: its size in bytes, and when it last changed, in nanoseconds since 1970; 0
 * where there is none; -1 as gal_path_exists. */
GAL_API int gal_file_stamp(const char *path, int64_t *bytes, int64_t *modified);
/* Renames a file in its file system, and syncs its new folder. */
GAL_API gal_status gal_file_rename(const char *from, const char *to);
GAL_API gal_status gal_file_remove(const char *path); /* an absent file is no error */
/* A file that grows at its end over a long time. Opening keeps its first `keep` bytes (GAL_FILE where there
 * are fewer) and cuts off the rest; a link is not followed. What was put is on disk after a sync. */
typedef struct gal_growing gal_growing;
GAL_API gal_status gal_growing_open(gal_growing **out, const char *path, int64_t keep);
GAL_API gal_status gal_growing_put(gal_growing *file, const void *bytes, int64_t n);
GAL_API gal_status gal_growing_sync(gal_growing *file);
GAL_API void gal_growing_close(gal_growing *file); /* NULL does nothing */
/* Takes the lock of the file (made where it is absent; a link is not followed), or fails with GAL_STATE
 * naming the process and host that hold it. A lock ends with its process, however that ends. On a file system
 * without locks this succeeds and leaves a notice. */
typedef struct gal_lock gal_lock;
GAL_API gal_status gal_lock_take(gal_lock **out, const char *path);
GAL_API void gal_lock_release(gal_lock *lock); /* NULL does nothing */

/* Arrays in a file: .npy (versions 1 to 3; one array, its name ""), .npz (any number by name, stored or
 * deflated) and .safetensors (the same and metadata). Opening reads and checks the headers against the file's
 * length. dtypes: uint8 and bool give GAL_U8; 32- and 64-bit integers GAL_I64; int8, int16, uint16 and every
 * float GAL_F32. */
typedef struct gal_arrays gal_arrays;
/* What a file of this name holds, by its ending. */
enum { GAL_HOLDS_NONE = 0, GAL_HOLDS_ONE, GAL_HOLDS_NAMED, GAL_HOLDS_METADATA };
GAL_API int gal_arrays_holds(const char *path);
/* ".npy, .npz or .safetensors": the endings that there are. */
GAL_API const char *gal_arrays_endings(void);
GAL_API gal_status gal_arrays_open(gal_arrays **out, const char *path);
GAL_API void gal_arrays_free(gal_arrays *arrays); /* NULL does nothing */
GAL_API int64_t gal_arrays_count(const gal_arrays *arrays);
/* Of array i, 0 <= i < count; the pointers live as long as arrays. */
GAL_API const char *gal_arrays_name(const gal_arrays *arrays, int64_t i);
GAL_API int gal_arrays_dtype(const gal_arrays *arrays, int64_t i);
GAL_API int gal_arrays_rank(const gal_arrays *arrays, int64_t i);
GAL_API const int64_t *gal_arrays_shape(const gal_arrays *arrays, int64_t i); /* {rank} */
/* y = array i in row-major order. y: contiguous, on the CPU, of that dtype and shape. GAL_VALUE for a uint64
 * above 2^63 - 1. */
GAL_API gal_status gal_arrays_read(gal_tensor *y, const gal_arrays *arrays, int64_t i);
/* out {the product of its shape} = the same in double precision, whatever the array's type. */
GAL_API gal_status gal_arrays_doubles(double *out, const gal_arrays *arrays, int64_t i);
/* How many pairs of metadata there are. */
GAL_API int64_t gal_arrays_metadata(const gal_arrays *arrays);
GAL_API const char *gal_arrays_metadata_key(const gal_arrays *arrays, int64_t i);
GAL_API const char *gal_arrays_metadata_value(const gal_arrays *arrays, int64_t i);
/* Writes tensors {count}, of any strides and on any device, under names {count}, and pairs of metadata keys
 * {pairs}, values {pairs}; all text is UTF-8. As gal_file_write does: the file is complete under its name, or
 * not there. .npy: one tensor, names may be NULL (version 1, C order, little-endian). .npz: not
 * compressed; equal contents in equal order give equal bytes. .safetensors: equal contents give equal bytes
 * whatever their order. GAL_VALUE for what the format does not hold. */
GAL_API gal_status gal_arrays_write(const char *path, int64_t count, const char *const *names,
                                    const gal_tensor *const *tensors, int64_t pairs, const char *const *keys,
                                    const char *const *values);
/* The header that a .npy file begins with, for x's dtype and shape: text {512}; returns its length. */
GAL_API int gal_npy_header_text(char *text, const gal_tensor *x);

/* ---- images in files ----
 * JPEG and PNG, up to GAL_LARGEST_SIDE pixels a side and 64 MiB. */
enum { GAL_LARGEST_SIDE = 4096 };

/* What became of one file. */
typedef struct gal_decoded {
    int32_t status;        /* GAL_OK; GAL_FILE: missing, cut short or damaged; GAL_SHAPE: of another size */
    int32_t width, height; /* as it was in the file */
    uint64_t hash;         /* of the pixels (gal_hash, seed 0) */
    char problem[160];     /* the sentence, without the path */
    double scale;          /* of gal_cutouts_decode: arcsec a pixel of the row; 0 where it isn't known */
    int64_t missing;       /* pixels of the row of which a band has no value */
    int32_t file;          /* which of the row's files the problem is of, from 0 */
} gal_decoded;
/* pixels uint8 {n, size, size, 3}, decoded {n} from the files at paths {n}, on all cores; grey gets three
 * equal channels, transparency is dropped. scaled != 0: an image of another size is resampled to size x size.
 * The pixels of an image that can't be read are zeros; the call itself succeeds. */
GAL_API gal_status gal_images_decode(gal_tensor *pixels, gal_decoded *decoded, const char *const *paths,
                                     int scaled);

/* What a picture in memory is that came from elsewhere, and whether it shows anything. */
typedef struct gal_look {
    int32_t width, height, bands; /* pixels, pixels, and 3 of JPEG and PNG */
    double blank;                 /* share of the pixels that are 0, or no number, in all bands */
    double spread;                /* the largest difference of two values (numbers) within a band */
} gal_look;
/* bytes {n}: JPEG, PNG, or FITS, whose bands are those of gal_cutouts_decode. GAL_FILE where it is
 * something else, cut short or damaged, with a sentence without its subject ("is truncated or damaged: ...").
 */
GAL_API gal_status gal_image_look(gal_look *look, const void *bytes, int64_t n);

/* Images of any number of bands in single precision: FITS, also gzipped or compressed by tiles, and PNG of 16
 * bits. FITS: the images of its HDUs, {bands, y, x} or {y, x}, are the bands, but for extensions that say how
 * well others are known (INVVAR, WEIGHT, MASK, …); the last row of y is the top; BSCALE, BZERO and BLANK
 * count, and what has no value is NaN. Names of bands: BANDS ('grz'), BAND0 and so on, BAND, FILTER, EXTNAME,
 * else 1, 2, 3; letters, digits, - and _. The scale is that of the WCS: CDi_j, PCi_j and CDELTi, or CDELTi.
 */
enum { GAL_LARGEST_BANDS = 32, GAL_BAND_LETTERS = 15, GAL_BANDS_TEXT = 512 };
typedef struct gal_image_form {
    int64_t width, height, bands;
    int32_t deep;               /* whether it is such an image; else JPEG or PNG of 8 bits */
    double scale;               /* arcsec a pixel; 0 where the file doesn't say */
    char names[GAL_BANDS_TEXT]; /* of the bands, separated by commas */
} gal_image_form;
GAL_API gal_status gal_image_read_form(gal_image_form *out, const char *path);
/* pixels float32 {n, size, size, bands}, decoded {n} from the files at paths {n, files}, on all cores. files
 * 1: each file has the bands whose names are in `names`, separated by commas, wherever they stand in it.
 * files = bands: each file has one. scaled != 0: an image of another size is resampled. status is GAL_SHAPE
 * where a file has another size or lacks a band, GAL_FILE where it is damaged, holds an infinite value or no
 * value at all, and where the bands of one row differ in scale; the pixels are zeros then, and the call
 * succeeds. */
GAL_API gal_status gal_cutouts_decode(gal_tensor *pixels, gal_decoded *decoded, const char *const *paths,
                                      int files, const char *names, int scaled);

/* Images that need not be in memory. A set is made once and then only read. Free it with gal_images_free;
 * sets that were made of one another may be freed in any order. */
typedef struct gal_images gal_images;
/* Of a .npy file, uint8 {N, height, width, 3} or float32 {N, height, width, bands}. The file is read by pread
 * when images are wanted; one that was cut or replaced meanwhile is GAL_FILE then. */
GAL_API gal_status gal_images_open(gal_images **out, const char *path);
/* Of the rows of x {N, ...}, any dtype, contiguous, on the CPU. The set holds x's storage. */
GAL_API gal_status gal_images_of(gal_images **out, const gal_tensor *x);
/* The images at index {n}, from 0, in that order; index NULL: all of them. */
GAL_API gal_status gal_images_select(gal_images **out, const gal_images *images, const int64_t *index,
                                     int64_t n);
/* From here on images are their central crop x crop pixels (0: all), then means over bin x bin pixels, of
 * uint8 rounded to whole numbers, of float32 the means of those that have a value. Replaces what was said
 * before. */
GAL_API gal_status gal_images_shape(gal_images *images, int64_t crop, int64_t bin);
/* How a value x of float32 images is shown to a network: y = (f(x) - low) / (high - low), at least -1 and at
 * most 2, where f(x) is asinh((x - offset) / softening) (Lupton, Gunn & Szalay 1999), or x where `asinh` is
 * 0; and fill where x is NaN. A list for each band. mask != 0: a further channel behind the bands is the
 * share of a pixel's values that are missing. */
typedef struct gal_scaling {
    int32_t bands, asinh, mask;
    float offset[GAL_LARGEST_BANDS], softening[GAL_LARGEST_BANDS], low[GAL_LARGEST_BANDS],
        high[GAL_LARGEST_BANDS], fill[GAL_LARGEST_BANDS];
} gal_scaling;
/* From here on float32 images are shown so; scaling NULL: as they are. */
GAL_API gal_status gal_images_scale(gal_images *images, const gal_scaling *scaling);
/* What an image's bands are like, {bands}, after crop and bin and before scaling, of the pixels with a value.
 */
typedef struct gal_levels {
    float least, most, median, deviation; /* NaN where no pixel has one; deviation: 1.4826 times the median of
                                             |x - median|, both of at most 1,024 pixels spread evenly */
    double sum;                           /* of the scaled values */
    int64_t count, missing;               /* pixels with a value, and without */
} gal_levels;
/* levels {count, bands} of the images [first, first + count). */
GAL_API gal_status gal_images_levels(gal_levels *levels, const gal_images *images, int64_t first,
                                     int64_t count);
/* Channels of an image as gal_images_read gives it; whether they are float32. */
GAL_API int64_t gal_images_channels(const gal_images *images);
GAL_API int gal_images_is_float(const gal_images *images);
GAL_API void gal_images_free(gal_images *images); /* NULL does nothing */
GAL_API int64_t gal_images_count(const gal_images *images);
/* Bytes that the images have as they are stored, whole. */
GAL_API int64_t gal_images_stored(const gal_images *images);
/* which: 0 for the height, 1 for the width, in pixels, as gal_images_read gives them. */
GAL_API int64_t gal_images_side(const gal_images *images, int which);
/* y {n, ...} = images [first, first + n), or those at index {n} where it is not NULL. turns {n} or NULL: 4
 * mirrors left for right, then turns & 3 quarter turns anticlockwise: the eight symmetries of a square. */
GAL_API gal_status gal_images_read(gal_tensor *y, const gal_images *images, int64_t first,
                                   const int64_t *index, const uint8_t *turns);
/* Of uint8 images: sums {channels} of all pixels' values, 0 to 255, and squares {channels} of their squares.
 */
GAL_API gal_status gal_images_moments(double *sums, double *squares, const gal_images *images,
                                      int64_t channels);

/* A thread that reads the next batches of images, for a device, while this one is used. */
typedef struct gal_loader gal_loader;
GAL_API gal_status gal_loader_new(gal_loader **out, const gal_images *images, int64_t batch,
                                  const char *device);
GAL_API void gal_loader_free(gal_loader *loader); /* NULL does nothing */
/* A new epoch: batch k, from 0, is the images at order int64 {rows}[k batch ...), turned by turns uint8
 * {rows} or NULL. Both are copied. */
GAL_API gal_status gal_loader_start(gal_loader *loader, const gal_tensor *order, const gal_tensor *turns);
/* y {batch, ...}, on the loader's device, = batch k of the epoch. A batch that is taken in turn lies ready;
 * any other is read now. What is issued later sees it; a program that reads y is replayed once for each
 * batch. GAL_RECORDING while a program is recorded. */
GAL_API gal_status gal_loader_take(gal_tensor *y, gal_loader *loader, int64_t k);

/* Tables: .csv (RFC 4180; a leading #Table1 line is skipped; empty and null are missing) and FITS binary
 * tables, each plain or gzipped. Rows and columns count from 0 here; sentences say lines (CSV) and rows
 * from 1. A table of no rows is an error. */
typedef struct gal_table gal_table;
typedef enum gal_column_type {
    GAL_COLUMN_F64 = 0,
    GAL_COLUMN_I64,    /* integers of any size that fit, logicals as 0 and 1 */
    GAL_COLUMN_STRING, /* text, and integers that do not fit (their digits) */
    GAL_COLUMN_OTHER   /* complex, bits, variable-length: named, not read */
} gal_column_type;
/* Which table of a file, and which of its columns names the rows. */
typedef struct gal_table_choice {
    int hdu;          /* number of a FITS HDU as in astropy (1 is the first extension); -1: any */
    const char *name; /* EXTNAME of a FITS HDU, case ignored; NULL: any */
    const char *id;   /* a column of ids beside objID, specObjID, name and id; NULL: none */
} gal_table_choice;
/* choice: NULL for the first table; GAL_VALUE where a CSV file, which is one table, is asked for an HDU. Ids
 * in a CSV file are text wherever numbers would change them: 1E5, 0.25, a quoted "5.0", null. A FITS column
 * is read when it is first asked for and kept until the table is freed. */
GAL_API gal_status gal_table_open(gal_table **out, const char *path, const gal_table_choice *choice);
/* "a FITS file, or a name that ends in .csv, …": which files are tables, in words. */
GAL_API const char *gal_table_reads(void);
GAL_API void gal_table_free(gal_table *table); /* NULL does nothing */
GAL_API int64_t gal_table_rows(const gal_table *table);
GAL_API int gal_table_columns(const gal_table *table);
/* Of column i, 0 <= i < columns; the pointers live as long as the table. */
GAL_API const char *gal_table_name(const gal_table *table, int i);
GAL_API const char *gal_table_unit(const gal_table *table, int i);  /* "" where there is none */
GAL_API const char *gal_table_about(const gal_table *table, int i); /* what it is, in words; "" */
GAL_API int gal_table_type(const gal_table *table, int i);
GAL_API int64_t gal_table_width(const gal_table *table, int i); /* values per row */
/* out {rows, width}; missing is NaN, -9999 stays. Text that is no number is GAL_TYPE, naming column, row and
 * text. */
GAL_API gal_status gal_table_numbers(double *out, gal_table *table, int i);
/* The same as float32. */
GAL_API gal_status gal_table_floats(float *out, gal_table *table, int i);
/* out {rows, width}; missing {rows, width} gets 1 or 0. GAL_TYPE where a value is no integer or its digits
 * are lost (a float beyond 2^53). */
GAL_API gal_status gal_table_integers(int64_t *out, uint8_t *missing, gal_table *table, int i);
/* *out: value k (row * width + element) of column i as text, "" where missing, integers in decimal, floats so
 * that they read back exactly. Valid until the next call. */
GAL_API gal_status gal_table_text(const char **out, gal_table *table, int i, int64_t k);
/* The same for a column of ids, without blanks in front: GAL_TYPE for a float that is no whole number or
 * beyond 2^53, GAL_VALUE where missing. */
GAL_API gal_status gal_table_id(const char **out, gal_table *table, int i, int64_t k);
/* A table in memory, without columns yet. */
GAL_API gal_status gal_table_new(gal_table **out, int64_t rows);
/* Appends a column, copying values {rows, width}: doubles, int64s, or strings one behind the other, each with
 * its 0. type: all but GAL_COLUMN_OTHER. letter: the FITS type it is saved as ('E' for float32 values, 'B'
 * for uint8), or 0: then D, K or A. */
GAL_API gal_status gal_table_add(gal_table *table, const char *name, int type, int letter, int64_t width,
                                 const void *values);
/* Sets the unit of column i, "mag" or "" for none, and what it is in words; FITS holds them as TUNIT and
 * TCOMM. GAL_VALUE where FITS can't: other characters than plain ASCII, more than 68 of them. */
GAL_API gal_status gal_table_set_unit(gal_table *table, int i, const char *unit);
GAL_API gal_status gal_table_set_about(gal_table *table, int i, const char *about);
/* Column i of strings is written with at least so many letters, that all pieces of a table are alike. */
GAL_API gal_status gal_table_set_letters(gal_table *table, int i, int64_t letters);
/* The keywords of a FITS header that say nothing of the table's own layout, such as TELESCOP, count from 0:
 * a name, and a text or, where *text is NULL, a number. */
GAL_API int gal_table_keys(const gal_table *table);
GAL_API const char *gal_table_key(const char **text, double *number, const gal_table *table, int k);
/* Sets one: name of at most 8 characters A-Z, 0-9, - and _, text of plain ASCII of any length, or NULL and
 * the number. GAL_VALUE for others, and for keywords that are the layout's (NAXIS, TFORM1, ...). */
GAL_API gal_status gal_table_set_key(gal_table *table, const char *name, const char *text, double number);
/* The last column takes the place, the name and, where it has none, the unit of column i, which is gone. */
GAL_API gal_status gal_table_replace(gal_table *table, int i);
GAL_API gal_status gal_table_remove(gal_table *table, int i);
/* A new table of the given rows {n}, from 0, in that order, a row as often as it is named; columns keep type,
 * unit and form. */
GAL_API gal_status gal_table_select(gal_table **out, gal_table *table, const int64_t *rows, int64_t n);
/* Appends column i of `from` under this name: rows {rows of table} are its rows, from 0, or below 0 where the
 * value is missing. */
GAL_API gal_status gal_table_take(gal_table *table, const char *name, gal_table *from, int i,
                                  const int64_t *rows);
/* Rows that belong together. In place of a row: none does; the row itself has no id or no position. */
enum { GAL_ROW_NONE = -1, GAL_ROW_UNNAMED = -2 };
typedef struct gal_matched {
    int64_t matched; /* rows that another one belongs to */
    int64_t missing; /* rows without an id or a position */
    int64_t several; /* matched rows that more than one belongs to */
    int64_t shared;  /* matched rows whose other one is also an earlier row's */
} gal_matched;
/* row {rows of table}: the row of `other`, from 0, whose id in column j is the row's id in column i; of
 * several the first with preferred {rows of other} other than 0, else the first. preferred may be NULL. Ids
 * are integers of 64 bits, signed or not, and text, without outer blanks; a number is the same id in whatever
 * type it is stored. Missing, blank, -1 and -9999 are no ids. GAL_TYPE for a float that is no whole number or
 * beyond 2^53. */
GAL_API gal_status gal_table_match(int64_t *row, gal_matched *counts, gal_table *table, int i,
                                   gal_table *other, int j, const uint8_t *preferred);
/* row {n}: the nearest of the positions other_ra, other_dec {others} within `radius` arcsec of ra, dec {n},
 * in degrees; with preferred {others} the nearest of those where it is not 0, if there is any; of equally
 * near ones the first. arcsec {n}: how far it is, NaN where there is none. NaN and -9999 are no positions;
 * GAL_VALUE for others that are none. GAL_INTERRUPTED after Ctrl-C. */
GAL_API gal_status gal_sky_near(int64_t *row, double *arcsec, gal_matched *counts, const double *ra,
                                const double *dec, int64_t n, const double *other_ra, const double *other_dec,
                                int64_t others, const uint8_t *preferred, double radius);
/* group {n}: the first row, from 0, of those that a row reaches in steps of at most `radius` arcsec, from one
 * position to another; the row itself where there are none. */
GAL_API gal_status gal_sky_groups(int64_t *group, const double *ra, const double *dec, int64_t n,
                                  double radius);
/* Writes .csv or .fits, whole or not at all. CSV: numbers so that they read back exactly, missing ones empty;
 * GAL_TYPE for a column of vectors. FITS: loaded columns in the type they had, TUNIT, TNULL and TDIM with
 * them; others as D, K and A; GAL_VALUE for text that is not ASCII (blanks at its end are lost: FITS does not
 * tell them). */
GAL_API gal_status gal_table_write(const char *path, gal_table *table);
/* A FITS file in pieces. *bytes {*n}: its headers, for `rows` rows that are like the table's; *row_bytes: of
 * each row. Then its rows come, and zeros to a multiple of 2880 bytes. The caller frees *bytes with
 * gal_file_free. Pieces are alike where their columns have types by letter, strings letters enough, and
 * integers no missing values. */
GAL_API gal_status gal_table_fits_headers(char **bytes, int64_t *n, int64_t *row_bytes, gal_table *table,
                                          int64_t rows);
/* *bytes {*n}: the table's rows. */
GAL_API gal_status gal_table_fits_rows(char **bytes, int64_t *n, gal_table *table);

GAL_END
#endif
