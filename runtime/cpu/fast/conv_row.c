/* conv_row.c: what direct convolutions and those of bfloat16 do with a row of z, forward and backward:
 * activation, slope and mean. Winograd's do it tile by tile. */
#include "conv.h"
#include "activate.h"

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

INLINE void dz_as(const int activation, const int stored, const gal_conv_args *g, float *dz, int64_t width,
                  const float *slope, const float *z, const float *dy, int64_t outputs)
{
    float scale = 1 / (float)(g->pool * g->pool);
    for (int64_t j = 0; j < width; j += VL) {
        int64_t n = most(0, least(VL, outputs - j)), at = 0;
        for (int64_t column = 0; column < g->zw / g->pool; column++) {
            const float *from = dy + column * g->out + j;
            vec d = load_up_to(from, n) * scale;
            for (int64_t s = 0; s < g->pool; s++, at++) {
                vec f = splat(1);
                if (stored)
                    f = load_up_to(slope + at * g->out + j, n);
                else if (activation != GAL_IDENTITY)
                    activate(activation, load(z + at * width + j), &f);
                store(dz + at * width + j, f * d);
            }
        }
        for (; at < g->zw; at++)
            store(dz + at * width + j, splat(0));
    }
}

void FAST(dz_row)(const gal_conv_args *g, float *dz, int64_t width, const float *slope, const float *z,
                  const float *dy, int64_t outputs)
{
    if (slope) {
        dz_as(GAL_IDENTITY, 1, g, dz, width, slope, z, dy, outputs);
        return;
    }
    switch (g->activation) {
#define DZ_CASE(NAME, name)                                       \
    case GAL_##NAME:                                              \
        dz_as(GAL_##NAME, 0, g, dz, width, NULL, z, dy, outputs); \
        break;
        GAL_ACTIVATIONS(DZ_CASE)
    }
}
