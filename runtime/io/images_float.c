/* images_float.c: sets of images in single precision (images.c): how their values are shown to a network,
 * with gaps where a survey has no value, and what they are like, by which that is chosen. */
#include "images.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Values beyond the range that was chosen are kept as far as that range is wide, and cut there: gal.flow
 * takes images from -1 to 2. */
#define LEAST (-1.f)
#define MOST 2.f

gal_status gal_images_scale(gal_images *images, const gal_scaling *scaling)
{
    const gal_images_source *s = images->source;
    images->is_scaled = scaling != NULL;
    if (!scaling)
        return GAL_OK;
    images->is_scaled = 0;
    if (s->dtype != GAL_F32 || s->channels != scaling->bands || s->channels > GAL_LARGEST_BANDS)
        return gal_fail(GAL_SHAPE, "images: the scaling is of %d bands, the images are %s of %lld",
                        (int)scaling->bands, gal_dtype_name(s->dtype), (long long)s->channels);
    for (int k = 0; k < scaling->bands; k++) {
        float range = scaling->high[k] - scaling->low[k];
        if (!(range > 0) || !isfinite(range) || !(scaling->softening[k] > 0) ||
            !isfinite(scaling->softening[k]) || !isfinite(scaling->offset[k]) || !isfinite(scaling->fill[k]))
            return gal_fail(
                GAL_VALUE,
                "images: the scaling of band %d is from %g to %g with a softening of %g, expected "
                "finite numbers, a range and a softening above 0",
                k + 1, (double)scaling->low[k], (double)scaling->high[k], (double)scaling->softening[k]);
    }
    images->scaling = *scaling;
    images->is_scaled = 1;
    return GAL_OK;
}

/* asinh(x): ln(|x| + sqrt(x^2 + 1)) with x's sign: a fifth of the time of asinhf, within 1e-7 of it. */
static float stretched(float x)
{
    float a = fabsf(x);
    return copysignf(logf(a + sqrtf(a * a + 1)), x);
}

/* What a value of band k, a number, is shown as. */
static float shown(const gal_scaling *s, int64_t k, float x)
{
    float f = s->asinh ? stretched((x - s->offset[k]) / s->softening[k]) : x;
    return fminf(MOST, fmaxf(LEAST, (f - s->low[k]) / (s->high[k] - s->low[k])));
}

/* The mean of those of bin x bin values of a band that are numbers, NaN where none is; *gaps += the others.
 */
static float mean_of(const uint8_t *x, int64_t stride, int64_t channels, int64_t bin, int64_t *gaps)
{
    double sum = 0;
    int64_t count = 0;
    for (int64_t i = 0; i < bin; i++)
        for (int64_t j = 0; j < bin; j++) {
            float v = *((const float *)(const void *)(x + i * stride) + j * channels);
            if (!isnan(v))
                sum += v, count++;
        }
    *gaps += bin * bin - count;
    return count ? (float)(sum / (double)count) : NAN;
}

void gal_images_show(float *y, const gal_images *images, const uint8_t *x, int64_t stride)
{
    const gal_scaling *s = images->is_scaled ? &images->scaling : NULL;
    int64_t bin = images->bin, channels = images->source->channels, height = images->height / bin,
            width = images->width / bin, mask = s && s->mask;
    for (int64_t r = 0; r < height; r++)
        for (int64_t c = 0; c < width; c++) {
            const uint8_t *at = x + r * bin * stride + c * bin * channels * (int64_t)sizeof(float);
            int64_t gaps = 0;
            for (int64_t k = 0; k < channels; k++) {
                float v = mean_of(at + k * (int64_t)sizeof(float), stride, channels, bin, &gaps);
                *y++ = !s ? v : isnan(v) ? s->fill[k] : shown(s, k, v);
            }
            if (mask)
                *y++ = (float)gaps / (float)(bin * bin * channels);
        }
}

/* ---- what images are like ---- */

/* Pixels that medians are taken of, at most. */
#define LOOKED_AT 1024

static int by_value(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static float median(float *values, int64_t n)
{
    qsort(values, (size_t)n, sizeof *values, by_value);
    return n == 0 ? NAN : n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

/* Band k of an image of `pixels` pixels, `channels` apart. */
static void look(gal_levels *out, const gal_images *images, const float *x, int64_t k, int64_t pixels)
{
    float some[LOOKED_AT];
    int64_t channels = images->source->channels, step = (pixels + LOOKED_AT - 1) / LOOKED_AT, n = 0;
    *out = (gal_levels){.least = NAN, .most = NAN};
    for (int64_t i = 0; i < pixels; i++) {
        float v = x[i * channels + k];
        if (isnan(v)) {
            out->missing++;
            continue;
        }
        out->least = fminf(out->least, v), out->most = fmaxf(out->most, v);
        out->sum += images->is_scaled ? shown(&images->scaling, k, v) : 0;
        if (out->count++ % step == 0) /* the first value is among them, wherever gaps are */
            some[n++] = v;
    }
    out->median = median(some, n);
    for (int64_t i = 0; i < n; i++)
        some[i] = fabsf(some[i] - out->median);
    out->deviation = 1.4826f * median(some, n);
}

gal_status gal_images_levels(gal_levels *levels, const gal_images *images, int64_t first, int64_t count)
{
    int64_t channels = images->source->channels;
    if (images->source->dtype != GAL_F32 || channels > GAL_LARGEST_BANDS)
        return gal_fail(GAL_TYPE, "images_levels: the images are %s, expected float32",
                        gal_dtype_name(images->source->dtype));
    gal_images raw = *images;
    raw.is_scaled = 0;
    int64_t bytes = gal_images_bytes(&raw), pixels = bytes / (4 * channels);
    float *x = malloc((size_t)bytes);
    uint8_t *scratch = malloc((size_t)gal_images_scratch(&raw));
    gal_status status = x && scratch ? GAL_OK : gal_fail(GAL_MEMORY, "images_levels: no memory left");
    for (int64_t i = 0; i < count && status == GAL_OK; i++) {
        status = gal_images_at((uint8_t *)x, &raw, first + i, 0, scratch);
        for (int64_t k = 0; k < channels && status == GAL_OK; k++)
            look(&levels[i * channels + k], images, x, k, pixels);
    }
    free(x);
    free(scratch);
    return status;
}
