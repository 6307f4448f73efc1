/* table_words.c: what a table says beside its values: units, what columns are, keywords of its header. A FITS
 * file holds them; a text file has none of them but units (ECSV). */
#include "io.h"
#include <stdlib.h>
#include <string.h>

#define LONGEST 68 /* characters of a string in one header card (FITS standard 4.0, section 4.2.1) */

/* Whether FITS can hold the text: the characters from blank to ~. */
static int plain(const char *text)
{
    while (*text >= ' ' && *text <= '~')
        text++;
    return !*text;
}

/* The characters that the text takes in a card: an apostrophe is written twice. */
static size_t length(const char *text)
{
    size_t n = 0;
    for (; *text; text++)
        n += *text == '\'' ? 2 : 1;
    return n;
}

/* *word = a copy of the text, in place of what was there. */
static gal_status set_word(char **word, gal_table *table, int i, const char *what, const char *text)
{
    if (i < 0 || i >= table->columns)
        return gal_fail(GAL_VALUE, "%s: column %d of %d", table->path, i, table->columns);
    if (!plain(text) || length(text) > LONGEST)
        return gal_fail(GAL_VALUE,
                        "%s: the %s of column \"%s\" is \"%.80s\", expected at most %d characters of plain "
                        "ASCII",
                        table->path, what, table->column[i].name, text, LONGEST);
    char *copy = strdup(text);
    if (!copy)
        return gal_fail(GAL_MEMORY, "%s: no memory for the %s of a column", table->path, what);
    free(*word);
    *word = copy;
    return GAL_OK;
}

gal_status gal_table_set_unit(gal_table *table, int i, const char *unit)
{
    char *none = NULL;
    return set_word(i < 0 || i >= table->columns ? &none : &table->column[i].unit, table, i, "unit", unit);
}

gal_status gal_table_set_about(gal_table *table, int i, const char *about)
{
    char *none = NULL;
    return set_word(i < 0 || i >= table->columns ? &none : &table->column[i].about, table, i, "description",
                    about);
}

gal_status gal_table_set_letters(gal_table *table, int i, int64_t letters)
{
    if (i < 0 || i >= table->columns || letters < 0)
        return gal_fail(GAL_VALUE, "%s: %lld letters for column %d of %d", table->path, (long long)letters, i,
                        table->columns);
    if (table->column[i].type == GAL_COLUMN_STRING)
        table->column[i].form.letters = letters;
    return GAL_OK;
}

/* ---- keywords ---- */

int gal_table_keys(const gal_table *table)
{
    return table->keys;
}

const char *gal_table_key(const char **text, double *number, const gal_table *table, int k)
{
    if (k < 0 || k >= table->keys) {
        *text = NULL;
        return NULL;
    }
    *text = table->key[k].text;
    *number = table->key[k].number;
    return table->key[k].name;
}

int gal_table_free_key(const char *name)
{
    static const char *const taken[] = {"SIMPLE",   "BITPIX",   "NAXIS",    "EXTEND",  "XTENSION", "PCOUNT",
                                        "GCOUNT",   "TFIELDS",  "THEAP",    "END",     "COMMENT",  "HISTORY",
                                        "CONTINUE", "LONGSTRN", "CHECKSUM", "DATASUM", "BLOCKED",  "GROUPS"};
    static const char *const counted[] = {"NAXIS", "TTYPE", "TFORM", "TUNIT", "TNULL", "TSCAL",
                                          "TZERO", "TDISP", "TBCOL", "TDIM",  "TCOMM"};
    size_t n = strlen(name);
    int good = n > 0 && n <= 8 && strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") == n;
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++)
        good = good && strcmp(name, taken[i]) != 0;
    for (size_t i = 0; i < sizeof counted / sizeof *counted; i++) {
        size_t stem = strlen(counted[i]);
        good = good && !(n > stem && strncmp(name, counted[i], stem) == 0 &&
                         strspn(name + stem, "0123456789") == n - stem);
    }
    return good;
}

gal_status gal_table_set_key(gal_table *table, const char *name, const char *text, double number)
{
    if (!gal_table_free_key(name))
        return gal_fail(GAL_VALUE,
                        "%s: \"%.40s\" can't be a keyword of its header, expected at most 8 characters A-Z, "
                        "0-9, - and _, and none that says how the table is stored",
                        table->path, name);
    if (text ? !plain(text) : number - number != 0)
        return gal_fail(GAL_VALUE, "%s: the keyword %s is %s, expected a finite number or plain ASCII",
                        table->path, name, text ? "text of other characters" : "no finite number");
    char *copy = text ? strdup(text) : NULL;
    int k = 0;
    while (k < table->keys && strcmp(table->key[k].name, name) != 0)
        k++;
    gal_key *more = realloc(table->key, (size_t)(table->keys + 1) * sizeof *more);
    if (more)
        table->key = more;
    if (!more || (text && !copy)) {
        free(copy);
        return gal_fail(GAL_MEMORY, "%s: no memory for the key \"%s\"", table->path, name);
    }
    if (k == table->keys) {
        more[k] = (gal_key){.text = NULL};
        memcpy(more[k].name, name, strlen(name) + 1);
        table->keys++;
    }
    free(more[k].text);
    more[k].text = copy;
    more[k].number = number;
    return GAL_OK;
}
