/* csv.c: comma-separated tables (RFC 4180), read in two passes over the text: the first finds the type that
 * all values of a column have, the second stores them in it. Memory is taken for the text and the columns,
 * and nothing for each cell. */
#include "io.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* A column takes some 200 bytes beside its values, and two in the line of names. */
#define LARGEST_COLUMNS 65536

/* Where reading has come to, and the field before it: text {n}, without its outer quotes and blanks. */
typedef struct scanner {
    const char *at, *end;
    int64_t line; /* of at, from 1 */
    const char *path;
    const char *text;
    int64_t n;
    int last;   /* this field ended its row */
    int quoted; /* it stood in quotes: a doubled quote in it means one */
} scanner;

static int is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Skips the end of a line: \n, \r\n or a lone \r. */
static void next_line(scanner *s)
{
    if (s->at < s->end && *s->at == '\r')
        s->at++;
    if (s->at < s->end && *s->at == '\n')
        s->at++;
    s->line++;
}

static int at_line_end(const scanner *s)
{
    return s->at == s->end || *s->at == '\n' || *s->at == '\r';
}

/* Takes a field in quotes, s->at being on the first. */
static gal_status take_quoted(scanner *s)
{
    int64_t began = s->line;
    s->text = ++s->at;
    for (; s->at < s->end; s->at++) {
        if (*s->at == '\n' || (*s->at == '\r' && s->at + 1 < s->end && s->at[1] != '\n'))
            s->line++;
        if (*s->at != '"')
            continue;
        if (s->at + 1 == s->end || s->at[1] != '"') {
            s->n = s->at++ - s->text;
            return GAL_OK;
        }
        s->at++;
    }
    return gal_fail(GAL_FILE, "%s: line %lld has a quote that is never closed", s->path, (long long)began);
}

/* Copies the field into out {n + 1}, doubled quotes made one. Returns the bytes written, with the 0. */
static int64_t copy_field(char *out, const scanner *s)
{
    char *to = out;
    for (int64_t k = 0; k < s->n; k++) {
        *to++ = s->text[k];
        k += s->quoted && s->text[k] == '"';
    }
    *to++ = 0;
    return to - out;
}

/* Takes the next field of the row, and the comma or the line's end behind it. */
static gal_status take_field(scanner *s)
{
    gal_status status = GAL_OK;
    while (s->at < s->end && is_blank(*s->at))
        s->at++;
    s->quoted = s->at < s->end && *s->at == '"';
    if (s->quoted) {
        status = take_quoted(s);
        if (status)
            return status;
        while (s->at < s->end && is_blank(*s->at))
            s->at++;
        if (!at_line_end(s) && *s->at != ',')
            return gal_fail(GAL_FILE, "%s: line %lld has text behind a closing quote", s->path,
                            (long long)s->line);
    } else {
        s->text = s->at;
        while (!at_line_end(s) && *s->at != ',')
            s->at++;
        const char *stop = s->at;
        while (stop > s->text && is_blank(stop[-1]))
            stop--;
        s->n = stop - s->text;
    }
    s->last = at_line_end(s);
    if (s->last)
        next_line(s);
    else
        s->at++;
    return GAL_OK;
}

static void skip_blank_lines(scanner *s)
{
    for (;;) {
        const char *at = s->at;
        while (at < s->end && is_blank(*at))
            at++;
        if (at < s->end && *at != '\n' && *at != '\r')
            return;
        s->at = at;
        if (at == s->end)
            return;
        next_line(s);
    }
}

/* Skips the mark of UTF-8 and lines that begin with # (SkyServer's #Table1). */
static void skip_preamble(scanner *s)
{
    if (s->end - s->at >= 3 && memcmp(s->at, "\xef\xbb\xbf", 3) == 0)
        s->at += 3;
    for (skip_blank_lines(s); s->at < s->end && *s->at == '#'; skip_blank_lines(s)) {
        while (!at_line_end(s))
            s->at++;
        next_line(s);
    }
}

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
    int integers, digits, floats, texts;
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

/* Whether a column of this name names the rows. */
static int is_id(const char *name, const gal_table_choice *choice)
{
    static const char *const known[] = {"objID", "specObjID", "name", "id"};
    for (size_t k = 0; k < sizeof known / sizeof *known; k++)
        if (strcasecmp(name, known[k]) == 0)
            return 1;
    return choice->id && strcasecmp(name, choice->id) == 0;
}

static gal_status read_names(gal_table *table, scanner *s)
{
    int capacity = 0;
    for (s->last = 0; !s->last;) {
        gal_status status = take_field(s);
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
        copy_field(c->name, s);
    }
    return GAL_OK;
}

static gal_status count_error(const gal_table *table, const scanner *s, int64_t line, int fields)
{
    return gal_fail(GAL_FILE, "%s: line %lld has %d%s, the line of names has %d", s->path, (long long)line,
                    fields,
                    fields > table->columns ? " or more fields"
                    : fields == 1           ? " field"
                                            : " fields",
                    table->columns);
}

/* The first pass: finds the traits {columns}, the number of rows and the line of each. */
static gal_status survey(gal_table *table, scanner *s, traits *trait)
{
    int64_t capacity = 0;
    for (skip_blank_lines(s); s->at < s->end; skip_blank_lines(s)) {
        int64_t line = s->line;
        int field = 0;
        gal_status status = note_line(table, line, &capacity);
        if (status)
            return status;
        for (s->last = 0; !s->last; field++) {
            status = take_field(s);
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
            t->texts |= kind == GAL_TEXT_OTHER ||
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
        if (t->texts || (t->digits && !t->floats) || (t->floats && odd_ids)) {
            c->type = GAL_COLUMN_STRING;
            c->text = malloc((size_t)t->bytes + 1);
            c->start = malloc((rows + 1) * sizeof *c->start);
        } else if (t->integers && !t->floats) {
            c->type = GAL_COLUMN_I64;
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

/* Stores the field as the column's value in row k; used {1} counts the bytes of text so far. */
static gal_status store(gal_table *table, gal_column *c, const scanner *s, int64_t k, int64_t *used)
{
    int64_t i;
    double f;
    gal_text_kind kind = gal_number_parse(s->text, s->n, &i, &f);
    if (c->type == GAL_COLUMN_STRING) {
        c->start[k] = *used;
        if (kind == GAL_TEXT_MISSING && !s->quoted && !c->names) /* null */
            c->text[(*used)++] = 0;
        else
            *used += copy_field(c->text + *used, s);
        return GAL_OK;
    }
    if (c->type == GAL_COLUMN_F64) {
        c->f64[k] = f;
        return GAL_OK;
    }
    c->i64[k] = i;
    if (kind == GAL_TEXT_MISSING) {
        if (!c->missing && !(c->missing = calloc((size_t)table->rows, 1)))
            return no_memory(table);
        c->missing[k] = 1;
    }
    return GAL_OK;
}

static gal_status fill(gal_table *table, scanner *s, int64_t *used)
{
    for (int64_t row = 0; row < table->rows; row++) {
        skip_blank_lines(s);
        for (int i = 0; i < table->columns; i++) {
            gal_status status = take_field(s);
            if (!status)
                status = store(table, &table->column[i], s, row, &used[i]);
            if (status)
                return status;
        }
    }
    return GAL_OK;
}

static gal_status parse(gal_table *table, const char *text, int64_t n, const gal_table_choice *choice)
{
    scanner s = {.at = text, .end = text + n, .line = 1, .path = table->path};
    table->in_lines = 1;
    if (memchr(text, 0, (size_t)n))
        return gal_fail(GAL_FILE, "%s: holds bytes that are 0, expected text in UTF-8", table->path);
    skip_preamble(&s);
    if (s.at == s.end)
        return gal_fail(GAL_FILE, "%s: has no line of column names", table->path);
    gal_status status = read_names(table, &s);
    if (status)
        return status;
    traits *trait = calloc((size_t)table->columns, sizeof *trait);
    int64_t *used = calloc((size_t)table->columns, sizeof *used);
    scanner rows = s;
    status = trait && used ? survey(table, &s, trait) : no_memory(table);
    if (!status)
        status = choose_types(table, trait, choice);
    if (!status)
        status = fill(table, &rows, used);
    free(trait);
    free(used);
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
    .name = "CSV", .endings = {".csv", ".txt"}, .written = 1, .open = open_csv, .write = gal_csv_write};
