/* conv_direct.c: the forward of a direct convolution with its activation and mean pool, band by band
 * (conv.h): z stays in the cache. */
#include "conv.h"

static gal_status prepare(const gal_lane *lane, const void *args)
{
    const gal_conv_args *g = args;
    const conv_plan p = make_plan(g, 0);
    (void)lane;
    gal_status status = gal_cpu_scratch_grow((size_t)p.total * sizeof(float));
    if (status == GAL_OK)
        pack_weights(g, &p, gal_cpu_scratch());
    return status;
}

/* Lanes share bands of images. */
static gal_status forward(const gal_lane *lane, const void *args)
{
    const gal_conv_args *g = args;
    const conv_plan p = make_plan(g, 0);
    float *scratch = gal_cpu_scratch(), *mine = scratch + p.lanes + lane->index * p.lane_size,
          *z = mine + p.lane_z;
    int64_t from, to, yh = g->zh / g->pool, yw = g->zw / g->pool;
    gal_share(lane, p.units, 1, &from, &to);
    for (int64_t u = from; u < to; u++) {
        if (gal_stopped(gal_conv_work(g)))
            return GAL_STOP;
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
                float *y = g->y + (n * yh + r / g->pool) * yw * g->out + first;
                float *slope = g->slope ? g->slope + (n * g->zh + r) * g->zw * g->out + first : NULL;
                FAST(pool_row)(g, z, width, g->zw, y, slope, least(width, g->out - first));
            }
    }
    return GAL_OK;
}

const conv_way FAST(conv_direct) = {prepare, forward, NULL};
