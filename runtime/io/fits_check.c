/* fits_check.c: walks the headers of a FITS file (FITS standard 4.0, sections 3 and 4.4.1) before CFITSIO
 * opens it. CFITSIO 4.2 goes on with a NAXIS2 or TFIELDS that it could not parse, and takes memory for
 * whatever number its stack held. CFITSIO then reads what the columns are. */
#include "fits.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define BLOCK GAL_FITS_BLOCK
#define CARD 80
#define LARGEST_AXES 999
#define LARGEST_TILE 65536 /* pixels along an axis of a compressed image: more than a cutout's */

typedef enum hdu_kind { IMAGE, ASCII_TABLE, BINARY_TABLE, OTHER_EXTENSION } hdu_kind;

/* A walk through the file: in memory or on disk. */
typedef struct walk {
    const char *path, *bytes; /* bytes {size}, or NULL: then file */
    gal_file file;
    int64_t size;
    char block[BLOCK];
    int64_t loaded; /* offset of block, -1 for none */
} walk;

/* What the mandatory cards of one header say. */
typedef struct hdu {
    hdu_kind kind;
    int64_t header, data, end; /* bytes in the file; end includes the padding */
    int64_t bits, axes, axis[LARGEST_AXES + 1], pcount, gcount, fields; /* axis from 1 */
    int groups;
    char name[CARD]; /* EXTNAME; "" where there is none */
} hdu;

/* Card k of the header at byte `header`: 80 characters, valid until the next call. */
static gal_status card_at(const char **card, walk *w, int64_t header, int64_t k)
{
    int64_t at = header + k * CARD, block = at - (at - header) % BLOCK;
    if (at + CARD > w->size)
        return gal_fail(
            GAL_FILE,
            "%s: is truncated or damaged: the header at byte %lld has no END before the file ends at %lld",
            w->path, (long long)header, (long long)w->size);
    if (w->bytes) {
        *card = w->bytes + at;
        return GAL_OK;
    }
    if (w->loaded != block) {
        int64_t n = w->size - block < BLOCK ? w->size - block : BLOCK;
        gal_status status = gal_file_at(&w->file, w->block, n, block);
        if (status)
            return status;
        w->loaded = block;
    }
    *card = w->block + (at - block);
    return GAL_OK;
}

static int is_named(const char *card, const char *name)
{
    size_t n = strlen(name);
    return memcmp(card, name, n) == 0 && strspn(card + n, " ") >= 8 - n && card[8] == '=' && card[9] == ' ';
}

/* Whether a value is followed by blanks or a comment only. */
static int ends_well(const char *at, const char *end)
{
    while (at < end && *at == ' ')
        at++;
    return at == end || *at == '/';
}

static int integer_of(int64_t *value, const char *card)
{
    const char *at = card + 10, *end = card + CARD;
    int negative, digits = 0;
    while (at < end && *at == ' ')
        at++;
    negative = at < end && *at == '-';
    at += at < end && (*at == '-' || *at == '+');
    for (*value = 0; at < end && *at >= '0' && *at <= '9' && digits < 18; at++, digits++)
        *value = *value * 10 + (*at - '0');
    if (negative)
        *value = -*value;
    return digits > 0 && ends_well(at, end);
}

static int is_true(const char *card)
{
    const char *at = card + 10, *end = card + CARD;
    while (at < end && *at == ' ')
        at++;
    return at < end && *at == 'T' && ends_well(at + 1, end);
}

static gal_status bad_card(const walk *w, const hdu *h, int64_t k, const char *card, const char *expected)
{
    char text[31]; /* up to column 30, where a fixed-format value ends */
    size_t n = 30;
    for (size_t c = 0; c < n; c++)
        text[c] = card[c] >= ' ' && card[c] <= '~' ? card[c] : '?';
    while (n > 0 && text[n - 1] == ' ')
        n--;
    text[n] = 0;
    return gal_fail(GAL_FILE, "%s: is damaged: card %lld of the header at byte %lld is \"%s\", expected %s",
                    w->path, (long long)k + 1, (long long)h->header, text, expected);
}

/* *value = the integer of card *k, which has to have this name and a value from low to high; *k moves on. */
static gal_status take(int64_t *value, walk *w, const hdu *h, int64_t *k, const char *name, int64_t low,
                       int64_t high)
{
    const char *card = NULL;
    char expected[96];
    gal_status status = card_at(&card, w, h->header, *k);
    if (status)
        return status;
    if (!is_named(card, name) || !integer_of(value, card) || *value < low || *value > high) {
        if (high < INT64_MAX)
            snprintf(expected, sizeof expected, "%s from %lld to %lld", name, (long long)low,
                     (long long)high);
        else
            snprintf(expected, sizeof expected, "%s of at least %lld", name, (long long)low);
        return bad_card(w, h, *k, card, expected);
    }
    ++*k;
    return GAL_OK;
}

/* Whether the card's value is this string in quotes; blanks at its end don't count. */
static int is_text(const char *card, const char *text)
{
    size_t n = strlen(text);
    const char *at = card + 11 + n, *end = card + CARD;
    if (card[10] != '\'' || memcmp(card + 11, text, n) != 0)
        return 0;
    while (at < end && *at == ' ')
        at++;
    return at < end && *at == '\'';
}

static gal_status take_kind(walk *w, hdu *h)
{
    static const struct {
        const char *text;
        hdu_kind kind;
    } known[] = {{"IMAGE", IMAGE},
                 {"IUEIMAGE", IMAGE},
                 {"TABLE", ASCII_TABLE},
                 {"BINTABLE", BINARY_TABLE},
                 {"A3DTABLE", BINARY_TABLE}};
    const char *card = NULL;
    gal_status status = card_at(&card, w, h->header, 0);
    if (status)
        return status;
    if (h->header == 0)
        return is_named(card, "SIMPLE") ? GAL_OK : bad_card(w, h, 0, card, "SIMPLE");
    if (!is_named(card, "XTENSION"))
        return bad_card(w, h, 0, card, "XTENSION");
    h->kind = OTHER_EXTENSION;
    for (size_t k = 0; k < sizeof known / sizeof *known; k++)
        if (is_text(card, known[k].text))
            h->kind = known[k].kind;
    return GAL_OK;
}

/* name {CARD} = the text that the card holds in quotes, without the blanks at its end. */
static void text_of(char *name, const char *card)
{
    const char *at = card + 10, *end = card + CARD;
    size_t n = 0;
    while (at < end && *at == ' ')
        at++;
    for (at += at < end; at < end && *at != '\''; at++)
        name[n++] = *at;
    while (n > 0 && name[n - 1] == ' ')
        n--;
    name[n] = 0;
}

/* Whether a card of a compressed image may pass: its axes and tiles are numbers that can be sizes.
 * CFITSIO 4.2 divides by a ZTILEn of 0. */
static int fits_together(const char *card)
{
    int64_t value;
    int axis = memcmp(card, "ZNAXIS", 6) == 0 && (card[6] == ' ' || (card[6] >= '1' && card[6] <= '9'));
    int tile = memcmp(card, "ZTILE", 5) == 0 && card[5] >= '1' && card[5] <= '9';
    return !(axis || tile) || (card[8] == '=' && card[9] == ' ' && integer_of(&value, card) && value >= 1 &&
                               value <= LARGEST_TILE);
}

/* Takes the cards that change sizes or kind, or name the HDU, from card *k, behind the mandatory ones, to
 * END; *k becomes the index of END. */
static gal_status take_rest(walk *w, hdu *h, int64_t *k)
{
    for (;; ++*k) {
        const char *card = NULL;
        gal_status status = card_at(&card, w, h->header, *k);
        if (status)
            return status;
        if (memcmp(card, "END     ", 8) == 0)
            return GAL_OK;
        int primary = h->header == 0, ok = 1;
        if (is_named(card, "EXTNAME"))
            text_of(h->name, card);
        if (primary && is_named(card, "GROUPS"))
            h->groups = is_true(card);
        else if (primary && is_named(card, "PCOUNT"))
            ok = integer_of(&h->pcount, card) && h->pcount >= 0;
        else if (primary && is_named(card, "GCOUNT"))
            ok = integer_of(&h->gcount, card) && h->gcount >= 0;
        else if (h->kind == BINARY_TABLE && is_named(card, "ZIMAGE") && is_true(card))
            h->kind = IMAGE; /* a compressed image, kept in a table */
        else if (h->kind != ASCII_TABLE && *card == 'Z' && !fits_together(card))
            return bad_card(w, h, *k, card, "a size of at least 1");
        if (!ok)
            return bad_card(w, h, *k, card, "a whole number of at least 0");
    }
}

/* *bytes = the size of the data, without padding. Returns 0 where it does not fit an int64. */
static int data_bytes(int64_t *bytes, const hdu *h)
{
    int grouped = h->header == 0 && h->groups && h->axes > 0 && h->axis[1] == 0,
        has_parameters = h->header > 0 || grouped;
    *bytes = h->axes > 0;
    for (int64_t d = grouped ? 2 : 1; d <= h->axes; d++)
        if (__builtin_mul_overflow(*bytes, h->axis[d], bytes))
            return 0;
    return !(has_parameters && (__builtin_add_overflow(*bytes, h->pcount, bytes) ||
                                __builtin_mul_overflow(*bytes, h->gcount, bytes))) &&
           !__builtin_mul_overflow(*bytes, llabs(h->bits) / 8, bytes) && *bytes < INT64_MAX / 2;
}

/* Reads the header at byte h->header. */
static gal_status read_header(walk *w, hdu *h)
{
    int64_t k = 1, bytes;
    char name[32];
    h->kind = IMAGE;
    h->gcount = 1;
    gal_status status = take_kind(w, h);
    int table = h->kind == ASCII_TABLE || h->kind == BINARY_TABLE;
    if (!status)
        status = take(&h->bits, w, h, &k, "BITPIX", table ? 8 : -64, table ? 8 : 64);
    if (!status)
        status = take(&h->axes, w, h, &k, "NAXIS", table ? 2 : 0, table ? 2 : LARGEST_AXES);
    for (int64_t d = 1; !status && d <= h->axes; d++) {
        snprintf(name, sizeof name, "NAXIS%lld", (long long)d);
        status = take(&h->axis[d], w, h, &k, name, 0, INT64_MAX);
    }
    if (!status && h->header > 0)
        status = take(&h->pcount, w, h, &k, "PCOUNT", 0, INT64_MAX);
    if (!status && h->header > 0)
        status = take(&h->gcount, w, h, &k, "GCOUNT", table ? 1 : 0, table ? 1 : INT64_MAX);
    if (!status && table)
        status = take(&h->fields, w, h, &k, "TFIELDS", 0, 999);
    if (!status)
        status = take_rest(w, h, &k);
    if (status)
        return status;
    h->data = h->header + (k * CARD / BLOCK + 1) * BLOCK;
    if (!data_bytes(&bytes, h) ||
        __builtin_add_overflow(h->data, (bytes + BLOCK - 1) / BLOCK * BLOCK, &h->end))
        return gal_fail(GAL_FILE,
                        "%s: is damaged: the header at byte %lld claims more data than any file holds",
                        w->path, (long long)h->header);
    return GAL_OK;
}

/* The sentence for a file that ended before the table was found. */
static gal_status not_found(const walk *w, const gal_table_choice *wanted, int count, int ascii)
{
    int hdu = wanted->hdu;
    if (wanted->name)
        return gal_fail(GAL_FILE, "%s: no table of its %d HDUs has the name \"%s\"", w->path, count,
                        wanted->name);
    if (hdu >= 0)
        return gal_fail(GAL_FILE, "%s: there is no HDU %d, the file has %d (0 to %d)", w->path, hdu, count,
                        count - 1);
    if (ascii)
        return gal_fail(
            GAL_FILE,
            "%s: its table is an ASCII table (XTENSION = TABLE), which is not read; this makes a binary one "
            "of "
            "it: python3 -c 'from astropy.table import Table; Table.read(\"%s\").write(\"table.fits\")'",
            w->path, w->path);
    return gal_fail(GAL_FILE, "%s: holds images but no table, expected a binary table", w->path);
}

static gal_status find(gal_fits_place *place, walk *w, hdu *h, const gal_table_choice *choice)
{
    int ascii = 0, wanted = choice->name ? -1 : choice->hdu;
    for (int number = 0;; number++) {
        *h = (hdu){.header = number ? h->end : 0};
        if (number && h->header >= w->size)
            return h->header == w->size
                       ? not_found(w, choice, number, ascii)
                       : gal_fail(GAL_FILE, "%s: is truncated: HDU %d ends at byte %lld, the file at %lld",
                                  w->path, number - 1, (long long)h->header, (long long)w->size);
        gal_status status = read_header(w, h);
        if (status)
            return status;
        if (wanted == number && h->kind != BINARY_TABLE)
            return gal_fail(GAL_FILE, "%s: HDU %d is %s, expected a binary table", w->path, wanted,
                            h->kind == IMAGE         ? "an image"
                            : h->kind == ASCII_TABLE ? "an ASCII table"
                                                     : "an extension that is no table");
        int named = !choice->name || strcasecmp(h->name, choice->name) == 0;
        if (h->kind == BINARY_TABLE && named && (wanted < 0 || wanted == number)) {
            *place = (gal_fits_place){
                .hdu = number, .fields = (int)h->fields, .rows = h->axis[2], .row_bytes = h->axis[1]};
            if (h->data > w->size ||
                (place->row_bytes > 0 && place->rows > (w->size - h->data) / place->row_bytes))
                return gal_fail(
                    GAL_FILE,
                    "%s: is truncated: %lld rows of %lld bytes from byte %lld on, the file ends at %lld",
                    w->path, (long long)place->rows, (long long)place->row_bytes, (long long)h->data,
                    (long long)w->size);
            return GAL_OK;
        }
        ascii |= h->kind == ASCII_TABLE;
    }
}

/* The sentence for image data that the file ends before; GAL_OK where it is whole. */
static gal_status whole(const walk *w, const hdu *h, int number)
{
    int64_t bytes = 0;
    data_bytes(&bytes, h);
    if (h->data > w->size || bytes > w->size - h->data)
        return gal_fail(GAL_FILE,
                        "%s: is truncated: HDU %d has %lld bytes from byte %lld on, the file ends at %lld",
                        w->path, number, (long long)bytes, (long long)h->data, (long long)w->size);
    return GAL_OK;
}

/* Adds the HDU to the list where it is an image that has pixels. */
static void list_image(gal_fits_images *out, const hdu *h, int number)
{
    int has_pixels = h->axes > 0;
    for (int64_t d = 1; d <= h->axes; d++)
        has_pixels &= h->axis[d] > 0;
    out->tables |= h->kind == BINARY_TABLE || h->kind == ASCII_TABLE;
    if (h->kind == IMAGE && has_pixels && out->count < GAL_FITS_IMAGES)
        out->hdu[out->count++] = number;
}

char *gal_fits_whole(const char *bytes, int64_t n, size_t *size)
{
    *size = ((size_t)n + BLOCK - 1) / BLOCK * BLOCK;
    char *whole = calloc(*size, 1);
    return whole ? memcpy(whole, bytes, (size_t)n) : NULL;
}

gal_status gal_fits_list_images(gal_fits_images *out, const char *path, const char *bytes, int64_t n)
{
    walk w = {.path = path, .bytes = bytes, .size = n, .loaded = -1};
    hdu *h = malloc(sizeof *h);
    gal_status status = h ? GAL_OK : gal_fail(GAL_MEMORY, "%s: no memory to open it", path);
    *out = (gal_fits_images){0};
    int64_t end = 0;
    for (int number = 0; status == GAL_OK; number++) {
        /* Behind the last HDU a file may go on with what is no HDU (FITS standard 4.0, section 3.5). */
        if (number && (end >= n || n - end < 8 || memcmp(bytes + end, "XTENSION", 8) != 0))
            break;
        *h = (hdu){.header = end};
        status = read_header(&w, h);
        if (status == GAL_OK)
            status = whole(&w, h, number);
        if (status == GAL_OK)
            list_image(out, h, number);
        end = h->end;
    }
    free(h);
    return status;
}

gal_status gal_fits_find(gal_fits_place *place, const char *path, const char *bytes, int64_t n,
                         const gal_table_choice *wanted)
{
    walk *w = malloc(sizeof *w);
    hdu *h = malloc(sizeof *h);
    gal_status status = w && h ? GAL_OK : gal_fail(GAL_MEMORY, "%s: no memory to open it", path);
    if (!status) {
        w->path = path;
        w->bytes = bytes;
        w->size = n;
        w->loaded = -1;
        if (!bytes && !(status = gal_file_open(&w->file, path)))
            w->size = w->file.size;
        if (!status)
            status = find(place, w, h, wanted);
        if (!bytes && w->file.fd >= 0)
            gal_file_close(&w->file);
    }
    free(w);
    free(h);
    return status;
}
