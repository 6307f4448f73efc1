/* conv.c: convolution with its activation and mean pool, forward and backward: the formulas, pixel by pixel.
 * fast/conv.c chooses among faster ways. */
#include "cpu.h"
#include "activation.h"
#include "bf16.h"
#include "scratch.h"
#include <math.h>

/* x as a product takes it: rounded, in bfloat16. */
static float factor(const gal_conv_args *g, float x)
{
    return g->precision == GAL_IN_BF16 ? gal_as_bf16(x) : x;
}

/* z at one pixel for output o: bias + sum over the window's pixels inside x {h, w, c}, one image. */
static float convolved(const gal_conv_args *g, const float *x, int64_t row, int64_t column, int64_t o)
{
    float z = 0;
    for (int64_t ky = 0; ky < g->kh; ky++)
        for (int64_t kx = 0; kx < g->kw; kx++) {
            int64_t i = row * g->stride + ky - g->top, j = column * g->stride + kx - g->left;
            if (i < 0 || i >= g->h || j < 0 || j >= g->w)
                continue;
            const float *pixel = x + (i * g->w + j) * g->c,
                        *weight = g->weight + ((o * g->kh + ky) * g->kw + kx) * g->c;
            for (int64_t c = 0; c < g->c; c++)
                z = fmaf(factor(g, pixel[c]), factor(g, weight[c]), z);
        }
    return z + (g->bias ? g->bias[o] : 0);
}

/* Lanes share y's pixels. */
gal_status gal_cpu_conv2d(const gal_lane *lane, const void *args)
{
    const gal_conv_args *g = args;
    int64_t yh = g->zh / g->pool, yw = g->zw / g->pool, from, to;
    gal_share(lane, g->n * yh * yw, 1, &from, &to);
    for (int64_t p = from; p < to; p++) {
        int64_t n = p / (yh * yw), row = p / yw % yh * g->pool, column = p % yw * g->pool;
        for (int64_t o = 0; o < g->out; o++) {
            float sum = 0, slope;
            for (int64_t i = row; i < row + g->pool; i++)
                for (int64_t j = column; j < column + g->pool; j++) {
                    sum += gal_activate(g->activation, convolved(g, g->x + n * g->h * g->w * g->c, i, j, o),
                                        &slope);
                    if (g->slope)
                        g->slope[((n * g->zh + i) * g->zw + j) * g->out + o] = slope;
                }
            g->y[p * g->out + o] = sum / (float)(g->pool * g->pool);
        }
    }
    return GAL_OK;
}

/* Room for dz {n, zh, zw, out}. */
gal_status gal_cpu_conv2d_backward_prepare(const gal_lane *lane, const void *args)
{
    const gal_conv_args *g = args;
    (void)lane;
    return gal_cpu_scratch_grow((size_t)(g->n * g->zh * g->zw * g->out) * sizeof(float));
}

/* dz = f'(z) dy / pool^2, and 0 at pixels that are in no mean. */
gal_status gal_cpu_conv2d_backward(const gal_lane *lane, const void *args)
{
    const gal_conv_args *g = args;
    float *dz = gal_cpu_scratch();
    int64_t yh = g->zh / g->pool, yw = g->zw / g->pool, from, to;
    gal_share(lane, g->n * g->zh * g->zw, 1, &from, &to);
    for (int64_t p = from; p < to; p++) {
        int64_t n = p / (g->zh * g->zw), i = p / g->zw % g->zh, j = p % g->zw, row = i / g->pool,
                column = j / g->pool;
        for (int64_t o = 0; o < g->out; o++) {
            float slope = 1;
            if (g->slope)
                slope = g->slope[p * g->out + o];
            else if (g->activation != GAL_IDENTITY)
                gal_activate(g->activation, convolved(g, g->x + n * g->h * g->w * g->c, i, j, o), &slope);
            int used = row < yh && column < yw;
            dz[p * g->out + o] =
                used ? slope * g->dy[((n * yh + row) * yw + column) * g->out + o] / (float)(g->pool * g->pool)
                     : 0;
        }
    }
    return GAL_OK;
}

/* dx at one pixel and channel: sum over the windows that it is in. dz {zh, zw, out}, one image. */
static float spread(const gal_conv_args *g, const float *dz, int64_t i, int64_t j, int64_t c)
{
    float dx = 0;
    for (int64_t ky = 0; ky < g->kh; ky++)
        for (int64_t kx = 0; kx < g->kw; kx++) {
            int64_t row = i + g->top - ky, column = j + g->left - kx;
            if (row < 0 || column < 0 || row % g->stride || column % g->stride || row / g->stride >= g->zh ||
                column / g->stride >= g->zw)
                continue;
            const float *pixel = dz + (row / g->stride * g->zw + column / g->stride) * g->out;
            for (int64_t o = 0; o < g->out; o++)
                dx = fmaf(factor(g, pixel[o]),
                          factor(g, g->weight[((o * g->kh + ky) * g->kw + kx) * g->c + c]), dx);
        }
    return dx;
}

/* start + the sum over all pixels of dz's output o times x under the window's pixel (ky, kx), channel c;
 * without x the sum of dz alone. Each row of an image is a chain of its own. */
static float gathered(const gal_conv_args *g, float start, const float *dz, const float *x, int64_t o,
                      int64_t ky, int64_t kx, int64_t c)
{
    for (int64_t n = 0; n < g->n; n++)
        for (int64_t row = 0; row < g->zh; row++) {
            int64_t i = row * g->stride + ky - g->top;
            float chain = 0;
            for (int64_t column = 0; column < g->zw; column++) {
                int64_t j = column * g->stride + kx - g->left;
                float d = dz[((n * g->zh + row) * g->zw + column) * g->out + o];
                if (!x)
                    chain += d;
                else if (i >= 0 && i < g->h && j >= 0 && j < g->w)
                    chain = fmaf(factor(g, d), factor(g, x[((n * g->h + i) * g->w + j) * g->c + c]), chain);
            }
            start += chain;
        }
    return start;
}

/* Lanes share dx's pixels, then dw's outputs. */
gal_status gal_cpu_conv2d_backward_finish(const gal_lane *lane, const void *args)
{
    const gal_conv_args *g = args;
    const float *dz = gal_cpu_scratch();
    int64_t from, to;
    gal_share(lane, g->n * g->h * g->w, 1, &from, &to);
    for (int64_t p = from; g->dx && p < to; p++)
        for (int64_t c = 0; c < g->c; c++)
            g->dx[p * g->c + c] =
                spread(g, dz + p / (g->h * g->w) * g->zh * g->zw * g->out, p / g->w % g->h, p % g->w, c);
    gal_share(lane, g->out, 1, &from, &to);
    for (int64_t o = from; o < to; o++) {
        for (int64_t k = 0; g->dw && k < g->kh * g->kw * g->c; k++) {
            float *dw = g->dw + o * g->kh * g->kw * g->c + k;
            *dw = gathered(g, g->accumulate ? *dw : 0, dz, g->x, o, k / (g->kw * g->c), k / g->c % g->kw,
                           k % g->c);
        }
        if (g->db)
            g->db[o] = gathered(g, g->accumulate ? g->db[o] : 0, dz, NULL, o, 0, 0, 0);
    }
    return GAL_OK;
}
