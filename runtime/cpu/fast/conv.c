/* conv.c: the forward of a convolution with its activation and mean pool, in tiles (conv.h). An image goes
 * through band by band; z never leaves the cache. */
#include "conv_half.h"
#include "activate.h"
#include "fast.h"
#include "conv_winograd.h"

static gal_status prepare(const gal_lane *lane, const void *args)
{
    const gal_conv_args *g = args;
    if (half_of(g) != HALF_NONE)
        return FAST(conv_half_prepare)(lane, args);
    if (g->precision == GAL_BF16 && g->stride == 1)
        gal_note(
            "this processor has no fast products of bfloat16: precision \"bf16\" is computed in float32");
    if (winograd_fits(g))
        return FAST(winograd_prepare)(lane, args);
    const conv_plan p = make_plan(g, 0);
    gal_status status = gal_cpu_scratch_grow((size_t)p.total * sizeof(float));
    if (status == GAL_OK)
        pack_weights(g, &p, gal_cpu_scratch());
    return status;
}

INLINE void pool_as(const int activation, const int64_t pool, const gal_conv_args *g, const float *z,
                    int64_t width, int64_t pitch, float *y, float *slope, int64_t outputs)
{
    float scale = 1 / (float)(pool * pool);
    for (int64_t j = 0; j < outputs; j += VL) {
        int64_t n = least(VL, outputs - j);
        for (int64_t column = 0; column < g->zw / pool; column++) {
            vec sum = splat(0);
            for (int64_t r = 0; r < pool; r++)
                for (int64_t s = 0; s < pool; s++) {
                    int64_t x = column * pool + s;
                    vec d;
                    sum += activate(activation, load(z + (r * pitch + x) * width + j), &d);
                    if (slope)
                        store_up_to(slope + (r * g->zw + x) * g->out + j, d, n);
                }
            store_up_to(y + column * g->out + j, sum * scale, n);
        }
    }
}

void FAST(pool_row)(const gal_conv_args *g, const float *z, int64_t width, int64_t pitch, float *y,
                    float *slope, int64_t outputs)
{
    switch (g->activation * 4 + (g->pool < 3 ? g->pool : 0)) {
#define POOL_CASE(NAME, name)                                                \
    case GAL_##NAME * 4:                                                     \
        pool_as(GAL_##NAME, g->pool, g, z, width, pitch, y, slope, outputs); \
        break;                                                               \
    case GAL_##NAME * 4 + 1:                                                 \
        pool_as(GAL_##NAME, 1, g, z, width, pitch, y, slope, outputs);       \
        break;                                                               \
    case GAL_##NAME * 4 + 2:                                                 \
        pool_as(GAL_##NAME, 2, g, z, width, pitch, y, slope, outputs);       \
        break;
        GAL_ACTIVATIONS(POOL_CASE)
    }
}

/* Lanes share bands of images. */
static gal_status conv2d(const gal_lane *lane, const void *args)
{
    const gal_conv_args *g = args;
    if (half_of(g) != HALF_NONE)
        return FAST(conv_half)(lane, args);
    if (winograd_fits(g))
        return FAST(winograd)(lane, args);
    const conv_plan p = make_plan(g, 0);
    float *scratch = gal_cpu_scratch(), *mine = scratch + p.lanes + lane->index * p.lane_size,
          *z = mine + p.lane_z;
    int64_t from, to, yh = g->zh / g->pool, yw = g->zw / g->pool;
    gal_share(lane, p.units, 1, &from, &to);
    for (int64_t u = from; u < to; u++) {
        int64_t n = u / p.bands, row = u % p.bands * p.band_rows,
                end = least(yh * g->pool, row + p.band_rows), distance, width = p.out.width;
        if (row >= end)
            continue;
        const float *x = padded_rows(g, &p, g->x + n * g->h * g->w * g->c, mine, row * g->stride - g->top,
                                     (end - row - 1) * g->stride + g->kh, &distance);
        for (int64_t group = 0; group < p.out.count; group++)
            for (int64_t r = row; r < end; r += g->pool) {
                int64_t first = group * width;
                for (int64_t i = 0; i < g->pool; i++)
                    z_row(g, &p, scratch, x + (r + i - row) * g->stride * distance, distance,
                          z + i * g->zw * width, group);
                FAST(pool_row)
                (g, z, width, g->zw, g->y + (n * yh + r / g->pool) * yw * g->out + first,
                 g->slope ? g->slope + (n * g->zh + r) * g->zw * g->out + first : NULL,
                 least(width, g->out - first));
            }
    }
    return GAL_OK;
}

void FAST(conv_backward)(gal_backend *table);

void FAST(conv)(gal_backend *table)
{
    table->conv2d_prepare = prepare;
    table->conv2d = conv2d;
    FAST(conv_backward)(table);
}
