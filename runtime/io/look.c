/* look.c: what a picture in memory is that came from elsewhere: its size, and whether it shows anything. A
 * server that has no picture of a place may send one of words on black, or a flat tile. */
#include "decode.h"
#include "io.h"
#include <fitsio.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define BLOCK 2880 /* bytes: the unit of FITS files (FITS standard 4.0, section 3.1) */

uint32_t gal_crc32(const void *bytes, int64_t n)
{
    return (uint32_t)crc32_z(0, bytes, (size_t)n);
}

/* blank and spread of values {height, width, bands}, strides given: of a pixel and of a band. */
static void measure(gal_look *look, const float *values, int64_t pixel, int64_t band)
{
    int64_t n = (int64_t)look->width * look->height, blank = 0;
    look->spread = 0;
    for (int b = 0; b < look->bands; b++) {
        float low = INFINITY, high = -INFINITY;
        for (int64_t k = 0; k < n; k++) {
            low = fminf(low, values[k * pixel + b * band]); /* the number, of a number and none */
            high = fmaxf(high, values[k * pixel + b * band]);
        }
        if (high - low > look->spread)
            look->spread = high - low;
    }
    for (int64_t k = 0; k < n; k++) {
        int shown = 0;
        for (int b = 0; b < look->bands; b++)
            shown |= isfinite(values[k * pixel + b * band]) && values[k * pixel + b * band] != 0;
        blank += !shown;
    }
    look->blank = (double)blank / (double)n;
}

/* The sentence for CFITSIO's status. */
static gal_status damaged(int status)
{
    char text[FLEN_STATUS];
    fits_get_errstatus(status, text);
    fits_clear_errmsg();
    return gal_fail(status == MEMORY_ALLOCATION ? GAL_MEMORY : GAL_FILE, "is truncated or damaged: %s", text);
}

/* *values {bands, height, width} of the image in the primary HDU, which the caller frees. n: bytes of the
 * file, more than its pixels take. */
static gal_status read_pixels(float **values, gal_look *look, fitsfile *fits, int64_t n)
{
    int status = 0, bits = 0, axes = 0, gaps = 0;
    long side[3] = {1, 1, 1};
    fits_get_img_param(fits, 3, &bits, &axes, side, &status);
    if (status)
        return damaged(status);
    if (axes < 2 || axes > 3)
        return gal_fail(GAL_FILE, "is a FITS image of %d axes, expected 2 or 3", axes);
    for (int i = 0; i < axes; i++)
        if (side[i] < 1 || side[i] > GAL_LARGEST_SIDE)
            return gal_fail(GAL_FILE, "has %ld pixels along axis %d, expected 1 to %d", side[i], i + 1,
                            GAL_LARGEST_SIDE);
    int64_t count = (int64_t)side[0] * side[1] * side[2];
    if (count * abs(bits) / 8 > n)
        return gal_fail(GAL_FILE, "is truncated or damaged: %lld bytes can't hold %lld values", (long long)n,
                        (long long)count);
    float *made = malloc((size_t)count * sizeof *made), none = NAN;
    if (!made)
        return gal_fail(GAL_MEMORY, "no memory for an image of %lld values", (long long)count);
    fits_read_img(fits, TFLOAT, 1, count, &none, made, &gaps, &status);
    if (status) {
        free(made);
        return damaged(status);
    }
    look->width = (int32_t)side[0], look->height = (int32_t)side[1], look->bands = (int32_t)side[2];
    *values = made;
    return GAL_OK;
}

static gal_status look_at_fits(gal_look *look, const char *bytes, int64_t n)
{
    if (n % BLOCK)
        return gal_fail(GAL_FILE, "is truncated or damaged: it has %lld bytes, no multiple of %d",
                        (long long)n, BLOCK);
    int status = 0, ignored = 0;
    fitsfile *fits = NULL;
    void *memory = (void *)bytes; /* which READONLY leaves as it is */
    size_t size = (size_t)n;
    float *values = NULL;
    fits_open_memfile(&fits, "picture", READONLY, &memory, &size, 0, NULL, &status);
    if (status)
        return damaged(status);
    gal_status result = read_pixels(&values, look, fits, n);
    fits_close_file(fits, &ignored);
    fits_clear_errmsg();
    if (!result)
        measure(look, values, 1, (int64_t)look->width * look->height);
    free(values);
    return result;
}

gal_status gal_image_look(gal_look *look, const void *bytes, int64_t n)
{
    uint8_t *pixels;
    *look = (gal_look){0};
    if (n >= 9 && !memcmp(bytes, "SIMPLE  =", 9))
        return look_at_fits(look, bytes, n);
    gal_status status = gal_decode_bytes(&pixels, &look->width, &look->height, bytes, n);
    if (status)
        return status;
    int64_t count = (int64_t)look->width * look->height * 3;
    float *values = malloc((size_t)count * sizeof *values);
    if (values) {
        look->bands = 3;
        for (int64_t k = 0; k < count; k++)
            values[k] = pixels[k];
        measure(look, values, 3, 1);
    }
    free(pixels);
    free(values);
    return values ? GAL_OK : gal_fail(GAL_MEMORY, "no memory to look at an image");
}
