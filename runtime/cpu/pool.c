/* pool.c: mean and maximum pools, forward and backward. Lanes share y's pixels in the forward, images times
 * channels in the backward, so that overlapping windows meet in one lane. */
#include "cpu.h"

gal_status gal_cpu_avg_pool2d(const gal_lane *lane, const void *args)
{
    const gal_pool_args *g = args;
    int64_t from, to;
    gal_share(lane, g->n * g->yh * g->yw, 1, &from, &to);
    for (int64_t p = from; p < to; p++) {
        const float *corner = g->x + ((p / (g->yh * g->yw) * g->h + p / g->yw % g->yh * g->stride) * g->w +
                                      p % g->yw * g->stride) *
                                         g->c;
        float *y = g->y + p * g->c;
        for (int64_t c = 0; c < g->c; c++)
            y[c] = 0;
        for (int64_t i = 0; i < g->window; i++)
            for (int64_t j = 0; j < g->window; j++)
                for (int64_t c = 0; c < g->c; c++)
                    y[c] += corner[(i * g->w + j) * g->c + c];
        for (int64_t c = 0; c < g->c; c++)
            y[c] /= (float)(g->window * g->window);
    }
    return GAL_OK;
}

/* Where the first of the largest values in row-major order is, or the first NaN: counted from the window's
 * corner. */
static int64_t place_of_largest(const gal_pool_args *g, const float *corner)
{
    int64_t best = 0;
    for (int64_t i = 0; i < g->window; i++)
        for (int64_t j = 0; j < g->window; j++) {
            int64_t at = (i * g->w + j) * g->c;
            if (corner[at] > corner[best] || (corner[at] != corner[at] && corner[best] == corner[best]))
                best = at;
        }
    return best;
}

gal_status gal_cpu_max_pool2d(const gal_lane *lane, const void *args)
{
    const gal_pool_args *g = args;
    int64_t from, to;
    gal_share(lane, g->n * g->yh * g->yw, 1, &from, &to);
    for (int64_t p = from; p < to; p++) {
        const float *corner = g->x + ((p / (g->yh * g->yw) * g->h + p / g->yw % g->yh * g->stride) * g->w +
                                      p % g->yw * g->stride) *
                                         g->c;
        for (int64_t c = 0; c < g->c; c++)
            g->y[p * g->c + c] = corner[c + place_of_largest(g, corner + c)];
    }
    return GAL_OK;
}

#define CHANNELS 16 /* channels of one image, a cache line: what a lane takes at a time */
static gal_status pool_backward(const gal_lane *lane, const gal_pool_args *g, int largest)
{
    int64_t parts = (g->c + CHANNELS - 1) / CHANNELS, from, to;
    gal_share(lane, g->n * parts, 1, &from, &to);
    for (int64_t u = from; u < to; u++) {
        int64_t n = u / parts, first = u % parts * CHANNELS,
                end = first + CHANNELS < g->c ? first + CHANNELS : g->c;
        float *dx = g->dx + n * g->h * g->w * g->c;
        for (int64_t p = 0; p < g->h * g->w; p++)
            for (int64_t c = first; c < end; c++)
                dx[p * g->c + c] = 0;
        for (int64_t p = 0; p < g->yh * g->yw; p++) {
            int64_t corner = (p / g->yw * g->stride * g->w + p % g->yw * g->stride) * g->c;
            const float *dy = g->dy + (n * g->yh * g->yw + p) * g->c;
            for (int64_t c = first; largest && c < end; c++)
                dx[corner + c + place_of_largest(g, g->x + n * g->h * g->w * g->c + corner + c)] += dy[c];
            for (int64_t k = 0; !largest && k < g->window * g->window; k++)
                for (int64_t c = first; c < end; c++)
                    dx[corner + (k / g->window * g->w + k % g->window) * g->c + c] +=
                        dy[c] / (float)(g->window * g->window);
        }
    }
    return GAL_OK;
}

gal_status gal_cpu_avg_pool2d_backward(const gal_lane *lane, const void *args)
{
    return pool_backward(lane, args, 0);
}

gal_status gal_cpu_max_pool2d_backward(const gal_lane *lane, const void *args)
{
    return pool_backward(lane, args, 1);
}
