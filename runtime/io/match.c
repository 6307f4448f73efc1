/* match.c: which row of another table has the same id as each row of a table: ids of 64 bits, signed or not,
 * and text, by a hash table of the other one's. Which is nearest on the sky is in sky.c. */
#include "io.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define EXACT_LIMIT 9007199254740992.0 /* 2^53 */

/* What an id is: none, a whole number from 0, one below 0, or text. Numbers are the same id however they are
 * stored; text is the same where its characters are, without outer blanks. */
typedef enum id_kind { ID_NONE, ID_WHOLE, ID_BELOW, ID_TEXT } id_kind;

/* The ids of a column: value {rows}: a number's bits, or the hash of a text. */
typedef struct ids {
    const gal_column *column;
    int64_t rows;
    uint64_t *value;
    uint8_t *kind;
    int64_t lost; /* the first row whose text is a number beyond 2^53 with an exponent or a point, or -1 */
    int long_numbers; /* whether any number is beyond 2^53 */
} ids;

static void free_ids(ids *a)
{
    free(a->value);
    free(a->kind);
    *a = (ids){0};
}

/* The text of row k without outer blanks, *n letters. */
static const char *text_of(const ids *a, int64_t k, int64_t *n)
{
    const char *text = a->column->text + a->column->start[k];
    text += strspn(text, " \t");
    *n = (int64_t)strlen(text);
    while (*n > 0 && (text[*n - 1] == ' ' || text[*n - 1] == '\t'))
        (*n)--;
    return text;
}

static void set_whole(ids *a, int64_t k, int64_t value)
{
    a->value[k] = (uint64_t)value;
    a->kind[k] = value == -1 || value == -9999 ? ID_NONE : value < 0 ? ID_BELOW : ID_WHOLE;
    a->long_numbers |= value > (int64_t)EXACT_LIMIT || value < -(int64_t)EXACT_LIMIT;
}

/* Whether text {n} is a whole number from 2^63 to 2^64 - 1, which it leaves in *value. */
static int is_unsigned(const char *text, int64_t n, uint64_t *value)
{
    *value = 0;
    if (n < 19 || n > 20 || *text == '0' || *text == '+' || *text == '-')
        return 0;
    for (int64_t k = 0; k < n; k++)
        if (__builtin_mul_overflow(*value, 10, value) ||
            __builtin_add_overflow(*value, (uint64_t)(text[k] - '0'), value))
            return 0;
    return 1;
}

static void set_text(ids *a, int64_t k)
{
    int64_t n, whole;
    double number;
    const char *text = text_of(a, k, &n);
    gal_text_kind kind = gal_number_parse(text, n, &whole, &number);
    a->kind[k] = ID_NONE;
    if (kind == GAL_TEXT_INTEGER) {
        set_whole(a, k, whole);
    } else if (kind == GAL_TEXT_DIGITS && is_unsigned(text, n, &a->value[k])) {
        a->kind[k] = ID_WHOLE;
        a->long_numbers = 1;
    } else if (kind == GAL_TEXT_FLOAT && number == floor(number) && fabs(number) <= EXACT_LIMIT) {
        set_whole(a, k, (int64_t)number);
    } else if (kind != GAL_TEXT_MISSING && !(kind == GAL_TEXT_FLOAT && isnan(number))) {
        a->value[k] = gal_hash(text, n, 0);
        a->kind[k] = ID_TEXT;
        if (kind == GAL_TEXT_FLOAT && a->lost < 0 && fabs(number) > EXACT_LIMIT)
            a->lost = k;
    }
}

/* The ids of column i of a table. On failure nothing is left to free. */
static gal_status read_ids(ids *a, gal_table *table, int i)
{
    gal_column *c = NULL;
    gal_status status = gal_table_loaded(&c, table, i);
    if (status)
        return status;
    if (c->width != 1)
        return gal_fail(GAL_SHAPE, "%s: column \"%s\" holds %lld values a row, expected an id", table->path,
                        c->name, (long long)c->width);
    *a = (ids){.column = c, .rows = table->rows, .lost = -1};
    a->value = calloc((size_t)a->rows + 1, sizeof *a->value);
    a->kind = calloc((size_t)a->rows + 1, 1);
    uint8_t *missing = calloc((size_t)a->rows + 1, 1);
    if (!a->value || !a->kind || !missing)
        status = gal_fail(GAL_MEMORY, "%s: no memory for its ids", table->path);
    else if (c->type != GAL_COLUMN_STRING)
        status = gal_table_integers((int64_t *)a->value, missing, table, i);
    for (int64_t k = 0; !status && k < a->rows; k++) {
        if (c->type == GAL_COLUMN_STRING)
            set_text(a, k);
        else if (!missing[k])
            set_whole(a, k, (int64_t)a->value[k]);
    }
    free(missing);
    if (status)
        free_ids(a);
    return status;
}

static int same_id(const ids *a, int64_t i, const ids *b, int64_t k)
{
    if (a->value[i] != b->value[k] || a->kind[i] != b->kind[k])
        return 0;
    if (a->kind[i] != ID_TEXT)
        return 1;
    int64_t n, m;
    const char *text = text_of(a, i, &n), *other = text_of(b, k, &m);
    return n == m && memcmp(text, other, (size_t)n) == 0;
}

/* The rows of `other` by their ids: slot {size}, a power of 2: a row and 1, or 0; several {size}: whether the
 * id names more than that row. */
typedef struct places {
    int64_t *slot;
    uint8_t *several;
    uint64_t size;
} places;

/* The slot of row k's id, or the empty one where it belongs. */
static uint64_t place_of(const places *p, const ids *of, int64_t k, const ids *other)
{
    uint64_t at = (of->value[k] * 0x9E3779B97F4A7C15u + of->kind[k]) >> 20;
    for (at &= p->size - 1; p->slot[at] && !same_id(of, k, other, p->slot[at] - 1);
         at = (at + 1) & (p->size - 1))
        ;
    return at;
}

static gal_status fill(places *p, const ids *other, const uint8_t *preferred)
{
    for (p->size = 16; p->size < 2 * (uint64_t)other->rows; p->size *= 2)
        ;
    p->slot = calloc(p->size, sizeof *p->slot);
    p->several = calloc(p->size, 1);
    if (!p->slot || !p->several)
        return gal_fail(GAL_MEMORY, "join: no memory for %lld ids", (long long)other->rows);
    for (int64_t k = 0; k < other->rows; k++) {
        if (other->kind[k] == ID_NONE)
            continue;
        uint64_t at = place_of(p, other, k, other);
        p->several[at] = p->slot[at] != 0;
        if (!p->slot[at] || (preferred && preferred[k] && !preferred[p->slot[at] - 1]))
            p->slot[at] = k + 1;
    }
    return GAL_OK;
}

/* GAL_TYPE where ids of a have lost digits that numbers of the other ones have. */
static gal_status check_lost(const gal_table *table, const ids *a, const ids *other)
{
    if (a->lost < 0 || !other->long_numbers)
        return GAL_OK;
    return gal_fail(GAL_TYPE,
                    "%s: column \"%s\" has the floating-point number %.40s in %s, expected an integer whose "
                    "digits are all there",
                    table->path, a->column->name, a->column->text + a->column->start[a->lost],
                    gal_row_text(table, a->lost));
}

gal_status gal_table_match(int64_t *row, gal_matched *counts, gal_table *table, int i, gal_table *other,
                           int j, const uint8_t *preferred)
{
    ids a = {0}, b = {0};
    places p = {0};
    uint8_t *taken = calloc((size_t)other->rows + 1, 1);
    *counts = (gal_matched){0};
    gal_status status = read_ids(&a, table, i);
    if (!status)
        status = read_ids(&b, other, j);
    if (!status)
        status = check_lost(table, &a, &b);
    if (!status)
        status = check_lost(other, &b, &a);
    if (!status)
        status = fill(&p, &b, preferred);
    if (!status && !taken)
        status = gal_fail(GAL_MEMORY, "join: no memory for %lld rows", (long long)other->rows);
    for (int64_t k = 0; !status && k < a.rows; k++) {
        uint64_t at = a.kind[k] == ID_NONE ? 0 : place_of(&p, &a, k, &b);
        row[k] = a.kind[k] == ID_NONE ? GAL_ROW_UNNAMED : p.slot[at] ? p.slot[at] - 1 : GAL_ROW_NONE;
        counts->missing += row[k] == GAL_ROW_UNNAMED;
        if (row[k] < 0)
            continue;
        counts->matched++;
        counts->several += p.several[at];
        counts->shared += taken[row[k]];
        taken[row[k]] = 1;
    }
    free_ids(&a);
    free_ids(&b);
    free(p.slot);
    free(p.several);
    free(taken);
    return status;
}
