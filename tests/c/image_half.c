/* Convolutions of bfloat16, by every way that this machine has (AMX, dot products, the specification), against double precision whose
 * factors are rounded too: so what is tested is the sums, at float32's precision, and that exactly x, w and dz are rounded. And the claims
 * of galrun.h: bits that depend neither on the other images nor on the threads; float32, and a notice, where a processor has no such
 * products. */
#include "convolution.h"

/* To the nearest number of 8 bits, ties to even, by way of rint. */
static double as_bf16(double x)
{
    int exponent;
    double fraction = frexp(x, &exponent);
    return ldexp(rint(fraction * 256), exponent - 8);
}

static void round_all(double *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        x[i] = as_bf16(x[i]);
}

/* |x - ref| <= 1e-6 times the sum of the terms' sizes, plus slack. */
static void is_near_to(const char *what, const char *where, const gal_tensor *x, const double *ref, const double *terms, double slack)
{
    double worst = -1;
    int64_t place = 0;
    for (int64_t i = 0; i < gal_tensor_count(x); i++) {
        double excess = fabs(((const float *)x->data)[i] - ref[i]) / (1e-6 * terms[i] + slack + 1e-30);
        if (!(excess <= worst))
            worst = excess, place = i;
    }
    REPORT(worst <= 1, "%s of %s: element %lld is %.9g, expected %.9g within %.3g", what, where, (long long)place,
           ((const float *)x->data)[place], ref[place], 1e-6 * terms[place] + slack);
}

static double largest(const double *x, int64_t n)
{
    double most = 0;
    for (int64_t i = 0; i < n; i++)
        most = fmax(most, fabs(x[i]));
    return most;
}

static void half_case(const layer *l, const char *way)
{
    geometry g = geometry_of(l);
    char where[200];
    snprintf(where, sizeof where,
             "%s: %lldx%lldx%lldx%lld, %lld outputs, window %lldx%lld, stride %lld, padding %lld, pool %lld, activation %d", way,
             (long long)l->n, (long long)l->h, (long long)l->w, (long long)l->c, (long long)l->out, (long long)l->kh, (long long)l->kw,
             (long long)l->stride, (long long)l->padding, (long long)l->pool, l->activation);
    gal_tensor *x = TENSOR(l->n, l->h, l->w, l->c), *w = TENSOR(l->out, l->kh, l->kw, l->c), *b = l->bias ? TENSOR(l->out) : NULL;
    gal_tensor *y = TENSOR(l->n, g.yh, g.yw, l->out), *dy = TENSOR(l->n, g.yh, g.yw, l->out), *slope = TENSOR(l->n, g.zh, g.zw, l->out);
    gal_tensor *dx = TENSOR(l->n, l->h, l->w, l->c), *dw = TENSOR(l->out, l->kh, l->kw, l->c), *db = TENSOR(l->out);
    random_fill(x);
    random_fill(w);
    random_fill(dy);
    if (b)
        random_fill(b);
    int64_t nx = gal_tensor_count(x), nw = gal_tensor_count(w), nz = gal_tensor_count(slope);
    double *xd = doubles(x), *wd = doubles(w), *bd = b ? doubles(b) : NULL, *dyd = doubles(dy);
    int rounds = l->stride == 1;
    if (rounds) {
        round_all(xd, nx);
        round_all(wd, nw);
    }
    double *xa = absolutes(xd, nx), *wa = absolutes(wd, nw), *ba = absolutes(bd, l->out);
    double *z = z_of(l, xd, wd, bd), *z_terms = z_of(l, xa, wa, ba), *y_ref = y_of(l, z, l->activation),
           *y_terms = y_of(l, z_terms, GAL_IDENTITY);

    CASE("the forward equals the reference of rounded factors");
    IS_OK(gal_conv2d(y, slope, x, w, b, l->stride, l->padding, l->activation, l->pool, GAL_BF16));
    is_close("y", where, y, y_ref, y_terms);
    int slopes_off = 0;
    for (int64_t k = 0; k < nz; k++) {
        int64_t s = k / l->out % g.zw / l->pool, r = k / l->out / g.zw % g.zh / l->pool;
        double d = ((float *)slope->data)[k];
        slopes_off += r < g.yh && s < g.yw && !(fabs(d - slope_of(l->activation, z[k])) <= 1e-6 * (1 + z_terms[k]) + 1e-9);
    }
    REPORT(slopes_off == 0, "%d of the slopes of %s are off", slopes_off, where);

    double *dz = dz_of(l, z, dyd, NULL), *dz_terms = dz_of(l, z, dyd, z_terms), *rounded = dz_of(l, z, dyd, NULL);
    if (rounds)
        round_all(rounded, nz);
    double *dx_ref = zeros(nx), *dx_terms = zeros(nx), *dw_ref = zeros(nw), *dw_terms = zeros(nw), *db_ref = zeros(l->out),
           *db_terms = zeros(l->out);
    EACH_TAP(l, g, dx_ref[x_at + c] += rounded[z_at + o] * wd[w_at + o * w_step + c]);
    EACH_TAP(l, g, dx_terms[x_at + c] += dz_terms[z_at + o] * wa[w_at + o * w_step + c]);
    EACH_TAP(l, g, dw_ref[w_at + o * w_step + c] += rounded[z_at + o] * xd[x_at + c]);
    EACH_TAP(l, g, dw_terms[w_at + o * w_step + c] += dz_terms[z_at + o] * xa[x_at + c]);
    for (int64_t k = 0; k < nz; k++)
        db_ref[k % l->out] += dz[k], db_terms[k % l->out] += dz_terms[k];
    /* A dz that float32 has slightly off may fall on the other side of a tie, once in some ten thousand: up to two of a sum may. Not where
     * dz is exact. */
    int exact = !rounds || (l->pool <= 2 && (l->activation == GAL_IDENTITY || l->activation == GAL_RELU));
    double flips = exact ? 0 : 2 * 0x1p-8 * largest(dz, nz);
    for (int stored = 1; stored >= 0; stored--) {
        CASE("the backward equals the reference of rounded factors, with the slope stored and worked out again");
        IS_OK(gal_conv2d_backward(dx, dw, db, dy, stored ? slope : NULL, x, w, b, l->stride, l->padding, l->activation, l->pool, GAL_BF16,
                                  0));
        is_near_to("dx", where, dx, dx_ref, dx_terms, flips * largest(wd, nw));
        is_near_to("dw", where, dw, dw_ref, dw_terms, flips * largest(xd, nx));
        is_close("db", where, db, db_ref, db_terms);
    }
    CASE("accumulating adds to what was there, and dw and dx are the same alone");
    gal_tensor *dx1 = TENSOR(l->n, l->h, l->w, l->c);
    IS_OK(gal_conv2d_backward(dx1, NULL, NULL, dy, slope, x, w, b, l->stride, l->padding, l->activation, l->pool, GAL_BF16, 0));
    IS_OK(gal_conv2d_backward(dx, NULL, NULL, dy, slope, x, w, b, l->stride, l->padding, l->activation, l->pool, GAL_BF16, 0));
    REPORT(!memcmp(dx->data, dx1->data, (size_t)nx * 4), "dx of %s", where);
    IS_OK(gal_conv2d_backward(NULL, dw, NULL, dy, slope, x, w, b, l->stride, l->padding, l->activation, l->pool, GAL_BF16, 1));
    IS_OK(gal_conv2d_backward(NULL, NULL, db, dy, slope, x, w, b, l->stride, l->padding, l->activation, l->pool, GAL_BF16, 1));
    for (int64_t k = 0; k < nw; k++)
        dw_ref[k] *= 2, dw_terms[k] *= 2;
    for (int64_t k = 0; k < l->out; k++)
        db_ref[k] *= 2, db_terms[k] *= 2;
    is_near_to("dw", where, dw, dw_ref, dw_terms, 2 * flips * largest(xd, nx));
    is_close("db", where, db, db_ref, db_terms);
    sentinels_and_free();
    double *all[] = {xd,      wd, bd,       dyd,     xa,     wa,       ba,     z,        z_terms, y_ref,
                     y_terms, dz, dz_terms, rounded, dx_ref, dx_terms, dw_ref, dw_terms, db_ref,  db_terms};
    for (size_t k = 0; k < sizeof all / sizeof *all; k++)
        free(all[k]);
}

/* Whether a small convolution has the bits of float32, so that nothing was rounded. */
static int is_float32(void)
{
    gal_tensor *x = TENSOR(1, 5, 6, 7), *w = TENSOR(20, 3, 3, 7), *y = TENSOR(1, 5, 6, 20), *exact = TENSOR(1, 5, 6, 20);
    random_fill(x);
    random_fill(w);
    IS_OK(gal_conv2d(exact, NULL, x, w, NULL, 1, GAL_SAME, GAL_SILU, 1, GAL_EXACT));
    IS_OK(gal_conv2d(y, NULL, x, w, NULL, 1, GAL_SAME, GAL_SILU, 1, GAL_BF16));
    int same = !memcmp(y->data, exact->data, (size_t)gal_tensor_count(y) * 4);
    sentinels_and_free();
    return same;
}

/* One set of kernels with GALRUN_BF16 = way. */
static void by(const char *isa, const char *way)
{
    char name[40];
    snprintf(name, sizeof name, "%s, %s", isa, way);
    setenv("GALRUN_BF16", way, 1);
    table = gal_cpu_table(isa);
    if (!table)
        return;
    while (gal_notice())
        ;
    CASE("without products of bfloat16 a convolution is float32, and a notice says so");
    if (is_float32()) {
        static int told;
        const char *said = gal_notice();
        REPORT(told || (said && strstr(said, "float32")), "%s: computed in float32, said: %s", name, said ? said : "nothing");
        REPORT(strcmp(isa, "specification") != 0, "%s rounds nothing", name);
        told = 1;
        return;
    }
    REPORT(strcmp(way, "none") || !strcmp(isa, "specification"), "%s rounds all the same", name);
    for (size_t k = 0; k < sizeof layers / sizeof *layers; k++)
        half_case(&layers[k], name);
    bits(GAL_BF16, name);
}

int main(void)
{
    by("specification", "none");
    by("plain", "amx");
    by("avx2", "amx");
    by("avx512", "none");
    by("avx512", "dot");
    by("avx512", "amx");
    return finish();
}
