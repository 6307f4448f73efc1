/* fits_write.c: writes a table as a FITS file of one binary table. CFITSIO makes the headers, in memory; the
 * rows are encoded here and go through the writer of all files, so that a full disk gets the same sentence
 * and the old file stays. A column that was loaded from FITS is written in the type that it had. */
#include "fits.h"
#include <stdlib.h>
#include <string.h>

#define BLOCK 2880
#define CHUNK 262144     /* bytes of rows encoded at a time */
#define LONGEST_VALUE 68 /* characters of a string in one header card (FITS standard 4.0, section 4.2.1) */
#define MOST_COLUMNS 999 /* section 7.3.1 */
#define SIGN (1ull << 63)
#define EXACT_LIMIT 9007199254740992.0 /* 2^53 */
#define SHORT_TEXT (LONGEST_VALUE / 2) /* however many of its letters are apostrophes, it fits in a card */

/* How one column is written. */
typedef struct plan {
    char letter;     /* as in gal_form, never 0 */
    int64_t letters; /* A: of each string */
    int64_t bytes;   /* of one value */
    int has_null;
    int64_t null;   /* as stored */
    char form[32];  /* TFORM */
    char shape[64]; /* TDIM, or "" */
} plan;

static gal_status no_memory(const char *path)
{
    return gal_fail(GAL_MEMORY, "%s: no memory to write it", path);
}

/* The integer by which the file stores an int64; for unsigned integers of 64 bits, value is their bits. */
static int64_t stored(char letter, int64_t value)
{
    switch (letter) {
    case 'S':
        return value + 128;
    case 'U':
        return value - 32768;
    case 'V':
        return value - 2147483648;
    case 'W':
        return (int64_t)((uint64_t)value ^ SIGN);
    default:
        return value;
    }
}

/* The first text of c {n} that FITS can't hold (section 4.2.1: the characters from blank to ~), or -1;
 * *longest in letters. */
static int64_t check_strings(const gal_column *c, int64_t n, int64_t *longest)
{
    *longest = 0;
    for (int64_t k = 0; k < n; k++) {
        const char *text = c->text + c->start[k], *at = text;
        while (*at >= ' ' && *at <= '~')
            at++;
        if (*at)
            return k;
        *longest = at - text > *longest ? at - text : *longest;
    }
    return -1;
}

/* p->null = an integer that no value is stored as, to stand for missing ones: the first free one from the end
 * of the range. Returns 0 where the first 256 are taken. */
static int find_null(plan *p, const gal_column *c, int64_t n)
{
    int byte = p->bytes == 1;
    int64_t candidate = byte ? 255 : p->bytes == 8 ? INT64_MIN : -((int64_t)1 << (8 * p->bytes - 1));
    for (int tries = 0; tries < 256; tries++, candidate += byte ? -1 : 1) {
        int64_t k = 0;
        while (k < n && (c->missing[k] || stored(p->letter, c->i64[k]) != candidate))
            k++;
        p->null = candidate;
        if (k == n)
            return 1;
    }
    return 0;
}

static gal_status plan_strings(plan *p, const char *path, gal_table *table, const gal_column *c)
{
    int64_t longest, bad = check_strings(c, table->rows * c->width, &longest);
    if (bad >= 0)
        return gal_fail(GAL_VALUE,
                        "%s: column \"%s\" has \"%.60s\" in row %lld, and FITS holds plain ASCII only; .csv "
                        "holds any text",
                        path, c->name, c->text + c->start[bad], (long long)(bad / c->width) + 1);
    p->letter = 'A';
    p->letters = c->form.letters > longest ? c->form.letters : longest;
    if (p->letters == 0 && c->form.letter != 'A')
        p->letters = 1;
    p->bytes = p->letters;
    if (c->width > 1)
        snprintf(p->shape, sizeof p->shape, "(%lld,%lld)", (long long)p->letters, (long long)c->width);
    return GAL_OK;
}

static gal_status plan_integers(plan *p, const char *path, gal_table *table, const gal_column *c)
{
    int64_t n = table->rows * c->width;
    int any = 0;
    for (int64_t k = 0; c->missing && k < n; k++)
        any |= c->missing[k];
    if (any && !p->has_null && p->letter != 'L') {
        p->has_null = find_null(p, c, n);
        if (!p->has_null && p->bytes < 8) {
            p->letter = 'K';
            p->bytes = 8;
            p->has_null = find_null(p, c, n);
        }
        if (!p->has_null)
            return gal_fail(
                GAL_VALUE,
                "%s: column \"%s\" has missing values and takes every integer that could stand for them",
                path, c->name);
    }
    return GAL_OK;
}

static int64_t bytes_of(char letter)
{
    return strchr("LBS", letter) ? 1 : strchr("IU", letter) ? 2 : strchr("JVE", letter) ? 4 : 8;
}

/* Plans how column c is written; its values are loaded. */
static gal_status make_plan(plan *p, const char *path, gal_table *table, const gal_column *c)
{
    gal_status status = GAL_OK;
    size_t name = 0;
    for (const char *at = c->name; *at; at++, name++) {
        if (*at < ' ' || *at > '~')
            return gal_fail(GAL_VALUE,
                            "%s: column \"%s\" can't be named so in FITS, which takes plain ASCII only", path,
                            c->name);
        name += *at == '\'';
    }
    if (name > LONGEST_VALUE)
        return gal_fail(GAL_VALUE,
                        "%s: column \"%s\" has a longer name than the %d characters that FITS takes", path,
                        c->name, LONGEST_VALUE);
    p->letter = c->form.letter ? c->form.letter : c->type == GAL_COLUMN_I64 ? 'K' : 'D';
    p->bytes = bytes_of(p->letter);
    p->has_null = c->form.has_null && c->form.letter && strchr("BIJKSUVW", c->form.letter);
    p->null = c->form.null;
    if (c->type == GAL_COLUMN_STRING && p->letter != 'W')
        status = plan_strings(p, path, table, c);
    else if (c->type == GAL_COLUMN_I64)
        status = plan_integers(p, path, table, c);
    if (c->form.dimensions && !*p->shape)
        snprintf(p->shape, sizeof p->shape, "%.60s", c->form.dimensions);
    snprintf(p->form, sizeof p->form, "%lld%c",
             (long long)(p->letter == 'A' ? p->letters * c->width : c->width), p->letter);
    return status;
}

/* ---- headers ---- */

/* Appends the current HDU's header to *text {*n}, with blanks to the end of its block. */
static gal_status append_header(char **text, int64_t *n, fitsfile *fits, const char *path)
{
    char *cards = NULL, *more = NULL;
    int count = 0, status = 0;
    fits_hdr2str(fits, 0, NULL, 0, &cards, &count, &status);
    int64_t used = (int64_t)count * 80, padded = (used + BLOCK - 1) / BLOCK * BLOCK;
    if (!status)
        more = realloc(*text, (size_t)(*n + padded));
    if (more) {
        *text = more;
        memset(more + *n, ' ', (size_t)padded);
        memcpy(more + *n, cards, (size_t)used);
        *n += padded;
    }
    if (cards)
        fits_free_memory(cards, &status);
    return more ? GAL_OK : no_memory(path);
}

static void write_key(fitsfile *fits, const gal_key *key, int *status)
{
    double number = key->number;
    LONGLONG whole = number > -EXACT_LIMIT && number < EXACT_LIMIT ? (LONGLONG)number : 0;
    if (key->text && strlen(key->text) > SHORT_TEXT)
        fits_write_key_longstr(fits, key->name, key->text, NULL, status);
    else if (key->text)
        fits_write_key(fits, TSTRING, key->name, key->text, NULL, status);
    else if ((double)whole == number)
        fits_write_key(fits, TLONGLONG, key->name, &whole, NULL, status);
    else
        fits_write_key(fits, TDOUBLE, key->name, &number, NULL, status);
}

static void write_keys(fitsfile *fits, const gal_table *table, LONGLONG rows, const plan *plans, int *status)
{
    char key[24];
    for (int i = 0; i < table->columns; i++) {
        LONGLONG null = plans[i].null;
        snprintf(key, sizeof key, "TNULL%d", i + 1);
        if (plans[i].has_null)
            fits_write_key(fits, TLONGLONG, key, &null, "stands for a missing value", status);
        snprintf(key, sizeof key, "TDIM%d", i + 1);
        if (*plans[i].shape)
            fits_write_key(fits, TSTRING, key, (char *)plans[i].shape, "shape of each value", status);
    }
    for (int i = 0; i < table->columns; i++) {
        snprintf(key, sizeof key, "TCOMM%d", i + 1);
        if (table->column[i].about && *table->column[i].about)
            fits_write_key(fits, TSTRING, key, table->column[i].about, NULL, status);
    }
    for (int k = 0; k < table->keys; k++)
        write_key(fits, &table->key[k], status);
    fits_update_key(fits, TLONGLONG, "NAXIS2", &rows, NULL, status);
}

/* *text {*n} = both headers; the caller frees it. */
static gal_status make_headers(char **text, int64_t *n, const char *path, const gal_table *table,
                               int64_t rows, plan *plans)
{
    int columns = table->columns, status = 0;
    char **lists = calloc(3 * (size_t)columns, sizeof *lists);
    fitsfile *fits = NULL;
    if (!lists)
        return no_memory(path);
    for (int i = 0; i < columns; i++) {
        lists[i] = table->column[i].name;
        lists[columns + i] = plans[i].form;
        lists[2 * columns + i] = table->column[i].unit ? table->column[i].unit : "";
    }
    fits_create_file(&fits, "mem://", &status);
    fits_create_tbl(fits, BINARY_TBL, 0, columns, lists, lists + columns, lists + 2 * columns, NULL, &status);
    write_keys(fits, table, rows, plans, &status);
    free(lists);
    gal_status failed = GAL_OK;
    for (int hdu = 1; !status && !failed && hdu <= 2; hdu++)
        if (!fits_movabs_hdu(fits, hdu, NULL, &status))
            failed = append_header(text, n, fits, path);
    int closing = 0;
    if (fits)
        fits_delete_file(fits, &closing);
    if (!status)
        return failed;
    char reason[FLEN_ERRMSG] = "";
    fits_get_errstatus(status, reason);
    fits_clear_errmsg();
    return gal_fail(GAL_FILE, "%s: its header can't be written (CFITSIO %d: %s)", path, status, reason);
}

/* ---- rows ---- */

static void put_big_endian(unsigned char *to, uint64_t bits, int64_t bytes)
{
    for (int64_t b = 0; b < bytes; b++)
        to[b] = (unsigned char)(bits >> 8 * (bytes - 1 - b));
}

/* Encodes value k of c as its plan says. */
static void encode(unsigned char *to, const plan *p, const gal_column *c, int64_t k)
{
    uint64_t bits;
    if (p->letter == 'A') {
        const char *text = c->text + c->start[k];
        size_t n = strlen(text);
        memcpy(to, text, n);
        memset(to + n, 0, (size_t)p->letters - n);
    } else if (c->type == GAL_COLUMN_STRING) { /* unsigned integers of 64 bits, as their digits */
        const char *text = c->text + c->start[k];
        put_big_endian(to, *text ? strtoull(text, NULL, 10) ^ SIGN : (uint64_t)p->null, 8);
    } else if (p->letter == 'L') {
        *to = c->missing && c->missing[k] ? 0 : c->i64[k] ? 'T' : 'F';
    } else if (c->type == GAL_COLUMN_I64) {
        put_big_endian(to, (uint64_t)(c->missing && c->missing[k] ? p->null : stored(p->letter, c->i64[k])),
                       p->bytes);
    } else if (p->letter == 'E') {
        float value = (float)c->f64[k];
        uint32_t word;
        memcpy(&word, &value, sizeof word);
        put_big_endian(to, word, 4);
    } else {
        memcpy(&bits, &c->f64[k], sizeof bits);
        put_big_endian(to, bits, 8);
    }
}

/* rows {n, row_bytes} = rows first … first + n - 1 of the table. */
static void encode_rows(unsigned char *rows, const gal_table *table, const plan *plans, int64_t row_bytes,
                        int64_t first, int64_t n)
{
    int64_t column = 0;
    for (int i = 0; i < table->columns; i++) {
        const gal_column *c = &table->column[i];
        for (int64_t k = 0; k < n * c->width; k++)
            encode(rows + k / c->width * row_bytes + column + k % c->width * plans[i].bytes, &plans[i], c,
                   first * c->width + k);
        column += c->width * plans[i].bytes;
    }
}

static gal_status put_rows(gal_writer *writer, const gal_table *table, const plan *plans, int64_t row_bytes)
{
    int64_t at_once = row_bytes < CHUNK ? CHUNK / (row_bytes ? row_bytes : 1) : 1,
            written = table->rows * row_bytes;
    unsigned char *rows = malloc((size_t)(at_once * row_bytes) + 1), padding[BLOCK] = {0};
    gal_status status = rows ? GAL_OK : no_memory(writer->path);
    for (int64_t first = 0; !status && first < table->rows; first += at_once) {
        int64_t n = table->rows - first < at_once ? table->rows - first : at_once;
        encode_rows(rows, table, plans, row_bytes, first, n);
        status = gal_writer_put(writer, rows, n * row_bytes);
    }
    free(rows);
    return status ? status : gal_writer_put(writer, padding, (BLOCK - written % BLOCK) % BLOCK);
}

/* *plans {columns}: how each column is written, the caller's to free; *row_bytes: of a row. */
static gal_status plan_all(plan **plans, int64_t *row_bytes, const char *path, gal_table *table)
{
    *row_bytes = 0;
    *plans = NULL;
    if (table->columns > MOST_COLUMNS)
        return gal_fail(GAL_VALUE, "%s: the table has %d columns, FITS takes at most %d", path,
                        table->columns, MOST_COLUMNS);
    *plans = calloc((size_t)table->columns + 1, sizeof **plans);
    gal_status status = *plans ? GAL_OK : no_memory(path);
    for (int i = 0; !status && i < table->columns; i++) {
        gal_column *c = NULL;
        status = gal_table_loaded(&c, table, i);
        if (!status)
            status = make_plan(&(*plans)[i], path, table, c);
        if (!status)
            *row_bytes += c->width * (*plans)[i].bytes;
    }
    return status;
}

gal_status gal_fits_write(const char *path, gal_table *table)
{
    plan *plans = NULL;
    char *headers = NULL;
    int64_t n = 0, row_bytes = 0;
    gal_status status = plan_all(&plans, &row_bytes, path, table);
    if (!status)
        status = make_headers(&headers, &n, path, table, table->rows, plans);
    gal_writer writer = {.fd = -1};
    if (!status)
        status = gal_writer_open(&writer, path);
    if (!status)
        status = gal_writer_put(&writer, headers, n);
    if (!status)
        status = put_rows(&writer, table, plans, row_bytes);
    if (!status)
        status = gal_writer_commit(&writer);
    else
        gal_writer_abandon(&writer);
    free(headers);
    free(plans);
    return status;
}

/* ---- a file in pieces ---- */

gal_status gal_table_fits_headers(char **bytes, int64_t *n, int64_t *row_bytes, gal_table *table,
                                  int64_t rows)
{
    plan *plans = NULL;
    *bytes = NULL;
    *n = 0;
    gal_status status = plan_all(&plans, row_bytes, table->path, table);
    if (!status)
        status = make_headers(bytes, n, table->path, table, rows, plans);
    free(plans);
    return status;
}

gal_status gal_table_fits_rows(char **bytes, int64_t *n, gal_table *table)
{
    plan *plans = NULL;
    int64_t row_bytes = 0;
    *bytes = NULL;
    *n = 0;
    gal_status status = plan_all(&plans, &row_bytes, table->path, table);
    char *rows = status ? NULL : malloc((size_t)(table->rows * row_bytes) + 1);
    if (!status && !rows)
        status = no_memory(table->path);
    if (!status) {
        encode_rows((unsigned char *)rows, table, plans, row_bytes, 0, table->rows);
        *n = table->rows * row_bytes;
        *bytes = rows;
    }
    free(plans);
    return status;
}
