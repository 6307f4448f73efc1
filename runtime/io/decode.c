/* decode.c: JPEG and PNG files to pixels, many at once on all cores, within limits of size. jpeg.c and png.c
 * decode; both refuse what is damaged or cut short: a model must not learn from a galaxy with half a picture.
 */
#include "decode.h"
#include "core/parallel.h"
#include "jpeg.h"
#include "png.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

gal_status gal_decode_bytes(uint8_t **pixels, int *width, int *height, const uint8_t *b, int64_t n)
{
    static const uint8_t png[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
    if (n == 0)
        return gal_fail(GAL_FILE, "is empty");
    if (n > GAL_LARGEST_CUTOUT)
        return gal_fail(GAL_FILE, "is larger than 64 MiB");
    if (n >= 8 && !memcmp(b, png, 8))
        return gal_png_decode(pixels, width, height, b, n, GAL_LARGEST_SIDE);
    if (n >= 2 && b[0] == 0xff && b[1] == 0xd8)
        return gal_jpeg_decode(pixels, width, height, b, n, GAL_LARGEST_SIDE);
    return gal_fail(GAL_FILE, "is neither JPEG nor PNG");
}

gal_status gal_fail_without_path(gal_status status, const char *path)
{
    const char *sentence = gal_error();
    size_t begins = strlen(path);
    int named = begins > 0 && strncmp(sentence, path, begins) == 0 && sentence[begins] == ':';
    return gal_fail(status, "%s", named ? sentence + begins + 2 : sentence);
}

/* *pixels {*height, *width, 3} of the file, which the caller frees; *depth: its bits a channel. On failure
 * GAL_FILE and a sentence without the path. */
static gal_status decode_file(uint8_t **pixels, int *width, int *height, int *depth, const char *path)
{
    char *bytes;
    int64_t n;
    *pixels = NULL;
    if (!path)
        return gal_fail(GAL_FILE, "has no path");
    gal_status status = gal_file_read(&bytes, &n, path);
    if (status != GAL_OK)
        return gal_fail_without_path(status, path);
    status = gal_decode_bytes(pixels, width, height, (uint8_t *)bytes, n);
    *depth = gal_png_depth((uint8_t *)bytes, n) == 16 ? 16 : 8;
    gal_file_free(bytes);
    return status;
}

void gal_resample(float *y, const float *x, int64_t outer, int64_t from, int64_t to, int64_t inner)
{
    float scale = (float)from / (float)to, reach = scale > 1 ? scale : 1;
    memset(y, 0, (size_t)(outer * to * inner) * sizeof *y);
    for (int64_t i = 0; i < to; i++) {
        float centre = ((float)i + 0.5f) * scale, sum = 0;
        int64_t first = (int64_t)(centre - reach + 0.5f), last = (int64_t)(centre + reach + 0.5f);
        first = first < 0 || centre < reach - 0.5f ? 0 : first;
        last = last > from ? from : last;
        for (int64_t k = first; k < last; k++)
            sum += fmaxf(0, 1 - fabsf((float)k + 0.5f - centre) / reach);
        for (int64_t k = first; k < last; k++) {
            float weight = fmaxf(0, 1 - fabsf((float)k + 0.5f - centre) / reach) / sum;
            for (int64_t o = 0; o < outer; o++)
                for (int64_t c = 0; c < inner; c++)
                    y[(o * to + i) * inner + c] += weight * x[(o * from + k) * inner + c];
        }
    }
}

/* y {size, size, 3} = x {height, width, 3} at another size. */
static gal_status resize(uint8_t *y, const uint8_t *x, int64_t height, int64_t width, int64_t size)
{
    float *a = malloc((size_t)(width * 3) * sizeof *a), /* one row */
        *b = malloc((size_t)(height * size * 3) * sizeof *b),
          *c = malloc((size_t)(size * size * 3) * sizeof *c);
    gal_status status = a && b && c ? GAL_OK : gal_fail(GAL_MEMORY, "no memory to resize an image");
    if (status == GAL_OK) {
        for (int64_t row = 0; row < height; row++) {
            for (int64_t i = 0; i < width * 3; i++)
                a[i] = x[row * width * 3 + i];
            gal_resample(b + row * size * 3, a, 1, width, size, 3);
        }
        gal_resample(c, b, 1, height, size, size * 3);
        for (int64_t i = 0; i < size * size * 3; i++)
            y[i] = (uint8_t)fminf(255, c[i] + 0.5f);
    }
    free(a);
    free(b);
    free(c);
    return status;
}

/* Decodes one file into y {size, size, 3}; out says what became of it. */
static gal_status decode_one(uint8_t *y, gal_decoded *out, const char *path, int64_t size, int scaled)
{
    uint8_t *pixels;
    int width, height, depth;
    *out = (gal_decoded){0};
    gal_status status = decode_file(&pixels, &width, &height, &depth, path);
    if (status == GAL_OK) {
        out->width = width, out->height = height;
        if (scaled && (width != size || height != size))
            status = resize(y, pixels, height, width, size);
        else if (width == size && height == size)
            memcpy(y, pixels, (size_t)(size * size * 3));
        else
            status = gal_fail(GAL_SHAPE, "is %d x %d pixels, expected %d x %d", width, height, (int)size,
                              (int)size);
        free(pixels);
    }
    if (status == GAL_OK)
        out->hash = gal_hash(y, size * size * 3, 0);
    else
        memset(y, 0, (size_t)(size * size * 3));
    out->status = (int32_t)status;
    if (status != GAL_OK)
        snprintf(out->problem, sizeof out->problem, "%s", gal_error());
    /* The machine's lack of memory or file handles is not the file's fault: the galaxy is not damaged. */
    return status == GAL_MEMORY ? gal_fail(GAL_MEMORY, "%s: %s", path, out->problem) : GAL_OK;
}

gal_status gal_picture_size(int *width, int *height, int *depth, const char *path)
{
    uint8_t *pixels;
    gal_status status = decode_file(&pixels, width, height, depth, path);
    if (status == GAL_OK)
        free(pixels);
    return status;
}

typedef struct decode_args {
    uint8_t *pixels;      /* {n, size, size, 3} */
    gal_decoded *decoded; /* {n} */
    const char *const *paths;
    int64_t size;
    int scaled;
} decode_args;

static gal_status decode_range(void *args, int64_t from, int64_t to)
{
    const decode_args *a = args;
    gal_status status = GAL_OK;
    for (int64_t i = from; status == GAL_OK && i < to; i++)
        status = decode_one(a->pixels + i * a->size * a->size * 3, &a->decoded[i], a->paths[i], a->size,
                            a->scaled);
    return status;
}

gal_status gal_images_decode(gal_tensor *pixels, gal_decoded *decoded, const char *const *paths, int scaled)
{
    int64_t n = pixels->shape[0], size = pixels->shape[1];
    if (pixels->dtype != GAL_U8 || pixels->rank != 4 || pixels->shape[2] != size || pixels->shape[3] != 3 ||
        !gal_tensor_contiguous(pixels))
        return gal_fail(GAL_SHAPE, "images_decode: pixels is %s, expected uint8 {n, size, size, 3}",
                        gal_shape_text(pixels));
    gal_status status = gal_check_host("images_decode", "pixels", pixels);
    if (status != GAL_OK)
        return status;
    decode_args args = {pixels->data, decoded, paths, size, scaled};
    return gal_parallel(n, 4, decode_range, &args);
}
