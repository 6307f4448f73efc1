/* csv.c: comma-separated tables (RFC 4180) and their relatives (csv_layout.c), read in two passes over the
 * text: the first finds the type that all values of a column have, the second stores them in it. Memory is
 * taken for the text and the columns, and nothing for each cell. */
#include "csv.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* A column takes some 200 bytes beside its values, and two in the line of names. */
#define LARGEST_COLUMNS 65536

static gal_status no_memory(const gal_table *table)
{
    return gal_fail(GAL_MEMORY, "%s: no memory for its columns", table->path);
}

/* Notes that the next row is at this line. Numbers are kept from the first row on that does not follow its
 * neighbour: 8 bytes a row are more than many a value takes in the file. */
static gal_status note_line(gal_table *table, int64_t line, int64_t *capacity)
{
    int64_t rows = table->rows++;
    if (rows == 0)
        table->before = line - 1;
    if (!table->line && line == table->before + rows + 1)
        return GAL_OK;
    if (rows >= *capacity) {
        *capacity = rows + rows / 2 + 1024;
        int64_t *more = realloc(table->line, (size_t)*capacity * sizeof *more);
        if (!more)
            return no_memory(table);
        for (int64_t k = 0; !table->line && k < rows; k++)
            more[k] = table->before + k + 1;
        table->line = more;
    }
    table->line[rows] = line;
    return GAL_OK;
}

/* What the values of a column have been so far. */
typedef struct traits {
    int integers, digits, floats, booleans, texts;
    int absent;    /* a word for a missing value, where the others are numbers */
    int odd;       /* a float that is no whole number as 5.0 is one, or stands in quotes */
    int rounded;   /* a large integer whose last digits are lost: 1.23765e+18 */
    int64_t bytes; /* of all values as text, each with its zero */
} traits;

/* Whether text {n}, a float, is digits, a point and zeros. */
static int is_whole(const char *text, int64_t n)
{
    int64_t k = n > 0 && *text == '-';
    while (k < n && text[k] >= '0' && text[k] <= '9')
        k++;
    for (k += k < n && text[k] == '.'; k < n && text[k] == '0'; k++)
        ;
    return k == n;
}

/* Whether text {n}, a float, is how programs write an integer whose last digits they have lost. */
static int is_rounded(const char *text, int64_t n)
{
    int64_t i;
    double value = 0;
    if (!memchr(text, 'e', (size_t)n) && !memchr(text, 'E', (size_t)n))
        return 0;
    gal_number_parse(text, n, &i, &value);
    return memchr(text, '+', (size_t)n) || (memchr(text, '.', (size_t)n) && fabs(value) > 9007199254740992.0);
}

gal_csv_word gal_csv_word_of(const char *text, int64_t n)
{
    static const char *const absent[] = {"NA",    "N/A",     "#N/A",    "--",    "None",  "masked",
                                         "n/a",   "-",       "---",     "...",   "\\N",   "#NULL!",
                                         "#NUM!", "#DIV/0!", "#VALUE!", "#REF!", "#NAME?"};
    if (n > 0 && (int64_t)strspn(text, "*") >= n) /* Fortran's, of a number that is too long for its field */
        return GAL_WORD_ABSENT;
    if ((n == 4 && strncasecmp(text, "true", 4) == 0) || (n == 5 && strncasecmp(text, "false", 5) == 0))
        return n == 4 ? GAL_WORD_TRUE : GAL_WORD_FALSE;
    for (size_t k = 0; k < sizeof absent / sizeof *absent; k++)
        if (n == (int64_t)strlen(absent[k]) && memcmp(text, absent[k], (size_t)n) == 0)
            return GAL_WORD_ABSENT;
    return GAL_WORD_OTHER;
}

/* Whether a column of this name names the rows. */
static int is_id(const char *name, const gal_table_choice *choice)
{
    static const char *const known[] = {"objID", "specObjID", "name", "id"};
    for (size_t k = 0; k < sizeof known / sizeof *known; k++)
        if (strcasecmp(name, known[k]) == 0)
            return 1;
    return choice->id && strcasecmp(name, choice->id) == 0;
}

static gal_status read_names(gal_table *table, gal_scanner *s)
{
    int capacity = 0;
    for (s->last = 0; !s->last;) {
        gal_status status = gal_scan_field(s);
        if (status)
            return status;
        if (table->columns == LARGEST_COLUMNS)
            return gal_fail(GAL_FILE, "%s: has more than %d columns", s->path, LARGEST_COLUMNS);
        if (table->columns == capacity) {
            capacity = capacity ? 2 * capacity : 32;
            gal_column *more = realloc(table->column, (size_t)capacity * sizeof *more);
            if (!more)
                return no_memory(table);
            table->column = more;
        }
        gal_column *c = &table->column[table->columns++];
        *c = (gal_column){.name = malloc((size_t)s->n + 1), .width = 1, .loaded = 1};
        if (!c->name)
            return no_memory(table);
        gal_scan_copy(c->name, s);
    }
    return GAL_OK;
}

static gal_status count_error(const gal_table *table, const gal_scanner *s, int64_t line, int fields)
{
    return gal_fail(GAL_FILE, "%s: line %lld has %d%s, the line of names has %d", s->path, (long long)line,
                    fields,
                    fields > table->columns ? " or more fields"
                    : fields == 1           ? " field"
                                            : " fields",
                    table->columns);
}

/* The first pass: finds the traits {columns}, the number of rows and the line of each. */
static gal_status survey(gal_table *table, gal_scanner *s, traits *trait)
{
    int64_t capacity = 0;
    for (gal_scan_empty(s); s->at < s->end; gal_scan_empty(s)) {
        int64_t line = s->line;
        int field = 0;
        gal_status status = note_line(table, line, &capacity);
        if (status)
            return status;
        for (s->last = 0; !s->last; field++) {
            status = gal_scan_field(s);
            if (status)
                return status;
            if (field == table->columns)
                return count_error(table, s, line, field + 1);
            int64_t i;
            gal_text_kind kind = gal_number_parse(s->text, s->n, &i, NULL);
            traits *t = &trait[field];
            t->integers |= kind == GAL_TEXT_INTEGER;
            t->digits |= kind == GAL_TEXT_DIGITS;
            t->floats |= kind == GAL_TEXT_FLOAT;
            t->odd |= kind == GAL_TEXT_FLOAT && (s->quoted || !is_whole(s->text, s->n));
            t->rounded |= kind == GAL_TEXT_FLOAT && is_rounded(s->text, s->n);
            gal_csv_word word = kind == GAL_TEXT_OTHER && !s->quoted ? gal_csv_word_of(s->text, s->n) : 0;
            t->booleans |= word == GAL_WORD_TRUE || word == GAL_WORD_FALSE;
            t->absent |= word == GAL_WORD_ABSENT;
            t->texts |= (kind == GAL_TEXT_OTHER && word == GAL_WORD_OTHER) ||
                        (kind == GAL_TEXT_MISSING && s->quoted && s->n > 0); /* "null" in quotes is a word */
            t->bytes += s->n + 1;
        }
        if (field != table->columns)
            return count_error(table, s, line, field);
    }
    return GAL_OK;
}

/* Chooses each column's type. An integer that would not print as it stands (an id like 007, or one of 20
 * digits) makes a column of integers one of text, but leaves a column of floats. Ids that look like floats
 * stay text, unless all are whole or some have lost digits. */
static gal_status choose_types(gal_table *table, const traits *trait, const gal_table_choice *choice)
{
    size_t rows = (size_t)table->rows;
    for (int i = 0; i < table->columns; i++) {
        gal_column *c = &table->column[i];
        const traits *t = &trait[i];
        c->names = is_id(c->name, choice);
        int odd_ids = c->names && (t->odd || t->digits) && !t->rounded;
        int numbers = t->integers || t->digits || t->floats;
        int words = t->texts || (t->booleans && numbers) || (t->absent && !numbers && !t->booleans) ||
                    (c->names && (t->booleans || t->absent));
        if (words || (t->digits && !t->floats) || (t->floats && odd_ids)) {
            c->type = GAL_COLUMN_STRING;
            c->text = malloc((size_t)t->bytes + 1);
            c->start = malloc((rows + 1) * sizeof *c->start);
        } else if (t->booleans || (t->integers && !t->floats)) {
            c->type = GAL_COLUMN_I64;
            c->form.letter = t->booleans ? 'L' : 0;
            c->i64 = malloc((rows + 1) * sizeof *c->i64);
        } else {
            c->type = GAL_COLUMN_F64;
            c->f64 = malloc((rows + 1) * sizeof *c->f64);
        }
        if (!(c->type == GAL_COLUMN_STRING ? c->text && c->start : c->i64 || c->f64))
            return no_memory(table);
    }
    return GAL_OK;
}

/* What storing a column has counted so far. */
typedef struct stored {
    int64_t bytes;  /* of its text */
    int64_t beyond; /* numbers that no double holds; the first is in this row */
    int64_t row;
} stored;

/* Whether the field, a number, is not the word inf or nan. */
static int is_digits(const gal_scanner *s)
{
    return s->n > 0 && !memchr("iInN", s->text[s->n > 1 && (*s->text == '-' || *s->text == '+')], 4);
}

/* Stores the field as the column's value in row k. */
static gal_status store(gal_table *table, gal_column *c, const gal_scanner *s, int64_t k, stored *count)
{
    int64_t i;
    double f;
    gal_text_kind kind = gal_number_parse(s->text, s->n, &i, &f);
    if (c->type == GAL_COLUMN_STRING) {
        c->start[k] = count->bytes;
        if (kind == GAL_TEXT_MISSING && !s->quoted && !c->names) /* null */
            c->text[count->bytes++] = 0;
        else
            count->bytes += gal_scan_copy(c->text + count->bytes, s);
        return GAL_OK;
    }
    if (c->type == GAL_COLUMN_F64) {
        c->f64[k] = f;
        if (isinf(f) && is_digits(s) && count->beyond++ == 0)
            count->row = k;
        return GAL_OK;
    }
    gal_csv_word word = kind == GAL_TEXT_OTHER ? gal_csv_word_of(s->text, s->n) : GAL_WORD_OTHER;
    c->i64[k] = word == GAL_WORD_OTHER ? i : word == GAL_WORD_TRUE;
    if (kind == GAL_TEXT_MISSING || word == GAL_WORD_ABSENT) {
        if (!c->missing && !(c->missing = calloc((size_t)table->rows, 1)))
            return no_memory(table);
        c->missing[k] = 1;
    }
    return GAL_OK;
}

static gal_status fill(gal_table *table, gal_scanner *s, stored *count)
{
    for (int64_t row = 0; row < table->rows; row++) {
        gal_scan_empty(s);
        for (int i = 0; i < table->columns; i++) {
            gal_status status = gal_scan_field(s);
            if (!status)
                status = store(table, &table->column[i], s, row, &count[i]);
            if (status)
                return status;
        }
    }
    return GAL_OK;
}

/* Tells of numbers in the text that no double holds. */
static void tell_beyond(const gal_table *table, const stored *count)
{
    for (int i = 0; i < table->columns; i++)
        if (count[i].beyond)
            gal_note("%s: column \"%s\" has %lld number%s beyond what a double holds (1.8e308), the first in "
                     "%s: taken for infinite, which counts as missing; their logarithm would do",
                     table->path, table->column[i].name, (long long)count[i].beyond,
                     count[i].beyond == 1 ? "" : "s", gal_row_text(table, count[i].row));
}

/* Takes over what an ECSV says of the columns: units, and which hold text. */
static gal_status describe(gal_table *table, const gal_csv_layout *layout, traits *trait)
{
    char unit[64];
    gal_status status = GAL_OK;
    for (int i = 0; layout->header && !status && i < table->columns; i++) {
        trait[i].texts |= gal_ecsv_column(unit, sizeof unit, layout, table->column[i].name);
        if (*unit)
            status = gal_table_set_unit(table, i, unit);
    }
    return status;
}

static gal_status parse(gal_table *table, char *text, int64_t n, const gal_table_choice *choice)
{
    gal_scanner s = {.at = text, .end = text + n, .line = 1, .path = table->path};
    gal_csv_layout layout;
    table->in_lines = 1;
    if (n > 1 && (memcmp(text, "\xff\xfe", 2) == 0 || memcmp(text, "\xfe\xff", 2) == 0))
        return gal_fail(
            GAL_FILE,
            "%s: is text in UTF-16; this makes it UTF-8: iconv -f UTF-16 -t UTF-8 \"%s\" >table.csv",
            table->path, table->path);
    if (memchr(text, 0, (size_t)n))
        return gal_fail(GAL_FILE, "%s: holds bytes that are 0, expected text in UTF-8", table->path);
    gal_status status = gal_csv_layout_of(&layout, &s);
    if (!status)
        status = gal_csv_decimal_commas(text, &layout.rows);
    if (!status)
        status = read_names(table, &layout.names);
    if (status)
        return status;
    traits *trait = calloc((size_t)table->columns, sizeof *trait);
    stored *count = calloc((size_t)table->columns, sizeof *count);
    gal_scanner rows = s = layout.rows;
    status = trait && count ? survey(table, &s, trait) : no_memory(table);
    if (!status)
        status = describe(table, &layout, trait);
    if (!status)
        status = choose_types(table, trait, choice);
    if (!status)
        status = fill(table, &rows, count);
    if (!status)
        tell_beyond(table, count);
    free(trait);
    free(count);
    return status;
}

static gal_status open_csv(gal_table *table, char *bytes, int64_t n, const gal_table_choice *choice)
{
    gal_status status = GAL_OK;
    if (choice->hdu >= 0 || choice->name)
        status =
            gal_fail(GAL_VALUE, "%s: is one table, expected a FITS file where an HDU is named", table->path);
    if (!status)
        status = parse(table, bytes, n, choice);
    gal_file_free(bytes);
    return status;
}

const gal_table_format gal_csv_format = {
    .name = "CSV",
    .endings = {".csv", ".txt", ".tsv", ".dat", ".ecsv", ".tab", ".asc", ".ascii", ".cat", ".tbl"},
    .written = 1,
    .open = open_csv,
    .write = gal_csv_write};
