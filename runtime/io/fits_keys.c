/* fits_keys.c: reads what the primary header and the table's own say beside the values: keywords that are not
 * the layout's, and the meanings of columns (TCOMM). Nothing depends on them: those that can't be read are
 * left out. */
#include "fits.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define MOST_KEYS 256 /* of one file: a header that lists more is a log */

/* text {FLEN_VALUE} = the string that the card has as 'it''s text  ', without quotes and the blanks at its
 * end; 0 where it is none, or not of plain ASCII. */
static int unquoted(char *text, const char *value)
{
    size_t n = 0;
    if (*value++ != '\'')
        return 0;
    for (; *value && !(*value == '\'' && value[1] != '\''); value++) {
        if (*value < ' ' || *value > '~' || n + 1 >= FLEN_VALUE)
            return 0;
        value += *value == '\'';
        text[n++] = *value;
    }
    while (n > 0 && text[n - 1] == ' ')
        n--;
    text[n] = 0;
    return 1;
}

/* Takes the keyword's text, which may go on in further cards. */
static gal_status take_text(gal_table *table, fitsfile *fits, const char *name, const char *text)
{
    size_t n = strlen(text);
    char *whole = NULL;
    int status = 0, freed = 0;
    if (n == 0 || text[n - 1] != '&')
        return gal_table_set_key(table, name, text, 0);
    fits_read_key_longstr(fits, name, &whole, NULL, &status);
    for (char *at = whole; at && *at; at++)
        if (*at < ' ' || *at > '~')
            status = 1;
    gal_status failed = status || !whole ? GAL_OK : gal_table_set_key(table, name, whole, 0);
    if (whole)
        fits_free_memory(whole, &freed);
    fits_clear_errmsg();
    return failed;
}

/* The column, from 0, that TCOMMn is about, or -1. */
static int about_column(const gal_table *table, const char *name)
{
    char *end = NULL;
    if (strncmp(name, "TCOMM", 5) != 0 || !isdigit((unsigned char)name[5]))
        return -1;
    long n = strtol(name + 5, &end, 10);
    return *end == 0 && n >= 1 && n <= table->columns ? (int)n - 1 : -1;
}

/* Takes what a card says; own: it is of the table's own header. */
static gal_status take(gal_table *table, fitsfile *fits, const char *card, int own)
{
    char name[FLEN_KEYWORD] = "", value[FLEN_VALUE] = "", text[FLEN_VALUE] = "", *end = NULL;
    int length = 0, status = 0;
    fits_get_keyname((char *)card, name, &length, &status);
    if (status || length > 8)
        return GAL_OK;
    int column = own ? about_column(table, name) : -1;
    if (column < 0 && (fits_get_keyclass((char *)card) != TYP_USER_KEY || !gal_table_free_key(name)))
        return GAL_OK;
    fits_parse_value((char *)card, value, NULL, &status);
    if (status || !*value)
        return GAL_OK;
    if (unquoted(text, value))
        return column >= 0 ? gal_table_set_about(table, column, text) : take_text(table, fits, name, text);
    if (column >= 0)
        return GAL_OK;
    if (strcmp(value, "T") == 0 || strcmp(value, "F") == 0)
        return gal_table_set_key(table, name, value, 0);
    for (char *at = value; *at; at++)
        *at = *at == 'D' || *at == 'd' ? 'E' : *at;
    double number = strtod(value, &end);
    return *end || end == value || number - number != 0 ? GAL_OK
                                                        : gal_table_set_key(table, name, NULL, number);
}

/* Takes what the current header says. */
static gal_status take_all(gal_table *table, fitsfile *fits, int own)
{
    int cards = 0, status = 0;
    gal_status failed = GAL_OK;
    fits_get_hdrspace(fits, &cards, NULL, &status);
    for (int k = 1; !failed && !status && k <= cards && table->keys < MOST_KEYS; k++) {
        char card[FLEN_CARD] = "";
        fits_read_record(fits, k, card, &status);
        if (!status && card[8] == '=')
            failed = take(table, fits, card, own);
    }
    fits_clear_errmsg();
    return failed;
}

gal_status gal_fits_keys(gal_table *table, fits_source *s)
{
    int hdu = 0, status = 0;
    gal_status failed = GAL_OK;
    fits_get_hdu_num(s->fits, &hdu);
    fits_movabs_hdu(s->fits, 1, NULL, &status);
    if (!status)
        failed = take_all(table, s->fits, 0);
    status = 0;
    fits_movabs_hdu(s->fits, hdu, NULL, &status);
    if (status)
        return gal_fits_error(table, "reading the table's header", status);
    return failed ? failed : take_all(table, s->fits, 1);
}
