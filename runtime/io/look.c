/* look.c: what a picture in memory is that came from elsewhere: its size, and whether it shows anything. A
 * server that has no picture of a place may send one of words on black, or a flat tile. */
#include "decode.h"
#include "float_image.h"
#include "io.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define BLOCK 2880     /* bytes: the unit of FITS files (FITS standard 4.0, section 3.1) */
#define NAME "picture" /* which the sentences of a picture without a file begin with */

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

static gal_status look_at_fits(gal_look *look, const char *bytes, int64_t n)
{
    gal_float_image image;
    if (n % BLOCK)
        return gal_fail(GAL_FILE, "is truncated or damaged: it has %lld bytes, no multiple of %d",
                        (long long)n, BLOCK);
    gal_status status = gal_fits_image_decode(&image, NAME, bytes, n);
    if (status != GAL_OK)
        return gal_fail_without_path(status, NAME);
    look->width = (int32_t)image.width, look->height = (int32_t)image.height;
    look->bands = (int32_t)image.bands;
    measure(look, image.values, image.bands, 1);
    free(image.values);
    return GAL_OK;
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
