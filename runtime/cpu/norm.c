/* norm.c: layer normalisation. Sums run in double. */
#include "cpu.h"
#include <math.h>

gal_status gal_cpu_layer_norm(const gal_lane *lane, const void *args)
{
    const gal_layer_norm_args *g = args;
    int64_t from, to;
    gal_share(lane, g->rows, 1, &from, &to);
    for (int64_t r = from; r < to; r++) {
        const float *x = g->x + r * g->n;
        double mean = 0, variance = 0;
        for (int64_t i = 0; i < g->n; i++)
            mean += x[i];
        mean /= (double)g->n;
        for (int64_t i = 0; i < g->n; i++)
            variance += (x[i] - mean) * (x[i] - mean);
        float m = (float)mean, inverse = (float)(1 / sqrt(variance / (double)g->n + g->eps));
        for (int64_t i = 0; i < g->n; i++)
            g->y[r * g->n + i] =
                (float)(x[i] - mean) * inverse * (g->scale ? g->scale[i] : 1) + (g->shift ? g->shift[i] : 0);
        if (g->statistics) {
            g->statistics[2 * r] = m;
            g->statistics[2 * r + 1] = inverse;
        }
    }
    return GAL_OK;
}

/* With u = (x - mean) inverse and v = dy scale: dx = inverse (v - mean of v - u mean of u v). */
gal_status gal_cpu_layer_norm_backward(const gal_lane *lane, const void *args)
{
    const gal_layer_norm_args *g = args;
    int64_t from, to;
    gal_share(lane, g->rows, 1, &from, &to);
    for (int64_t r = from; r < to; r++) {
        const float *x = g->x + r * g->n, *dy = g->dy + r * g->n;
        float m = g->statistics[2 * r], inverse = g->statistics[2 * r + 1];
        double v_mean = 0, uv_mean = 0;
        for (int64_t i = 0; i < g->n; i++) {
            double v = (double)dy[i] * (g->scale ? g->scale[i] : 1);
            v_mean += v;
            uv_mean += v * (x[i] - m) * inverse;
        }
        v_mean /= (double)g->n;
        uv_mean /= (double)g->n;
        for (int64_t i = 0; i < g->n; i++) {
            double u = (double)(x[i] - m) * inverse, v = (double)dy[i] * (g->scale ? g->scale[i] : 1);
            g->dx[r * g->n + i] = (float)(inverse * (v - v_mean - u * uv_mean));
        }
    }
    return GAL_OK;
}

#define COLUMNS 256 /* summed side by side: 4 KiB of doubles */
gal_status gal_cpu_layer_norm_backward_scale(const gal_lane *lane, const void *args)
{
    const gal_layer_norm_args *g = args;
    double scale[COLUMNS], shift[COLUMNS];
    int64_t from, to;
    gal_share(lane, g->n, 16, &from, &to);
    for (; from < to; from += COLUMNS) {
        int64_t columns = to - from < COLUMNS ? to - from : COLUMNS;
        for (int64_t j = 0; j < columns; j++)
            scale[j] = shift[j] = 0;
        for (int64_t r = 0; r < g->rows; r++) {
            const float *x = g->x + r * g->n + from, *dy = g->dy + r * g->n + from;
            float m = g->statistics[2 * r], inverse = g->statistics[2 * r + 1];
            for (int64_t j = 0; j < columns; j++) {
                scale[j] += (double)dy[j] * ((x[j] - m) * inverse);
                shift[j] += dy[j];
            }
        }
        for (int64_t j = 0; j < columns; j++) {
            if (g->dscale)
                g->dscale[from + j] = (float)(scale[j] + (g->accumulate ? g->dscale[from + j] : 0));
            if (g->dshift)
                g->dshift[from + j] = (float)(shift[j] + (g->accumulate ? g->dshift[from + j] : 0));
        }
    }
    return GAL_OK;
}
