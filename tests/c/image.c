/* Convolutions in every table of kernels (specification, plain, avx2, avx512, onednn) against double precision written another way (by
 * scattering), the reference's gradients against finite differences, and the claims of galrun.h: bits that depend neither on the other
 * images nor on the threads. */
#include "convolution.h"

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
    IS_OK(gal_conv2d(y, slope, x, w, b, l->stride, l->padding, l->activation, l->pool, GAL_EXACT));
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
    IS_OK(gal_conv2d(again, NULL, x, w, b, l->stride, l->padding, l->activation, l->pool, GAL_EXACT));
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
    IS_OK(gal_conv2d_backward(dx, dw, db, dy, slope, x, w, b, l->stride, l->padding, l->activation, l->pool, GAL_EXACT, 0));
    is_close("dx", where, dx, dx_ref, dx_terms);
    is_close("dw", where, dw, dw_ref, dw_terms);
    is_close("db", where, db, db_ref, db_terms);
    CASE("the backward equals the double-precision reference, with the slope worked out again");
    IS_OK(gal_conv2d_backward(dx, NULL, NULL, dy, NULL, x, w, b, l->stride, l->padding, l->activation, l->pool, GAL_EXACT, 0));
    IS_OK(gal_conv2d_backward(NULL, dw, NULL, dy, NULL, x, w, b, l->stride, l->padding, l->activation, l->pool, GAL_EXACT, 0));
    IS_OK(gal_conv2d_backward(NULL, NULL, db, dy, NULL, x, w, b, l->stride, l->padding, l->activation, l->pool, GAL_EXACT, 0));
    is_close("dx", where, dx, dx_ref, dx_terms);
    is_close("dw", where, dw, dw_ref, dw_terms);
    is_close("db", where, db, db_ref, db_terms);
    CASE("accumulating adds to what was there");
    IS_OK(gal_conv2d_backward(NULL, dw, db, dy, slope, x, w, b, l->stride, l->padding, l->activation, l->pool, GAL_EXACT, 1));
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
    IS_OK(gal_conv2d(y, NULL, x, w, b, 1, GAL_SAME, GAL_SILU, 2, GAL_EXACT));
    IS_OK(gal_conv2d_backward(dx, dw, db, dy, NULL, x, w, b, 1, GAL_SAME, GAL_SILU, 2, GAL_EXACT, 0));
    IS_OK(gal_program_end(p));
    random_fill(x);
    IS_OK(gal_conv2d(y2, NULL, x, w, b, 1, GAL_SAME, GAL_SILU, 2, GAL_EXACT));
    IS_OK(gal_conv2d_backward(dx2, dw2, db, dy, NULL, x, w, b, 1, GAL_SAME, GAL_SILU, 2, GAL_EXACT, 0));
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
        for (size_t k = 0; table && k < sizeof layers / sizeof *layers; k++)
            conv_case(&layers[k], isas[i]);
        if (table)
            bits(GAL_EXACT, isas[i]);
    }
    table = gal_cpu_table("onednn");
    for (size_t k = 0; table && k < sizeof layers / sizeof *layers; k++)
        conv_case(&layers[k], "onednn");
    for (const char *notice = gal_notice(); notice; notice = gal_notice())
        printf("notice: %s\n", notice);
    table = gal_cpu_backend();
    replays();
    return finish();
}
