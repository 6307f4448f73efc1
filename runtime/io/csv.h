/* csv.h: what csv.c and csv_layout.c share: a text that is read field by field. */
#ifndef GAL_IO_CSV_H
#define GAL_IO_CSV_H

#include "io.h"

/* Where reading has come to, and the field before it: text {n}, without its outer quotes and blanks. */
typedef struct gal_scanner {
    const char *at, *end;
    int64_t line; /* of at, from 1 */
    const char *path;
    const char *text;
    int64_t n;
    char separator; /* , ; | a tab, or a blank, which stands for any number of blanks and tabs */
    int comments;   /* lines that begin with # are no rows, wherever they stand */
    int last;       /* this field ended its row */
    int quoted;     /* it stood in quotes: a doubled quote in it means one */
} gal_scanner;

/* Goes to the line below. */
void gal_scan_skip_line(gal_scanner *s);
/* Takes the next field of the row, and the separator or the line's end behind it. */
gal_status gal_scan_field(gal_scanner *s);
/* Skips lines without fields: blank ones and, where there are such, comments. */
void gal_scan_empty(gal_scanner *s);
/* What text {n} is that is no number, where all other values of its column are numbers or such words. */
typedef enum gal_csv_word {
    GAL_WORD_OTHER,
    GAL_WORD_ABSENT, /* a missing value, as R, astropy and spreadsheets write it */
    GAL_WORD_FALSE,
    GAL_WORD_TRUE
} gal_csv_word;
gal_csv_word gal_csv_word_of(const char *text, int64_t n);
/* Copies the field into out {n + 1}, doubled quotes made one. Returns the bytes written, with the 0. */
int64_t gal_scan_copy(char *out, const gal_scanner *s);

/* What a table's text says of itself before its first row. */
typedef struct gal_csv_layout {
    gal_scanner names;  /* at the first name; its row may stand in a comment */
    gal_scanner rows;   /* at the first row */
    const char *header; /* {header_end - header} an ECSV's description of its columns; NULL for others */
    const char *header_end;
} gal_csv_layout;
/* The layout of the text that s is at the beginning of: what separates its fields, and where the names
 * stand. GAL_FILE where it has no names. */
gal_status gal_csv_layout_of(gal_csv_layout *layout, const gal_scanner *s);
/* ---- csv_under.c ---- */
/* Skips what stands under the names, where s is, and is no row: a line of units, a rule. */
void gal_csv_skip_under(gal_scanner *s);
/* Makes the decimal commas of the text, in rows of fields between semicolons, points: where some numbers have
 * commas and none has a point. GAL_FILE where a quote is never closed. */
gal_status gal_csv_decimal_commas(char *text, const gal_scanner *rows);

/* ---- csv_layout.c ---- */
/* What an ECSV says of a column: its unit in out {size}, "" for none. Returns whether its values are text. */
int gal_ecsv_column(char *out, int64_t size, const gal_csv_layout *layout, const char *name);

#endif
