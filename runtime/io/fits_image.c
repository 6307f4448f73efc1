/* fits_image.c: the image of a FITS file by CFITSIO: a cube {bands, y, x}, one band {y, x}, or a band in each
 * of several image extensions; of any BITPIX, scaled (BSCALE, BZERO), with gaps (BLANK, NaN), and compressed
 * by tiles (FITS standard 4.0, sections 4.4.2, 7.1, 8 and 10). fits_check.c has walked the headers. */
#include "fits.h"
#include "float_image.h"
#include <ctype.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A file that is being read. */
typedef struct reading {
    const char *path;
    fitsfile *fits;
    gal_float_image *out;
    gal_fits_images hdus;
    int64_t size; /* of the file, bytes */
} reading;

/* What one HDU holds: bands of height x width. */
typedef struct plane {
    int64_t width, height, bands;
    int has_marks;         /* missing values are marked by a number (BLANK, ZBLANK), not by NaN alone */
    char name[FLEN_VALUE]; /* EXTNAME; "" where there is none */
} plane;

static gal_status damaged(const reading *r, const char *doing, int status)
{
    char text[FLEN_ERRMSG] = "";
    fits_get_errstatus(status, text);
    fits_clear_errmsg();
    return gal_fail(status == MEMORY_ALLOCATION ? GAL_MEMORY : GAL_FILE,
                    "%s: is truncated or damaged: %s failed (CFITSIO %d: %s)", r->path, doing, status, text);
}

/* ---- what the headers say ---- */

/* A keyword's text without outer blanks; "" where the header has none. */
static void text_of(char *value /* {FLEN_VALUE} */, fitsfile *fits, const char *key)
{
    int status = 0;
    *value = 0;
    if (fits_read_key(fits, TSTRING, key, value, NULL, &status))
        *value = 0;
    fits_clear_errmsg();
}

/* A keyword's number, or `absent` where the header has none. */
static double number_of(fitsfile *fits, const char *key, double absent)
{
    int status = 0;
    double value = absent;
    if (fits_read_key(fits, TDOUBLE, key, &value, NULL, &status))
        value = absent;
    fits_clear_errmsg();
    return value;
}

/* Degrees of CUNIT1, the unit of the axes' steps. */
static double degrees_of(fitsfile *fits)
{
    char unit[FLEN_VALUE];
    text_of(unit, fits, "CUNIT1");
    return strncmp(unit, "arcsec", 6) == 0   ? 1.0 / 3600
           : strncmp(unit, "arcmin", 6) == 0 ? 1.0 / 60
           : strncmp(unit, "rad", 3) == 0    ? 57.29577951308232
                                             : 1;
}

static int is_celestial(fitsfile *fits)
{
    static const char *const names[] = {"RA", "DEC", "GLON", "GLAT", "ELON", "ELAT"};
    char type[FLEN_VALUE];
    text_of(type, fits, "CTYPE1");
    for (size_t k = 0; k < sizeof names / sizeof *names; k++)
        if (strncmp(type, names[k], strlen(names[k])) == 0)
            return 1;
    return 0;
}

/* Arcseconds a pixel: the root of the area that the linear part of the WCS gives a pixel (Greisen &
 * Calabretta 2002, section 2.1), by CDi_j, by PCi_j and CDELTi, or by CDELTi; 0 where the header doesn't say.
 */
static double scale_of(fitsfile *fits)
{
    double cd[4] = {number_of(fits, "CD1_1", NAN), number_of(fits, "CD1_2", 0), number_of(fits, "CD2_1", 0),
                    number_of(fits, "CD2_2", NAN)};
    double area = 0;
    if (!isnan(cd[0]) || !isnan(cd[3]) || cd[1] != 0 || cd[2] != 0) {
        cd[0] = isnan(cd[0]) ? 0 : cd[0], cd[3] = isnan(cd[3]) ? 0 : cd[3];
        area = cd[0] * cd[3] - cd[1] * cd[2];
    } else if (is_celestial(fits)) {
        double pc = number_of(fits, "PC1_1", 1) * number_of(fits, "PC2_2", 1) -
                    number_of(fits, "PC1_2", 0) * number_of(fits, "PC2_1", 0);
        area = pc * number_of(fits, "CDELT1", 0) * number_of(fits, "CDELT2", 0);
    }
    double scale = sqrt(fabs(area)) * degrees_of(fits) * 3600;
    return isfinite(scale) ? scale : 0;
}

/* ---- names of bands ---- */

/* Appends a band's name: letters, digits, - and _ stay, anything else becomes _. */
static void add_name(gal_float_image *out, const char *name, size_t letters)
{
    size_t at = strlen(out->names);
    if (letters > GAL_BAND_LETTERS)
        letters = GAL_BAND_LETTERS;
    if (at + letters + 2 > sizeof out->names)
        return;
    if (at > 0)
        out->names[at++] = ',';
    for (size_t i = 0; i < letters; i++)
        out->names[at++] = isalnum((unsigned char)name[i]) || name[i] == '-' ? name[i] : '_';
    out->names[at] = 0;
}

/* The bands of a cube by BANDS, as letters ('grz') or words ('g,r,z'). Returns whether it names all of them.
 */
static int names_by_list(gal_float_image *out, const char *text, int64_t bands)
{
    static const char between[] = " ,;";
    if (strpbrk(text, between) == NULL) {
        if ((int64_t)strlen(text) != bands)
            return 0;
        for (int64_t k = 0; k < bands; k++)
            add_name(out, text + k, 1);
        return 1;
    }
    int64_t count = 0;
    for (const char *at = text; *(at += strspn(at, between)); at += strcspn(at, between))
        count++;
    if (count != bands)
        return 0;
    for (const char *at = text; *(at += strspn(at, between)); at += strcspn(at, between))
        add_name(out, at, strcspn(at, between));
    return 1;
}

/* The bands of a cube by keywords BAND0, BAND1, … or BAND1, BAND2, …. Returns whether all have one. */
static int names_by_keys(gal_float_image *out, fitsfile *fits, int64_t bands)
{
    char key[FLEN_KEYWORD], value[FLEN_VALUE];
    text_of(value, fits, "BAND0");
    int first = *value ? 0 : 1, all = 1;
    for (int write = 0; write <= all; write++) /* only where all are there */
        for (int64_t k = 0; k < bands && all; k++) {
            snprintf(key, sizeof key, "BAND%d", ((int)k + first) % 100);
            text_of(value, fits, key);
            all = *value != 0;
            if (write && all)
                add_name(out, value, strcspn(value, " "));
        }
    return all;
}

/* The name of the one band of the HDU: its BAND, FILTER or EXTNAME; else its number. */
static void name_one(gal_float_image *out, fitsfile *fits, int64_t number)
{
    static const char *const keys[] = {"BAND", "FILTER", "EXTNAME"};
    static const char *const general[] = {"IMAGE", "SCI", "PRIMARY", "COMPRESSED_IMAGE"};
    char value[FLEN_VALUE];
    for (size_t k = 0; k < sizeof keys / sizeof *keys; k++) {
        text_of(value, fits, keys[k]);
        for (size_t i = 0; i < sizeof general / sizeof *general; i++)
            if (strcmp(value, general[i]) == 0)
                *value = 0;
        if (*value) {
            add_name(out, value, strcspn(value, " ,;"));
            return;
        }
    }
    snprintf(value, sizeof value, "%lld", (long long)number);
    add_name(out, value, strlen(value));
}

/* Names the bands of the HDU at which the file stands; `before` bands are named. */
static void name_bands(gal_float_image *out, fitsfile *fits, int64_t bands, int64_t before)
{
    char text[FLEN_VALUE];
    text_of(text, fits, "BANDS");
    if (bands == 1 && !(*text && strlen(text) == 1)) {
        name_one(out, fits, before + 1);
        return;
    }
    if (*text && names_by_list(out, text, bands))
        return;
    if (names_by_keys(out, fits, bands))
        return;
    for (int64_t k = 1; k <= bands; k++) {
        snprintf(text, sizeof text, "%lld", (long long)(before + k));
        add_name(out, text, strlen(text));
    }
}

/* ---- which HDUs are the image ---- */

/* Whether an extension of that name holds no light but its errors, or marks what lies there. */
static int is_beside(const char *name)
{
    static const char *const names[] = {"INVVAR",  "IVAR",  "WEIGHT", "WHT",  "VAR",      "VARIANCE",
                                        "ERR",     "ERROR", "SIGMA",  "MASK", "MASKBITS", "DQ",
                                        "QUALITY", "PSF",   "MODEL",  "RESID"};
    for (size_t k = 0; k < sizeof names / sizeof *names; k++)
        if (strcmp(name, names[k]) == 0)
            return 1;
    return 0;
}

/* *p of the HDU; axes of length 1 after the second don't count. */
static gal_status plane_of(plane *p, reading *r, int hdu)
{
    LONGLONG size[9] = {0};
    int status = 0, bits = 0, axes = 0, real = 2;
    fits_movabs_hdu(r->fits, hdu + 1, NULL, &status);
    fits_get_img_paramll(r->fits, 9, &bits, &axes, size, &status);
    if (status)
        return damaged(r, "reading the image's header", status);
    *p = (plane){.width = size[0], .height = size[1], .bands = 1};
    p->has_marks = bits > 0 || fits_is_compressed_image(r->fits, &status);
    for (int d = 2; d < axes && d < 9; d++)
        if (size[d] != 1) {
            p->bands = size[d];
            real++;
        }
    if (axes < 2 || axes > 9 || real > 3)
        return gal_fail(GAL_FILE, "%s: its image has %d %s, expected 2 (y, x) or 3 (bands, y, x)", r->path,
                        axes < 2 ? axes : real, axes == 1 ? "axis" : "axes");
    text_of(p->name, r->fits, "EXTNAME");
    return GAL_OK;
}

/* Keeps the HDUs that hold light, and sets the size of the image that they make together. */
static gal_status choose(reading *r)
{
    plane first = {0}, p;
    int kept = 0;
    int64_t bands = 0;
    for (int k = 0; k < r->hdus.count; k++) {
        gal_status status = plane_of(&p, r, r->hdus.hdu[k]);
        if (status != GAL_OK)
            return status;
        if (is_beside(p.name))
            continue;
        if (kept && (p.width != first.width || p.height != first.height))
            return gal_fail(
                GAL_FILE,
                "%s: holds images of %lld x %lld and of %lld x %lld pixels, expected bands of one size",
                r->path, (long long)first.width, (long long)first.height, (long long)p.width,
                (long long)p.height);
        first = kept ? first : p;
        bands += p.bands;
        r->hdus.hdu[kept++] = r->hdus.hdu[k];
    }
    r->hdus.count = kept;
    if (!kept)
        return gal_fail(GAL_FILE, "%s: holds %s but no image, expected one {bands, y, x}", r->path,
                        r->hdus.tables ? "a table" : "headers");
    return gal_float_image_new(r->out, r->path, first.height, first.width, bands);
}

/* ---- pixels ---- */

/* Of a compressed image: whether its tiles are as long as the file can hold. CFITSIO takes memory for what a
 * tile claims to be. */
static gal_status check_tiles(reading *r, int64_t size)
{
    const FITSfile *f = r->fits->Fptr;
    int columns[] = {f->cn_compressed, f->cn_uncompressed, f->cn_gzip_data};
    for (size_t k = 0; k < sizeof columns / sizeof *columns; k++)
        for (LONGLONG row = 1; columns[k] > 0 && row <= f->numrows; row++) {
            LONGLONG length = 0, at = 0;
            int status = 0;
            fits_read_descriptll(r->fits, columns[k], row, &length, &at, &status);
            if (status)
                return damaged(r, "reading its tiles", status);
            if (length < 0 || at < 0 || length > size || at > size)
                return gal_fail(GAL_FILE, "%s: is damaged: a tile of its image is longer than the file",
                                r->path);
        }
    return GAL_OK;
}

/* Bands `from` and on of the image = those of the HDU at which the file stands. FITS counts rows from below.
 * Where CFITSIO looks for missing values it takes an infinite one for NaN, so it is asked to where marks
 * stand for them only. */
static gal_status read_bands(reading *r, int64_t from, const plane *p, float *buffer /* {height, width} */)
{
    gal_float_image *out = r->out;
    int64_t pixels = out->width * out->height;
    float gap = NAN;
    for (int64_t k = 0; k < p->bands; k++) {
        int status = 0, any = 0;
        void *mark = p->has_marks ? &gap : NULL;
        fits_read_img(r->fits, TFLOAT, k * pixels + 1, pixels, mark, buffer, &any, &status);
        if (status)
            return damaged(r, "reading its pixels", status);
        for (int64_t y = 0; y < out->height; y++) {
            const float *row = buffer + (out->height - 1 - y) * out->width;
            for (int64_t x = 0; x < out->width; x++)
                out->values[(y * out->width + x) * out->bands + from + k] = row[x];
        }
    }
    return GAL_OK;
}

static gal_status read_all(reading *r)
{
    gal_status status = choose(r);
    float *buffer = NULL;
    if (status == GAL_OK) {
        buffer = malloc((size_t)(r->out->width * r->out->height) * sizeof *buffer);
        status = buffer ? GAL_OK : gal_fail(GAL_MEMORY, "%s: no memory for its image", r->path);
    }
    int64_t from = 0;
    for (int k = 0; k < r->hdus.count && status == GAL_OK; k++) {
        plane p;
        status = plane_of(&p, r, r->hdus.hdu[k]);
        int failed = 0;
        if (status == GAL_OK && fits_is_compressed_image(r->fits, &failed))
            status = check_tiles(r, r->size);
        if (status != GAL_OK)
            break;
        name_bands(r->out, r->fits, p.bands, from);
        double scale = scale_of(r->fits);
        r->out->scale = r->out->scale > 0 ? r->out->scale : scale;
        status = read_bands(r, from, &p, buffer);
        from += p.bands;
    }
    free(buffer);
    return status;
}

/* Held where CFITSIO was built for one thread only. */
static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;

gal_status gal_fits_image_decode(gal_float_image *out, const char *path, const char *bytes, int64_t n)
{
    reading r = {.path = path, .out = out, .size = n};
    void *memory = (void *)bytes, *whole = NULL; /* opened to be read: CFITSIO changes neither */
    size_t size = (size_t)n;
    *out = (gal_float_image){0};
    gal_status status = gal_fits_list_images(&r.hdus, path, bytes, n);
    if (status == GAL_OK && r.hdus.count == 0)
        status = choose(&r);
    if (status == GAL_OK && n % GAL_FITS_BLOCK && !(memory = whole = gal_fits_whole(bytes, n, &size)))
        status = gal_fail(GAL_MEMORY, "%s: no memory for its bytes", path);
    if (status != GAL_OK)
        return status;
    int failed = 0, alone = !fits_is_reentrant();
    if (alone)
        pthread_mutex_lock(&one_at_a_time);
    fits_open_memfile(&r.fits, "cutout", READONLY, &memory, &size, 0, NULL, &failed);
    status = failed ? damaged(&r, "opening it", failed) : read_all(&r);
    failed = 0;
    if (r.fits)
        fits_close_file(r.fits, &failed);
    fits_clear_errmsg();
    if (alone)
        pthread_mutex_unlock(&one_at_a_time);
    free(whole);
    if (status != GAL_OK) {
        free(out->values);
        out->values = NULL;
    }
    return status;
}
