/* kernels_conv.h: convolution in double precision, written another way than the kernels: by scattering, for
 * each pixel of x and tap what it gives to z. And the layers that kernels_conv.c compares. */
#ifndef KERNELS_CONV_H
#define KERNELS_CONV_H
#include "kernels_image.h"
#include "reference.h"

typedef struct layer {
    int64_t n, h, w, c, out, kh, kw, stride, padding, pool;
    int activation, bias;
} layer;

typedef struct geometry {
    int64_t zh, zw, yh, yw, top, left;
} geometry;

static inline geometry geometry_of(const layer *l)
{
    geometry g;
    int64_t before_h = l->padding >= 0 ? l->padding : (l->kh - 1) / 2,
            after_h = l->padding >= 0 ? l->padding : l->kh - 1 - before_h;
    int64_t before_w = l->padding >= 0 ? l->padding : (l->kw - 1) / 2,
            after_w = l->padding >= 0 ? l->padding : l->kw - 1 - before_w;
    g.zh = (l->h + before_h + after_h - l->kh) / l->stride + 1;
    g.zw = (l->w + before_w + after_w - l->kw) / l->stride + 1;
    g.yh = g.zh / l->pool, g.yw = g.zw / l->pool, g.top = before_h, g.left = before_w;
    return g;
}

/* Every (image, z pixel, tap) inside x: body sees z_at, x_at (first channels) and w_at (output 0). */
#define EACH_TAP(l, g, body)                                                                        \
    for (int64_t n = 0; n < (l)->n; n++)                                                            \
        for (int64_t ky = 0; ky < (l)->kh; ky++)                                                    \
            for (int64_t kx = 0; kx < (l)->kw; kx++)                                                \
                for (int64_t i = 0; i < (l)->h; i++)                                                \
                    for (int64_t j = 0; j < (l)->w; j++) {                                          \
                        int64_t r = i + (g).top - ky, s = j + (g).left - kx;                        \
                        if (r < 0 || s < 0 || r % (l)->stride || s % (l)->stride ||                 \
                            r / (l)->stride >= (g).zh || s / (l)->stride >= (g).zw)                 \
                            continue;                                                               \
                        int64_t z_at =                                                              \
                            ((n * (g).zh + r / (l)->stride) * (g).zw + s / (l)->stride) * (l)->out; \
                        int64_t x_at = ((n * (l)->h + i) * (l)->w + j) * (l)->c,                    \
                                w_at = (ky * (l)->kw + kx) * (l)->c;                                \
                        int64_t w_step = (l)->kh * (l)->kw * (l)->c;                                \
                        for (int64_t o = 0; o < (l)->out; o++)                                      \
                            for (int64_t c = 0; c < (l)->c; c++)                                    \
                                body;                                                               \
                    }

/* z {n, zh, zw, out} */
static inline double *z_of(const layer *l, const double *x, const double *w, const double *b)
{
    geometry g = geometry_of(l);
    double *z = zeros(l->n * g.zh * g.zw * l->out);
    EACH_TAP(l, g, z[z_at + o] += x[x_at + c] * w[w_at + o * w_step + c]);
    for (int64_t k = 0; b && k < l->n * g.zh * g.zw * l->out; k++)
        z[k] += b[k % l->out];
    return z;
}

/* y = means of f(z). */
static inline double *y_of(const layer *l, const double *z, int activation)
{
    geometry g = geometry_of(l);
    double *y = zeros(l->n * g.yh * g.yw * l->out);
    for (int64_t k = 0; k < l->n * g.zh * g.zw * l->out; k++) {
        int64_t o = k % l->out, s = k / l->out % g.zw / l->pool, r = k / l->out / g.zw % g.zh / l->pool,
                n = k / l->out / g.zw / g.zh;
        if (r < g.yh && s < g.yw)
            y[((n * g.yh + r) * g.yw + s) * l->out + o] +=
                activation_of(activation, z[k]) / (double)(l->pool * l->pool);
    }
    return y;
}

/* dz = slope dy / pool^2; with z_terms what an error of z in units of its terms does to it. */
static inline double *dz_of(const layer *l, const double *z, const double *dy, const double *z_terms)
{
    geometry g = geometry_of(l);
    double *dz = zeros(l->n * g.zh * g.zw * l->out);
    for (int64_t k = 0; k < l->n * g.zh * g.zw * l->out; k++) {
        int64_t o = k % l->out, s = k / l->out % g.zw / l->pool, r = k / l->out / g.zw % g.zh / l->pool,
                n = k / l->out / g.zw / g.zh;
        if (r >= g.yh || s >= g.yw)
            continue;
        double d = dy[((n * g.yh + r) * g.yw + s) * l->out + o] / (double)(l->pool * l->pool);
        dz[k] = z_terms ? fabs(d) * (1 + z_terms[k]) : d * slope_of(l->activation, z[k]);
    }
    return dz;
}

static inline double *absolutes(const double *x, int64_t n)
{
    double *y = zeros(n);
    for (int64_t i = 0; x && i < n; i++)
        y[i] = fabs(x[i]);
    return y;
}

/* L = sum of dy y, for finite differences. */
static inline double loss_of(const layer *l, const double *x, const double *w, const double *b,
                             const double *dy)
{
    geometry g = geometry_of(l);
    double *z = z_of(l, x, w, b), *y = y_of(l, z, l->activation), sum = 0;
    for (int64_t k = 0; k < l->n * g.yh * g.yw * l->out; k++)
        sum += y[k] * dy[k];
    free(z);
    free(y);
    return sum;
}

/* n h w c | out kh kw stride padding pool | activation bias */
static const layer layers[] = {
    {1, 1, 1, 1, 1, 1, 1, 1, GAL_SAME, 1, GAL_IDENTITY, 1},
    {2, 5, 7, 3, 4, 3, 3, 1, GAL_SAME, 1, GAL_IDENTITY, 0},
    {1, 1, 1, 5, 3, 3, 3, 1, GAL_SAME, 1, GAL_SILU, 1},
    {3, 9, 8, 3, 32, 3, 3, 1, GAL_SAME, 2, GAL_SILU, 1},
    {2, 6, 30, 32, 64, 3, 3, 1, GAL_SAME, 2, GAL_SILU, 1},
    {1, 7, 5, 17, 33, 3, 3, 1, GAL_SAME, 2, GAL_GELU, 1},
    {2, 8, 8, 4, 6, 2, 2, 1, GAL_SAME, 1, GAL_TANH, 1},
    {1, 9, 11, 2, 5, 4, 2, 1, GAL_SAME, 3, GAL_SILU, 0},
    {2, 11, 9, 3, 7, 5, 5, 1, GAL_VALID, 1, GAL_RELU, 1},
    {2, 13, 12, 3, 18, 7, 7, 2, 3, 1, GAL_SILU, 1},
    {1, 10, 10, 6, 9, 3, 3, 3, 1, 1, GAL_TANH, 1},
    {3, 7, 7, 20, 40, 1, 1, 1, 0, 1, GAL_SILU, 1},
    {1, 6, 9, 8, 12, 1, 1, 2, 0, 1, GAL_IDENTITY, 1},
    {2, 5, 5, 3, 4, 1, 5, 1, GAL_SAME, 1, GAL_SILU, 1},
    {1, 4, 4, 2, 3, 3, 3, 1, 5, 1, GAL_SILU, 1},
    {1, 4, 70, 1, 16, 3, 3, 1, GAL_SAME, 2, GAL_SILU, 1},
    {18, 4, 4, 3, 5, 3, 3, 1, GAL_SAME, 2, GAL_SILU, 1},
    {1, 12, 5, 4, 50, 3, 2, 2, 1, 2, GAL_GELU, 1},
    {2, 16, 16, 64, 48, 3, 3, 1, GAL_SAME, 2, GAL_SILU, 1},
    {1, 5, 5, 3, 4, 2, 2, 4, 0, 1, GAL_SILU, 1},
    {1, 33, 4, 16, 16, 3, 3, 1, GAL_SAME, 2, GAL_SILU, 1},
    {1, 9, 7, 16, 18, 3, 3, 1, GAL_VALID, 1, GAL_IDENTITY, 0},
    {2, 7, 10, 21, 16, 3, 3, 1, 2, 1, GAL_RELU, 1},
    {1, 1, 1, 16, 16, 3, 3, 1, GAL_SAME, 1, GAL_TANH, 1},
    {1, 2, 5, 16, 16, 3, 3, 1, 4, 2, GAL_GELU, 1},
    {18, 5, 4, 16, 17, 3, 3, 1, GAL_SAME, 2, GAL_SILU, 1},
    {1, 70, 6, 17, 33, 3, 3, 1, GAL_SAME, 2, GAL_SILU, 1},
    {1, 6, 140, 16, 16, 3, 3, 1, GAL_VALID, 2, GAL_SILU, 1},
    {1, 70, 6, 5, 20, 3, 3, 1, GAL_SAME, 2, GAL_SILU, 1},
    {1, 140, 5, 3, 8, 3, 3, 2, 1, 1, GAL_GELU, 1},
    {2, 75, 5, 4, 9, 5, 4, 1, 2, 3, GAL_SILU, 1},
    {1, 2, 3, 130, 2, 2, 3, 1, 1, 1, GAL_RELU, 1},
};

/* To the nearest number of 8 bits, ties to even, by way of rint. */
static inline double as_bf16(double x)
{
    int exponent;
    double fraction = frexp(x, &exponent);
    return ldexp(rint(fraction * 256), exponent - 8);
}

static inline double largest(const double *x, int64_t n)
{
    double most = 0;
    for (int64_t i = 0; i < n; i++)
        most = fmax(most, fabs(x[i]));
    return most;
}

#endif
