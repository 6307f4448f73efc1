/* norm.c: layer normalisation. Sums are in double, in VL chains that are added at the end. */
#include "cpu/cpu.h"
#include "fast.h"
#include "vec.h"

/* A warning of how such a vector is passed to a function: all functions that take one are inlined. */
#pragma GCC diagnostic ignored "-Wpsabi"
typedef double dvec __attribute__((vector_size(VL * 8)));

INLINE dvec widen(vec v)
{
    return __builtin_convertvector(v, dvec);
}
INLINE vec narrow(dvec v)
{
    return __builtin_convertvector(v, vec);
}
INLINE dvec dsplat(double x)
{
    return (dvec){0} + x;
}
INLINE double dtotal(dvec v)
{
    for (int half = VL / 2; half > 0; half /= 2)
        for (int i = 0; i < half; i++)
            v[i] += v[i + half];
    return v[0];
}
/* 1 for the first n of VL, 0 behind them. */
INLINE vec ones_up_to(int64_t n)
{
    static const float ones[VL] = {[0 ... VL - 1] = 1};
    return load_up_to(ones, n);
}

static gal_status layer_norm(const gal_lane *lane, const void *args)
{
    const gal_layer_norm_args *g = args;
    int64_t from, to;
    gal_share(lane, g->rows, 1, &from, &to);
    for (int64_t r = from; r < to; r++) {
        const float *x = g->x + r * g->n;
        dvec sum = dsplat(0), squares = dsplat(0);
        for (int64_t i = 0; i < g->n; i += VL)
            sum += widen(load_up_to(x + i, g->n - i));
        double mean = dtotal(sum) / (double)g->n;
        for (int64_t i = 0; i < g->n; i += VL) {
            dvec d = widen(load_up_to(x + i, g->n - i)) - mean;
            squares += d * d * widen(ones_up_to(g->n - i));
        }
        double inverse = 1 / __builtin_sqrt(dtotal(squares) / (double)g->n + g->eps);
        for (int64_t i = 0; i < g->n; i += VL) {
            int64_t n = g->n - i;
            vec y = narrow((widen(load_up_to(x + i, n)) - mean) * inverse);
            if (g->scale)
                y = y * load_up_to(g->scale + i, n) + load_up_to(g->shift + i, n);
            store_up_to(g->y + r * g->n + i, y, n);
        }
        if (g->statistics) {
            g->statistics[2 * r] = (float)mean;
            g->statistics[2 * r + 1] = (float)inverse;
        }
    }
    return GAL_OK;
}

/* u and v as in cpu/norm.c, of VL elements of a row. */
INLINE void u_and_v(const gal_layer_norm_args *g, int64_t r, int64_t i, dvec *u, dvec *v)
{
    int64_t n = g->n - i, at = r * g->n + i;
    vec dy = load_up_to(g->dy + at, n);
    *u = widen(load_up_to(g->x + at, n) - g->statistics[2 * r]) * (double)g->statistics[2 * r + 1];
    *v = widen(dy) * widen(g->scale ? load_up_to(g->scale + i, n) : splat(1));
}

static gal_status layer_norm_backward(const gal_lane *lane, const void *args)
{
    const gal_layer_norm_args *g = args;
    int64_t from, to;
    gal_share(lane, g->rows, 1, &from, &to);
    for (int64_t r = from; r < to; r++) {
        dvec v_sum = dsplat(0), uv_sum = dsplat(0), u, v; /* v is 0 beyond the row */
        for (int64_t i = 0; i < g->n; i += VL) {
            u_and_v(g, r, i, &u, &v);
            v_sum += v;
            uv_sum += u * v;
        }
        double v_mean = dtotal(v_sum) / (double)g->n, uv_mean = dtotal(uv_sum) / (double)g->n,
               inverse = g->statistics[2 * r + 1];
        for (int64_t i = 0; i < g->n; i += VL) {
            u_and_v(g, r, i, &u, &v);
            store_up_to(g->dx + r * g->n + i, narrow((v - v_mean - u * uv_mean) * inverse), g->n - i);
        }
    }
    return GAL_OK;
}

/* Lanes share columns. */
static gal_status layer_norm_backward_scale(const gal_lane *lane, const void *args)
{
    const gal_layer_norm_args *g = args;
    int64_t from, to;
    gal_share(lane, g->n, VL, &from, &to);
    for (int64_t i = from; i < to; i += VL) {
        int64_t n = to - i;
        dvec scale = dsplat(0), shift = dsplat(0);
        for (int64_t r = 0; r < g->rows; r++) {
            vec dy = load_up_to(g->dy + r * g->n + i, n);
            vec u = (load_up_to(g->x + r * g->n + i, n) - g->statistics[2 * r]) * g->statistics[2 * r + 1];
            scale += widen(dy) * widen(u);
            shift += widen(dy);
        }
        if (g->dscale)
            store_up_to(g->dscale + i,
                        narrow(scale + (g->accumulate ? widen(load_up_to(g->dscale + i, n)) : dsplat(0))), n);
        if (g->dshift)
            store_up_to(g->dshift + i,
                        narrow(shift + (g->accumulate ? widen(load_up_to(g->dshift + i, n)) : dsplat(0))), n);
    }
    return GAL_OK;
}

void FAST(norm)(gal_cpu_kernels *table)
{
    table->layer_norm = layer_norm;
    table->layer_norm_backward = layer_norm_backward;
    table->layer_norm_backward_scale = layer_norm_backward_scale;
}
