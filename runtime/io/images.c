/* images.c: sets of images that need not be in memory: rows of a .npy file, read by pread when they are
 * wanted, or of a tensor. It crops, bins and turns them on the way. Whatever reads a survey's images, such as
 * the loader (loader.c), reads them here. */
#include "images.h"
#include <stdlib.h>
#include <string.h>

static void release(gal_images_source *s)
{
    if (--s->references > 0)
        return;
    gal_arrays_free(s->arrays);
    if (s->memory)
        gal_storage_release(s->memory);
    free(s);
}

/* A set of all images of s, which takes over the caller's reference to s; NULL where there is no memory. */
static gal_images *all_of(gal_images_source *s)
{
    gal_images *images = calloc(1, sizeof *images);
    if (!images) {
        release(s);
        gal_fail(GAL_MEMORY, "images: no memory left");
        return NULL;
    }
    *images = (gal_images){.source = s, .count = s->count, .bin = 1, .height = s->height, .width = s->width};
    return images;
}

gal_status gal_images_open(gal_images **out, const char *path)
{
    gal_arrays *arrays;
    gal_status status = gal_arrays_open(&arrays, path);
    if (status != GAL_OK)
        return status;
    const gal_array *a = &arrays->array[0];
    int bytes = a->stored == GAL_STORED_U8 && a->rank == 4 && a->shape[3] == 3;
    int floats = a->stored == GAL_STORED_F32 && !a->big_endian && a->rank == 4 && a->shape[3] >= 1 &&
                 a->shape[3] <= GAL_LARGEST_BANDS;
    if (arrays->count != 1 || !(bytes || floats) || a->fortran || a->shape[1] < 1 || a->shape[2] < 1)
        status = gal_fail(GAL_SHAPE,
                          "%s: holds no images, expected uint8 {N, height, width, 3} or float32 {N, height, "
                          "width, bands} in C order",
                          path);
    gal_images_source *s = status == GAL_OK ? calloc(1, sizeof *s) : NULL;
    if (!s) {
        gal_arrays_free(arrays);
        return status == GAL_OK ? gal_fail(GAL_MEMORY, "%s: no memory to open it", path) : status;
    }
    *s = (gal_images_source){.references = 1,
                             .arrays = arrays,
                             .offset = a->offset,
                             .count = a->shape[0],
                             .height = a->shape[1],
                             .width = a->shape[2],
                             .pixel = a->shape[3] * (bytes ? 1 : 4),
                             .channels = a->shape[3],
                             .dtype = bytes ? GAL_U8 : GAL_F32};
    gal_memory_outside(GAL_HANDLE_BYTES);
    *out = all_of(s);
    return *out ? GAL_OK : GAL_MEMORY;
}

gal_status gal_images_of(gal_images **out, const gal_tensor *x)
{
    if (x->rank < 1 || !gal_tensor_contiguous(x))
        return gal_fail(GAL_SHAPE, "images: x is %s, expected contiguous rows", gal_shape_text(x));
    gal_status status = gal_check_host("images", "x", x);
    if (status != GAL_OK)
        return status;
    if (x->storage->in_arena)
        return gal_fail(GAL_STATE, "images: x was made in a scope, expected it kept");
    gal_images_source *s = calloc(1, sizeof *s);
    if (!s)
        return gal_fail(GAL_MEMORY, "images: no memory left");
    int image = x->rank == 4;
    int64_t each = x->shape[0] ? gal_tensor_count(x) / x->shape[0] : 0,
            size = (int64_t)gal_dtype_size(x->dtype);
    *s = (gal_images_source){.references = 1, .memory = x->storage, .data = x->data, .count = x->shape[0]};
    s->height = image ? x->shape[1] : 1, s->width = image ? x->shape[2] : 1,
    s->channels = image ? x->shape[3] : each, s->pixel = size * s->channels, s->dtype = x->dtype;
    gal_storage_retain(x->storage);
    *out = all_of(s);
    return *out ? GAL_OK : GAL_MEMORY;
}

gal_status gal_images_select(gal_images **out, const gal_images *images, const int64_t *index, int64_t n)
{
    gal_images *y = calloc(1, sizeof *y);
    n = index ? n : images->count;
    int64_t *rows = malloc((size_t)(n ? n : 1) * sizeof *rows);
    gal_status status =
        y && rows ? GAL_OK : gal_fail(GAL_MEMORY, "images: no memory left for %lld rows", (long long)n);
    for (int64_t i = 0; i < n && status == GAL_OK; i++) {
        int64_t k = index ? index[i] : i;
        if (k < 0 || k >= images->count)
            status = gal_fail(GAL_VALUE, "images: row %lld is %lld, expected 0 to %lld", (long long)i,
                              (long long)k, (long long)images->count - 1);
        else
            rows[i] = images->rows ? images->rows[k] : k;
    }
    if (status != GAL_OK) {
        free(y);
        free(rows);
        return status;
    }
    *y = *images;
    y->source->references++;
    y->rows = rows;
    y->count = n;
    *out = y;
    return GAL_OK;
}

gal_status gal_images_shape(gal_images *images, int64_t crop, int64_t bin)
{
    const gal_images_source *s = images->source;
    int64_t side = s->height < s->width ? s->height : s->width;
    if (crop < 0 || crop > side)
        return gal_fail(GAL_VALUE, "crop is %lld pixels, expected 1 to %lld for images of %lld x %lld",
                        (long long)crop, (long long)side, (long long)s->height, (long long)s->width);
    int64_t height = crop ? crop : s->height, width = crop ? crop : s->width;
    if (bin < 1 || bin > height || bin > width || height % bin || width % bin)
        return gal_fail(GAL_VALUE, "bin is %lld pixels, expected a divisor of %lld x %lld", (long long)bin,
                        (long long)height, (long long)width);
    int bins =
        (s->dtype == GAL_U8 && s->pixel == 3) || (s->dtype == GAL_F32 && s->channels <= GAL_LARGEST_BANDS);
    if (bin > 1 && !bins)
        return gal_fail(
            GAL_TYPE,
            "bin is %lld pixels, expected 1 for images that are neither uint8 {N, height, width, 3} "
            "nor float32",
            (long long)bin);
    images->bin = bin, images->height = height, images->width = width;
    images->top = (s->height - height) / 2, images->left = (s->width - width) / 2;
    return GAL_OK;
}

void gal_images_free(gal_images *images)
{
    if (!images)
        return;
    release(images->source);
    free(images->rows);
    free(images);
}

int64_t gal_images_count(const gal_images *images)
{
    return images->count;
}

int64_t gal_images_stored(const gal_images *images)
{
    const gal_images_source *s = images->source;
    if (s->dtype == GAL_F32)
        return images->count * gal_images_bytes(images);
    return images->count * s->height * s->width * s->pixel;
}

int64_t gal_images_side(const gal_images *images, int which)
{
    return (which ? images->width : images->height) / images->bin;
}

int64_t gal_images_bytes(const gal_images *images)
{
    int64_t pixels = images->height / images->bin * (images->width / images->bin);
    return pixels * (images->source->pixel + (images->is_scaled && images->scaling.mask ? 4 : 0));
}

int gal_images_is_float(const gal_images *images)
{
    return images->source->dtype == GAL_F32;
}

int64_t gal_images_channels(const gal_images *images)
{
    return images->source->channels + (images->is_scaled && images->scaling.mask);
}

int64_t gal_images_scratch(const gal_images *images)
{
    return images->height * images->source->width * images->source->pixel + 2 * gal_images_bytes(images) + 1;
}

/* y {height / bin, width / bin, 3} = rounded means over bin x bin pixels of x {height, width, 3}, whose rows
 * are `stride` bytes apart. */
static void binned(uint8_t *y, const uint8_t *x, int64_t stride, int64_t height, int64_t width, int64_t bin)
{
    int64_t area = bin * bin;
    for (int64_t r = 0; r < height / bin; r++)
        for (int64_t c = 0; c < width / bin; c++)
            for (int64_t k = 0; k < 3; k++) {
                int64_t sum = 0;
                for (int64_t i = 0; i < bin; i++)
                    for (int64_t j = 0; j < bin; j++)
                        sum += x[(r * bin + i) * stride + (c * bin + j) * 3 + k];
                *y++ = (uint8_t)((sum + area / 2) / area);
            }
}

/* y {height, width, pixel} = x, whose rows are `stride` bytes apart, turned: turn & 4 mirrors left for right,
 * then turn & 3 quarter turns anticlockwise follow (for which height = width). Pixel (r, c) of y stands at
 * from + r * down + c * right. */
static void turned(uint8_t *y, const uint8_t *x, int64_t stride, int64_t height, int64_t width, int64_t pixel,
                   int turn)
{
    int64_t last = width - 1, across = pixel, down = stride, right;
    const uint8_t *from = x;
    if (turn & 4) {
        from += last * across;
        across = -across;
    }
    right = across;
    if ((turn & 3) == 1)
        from += last * across, down = -across, right = stride;
    else if ((turn & 3) == 2)
        from += last * (across + stride), down = -stride, right = -across;
    else if ((turn & 3) == 3)
        from += last * stride, down = across, right = -stride;
    for (int64_t r = 0; r < height; r++, from += down) {
        if (right == pixel) {
            memcpy(y, from, (size_t)(width * pixel));
            y += width * pixel;
        } else if (pixel == 3) {
            const uint8_t *at = from;
            for (int64_t c = 0; c < width; c++, at += right, y += 3)
                y[0] = at[0], y[1] = at[1], y[2] = at[2];
        } else {
            const uint8_t *at = from;
            for (int64_t c = 0; c < width; c++, at += right, y += pixel)
                memcpy(y, at, (size_t)pixel);
        }
    }
}

gal_status gal_images_at(uint8_t *y, const gal_images *images, int64_t i, int turn, uint8_t *scratch)
{
    const gal_images_source *s = images->source;
    if (i < 0 || i >= images->count)
        return gal_fail(GAL_VALUE, "images: row %lld, expected 0 to %lld", (long long)i,
                        (long long)images->count - 1);
    int64_t row = images->rows ? images->rows[i] : i, stride = s->width * s->pixel, height = images->height,
            width = images->width;
    int64_t at = (row * s->height + images->top) * stride, need = height * stride;
    const uint8_t *x;
    if (s->arrays) { /* whole rows of pixels, in one read */
        gal_status status = gal_file_at(&s->arrays->file, scratch, need, s->offset + at);
        if (status != GAL_OK)
            return status;
        x = scratch;
    } else {
        x = s->data + at;
    }
    x += images->left * s->pixel;
    int64_t pixel = s->pixel;
    if (images->is_scaled || (images->bin > 1 && s->dtype == GAL_F32)) {
        float *shown = (float *)(void *)(scratch + need);
        gal_images_show(shown, images, x, stride);
        height /= images->bin, width /= images->bin;
        pixel = 4 * gal_images_channels(images);
        x = (uint8_t *)shown, stride = width * pixel;
    } else if (images->bin > 1) {
        uint8_t *means = scratch + need;
        binned(means, x, stride, height, width, images->bin);
        height /= images->bin, width /= images->bin;
        x = means, stride = width * s->pixel;
    }
    turned(y, x, stride, height, width, pixel, turn);
    return GAL_OK;
}

gal_status gal_images_read(gal_tensor *y, const gal_images *images, int64_t first, const int64_t *index,
                           const uint8_t *turns)
{
    int64_t n = y->rank ? y->shape[0] : 0, bytes = gal_images_bytes(images);
    if (!gal_tensor_contiguous(y) || (int64_t)gal_dtype_size(y->dtype) * gal_tensor_count(y) != n * bytes)
        return gal_fail(GAL_SHAPE, "images_read: y is %s, expected %lld bytes an image", gal_shape_text(y),
                        (long long)bytes);
    gal_status status = gal_check_host("images_read", "y", y);
    if (status != GAL_OK)
        return status;
    if (gal_recording())
        return gal_fail(GAL_RECORDING, "images_read: images can't be read from a set while a program is "
                                       "recorded, expected a loader's");
    uint8_t *scratch = malloc((size_t)gal_images_scratch(images));
    status = scratch ? GAL_OK : gal_fail(GAL_MEMORY, "images_read: no memory left");
    for (int64_t i = 0; i < n && status == GAL_OK; i++) {
        status = gal_images_at((uint8_t *)y->data + i * bytes, images, index ? index[i] : first + i,
                               turns ? turns[i] & 7 : 0, scratch);
        if (status == GAL_OK && i % 64 == 63 && gal_interrupted())
            status = gal_fail(GAL_INTERRUPTED, "interrupted");
    }
    free(scratch);
    return status;
}

gal_status gal_images_moments(double *sums, double *squares, const gal_images *images, int64_t channels)
{
    int64_t bytes = gal_images_bytes(images);
    if (channels < 1 || bytes % channels)
        return gal_fail(GAL_VALUE, "images_moments: %lld channels in images of %lld bytes",
                        (long long)channels, (long long)bytes);
    uint8_t *scratch = malloc((size_t)(gal_images_scratch(images) + bytes)),
            *y = scratch + gal_images_scratch(images);
    uint64_t *one = calloc((size_t)(2 * channels + 1), sizeof *one); /* of one image: integers, so exact */
    gal_status status = scratch && one ? GAL_OK : gal_fail(GAL_MEMORY, "images_moments: no memory left");
    for (int64_t c = 0; c < channels; c++)
        sums[c] = squares[c] = 0;
    for (int64_t i = 0; i < images->count && status == GAL_OK; i++) {
        status = gal_images_at(y, images, i, 0, scratch);
        memset(one, 0, (size_t)(2 * channels) * sizeof *one);
        for (int64_t k = 0; k < bytes && status == GAL_OK; k += channels)
            for (int64_t c = 0; c < channels; c++) {
                one[c] += y[k + c];
                one[channels + c] += (uint64_t)y[k + c] * y[k + c];
            }
        for (int64_t c = 0; c < channels; c++) {
            sums[c] += (double)one[c];
            squares[c] += (double)one[channels + c];
        }
        if (i % 64 == 63 && gal_interrupted() && status == GAL_OK)
            status = gal_fail(GAL_INTERRUPTED, "interrupted");
    }
    free(scratch);
    free(one);
    return status;
}
