/* convolution.h: convolution in double precision, written another way than the kernels (by scattering), and
 * what the kernels of either precision are held to. */
#ifndef CONVOLUTION_H
#define CONVOLUTION_H
#include "kernels_image.h"
#include "reference.h"

/* ---- convolution in double precision, by scattering: for each pixel of x and tap, what it gives to z ----
 */
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

/* One layer by the kernels of `table`, against double precision with x, w and dz rounded where `precision`
 * has them rounded. way: for the reports. The reference's own gradients are checked by finite differences
 * where nothing is rounded and `differences` is set. */
static inline void conv_case(const layer *l, int precision, const char *way, int differences)
{
    geometry g = geometry_of(l);
    char where[200];
    snprintf(where, sizeof where,
             "%s: %lldx%lldx%lldx%lld, %lld outputs, window %lldx%lld, stride %lld, padding %lld, pool %lld, "
             "activation %d%s",
             way, (long long)l->n, (long long)l->h, (long long)l->w, (long long)l->c, (long long)l->out,
             (long long)l->kh, (long long)l->kw, (long long)l->stride, (long long)l->padding,
             (long long)l->pool, l->activation, l->bias ? "" : ", no bias");
    gal_tensor *x = TENSOR(l->n, l->h, l->w, l->c), *w = TENSOR(l->out, l->kh, l->kw, l->c),
               *b = l->bias ? TENSOR(l->out) : NULL;
    gal_tensor *y = TENSOR(l->n, g.yh, g.yw, l->out), *dy = TENSOR(l->n, g.yh, g.yw, l->out),
               *slope = TENSOR(l->n, g.zh, g.zw, l->out);
    gal_tensor *dx = TENSOR(l->n, l->h, l->w, l->c), *dw = TENSOR(l->out, l->kh, l->kw, l->c),
               *db = TENSOR(l->out);
    random_fill(x);
    random_fill(w);
    random_fill(dy);
    if (b)
        random_fill(b);
    double *xd = doubles(x), *wd = doubles(w), *bd = b ? doubles(b) : NULL, *dyd = doubles(dy);
    int64_t nx = gal_tensor_count(x), nw = gal_tensor_count(w), nz = gal_tensor_count(slope);
    int rounds = precision == GAL_BF16 && l->stride == 1;
    for (int64_t k = 0; rounds && k < nx; k++)
        xd[k] = as_bf16(xd[k]);
    for (int64_t k = 0; rounds && k < nw; k++)
        wd[k] = as_bf16(wd[k]);
    double *xa = absolutes(xd, nx), *wa = absolutes(wd, nw), *ba = absolutes(bd, l->out);
    double *z = z_of(l, xd, wd, bd), *z_terms = z_of(l, xa, wa, ba), *y_ref = y_of(l, z, l->activation),
           *y_terms = y_of(l, z_terms, GAL_IDENTITY);
#define FORWARD(y, slope) \
    gal_conv2d(y, slope, x, w, b, l->stride, l->padding, l->activation, l->pool, precision)
#define BACKWARD(dx, dw, db, slope, adds)                                                              \
    gal_conv2d_backward(dx, dw, db, dy, slope, x, w, b, l->stride, l->padding, l->activation, l->pool, \
                        precision, adds)

    CASE("the forward equals the double-precision reference");
    IS_OK(FORWARD(y, slope));
    is_close("y", where, y, y_ref, y_terms);
    int slopes_off = 0;
    for (int64_t k = 0; k < nz; k++) {
        int64_t s = k / l->out % g.zw / l->pool, r = k / l->out / g.zw % g.zh / l->pool;
        double d = ((float *)slope->data)[k];
        slopes_off += r < g.yh && s < g.yw &&
                      !(fabs(d - slope_of(l->activation, z[k])) <= 1e-6 * (1 + z_terms[k]) + 1e-9);
    }
    REPORT(slopes_off == 0, "%d of the slopes of %s are off", slopes_off, where);
    CASE("the forward without a slope gives the same bits");
    gal_tensor *again = TENSOR(l->n, g.yh, g.yw, l->out);
    IS_OK(FORWARD(again, NULL));
    REPORT(!memcmp(again->data, y->data, (size_t)gal_tensor_count(y) * 4), "%s", where);

    double *dz = dz_of(l, z, dyd, NULL), *dz_terms = dz_of(l, z, dyd, z_terms),
           *factor = dz_of(l, z, dyd, NULL); /* in products */
    for (int64_t k = 0; rounds && k < nz; k++)
        factor[k] = as_bf16(dz[k]);
    double *dx_ref = zeros(nx), *dx_terms = zeros(nx), *dw_ref = zeros(nw), *dw_terms = zeros(nw),
           *db_ref = zeros(l->out), *db_terms = zeros(l->out);
    EACH_TAP(l, g, dx_ref[x_at + c] += factor[z_at + o] * wd[w_at + o * w_step + c]);
    EACH_TAP(l, g, dx_terms[x_at + c] += dz_terms[z_at + o] * wa[w_at + o * w_step + c]);
    EACH_TAP(l, g, dw_ref[w_at + o * w_step + c] += factor[z_at + o] * xd[x_at + c]);
    EACH_TAP(l, g, dw_terms[w_at + o * w_step + c] += dz_terms[z_at + o] * xa[x_at + c]);
    for (int64_t k = 0; k < nz; k++)
        db_ref[k % l->out] += dz[k], db_terms[k % l->out] += dz_terms[k];

    CASE("the reference's gradients equal its finite differences");
    for (int k = 0; k < 6 && differences && !rounds && l->activation != GAL_RELU; k++) {
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

    /* A dz that float32 has slightly off may fall on the other side of a tie when it is rounded, once in some
     * ten thousand: up to two of a sum may. Not where dz is exact. */
    int exact = !rounds || (l->pool <= 2 && (l->activation == GAL_IDENTITY || l->activation == GAL_RELU));
    double flips = exact ? 0 : 2 * 0x1p-8 * largest(dz, nz), dx_slack = flips * largest(wd, nw),
           dw_slack = flips * largest(xd, nx);
    for (int stored = 1; stored >= 0; stored--) {
        gal_tensor *slope_or_none = stored ? slope : NULL;
        CASE(stored ? "the backward equals the double-precision reference, with the slope stored"
                    : "the backward equals the double-precision reference, with the slope worked out again");
        for (int alone = 0; alone < 2; alone++) { /* all gradients in one call, then each in one of its own */
            random_fill(dx);
            random_fill(dw);
            random_fill(db);
            if (!alone)
                IS_OK(BACKWARD(dx, dw, db, slope_or_none, 0));
            else {
                IS_OK(BACKWARD(dx, NULL, NULL, slope_or_none, 0));
                IS_OK(BACKWARD(NULL, dw, NULL, slope_or_none, 0));
                IS_OK(BACKWARD(NULL, NULL, db, slope_or_none, 0));
            }
            is_within("dx", where, dx, dx_ref, dx_terms, dx_slack);
            is_within("dw", where, dw, dw_ref, dw_terms, dw_slack);
            is_close("db", where, db, db_ref, db_terms);
        }
    }
    CASE("accumulating adds to what was there");
    IS_OK(BACKWARD(NULL, dw, db, slope, 1));
    IS_OK(BACKWARD(NULL, dw, NULL, slope, 1));
    IS_OK(BACKWARD(NULL, NULL, db, slope, 1));
    for (int64_t k = 0; k < nw; k++)
        dw_ref[k] *= 3, dw_terms[k] *= 3;
    for (int64_t k = 0; k < l->out; k++)
        db_ref[k] *= 3, db_terms[k] *= 3;
    is_within("dw", where, dw, dw_ref, dw_terms, 3 * dw_slack);
    is_close("db", where, db, db_ref, db_terms);
#undef FORWARD
#undef BACKWARD
    sentinels_and_free();
    double *all[] = {xd,      wd, bd,       dyd,    xa,     wa,       ba,     z,        z_terms, y_ref,
                     y_terms, dz, dz_terms, factor, dx_ref, dx_terms, dw_ref, dw_terms, db_ref,  db_terms};
    for (size_t k = 0; k < sizeof all / sizeof *all; k++)
        free(all[k]);
}

/* The claims of galrun.h about bits. */
static inline void bits(int precision, const char *way)
{
    const int64_t sizes[][5] = {{24, 20, 3, 32, 0},
                                {12, 14, 32, 40, 0},
                                {12, 14, 32, 40, 1},
                                {70, 14, 20, 40, 1}}; /* the last two: slope stored */
    for (int k = 0; k < 4; k++) {
        int64_t n = 5, h = sizes[k][0], w = sizes[k][1], c = sizes[k][2], out = sizes[k][3];
        int64_t x_count = h * w * c, y_count = h / 2 * (w / 2) * out;
        gal_tensor *x = TENSOR(n, h, w, c), *x1 = TENSOR(1, h, w, c), *dx = TENSOR(n, h, w, c),
                   *dx1 = TENSOR(1, h, w, c);
        gal_tensor *y = TENSOR(n, h / 2, w / 2, out), *y1 = TENSOR(1, h / 2, w / 2, out),
                   *dy = TENSOR(n, h / 2, w / 2, out);
        gal_tensor *dy1 = TENSOR(1, h / 2, w / 2, out), *weight = TENSOR(out, 3, 3, c), *b = TENSOR(out);
        gal_tensor *dw = TENSOR(out, 3, 3, c), *db = TENSOR(out), *dw1 = TENSOR(out, 3, 3, c),
                   *db1 = TENSOR(out);
        gal_tensor *slope = sizes[k][4] ? TENSOR(n, h, w, out) : NULL,
                   *slope1 = sizes[k][4] ? TENSOR(1, h, w, out) : NULL;
        gal_tensor *filled[] = {x, weight, b, dy};
        for (int i = 0; i < 4; i++)
            random_fill(filled[i]);
        IS_OK(gal_conv2d(y, slope, x, weight, b, 1, GAL_SAME, GAL_SILU, 2, precision));
        IS_OK(
            gal_conv2d_backward(dx, dw, db, dy, slope, x, weight, b, 1, GAL_SAME, GAL_SILU, 2, precision, 0));
        CASE("an image's y and dx have the same bits alone and in a batch");
        memcpy(x1->data, (float *)x->data + 3 * x_count, (size_t)x_count * 4);
        memcpy(dy1->data, (float *)dy->data + 3 * y_count, (size_t)y_count * 4);
        IS_OK(gal_conv2d(y1, slope1, x1, weight, b, 1, GAL_SAME, GAL_SILU, 2, precision));
        IS_OK(gal_conv2d_backward(dx1, NULL, NULL, dy1, slope1, x1, weight, b, 1, GAL_SAME, GAL_SILU, 2,
                                  precision, 0));
        REPORT(!memcmp(y1->data, (float *)y->data + 3 * y_count, (size_t)y_count * 4), "y by %s", way);
        REPORT(!memcmp(dx1->data, (float *)dx->data + 3 * x_count, (size_t)x_count * 4), "dx by %s", way);
        CASE("y, dx, dw and db have the same bits with one, two and three threads");
        int threads = gal_threads(0);
        gal_tensor *y2 = TENSOR(n, h / 2, w / 2, out), *dx2 = TENSOR(n, h, w, c);
        for (int t = 1; t <= 3; t++) {
            gal_threads(t);
            IS_OK(gal_conv2d(y2, slope, x, weight, b, 1, GAL_SAME, GAL_SILU, 2, precision));
            IS_OK(gal_conv2d_backward(dx2, dw1, db1, dy, slope, x, weight, b, 1, GAL_SAME, GAL_SILU, 2,
                                      precision, 0));
            REPORT(!memcmp(y2->data, y->data, (size_t)gal_tensor_count(y) * 4), "y by %s, %d threads", way,
                   t);
            REPORT(!memcmp(dx2->data, dx->data, (size_t)gal_tensor_count(dx) * 4), "dx by %s, %d threads",
                   way, t);
            REPORT(!memcmp(dw1->data, dw->data, (size_t)gal_tensor_count(dw) * 4), "dw by %s, %d threads",
                   way, t);
            REPORT(!memcmp(db1->data, db->data, (size_t)gal_tensor_count(db) * 4), "db by %s, %d threads",
                   way, t);
        }
        gal_threads(threads);
        sentinels_and_free();
    }
}

#endif
