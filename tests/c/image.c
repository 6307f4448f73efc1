/* Images' layers in every table of kernels (specification, plain, avx2, avx512) against double precision written another way (by
 * scattering), the references' gradients against finite differences, and the claims of galrun.h: bits that depend neither on the other
 * images nor on the threads. */
#include "check.h"
#include "runtime.h"
#include "cpu/cpu.h"
#include <stdlib.h>

/* ---- tensors with sentinels on both sides ---- */
#define GUARD 32
#define SENTINEL 12345.678f
#define MOST 64
static const gal_backend *table; /* whose kernels run */
static gal_tensor *made[MOST];
static int made_count;

static gal_tensor *tensor(int dtype, int rank, const int64_t *shape)
{
    int64_t count = 1, stride[GAL_RANK];
    for (int i = rank - 1; i >= 0; i--)
        stride[i] = count, count *= shape[i];
    gal_tensor *block = NULL, *view = NULL;
    int64_t with_guards = count + 2 * GUARD;
    IS_OK(gal_tensor_new(&block, "cpu", dtype, 1, &with_guards));
    for (int64_t i = 0; dtype == GAL_F32 && i < with_guards; i++)
        ((float *)block->data)[i] = SENTINEL;
    IS_OK(gal_tensor_view(&view, block, rank, shape, stride, GUARD));
    view->storage->backend = table;
    gal_tensor_free(block);
    return made[made_count++] = view;
}
#define TENSOR(...) tensor(GAL_F32, sizeof((int64_t[]){__VA_ARGS__}) / 8, (int64_t[]){__VA_ARGS__})

static void sentinels_and_free(void)
{
    int bad = 0;
    for (int k = 0; k < made_count; k++) {
        const float *data = made[k]->data;
        int64_t count = gal_tensor_count(made[k]);
        for (int64_t i = 0; made[k]->dtype == GAL_F32 && i < GUARD; i++)
            bad += data[-1 - i] != SENTINEL || data[count + i] != SENTINEL;
        made[k]->storage->backend = gal_cpu_backend();
        gal_tensor_free(made[k]);
    }
    REPORT(bad == 0, "%d values beside the tensors were written", bad);
    made_count = 0;
}

static uint64_t seed = 1;
static double uniform(void)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (double)(seed >> 11) * 0x1p-53;
}

static void random_fill(gal_tensor *x)
{
    for (int64_t i = 0; i < gal_tensor_count(x); i++)
        ((float *)x->data)[i] = (float)(2 * uniform() - 1);
}

static double *doubles(const gal_tensor *x)
{
    int64_t n = gal_tensor_count(x);
    double *d = malloc((size_t)(n + 1) * sizeof *d);
    for (int64_t i = 0; i < n; i++)
        d[i] = ((const float *)x->data)[i];
    return d;
}

/* |x - ref| <= 1e-6 times the sum of the terms' sizes; the worst element is reported. */
static void is_close(const char *what, const char *where, const gal_tensor *x, const double *ref, const double *terms)
{
    double worst = -1, value = 0, expected = 0, allowed = 0;
    int64_t place = 0;
    for (int64_t i = 0; i < gal_tensor_count(x); i++) {
        double v = ((const float *)x->data)[i], tolerance = 1e-6 * (terms ? terms[i] : 1 + fabs(ref[i])) + 1e-30,
               excess = fabs(v - ref[i]) / tolerance;
        if (!(excess <= worst))
            worst = excess, place = i, value = v, expected = ref[i], allowed = tolerance;
    }
    REPORT(worst <= 1, "%s of %s: element %lld is %.9g, expected %.9g within %.3g", what, where, (long long)place, value, expected,
           allowed);
}

/* ---- convolution in double precision, by scattering: for each pixel of x and tap, what it gives to z ---- */
typedef struct layer {
    int64_t n, h, w, c, out, kh, kw, stride, padding, pool;
    int activation, bias;
} layer;

typedef struct geometry {
    int64_t zh, zw, yh, yw, top, left;
} geometry;

static geometry geometry_of(const layer *l)
{
    geometry g;
    int64_t before_h = l->padding >= 0 ? l->padding : (l->kh - 1) / 2, after_h = l->padding >= 0 ? l->padding : l->kh - 1 - before_h;
    int64_t before_w = l->padding >= 0 ? l->padding : (l->kw - 1) / 2, after_w = l->padding >= 0 ? l->padding : l->kw - 1 - before_w;
    g.zh = (l->h + before_h + after_h - l->kh) / l->stride + 1;
    g.zw = (l->w + before_w + after_w - l->kw) / l->stride + 1;
    g.yh = g.zh / l->pool, g.yw = g.zw / l->pool, g.top = before_h, g.left = before_w;
    return g;
}

static double activation_of(int activation, double z)
{
    switch (activation) {
    case GAL_RELU:
        return z > 0 ? z : 0;
    case GAL_SILU:
        return z / (1 + exp(-z));
    case GAL_GELU:
        return z * 0.5 * erfc(-z * sqrt(0.5));
    case GAL_TANH:
        return tanh(z);
    }
    return z;
}

static double slope_of(int activation, double z)
{
    double h = 1e-5;
    if (activation == GAL_RELU)
        return z > 0;
    return (activation_of(activation, z + h) - activation_of(activation, z - h)) / (2 * h);
}

/* Every (image, z pixel, tap) inside x: body sees z_at, x_at (first channels) and w_at (output 0). */
#define EACH_TAP(l, g, body)                                                                                          \
    for (int64_t n = 0; n < (l)->n; n++)                                                                              \
        for (int64_t ky = 0; ky < (l)->kh; ky++)                                                                      \
            for (int64_t kx = 0; kx < (l)->kw; kx++)                                                                  \
                for (int64_t i = 0; i < (l)->h; i++)                                                                  \
                    for (int64_t j = 0; j < (l)->w; j++) {                                                            \
                        int64_t r = i + (g).top - ky, s = j + (g).left - kx;                                          \
                        if (r < 0 || s < 0 || r % (l)->stride || s % (l)->stride || r / (l)->stride >= (g).zh ||      \
                            s / (l)->stride >= (g).zw)                                                                \
                            continue;                                                                                 \
                        int64_t z_at = ((n * (g).zh + r / (l)->stride) * (g).zw + s / (l)->stride) * (l)->out;        \
                        int64_t x_at = ((n * (l)->h + i) * (l)->w + j) * (l)->c, w_at = (ky * (l)->kw + kx) * (l)->c; \
                        int64_t w_step = (l)->kh * (l)->kw * (l)->c;                                                  \
                        for (int64_t o = 0; o < (l)->out; o++)                                                        \
                            for (int64_t c = 0; c < (l)->c; c++)                                                      \
                                body;                                                                                 \
                    }

static double *zeros(int64_t n)
{
    return calloc((size_t)n + 1, sizeof(double));
}

/* z {n, zh, zw, out} */
static double *z_of(const layer *l, const double *x, const double *w, const double *b)
{
    geometry g = geometry_of(l);
    double *z = zeros(l->n * g.zh * g.zw * l->out);
    EACH_TAP(l, g, z[z_at + o] += x[x_at + c] * w[w_at + o * w_step + c]);
    for (int64_t k = 0; b && k < l->n * g.zh * g.zw * l->out; k++)
        z[k] += b[k % l->out];
    return z;
}

/* y = means of f(z). */
static double *y_of(const layer *l, const double *z, int activation)
{
    geometry g = geometry_of(l);
    double *y = zeros(l->n * g.yh * g.yw * l->out);
    for (int64_t k = 0; k < l->n * g.zh * g.zw * l->out; k++) {
        int64_t o = k % l->out, s = k / l->out % g.zw / l->pool, r = k / l->out / g.zw % g.zh / l->pool, n = k / l->out / g.zw / g.zh;
        if (r < g.yh && s < g.yw)
            y[((n * g.yh + r) * g.yw + s) * l->out + o] += activation_of(activation, z[k]) / (double)(l->pool * l->pool);
    }
    return y;
}

/* dz = slope dy / pool^2; with z_terms what an error of z in units of its terms does to it. */
static double *dz_of(const layer *l, const double *z, const double *dy, const double *z_terms)
{
    geometry g = geometry_of(l);
    double *dz = zeros(l->n * g.zh * g.zw * l->out);
    for (int64_t k = 0; k < l->n * g.zh * g.zw * l->out; k++) {
        int64_t o = k % l->out, s = k / l->out % g.zw / l->pool, r = k / l->out / g.zw % g.zh / l->pool, n = k / l->out / g.zw / g.zh;
        if (r >= g.yh || s >= g.yw)
            continue;
        double d = dy[((n * g.yh + r) * g.yw + s) * l->out + o] / (double)(l->pool * l->pool);
        dz[k] = z_terms ? fabs(d) * (1 + z_terms[k]) : d * slope_of(l->activation, z[k]);
    }
    return dz;
}

static double *absolutes(const double *x, int64_t n)
{
    double *y = zeros(n);
    for (int64_t i = 0; x && i < n; i++)
        y[i] = fabs(x[i]);
    return y;
}

/* L = sum of dy y, for finite differences. */
static double loss_of(const layer *l, const double *x, const double *w, const double *b, const double *dy)
{
    geometry g = geometry_of(l);
    double *z = z_of(l, x, w, b), *y = y_of(l, z, l->activation), sum = 0;
    for (int64_t k = 0; k < l->n * g.yh * g.yw * l->out; k++)
        sum += y[k] * dy[k];
    free(z);
    free(y);
    return sum;
}

static void conv_case(const layer *l, const char *isa)
{
    geometry g = geometry_of(l);
    char where[200];
    snprintf(where, sizeof where,
             "%s: %lldx%lldx%lldx%lld, %lld outputs, window %lldx%lld, stride %lld, padding %lld, pool %lld, activation %d%s", isa,
             (long long)l->n, (long long)l->h, (long long)l->w, (long long)l->c, (long long)l->out, (long long)l->kh, (long long)l->kw,
             (long long)l->stride, (long long)l->padding, (long long)l->pool, l->activation, l->bias ? "" : ", no bias");
    gal_tensor *x = TENSOR(l->n, l->h, l->w, l->c), *w = TENSOR(l->out, l->kh, l->kw, l->c), *b = l->bias ? TENSOR(l->out) : NULL;
    gal_tensor *y = TENSOR(l->n, g.yh, g.yw, l->out), *dy = TENSOR(l->n, g.yh, g.yw, l->out), *slope = TENSOR(l->n, g.zh, g.zw, l->out);
    gal_tensor *dx = TENSOR(l->n, l->h, l->w, l->c), *dw = TENSOR(l->out, l->kh, l->kw, l->c), *db = TENSOR(l->out);
    random_fill(x);
    random_fill(w);
    random_fill(dy);
    if (b)
        random_fill(b);
    double *xd = doubles(x), *wd = doubles(w), *bd = b ? doubles(b) : NULL, *dyd = doubles(dy);
    int64_t nx = gal_tensor_count(x), nw = gal_tensor_count(w), nz = gal_tensor_count(slope);
    double *xa = absolutes(xd, nx), *wa = absolutes(wd, nw), *ba = absolutes(bd, l->out);
    double *z = z_of(l, xd, wd, bd), *z_terms = z_of(l, xa, wa, ba), *y_ref = y_of(l, z, l->activation),
           *y_terms = y_of(l, z_terms, GAL_IDENTITY);

    CASE("the forward equals the double-precision reference");
    IS_OK(gal_conv2d(y, slope, x, w, b, l->stride, l->padding, l->activation, l->pool));
    is_close("y", where, y, y_ref, y_terms);
    int slopes_off = 0;
    for (int64_t k = 0; k < nz; k++) {
        int64_t s = k / l->out % g.zw / l->pool, r = k / l->out / g.zw % g.zh / l->pool;
        double d = ((float *)slope->data)[k];
        slopes_off += r < g.yh && s < g.yw && !(fabs(d - slope_of(l->activation, z[k])) <= 1e-6 * (1 + z_terms[k]) + 1e-9);
    }
    REPORT(slopes_off == 0, "%d of the slopes of %s are off", slopes_off, where);
    CASE("the forward without a slope gives the same bits");
    gal_tensor *again = TENSOR(l->n, g.yh, g.yw, l->out);
    IS_OK(gal_conv2d(again, NULL, x, w, b, l->stride, l->padding, l->activation, l->pool));
    REPORT(!memcmp(again->data, y->data, (size_t)gal_tensor_count(y) * 4), "%s", where);

    double *dz = dz_of(l, z, dyd, NULL), *dz_terms = dz_of(l, z, dyd, z_terms);
    double *dx_ref = zeros(nx), *dx_terms = zeros(nx), *dw_ref = zeros(nw), *dw_terms = zeros(nw), *db_ref = zeros(l->out),
           *db_terms = zeros(l->out);
    EACH_TAP(l, g, dx_ref[x_at + c] += dz[z_at + o] * wd[w_at + o * w_step + c]);
    EACH_TAP(l, g, dx_terms[x_at + c] += dz_terms[z_at + o] * wa[w_at + o * w_step + c]);
    EACH_TAP(l, g, dw_ref[w_at + o * w_step + c] += dz[z_at + o] * xd[x_at + c]);
    EACH_TAP(l, g, dw_terms[w_at + o * w_step + c] += dz_terms[z_at + o] * xa[x_at + c]);
    for (int64_t k = 0; k < nz; k++)
        db_ref[k % l->out] += dz[k], db_terms[k % l->out] += dz_terms[k];

    CASE("the reference's gradients equal its finite differences");
    for (int k = 0; k < 6 && l->activation != GAL_RELU && !strcmp(isa, "specification"); k++) {
        double *at[] = {xd, wd, bd}, *gradient[] = {dx_ref, dw_ref, db_ref}, h = 1e-4;
        int64_t count[] = {nx, nw, l->out}, i = (int64_t)(uniform() * (double)count[k % 3]);
        if (!at[k % 3])
            continue;
        double old = at[k % 3][i];
        at[k % 3][i] = old + h;
        double above = loss_of(l, xd, wd, bd, dyd);
        at[k % 3][i] = old - h;
        double below = loss_of(l, xd, wd, bd, dyd);
        at[k % 3][i] = old;
        IS_NEAR(gradient[k % 3][i], (above - below) / (2 * h), 1e-5 * (1 + fabs(gradient[k % 3][i])));
    }

    CASE("the backward equals the double-precision reference, with the slope stored");
    IS_OK(gal_conv2d_backward(dx, dw, db, dy, slope, x, w, b, l->stride, l->padding, l->activation, l->pool, 0));
    is_close("dx", where, dx, dx_ref, dx_terms);
    is_close("dw", where, dw, dw_ref, dw_terms);
    is_close("db", where, db, db_ref, db_terms);
    CASE("the backward equals the double-precision reference, with the slope worked out again");
    IS_OK(gal_conv2d_backward(dx, NULL, NULL, dy, NULL, x, w, b, l->stride, l->padding, l->activation, l->pool, 0));
    IS_OK(gal_conv2d_backward(NULL, dw, NULL, dy, NULL, x, w, b, l->stride, l->padding, l->activation, l->pool, 0));
    IS_OK(gal_conv2d_backward(NULL, NULL, db, dy, NULL, x, w, b, l->stride, l->padding, l->activation, l->pool, 0));
    is_close("dx", where, dx, dx_ref, dx_terms);
    is_close("dw", where, dw, dw_ref, dw_terms);
    is_close("db", where, db, db_ref, db_terms);
    CASE("accumulating adds to what was there");
    IS_OK(gal_conv2d_backward(NULL, dw, db, dy, slope, x, w, b, l->stride, l->padding, l->activation, l->pool, 1));
    for (int64_t k = 0; k < nw; k++)
        dw_ref[k] *= 2, dw_terms[k] *= 2;
    for (int64_t k = 0; k < l->out; k++)
        db_ref[k] *= 2, db_terms[k] *= 2;
    is_close("dw", where, dw, dw_ref, dw_terms);
    is_close("db", where, db, db_ref, db_terms);
    sentinels_and_free();
    double *all[] = {xd,      wd, bd,       dyd,    xa,       wa,     ba,       z,      z_terms, y_ref,
                     y_terms, dz, dz_terms, dx_ref, dx_terms, dw_ref, dw_terms, db_ref, db_terms};
    for (size_t k = 0; k < sizeof all / sizeof *all; k++)
        free(all[k]);
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

/* ---- the claims about bits ---- */
static void bits(void)
{
    const int64_t sizes[][5] = {{24, 20, 3, 32, 0}, {12, 14, 32, 40, 0}, {12, 14, 32, 40, 1}}; /* the last: slope stored */
    for (int k = 0; k < 3; k++) {
        int64_t n = 5, h = sizes[k][0], w = sizes[k][1], c = sizes[k][2], out = sizes[k][3];
        int64_t x_count = h * w * c, y_count = h / 2 * (w / 2) * out;
        gal_tensor *x = TENSOR(n, h, w, c), *x1 = TENSOR(1, h, w, c), *dx = TENSOR(n, h, w, c), *dx1 = TENSOR(1, h, w, c);
        gal_tensor *y = TENSOR(n, h / 2, w / 2, out), *y1 = TENSOR(1, h / 2, w / 2, out), *dy = TENSOR(n, h / 2, w / 2, out);
        gal_tensor *dy1 = TENSOR(1, h / 2, w / 2, out), *weight = TENSOR(out, 3, 3, c), *b = TENSOR(out);
        gal_tensor *dw = TENSOR(out, 3, 3, c), *db = TENSOR(out), *dw1 = TENSOR(out, 3, 3, c), *db1 = TENSOR(out);
        gal_tensor *slope = sizes[k][4] ? TENSOR(n, h, w, out) : NULL, *slope1 = sizes[k][4] ? TENSOR(1, h, w, out) : NULL;
        gal_tensor *filled[] = {x, weight, b, dy};
        for (int i = 0; i < 4; i++)
            random_fill(filled[i]);
        IS_OK(gal_conv2d(y, slope, x, weight, b, 1, GAL_SAME, GAL_SILU, 2));
        IS_OK(gal_conv2d_backward(dx, dw, db, dy, slope, x, weight, b, 1, GAL_SAME, GAL_SILU, 2, 0));
        CASE("an image's y and dx have the same bits alone and in a batch");
        memcpy(x1->data, (float *)x->data + 3 * x_count, (size_t)x_count * 4);
        memcpy(dy1->data, (float *)dy->data + 3 * y_count, (size_t)y_count * 4);
        IS_OK(gal_conv2d(y1, slope1, x1, weight, b, 1, GAL_SAME, GAL_SILU, 2));
        IS_OK(gal_conv2d_backward(dx1, NULL, NULL, dy1, slope1, x1, weight, b, 1, GAL_SAME, GAL_SILU, 2, 0));
        IS_TRUE(!memcmp(y1->data, (float *)y->data + 3 * y_count, (size_t)y_count * 4));
        IS_TRUE(!memcmp(dx1->data, (float *)dx->data + 3 * x_count, (size_t)x_count * 4));
        CASE("dw and db have the same bits with one, two and three threads");
        int threads = gal_threads(0);
        for (int t = 1; t <= 3; t++) {
            gal_threads(t);
            IS_OK(gal_conv2d_backward(NULL, dw1, db1, dy, slope, x, weight, b, 1, GAL_SAME, GAL_SILU, 2, 0));
            IS_TRUE(!memcmp(dw1->data, dw->data, (size_t)gal_tensor_count(dw) * 4));
            IS_TRUE(!memcmp(db1->data, db->data, (size_t)gal_tensor_count(db) * 4));
        }
        gal_threads(threads);
        sentinels_and_free();
    }
}

/* ---- pools ---- */
static void pools(const char *isa)
{
    const int64_t sizes[][6] = {{1, 1, 1, 1, 1, 1}, {2, 6, 8, 3, 2, 2},   {3, 7, 5, 17, 2, 2}, {1, 9, 9, 20, 3, 2},
                                {2, 5, 7, 4, 2, 3}, {1, 4, 6, 130, 2, 2}, {1, 5, 5, 33, 5, 1}};
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        int64_t n = sizes[k][0], h = sizes[k][1], w = sizes[k][2], c = sizes[k][3], window = sizes[k][4], stride = sizes[k][5];
        int64_t yh = (h - window) / stride + 1, yw = (w - window) / stride + 1;
        gal_tensor *x = TENSOR(n, h, w, c), *dx = TENSOR(n, h, w, c), *y = TENSOR(n, yh, yw, c), *dy = TENSOR(n, yh, yw, c);
        random_fill(x);
        random_fill(dy);
        for (int largest = 0; largest < 2; largest++) {
            double *y_ref = zeros(n * yh * yw * c), *dx_ref = zeros(n * h * w * c);
            for (int64_t at = 0; at < n * yh * yw * c; at++) {
                int64_t channel = at % c, j = at / c % yw * stride, i = at / c / yw % yh * stride, image = at / c / yw / yh, best = -1;
                double sum = 0;
                for (int64_t p = 0; p < window * window; p++) {
                    int64_t from = ((image * h + i + p / window) * w + j + p % window) * c + channel;
                    sum += ((float *)x->data)[from];
                    best = best < 0 || ((float *)x->data)[from] > ((float *)x->data)[best] ? from : best;
                    if (!largest)
                        dx_ref[from] += ((float *)dy->data)[at] / (double)(window * window);
                }
                y_ref[at] = largest ? ((float *)x->data)[best] : sum / (double)(window * window);
                if (largest)
                    dx_ref[best] += ((float *)dy->data)[at];
            }
            CASE(largest ? "max_pool2d and its backward equal the reference" : "avg_pool2d and its backward equal the reference");
            IS_OK(largest ? gal_max_pool2d(y, x, window, stride) : gal_avg_pool2d(y, x, window, stride));
            is_close("y", isa, y, y_ref, NULL);
            IS_OK(largest ? gal_max_pool2d_backward(dx, dy, x, window, stride) : gal_avg_pool2d_backward(dx, dy, window, stride));
            is_close("dx", isa, dx, dx_ref, NULL);
            free(y_ref);
            free(dx_ref);
        }
        CASE("global_avg_pool and its backward equal the reference");
        gal_tensor *mean = TENSOR(n, c), *dmean = TENSOR(n, c);
        random_fill(dmean);
        double *mean_ref = zeros(n * c), *dx_ref = zeros(n * h * w * c);
        for (int64_t at = 0; at < n * h * w * c; at++) {
            int64_t to = at / c / w / h * c + at % c;
            mean_ref[to] += ((float *)x->data)[at] / (double)(h * w);
            dx_ref[at] = ((float *)dmean->data)[to] / (double)(h * w);
        }
        IS_OK(gal_global_avg_pool(mean, x));
        is_close("y", isa, mean, mean_ref, NULL);
        IS_OK(gal_global_avg_pool_backward(dx, dmean));
        is_close("dx", isa, dx, dx_ref, NULL);
        free(mean_ref);
        free(dx_ref);
        sentinels_and_free();
    }
    CASE("a tie goes to the first of the largest, a NaN is the largest");
    gal_tensor *x = TENSOR(1, 2, 4, 1), *y = TENSOR(1, 1, 2, 1), *dy = TENSOR(1, 1, 2, 1), *dx = TENSOR(1, 2, 4, 1);
    IS_OK(gal_tensor_write(x, (float[]){1, 3, 2, 5, 3, 0, NAN, 7}, 8));
    IS_OK(gal_tensor_write(dy, (float[]){10, 20}, 2));
    IS_OK(gal_max_pool2d(y, x, 2, 2));
    IS_OK(gal_max_pool2d_backward(dx, dy, x, 2, 2));
    const float *out = y->data, *gradient = dx->data, expected[] = {0, 10, 0, 0, 0, 0, 20, 0};
    IS_TRUE(out[0] == 3 && out[1] != out[1]);
    for (int i = 0; i < 8; i++)
        IS_NEAR(gradient[i], expected[i], 0);
    sentinels_and_free();
}

/* ---- layer normalisation ---- */
static double norm_loss(const double *x, const double *scale, const double *shift, const double *dy, int64_t rows, int64_t n, double *y)
{
    double loss = 0;
    for (int64_t r = 0; r < rows; r++) {
        double mean = 0, square = 0;
        for (int64_t i = 0; i < n; i++)
            mean += x[r * n + i] / (double)n;
        for (int64_t i = 0; i < n; i++)
            square += (x[r * n + i] - mean) * (x[r * n + i] - mean) / (double)n;
        for (int64_t i = 0; i < n; i++) {
            double v = (x[r * n + i] - mean) / sqrt(square + 1e-5) * (scale ? scale[i] : 1) + (shift ? shift[i] : 0);
            if (y)
                y[r * n + i] = v;
            loss += v * dy[r * n + i];
        }
    }
    return loss;
}

static void layer_norms(const char *isa)
{
    const int64_t sizes[][3] = {{1, 1, 1}, {3, 7, 1}, {5, 33, 0}, {40, 300, 1}};
    for (int k = 0; k < 4; k++) {
        int64_t rows = sizes[k][0], n = sizes[k][1];
        gal_tensor *x = TENSOR(rows, n), *y = TENSOR(rows, n), *statistics = TENSOR(rows, 2), *dy = TENSOR(rows, n), *dx = TENSOR(rows, n);
        gal_tensor *scale = sizes[k][2] ? TENSOR(n) : NULL, *shift = sizes[k][2] ? TENSOR(n) : NULL, *dscale = TENSOR(n),
                   *dshift = TENSOR(n);
        random_fill(x);
        random_fill(dy);
        if (scale) {
            random_fill(scale);
            random_fill(shift);
        }
        double *xd = doubles(x), *dyd = doubles(dy), *sd = scale ? doubles(scale) : NULL, *td = shift ? doubles(shift) : NULL,
               *ref = zeros(rows * n);
        norm_loss(xd, sd, td, dyd, rows, n, ref);
        CASE("layer_norm equals the double-precision reference");
        IS_OK(gal_layer_norm(y, statistics, x, scale, shift, 1e-5));
        is_close("y", isa, y, ref, NULL);
        CASE("layer_norm's gradients equal finite differences");
        IS_OK(gal_layer_norm_backward(dx, dscale, dshift, dy, x, statistics, scale, 0));
        for (int64_t i = 0; i < rows * n; i += 1 + rows * n / 25) {
            double old = xd[i], h = 1e-5;
            xd[i] = old + h;
            double above = norm_loss(xd, sd, td, dyd, rows, n, NULL);
            xd[i] = old - h;
            double below = norm_loss(xd, sd, td, dyd, rows, n, NULL);
            xd[i] = old;
            IS_NEAR(((float *)dx->data)[i], (above - below) / (2 * h), 2e-5);
        }
        for (int64_t i = 0; scale && i < n; i += 1 + n / 10) {
            double old = sd[i];
            sd[i] = old + 1;
            double above = norm_loss(xd, sd, td, dyd, rows, n, NULL);
            sd[i] = old;
            td[i] += 1;
            double shifted = norm_loss(xd, sd, td, dyd, rows, n, NULL);
            td[i] -= 1;
            double base = norm_loss(xd, sd, td, dyd, rows, n, NULL);
            IS_NEAR(((float *)dscale->data)[i], above - base, 2e-5);
            IS_NEAR(((float *)dshift->data)[i], shifted - base, 2e-5);
        }
        CASE("layer_norm's gradients accumulate");
        float first = ((float *)dscale->data)[0];
        IS_OK(gal_layer_norm_backward(NULL, dscale, dshift, dy, x, statistics, scale, 1));
        IS_NEAR(((float *)dscale->data)[0], 2 * first, 1e-6 * (1 + fabs(first)));
        sentinels_and_free();
        double *all[] = {xd, dyd, sd, td, ref};
        for (int i = 0; i < 5; i++)
            free(all[i]);
    }
}

/* ---- dropout ---- */
static void dropouts(void)
{
    int64_t n = 100003;
    gal_tensor *x = TENSOR(n), *y = TENSOR(n), *dy = TENSOR(n), *dx = TENSOR(n), *u = TENSOR(n);
    gal_tensor *state = tensor(GAL_I64, 1, (int64_t[]){2}), *used = tensor(GAL_I64, 1, (int64_t[]){2});
    int64_t *s = state->data, *before = used->data;
    random_fill(dy);
    for (int64_t i = 0; i < n; i++)
        ((float *)x->data)[i] = 1;
    CASE("dropout keeps 1 - p of the elements, scaled by 1 / (1 - p)");
    s[0] = 7, s[1] = 100;
    IS_OK(gal_dropout(y, used, x, state, 0.25));
    IS_INT(before[0], 7);
    IS_INT(before[1], 100);
    IS_INT(s[1], 100 + (n + 3) / 4);
    int64_t kept = 0, others = 0;
    for (int64_t i = 0; i < n; i++) {
        float v = ((float *)y->data)[i];
        kept += v != 0;
        others += v != 0 && fabsf(v - 4.0f / 3) > 1e-6f;
    }
    IS_NEAR((double)kept / (double)n, 0.75, 5 * sqrt(0.25 * 0.75 / (double)n));
    IS_INT(others, 0);
    CASE("the mask is drawn as gal_uniform draws");
    s[1] = 100;
    IS_OK(gal_uniform(u, state));
    int64_t different = 0;
    for (int64_t i = 0; i < n; i++)
        different += (((float *)u->data)[i] >= 0.25f) != (((float *)y->data)[i] != 0);
    IS_INT(different, 0);
    CASE("the backward uses the forward's mask, and the next forward another");
    IS_OK(gal_dropout_backward(dx, dy, used, 0.25));
    for (int64_t i = 0; i < n; i++)
        different += ((float *)dx->data)[i] != ((float *)dy->data)[i] * ((float *)y->data)[i] && fabsf(((float *)dx->data)[i]) > 2;
    for (int64_t i = 0; i < n; i++)
        different += (((float *)dx->data)[i] != 0) != (((float *)y->data)[i] != 0);
    IS_INT(different, 0);
    IS_OK(gal_dropout(dx, NULL, x, state, 0.25));
    for (int64_t i = 0; i < n; i++)
        different += (((float *)dx->data)[i] != 0) != (((float *)y->data)[i] != 0);
    IS_NEAR((double)different / (double)n, 2 * 0.25 * 0.75, 0.01);
    CASE("p = 0 changes nothing");
    IS_OK(gal_dropout(dx, NULL, dy, state, 0));
    IS_TRUE(!memcmp(dx->data, dy->data, (size_t)n * 4));
    sentinels_and_free();
}

static void sentences(void)
{
    CASE("a failure names the argument, what it was and what was expected");
    gal_tensor *x = TENSOR(2, 6, 6, 3), *w = TENSOR(4, 3, 3, 3), *w2 = TENSOR(4, 3, 3, 2), *y = TENSOR(2, 6, 6, 4), *b = TENSOR(3),
               *flat = TENSOR(6, 6);
    FAILS(gal_conv2d(y, NULL, flat, w, NULL, 1, GAL_SAME, 0, 1), GAL_SHAPE, "conv2d: x is {6, 6}, expected images {N, H, W, channels}");
    FAILS(gal_conv2d(y, NULL, x, w2, NULL, 1, GAL_SAME, 0, 1), GAL_SHAPE,
          "conv2d: w is {4, 3, 3, 2}, expected {out, height, width, in} with in = 3");
    FAILS(gal_conv2d(y, NULL, x, w, b, 1, GAL_SAME, 0, 1), GAL_SHAPE, "conv2d: b is {3}, expected {4} for {out}");
    FAILS(gal_conv2d(y, NULL, x, w, NULL, 1, GAL_VALID, 0, 1), GAL_SHAPE, "conv2d: y is {2, 6, 6, 4}, expected {2, 4, 4, 4}");
    FAILS(gal_conv2d(y, NULL, x, w, NULL, 2, GAL_SAME, 0, 1), GAL_VALUE, "padding \"same\" with stride 2");
    FAILS(gal_conv2d(y, NULL, x, w, NULL, 0, 1, 0, 1), GAL_VALUE, "stride is 0");
    FAILS(gal_conv2d(y, NULL, x, w, NULL, 1, -2, 0, 1), GAL_VALUE, "padding is -2");
    FAILS(gal_conv2d(y, NULL, x, w, NULL, 1, GAL_SAME, 9, 1), GAL_VALUE, "activation 9");
    FAILS(gal_conv2d(y, NULL, x, w, NULL, 1, GAL_SAME, 0, 7), GAL_VALUE, "pool is 7, expected 1 to 6");
    FAILS(gal_avg_pool2d(y, x, 7, 7), GAL_SHAPE, "avg_pool2d: a window of 7 x 7 does not fit into x {2, 6, 6, 3}");
    FAILS(gal_max_pool2d(y, x, 2, 2), GAL_SHAPE, "max_pool2d: y is {2, 6, 6, 4}, expected {2, 3, 3, 3}");
    FAILS(gal_layer_norm(x, NULL, x, NULL, b, 1e-5), GAL_VALUE, "layer_norm: scale is missing");
    FAILS(gal_dropout(x, NULL, x, x, 0.5), GAL_TYPE, "dropout: state is float32, expected int64");
    gal_tensor *state = tensor(GAL_I64, 1, (int64_t[]){2});
    FAILS(gal_dropout(x, NULL, x, state, 1), GAL_VALUE, "dropout: p is 1, expected 0 <= p < 1");
    sentinels_and_free();
}

static void notices(void)
{
    CASE("a notice is told once, however often it comes up");
    gal_note("plain kernels for window %d", 3);
    gal_note("plain kernels for window %d", 3);
    gal_note("plain kernels for window %d", 4);
    const char *first = gal_notice(), *second = gal_notice();
    IS_TRUE(first && !strcmp(first, "plain kernels for window 3"));
    IS_TRUE(second && !strcmp(second, "plain kernels for window 4"));
    IS_TRUE(!gal_notice());
    gal_note("plain kernels for window %d", 3);
    IS_TRUE(!gal_notice());
}

/* A recorded step gives the same bits when it is replayed. */
static void replays(void)
{
    CASE("a replayed convolution equals the eager one bit for bit");
    gal_tensor *x = TENSOR(3, 10, 12, 3), *w = TENSOR(8, 3, 3, 3), *b = TENSOR(8), *dy = TENSOR(3, 5, 6, 8);
    gal_tensor *y = TENSOR(3, 5, 6, 8), *dx = TENSOR(3, 10, 12, 3), *dw = TENSOR(8, 3, 3, 3), *db = TENSOR(8), *y2 = TENSOR(3, 5, 6, 8),
               *dw2 = TENSOR(8, 3, 3, 3);
    gal_tensor *dx2 = TENSOR(3, 10, 12, 3);
    gal_tensor *filled[] = {x, w, b, dy};
    for (int i = 0; i < 4; i++)
        random_fill(filled[i]);
    gal_program *p = NULL;
    IS_OK(gal_program_begin(&p, "cpu"));
    IS_OK(gal_conv2d(y, NULL, x, w, b, 1, GAL_SAME, GAL_SILU, 2));
    IS_OK(gal_conv2d_backward(dx, dw, db, dy, NULL, x, w, b, 1, GAL_SAME, GAL_SILU, 2, 0));
    IS_OK(gal_program_end(p));
    random_fill(x);
    IS_OK(gal_conv2d(y2, NULL, x, w, b, 1, GAL_SAME, GAL_SILU, 2));
    IS_OK(gal_conv2d_backward(dx2, dw2, db, dy, NULL, x, w, b, 1, GAL_SAME, GAL_SILU, 2, 0));
    IS_TRUE(memcmp(y->data, y2->data, (size_t)gal_tensor_count(y) * 4) != 0);
    IS_OK(gal_program_replay(p, 2));
    IS_TRUE(!memcmp(y->data, y2->data, (size_t)gal_tensor_count(y) * 4));
    IS_TRUE(!memcmp(dx->data, dx2->data, (size_t)gal_tensor_count(dx) * 4));
    IS_TRUE(!memcmp(dw->data, dw2->data, (size_t)gal_tensor_count(dw) * 4));
    gal_program_free(p);
    sentinels_and_free();
}

int main(void)
{
    const char *isas[] = {"specification", "plain", "avx2", "avx512"};
    for (int i = 0; i < 4; i++) {
        table = gal_cpu_table(isas[i]);
        if (!table)
            continue;
        for (size_t k = 0; k < sizeof layers / sizeof *layers; k++)
            conv_case(&layers[k], isas[i]);
        bits();
        pools(isas[i]);
        layer_norms(isas[i]);
        dropouts();
    }
    table = gal_cpu_table("onednn");
    for (size_t k = 0; table && k < sizeof layers / sizeof *layers; k++)
        conv_case(&layers[k], "onednn");
    for (const char *notice = gal_notice(); notice; notice = gal_notice())
        printf("notice: %s\n", notice);
    table = gal_cpu_backend();
    sentences();
    notices();
    replays();
    return finish();
}
