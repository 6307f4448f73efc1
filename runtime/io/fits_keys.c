/* fits_keys.c: what a FITS file says beside its values, in the primary header and the table's own: keywords
 * that are nobody's layout, and what columns are (TCOMM). */
#include "fits.h"
#include <stdlib.h>
#include <string.h>

#define MOST_KEYS 256 /* of one file: a header that lists more is a log */

/* Takes a keyword of the current header. What can't be read is left out: nothing depends on it. */
static gal_status take(gal_table *table, fitsfile *fits, const char *name, const char *value)
{
    int status = 0;
    char type = 0;
    double number = 0;
    fits_get_keytype((char *)value, &type, &status);
    if (status || (type != 'C' && type != 'I' && type != 'F' && type != 'L')) {
        fits_clear_errmsg();
        return GAL_OK;
    }
    if (type != 'C' && type != 'L') {
        fits_read_key(fits, TDOUBLE, name, &number, NULL, &status);
        fits_clear_errmsg();
        return status || number - number != 0 ? GAL_OK : gal_table_set_key(table, name, NULL, number);
    }
    char *text = NULL;
    fits_read_key_longstr(fits, name, &text, NULL, &status);
    for (char *at = text; at && *at; at++)
        if (*at < ' ' || *at > '~')
            status = 1;
    gal_status failed = status || !text ? GAL_OK : gal_table_set_key(table, name, text, 0);
    int freed = 0;
    if (text)
        fits_free_memory(text, &freed);
    fits_clear_errmsg();
    return failed;
}

/* Takes the keywords of the current header. */
static gal_status take_all(gal_table *table, fitsfile *fits)
{
    int cards = 0, status = 0;
    gal_status failed = GAL_OK;
    fits_get_hdrspace(fits, &cards, NULL, &status);
    for (int k = 1; !failed && !status && k <= cards && table->keys < MOST_KEYS; k++) {
        char name[FLEN_KEYWORD] = "", value[FLEN_VALUE] = "", card[FLEN_CARD] = "";
        fits_read_record(fits, k, card, &status);
        int broken = 0;
        if (status || fits_get_keyclass(card) != TYP_USER_KEY)
            continue;
        fits_read_keyn(fits, k, name, value, NULL, &broken);
        if (!broken && strlen(name) <= 8 && gal_table_free_key(name))
            failed = take(table, fits, name, value);
        fits_clear_errmsg();
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
        failed = take_all(table, s->fits);
    status = 0;
    fits_movabs_hdu(s->fits, hdu, NULL, &status);
    if (status)
        return gal_fits_error(table, "reading the table's header", status);
    if (!failed)
        failed = take_all(table, s->fits);
    for (int i = 0; !failed && i < table->columns; i++) {
        char key[16], about[FLEN_VALUE] = "";
        int absent = 0;
        snprintf(key, sizeof key, "TCOMM%d", i + 1);
        fits_read_key(s->fits, TSTRING, key, about, NULL, &absent);
        fits_clear_errmsg();
        if (!absent && *about)
            table->column[i].about = strdup(about);
    }
    return failed;
}
