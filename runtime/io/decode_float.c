/* decode_float.c: images of any number of bands to rows in single precision, many at once on all cores: FITS
 * by fits_image.c, PNG of 16 bits by png.c. decode.c is for pictures of 8 bits. */
#include "core/parallel.h"
#include "decode.h"
#include "float_image.h"
#include "png.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Values of one image: 64 MiB of floats. */
#define LARGEST_IMAGE ((int64_t)1 << 24)
/* Pixels whose sides differ by less are of one scale: 1 % of 64 pixels is less than one. */
#define SAME_SCALE 0.01

gal_status gal_float_image_new(gal_float_image *out, const char *path, int64_t height, int64_t width,
                               int64_t bands)
{
    if (width > GAL_LARGEST_SIDE || height > GAL_LARGEST_SIDE || bands > GAL_LARGEST_BANDS ||
        width * height * bands > LARGEST_IMAGE)
        return gal_fail(GAL_FILE,
                        "%s: is too large: %lld bands of %lld x %lld pixels, expected no cutout of more "
                        "than %d bands, %d pixels a side and %lld values",
                        path, (long long)bands, (long long)width, (long long)height, GAL_LARGEST_BANDS,
                        GAL_LARGEST_SIDE, (long long)LARGEST_IMAGE);
    out->height = height, out->width = width, out->bands = bands;
    out->values = malloc((size_t)(height * width * bands) * sizeof *out->values);
    return out->values ? GAL_OK : gal_fail(GAL_MEMORY, "%s: no memory for its image", path);
}

/* The image of a PNG of 16 bits. */
static gal_status of_png(gal_float_image *out, const char *path, const uint8_t *bytes, int64_t n)
{
    static const char *const names[] = {"", "grey", "grey,alpha", "red,green,blue"};
    uint16_t *pixels;
    int width = 0, height = 0, channels = 0;
    gal_status status = gal_png_decode_deep(&pixels, &width, &height, &channels, bytes, n, GAL_LARGEST_SIDE);
    if (status != GAL_OK) {
        char why[256];
        snprintf(why, sizeof why, "%s", gal_error());
        return gal_fail(status, "%s: %s", path, why);
    }
    int bands = channels < 3 ? 1 : 3;
    status = gal_float_image_new(out, path, height, width, bands);
    for (int64_t i = 0; i < (int64_t)width * height * bands && status == GAL_OK; i++)
        out->values[i] = pixels[i];
    snprintf(out->names, sizeof out->names, "%s", names[bands]);
    free(pixels);
    return status;
}

/* *out from the file, which may be gzipped. A sentence begins with the path. */
static gal_status read_image(gal_float_image *out, const char *path)
{
    char *bytes, *unpacked;
    int64_t n;
    *out = (gal_float_image){0};
    gal_status status = gal_file_read(&bytes, &n, path);
    if (status != GAL_OK)
        return status;
    if (gal_gzip_is(bytes, n)) {
        status = gal_gzip_inflate(&unpacked, &n, bytes, n, path);
        gal_file_free(bytes);
        if (status != GAL_OK)
            return status;
        bytes = unpacked;
    }
    if (n == 0)
        status = gal_fail(GAL_FILE, "%s: is empty", path);
    else if (n > GAL_LARGEST_CUTOUT)
        status = gal_fail(GAL_FILE, "%s: is larger than 64 MiB", path);
    else if (n >= 9 && memcmp(bytes, "SIMPLE  =", 9) == 0)
        status = gal_fits_image_decode(out, path, bytes, n);
    else if (gal_png_depth((uint8_t *)bytes, n) == 16)
        status = of_png(out, path, (uint8_t *)bytes, n);
    else
        status = gal_fail(GAL_FILE, "%s: is neither FITS nor PNG of 16 bits a channel", path);
    gal_file_free(bytes);
    return status;
}

/* ---- what is in it ---- */

gal_status gal_image_read_form(gal_image_form *out, const char *path)
{
    static const char *const deep[] = {".fits", ".fit", ".fts", ".fits.gz", ".fit.gz", ".fits.fz"};
    gal_float_image image;
    *out = (gal_image_form){.bands = 3};
    for (size_t k = 0; k < sizeof deep / sizeof *deep; k++)
        out->deep |= gal_name_ends(path, deep[k]);
    if (!out->deep) {
        int depth = 8, width, height;
        gal_status status = gal_picture_size(&width, &height, &depth, path);
        out->width = width, out->height = height, out->deep = depth == 16;
        snprintf(out->names, sizeof out->names, "red,green,blue");
        if (status != GAL_OK || !out->deep)
            return status;
    }
    gal_status status = read_image(&image, path);
    if (status != GAL_OK)
        return gal_fail_without_path(status, path);
    out->width = image.width, out->height = image.height, out->bands = image.bands, out->scale = image.scale;
    memcpy(out->names, image.names, sizeof out->names);
    free(image.values);
    return GAL_OK;
}

/* ---- other sizes ---- */

/* y {size, size} = the band of x {height, width}, `stride` apart, resampled: of the pixels that have a value,
 * weighed by a triangle; NaN where they are less than half of the weight. Room for work: floats {2, height,
 * width} and {2, height, size}. */
static void resize_band(float *y, int64_t stride_y, const float *x, int64_t stride, int64_t height,
                        int64_t width, int64_t size, float *work)
{
    float *value = work, *there = work + height * width, *narrow = work + 2 * height * width;
    for (int64_t i = 0; i < height * width; i++) {
        int is = !isnan(x[i * stride]);
        value[i] = is ? x[i * stride] : 0, there[i] = (float)is;
    }
    float *narrow_there = narrow + height * size;
    for (int64_t row = 0; row < height; row++) {
        gal_resample(narrow + row * size, value + row * width, 1, width, size, 1);
        gal_resample(narrow_there + row * size, there + row * width, 1, width, size, 1);
    }
    float *sum = work, *weight = work + size * size;
    gal_resample(sum, narrow, 1, height, size, size);
    gal_resample(weight, narrow_there, 1, height, size, size);
    for (int64_t i = 0; i < size * size; i++)
        y[i * stride_y] = weight[i] < 0.5f ? NAN : sum[i] / weight[i];
}

/* The image's band k into band `to` of y {size, size, bands}. */
static gal_status put_band(float *y, const gal_float_image *image, int64_t k, int64_t to, int64_t size,
                           int64_t bands)
{
    int64_t height = image->height, width = image->width;
    if (width == size && height == size) {
        for (int64_t i = 0; i < size * size; i++)
            y[i * bands + to] = image->values[i * image->bands + k];
        return GAL_OK;
    }
    int64_t larger = height * width > size * size ? height * width : size * size;
    float *work = malloc((size_t)(2 * larger + 2 * height * size) * sizeof *work);
    if (!work)
        return gal_fail(GAL_MEMORY, "no memory to resize an image");
    resize_band(y + to, bands, image->values + k, image->bands, height, width, size, work);
    free(work);
    return GAL_OK;
}

/* ---- rows ---- */

typedef struct row_args {
    float *pixels;        /* {n, size, size, bands} */
    gal_decoded *decoded; /* {n} */
    const char *const *paths;
    const char *names;
    int64_t size, bands;
    int files, scaled;
} row_args;

/* Which band of the image has the k-th name of a list; -1: none. *name {GAL_BAND_LETTERS + 1}: that name. */
static int64_t band_named(const gal_float_image *image, const char *names, int64_t k, char *name)
{
    for (; k > 0 && *names; k--)
        names += strcspn(names, ","), names += *names == ',';
    size_t n = strcspn(names, ",");
    snprintf(name, GAL_BAND_LETTERS + 1, "%.*s", (int)n, names);
    int64_t at = 0;
    for (const char *own = image->names; *own; at++) {
        size_t letters = strcspn(own, ",");
        if (letters == n && memcmp(own, names, n) == 0)
            return at;
        own += letters, own += *own == ',';
    }
    return -1;
}

/* Puts what one file holds into y {size, size, bands}: its bands of those names, or, of one of several files,
 * its only band as band `to`. */
static gal_status put_file(float *y, gal_decoded *out, const row_args *a, const gal_float_image *image,
                           int to)
{
    char name[GAL_BAND_LETTERS + 1];
    out->width = (int32_t)image->width, out->height = (int32_t)image->height;
    if (!a->scaled && (image->width != a->size || image->height != a->size))
        return gal_fail(GAL_SHAPE, "is %lld x %lld pixels, expected %lld x %lld", (long long)image->width,
                        (long long)image->height, (long long)a->size, (long long)a->size);
    double scale = image->scale * (double)image->width / (double)a->size;
    if (out->scale > 0 && scale > 0 && fabs(scale / out->scale - 1) > SAME_SCALE)
        return gal_fail(GAL_FILE, "has pixels of %.4g arcsec, another of its bands has %.4g", scale,
                        out->scale);
    out->scale = out->scale > 0 ? out->scale : scale;
    if (a->files > 1 && image->bands != 1)
        return gal_fail(GAL_SHAPE, "holds %lld bands, expected one, as each band has a folder",
                        (long long)image->bands);
    gal_status status = a->files > 1 ? put_band(y, image, 0, to, a->size, a->bands) : GAL_OK;
    for (int64_t k = 0; a->files == 1 && k < a->bands && status == GAL_OK; k++) {
        int64_t at = band_named(image, a->names, k, name);
        status = at < 0 ? gal_fail(GAL_SHAPE, "has the bands %.60s, expected %.60s", image->names, a->names)
                        : put_band(y, image, at, k, a->size, a->bands);
    }
    return status;
}

/* Counts the pixels of y {size, size, bands} without a value; GAL_FILE where a value is infinite, or a band
 * has none. */
static gal_status judge(gal_decoded *out, const row_args *a, const float *y)
{
    int64_t there[GAL_LARGEST_BANDS] = {0}, pixels = a->size * a->size;
    for (int64_t i = 0; i < pixels; i++) {
        int gap = 0;
        for (int64_t k = 0; k < a->bands; k++) {
            float v = y[i * a->bands + k];
            if (isinf(v))
                return gal_fail(GAL_FILE,
                                "holds an infinite value, expected numbers, or NaN where there is none");
            gap |= isnan(v);
            there[k] += !isnan(v);
        }
        out->missing += gap;
    }
    for (int64_t k = 0; k < a->bands; k++)
        if (there[k] == 0)
            return gal_fail(GAL_FILE, "holds no value%s: all pixels are NaN or BLANK",
                            a->bands > 1 ? " in one of its bands" : "");
    return GAL_OK;
}

/* Row i: y {size, size, bands}; decoded says what became of it. */
static gal_status decode_row(const row_args *a, int64_t i)
{
    int64_t values = a->size * a->size * a->bands;
    float *y = a->pixels + i * values;
    gal_decoded *out = &a->decoded[i];
    gal_status status = GAL_OK;
    *out = (gal_decoded){0};
    for (int k = 0; k < a->files && status == GAL_OK; k++) {
        gal_float_image image;
        const char *path = a->paths[i * a->files + k];
        out->file = k;
        status = path ? read_image(&image, path) : gal_fail(GAL_FILE, "has no path");
        if (status != GAL_OK)
            status = gal_fail_without_path(status, path ? path : "");
        else {
            status = put_file(y, out, a, &image, k);
            free(image.values);
        }
    }
    if (status == GAL_OK) {
        out->file = 0;
        status = judge(out, a, y);
    }
    if (status == GAL_OK)
        out->hash = gal_hash(y, values * (int64_t)sizeof *y, 0);
    else
        memset(y, 0, (size_t)values * sizeof *y);
    out->status = (int32_t)status;
    if (status != GAL_OK)
        snprintf(out->problem, sizeof out->problem, "%s", gal_error());
    return status == GAL_MEMORY ? gal_fail(GAL_MEMORY, "%s: %s", a->paths[i * a->files], out->problem)
                                : GAL_OK;
}

static gal_status decode_rows(void *args, int64_t from, int64_t to)
{
    gal_status status = GAL_OK;
    for (int64_t i = from; status == GAL_OK && i < to; i++)
        status = decode_row(args, i);
    return status;
}

gal_status gal_cutouts_decode(gal_tensor *pixels, gal_decoded *decoded, const char *const *paths, int files,
                              const char *names, int scaled)
{
    if (pixels->dtype != GAL_F32 || pixels->rank != 4 || pixels->shape[1] != pixels->shape[2] ||
        !gal_tensor_contiguous(pixels))
        return gal_fail(GAL_SHAPE, "cutouts_decode: pixels is %s, expected float32 {n, size, size, bands}",
                        gal_shape_text(pixels));
    row_args a = {.pixels = pixels->data,
                  .decoded = decoded,
                  .paths = paths,
                  .names = names,
                  .files = files,
                  .scaled = scaled,
                  .size = pixels->shape[1],
                  .bands = pixels->shape[3]};
    if (a.bands > GAL_LARGEST_BANDS || (files != 1 && files != a.bands))
        return gal_fail(GAL_VALUE,
                        "cutouts_decode: %d files of %lld bands, expected one, or one a band, and at "
                        "most %d",
                        files, (long long)a.bands, GAL_LARGEST_BANDS);
    gal_status status = gal_check_host("cutouts_decode", "pixels", pixels);
    return status == GAL_OK ? gal_parallel(pixels->shape[0], 4, decode_rows, &a) : status;
}
