/* kernels_conv.c: convolutions by every table of kernels (specification, plain, avx2, avx512, onednn) and in
 * both precisions, against double precision (kernels_conv.h) whose factors are rounded where theirs are: so
 * what is held to float32's precision is the sums, and that exactly x, w and dz are rounded. The reference's
 * own gradients against finite differences. And the claims of galrun.h: bits that depend neither on the other
 * images nor on the threads; float32, and a notice, where a processor has no fast products of bfloat16, or
 * oneDNN makes them. */
#include "kernels_conv.h"

/* One layer at work by `table`, and what is expected. */
typedef struct problem {
    const layer *l;
    geometry g;
    int precision;
    int rounds; /* whether x, w and dz are rounded in products */
    char where[200];
    gal_tensor *x, *w, *b, *dy, *y, *slope, *dx, *dw, *db; /* b may be NULL */
    int64_t nx, nw, nz;
    double *xd, *wd, *bd, *dyd; /* x, w, b, dy, as products take them */
    double *xa, *wa, *ba;       /* their sizes */
    double *z, *dz;
    /* Results; and the sum of the sizes of their terms, in units of which float32's errors are allowed. */
    double *y_ref, *dx_ref, *dw_ref, *db_ref, *z_terms, *y_terms, *dx_terms, *dw_terms, *db_terms;
    double *owned[32];
    int owned_count;
} problem;

/* Freed with the problem. */
static double *own(problem *p, double *memory)
{
    return p->owned[p->owned_count++] = memory;
}

static gal_status forward(problem *p, gal_tensor *y, gal_tensor *slope)
{
    const layer *l = p->l;
    return gal_conv2d(y, slope, p->x, p->w, p->b, l->stride, l->padding, l->activation, l->pool,
                      p->precision);
}

static gal_status backward(problem *p, gal_tensor *dx, gal_tensor *dw, gal_tensor *db,
                           const gal_tensor *slope, int accumulate)
{
    const layer *l = p->l;
    return gal_conv2d_backward(dx, dw, db, p->dy, slope, p->x, p->w, p->b, l->stride, l->padding,
                               l->activation, l->pool, p->precision, accumulate);
}

static void round_all(double *x, int64_t n)
{
    for (int64_t k = 0; k < n; k++)
        x[k] = as_bf16(x[k]);
}

static void set_up(problem *p, const layer *l, int precision, const char *way)
{
    geometry g = geometry_of(l);
    *p = (problem){.l = l, .g = g, .precision = precision, .rounds = precision == GAL_IN_BF16};
    snprintf(p->where, sizeof p->where,
             "%s: %lldx%lldx%lldx%lld, %lld outputs, window %lldx%lld, stride %lld, padding %lld, pool %lld, "
             "activation %d%s",
             way, (long long)l->n, (long long)l->h, (long long)l->w, (long long)l->c, (long long)l->out,
             (long long)l->kh, (long long)l->kw, (long long)l->stride, (long long)l->padding,
             (long long)l->pool, l->activation, l->bias ? "" : ", no bias");
    p->x = TENSOR(l->n, l->h, l->w, l->c), p->dx = TENSOR(l->n, l->h, l->w, l->c);
    p->w = TENSOR(l->out, l->kh, l->kw, l->c), p->dw = TENSOR(l->out, l->kh, l->kw, l->c);
    p->b = l->bias ? TENSOR(l->out) : NULL, p->db = TENSOR(l->out);
    p->y = TENSOR(l->n, g.yh, g.yw, l->out), p->dy = TENSOR(l->n, g.yh, g.yw, l->out);
    p->slope = TENSOR(l->n, g.zh, g.zw, l->out);
    p->nx = gal_tensor_count(p->x), p->nw = gal_tensor_count(p->w), p->nz = gal_tensor_count(p->slope);
    random_fill(p->x);
    random_fill(p->w);
    random_fill(p->dy);
    if (p->b)
        random_fill(p->b);
    p->xd = own(p, doubles(p->x)), p->wd = own(p, doubles(p->w)), p->dyd = own(p, doubles(p->dy));
    p->bd = p->b ? own(p, doubles(p->b)) : NULL;
    if (p->rounds) {
        round_all(p->xd, p->nx);
        round_all(p->wd, p->nw);
    }
    p->xa = own(p, absolutes(p->xd, p->nx)), p->wa = own(p, absolutes(p->wd, p->nw));
    p->ba = own(p, absolutes(p->bd, l->out));
}

static void tear_down(problem *p)
{
    sentinels_and_free();
    for (int k = 0; k < p->owned_count; k++)
        free(p->owned[k]);
}

static void expect(problem *p)
{
    const layer *l = p->l;
    p->z = own(p, z_of(l, p->xd, p->wd, p->bd));
    p->z_terms = own(p, z_of(l, p->xa, p->wa, p->ba));
    p->y_ref = own(p, y_of(l, p->z, l->activation));
    p->y_terms = own(p, y_of(l, p->z_terms, GAL_IDENTITY));
    p->dz = own(p, dz_of(l, p->z, p->dyd, NULL));
    double *dz_terms = own(p, dz_of(l, p->z, p->dyd, p->z_terms));
    double *factor = own(p, dz_of(l, p->z, p->dyd, NULL)); /* dz in products */
    if (p->rounds)
        round_all(factor, p->nz);
    p->dx_ref = own(p, zeros(p->nx)), p->dx_terms = own(p, zeros(p->nx));
    p->dw_ref = own(p, zeros(p->nw)), p->dw_terms = own(p, zeros(p->nw));
    p->db_ref = own(p, zeros(l->out)), p->db_terms = own(p, zeros(l->out));
    EACH_TAP(l, p->g, p->dx_ref[x_at + c] += factor[z_at + o] * p->wd[w_at + o * w_step + c]);
    EACH_TAP(l, p->g, p->dx_terms[x_at + c] += dz_terms[z_at + o] * p->wa[w_at + o * w_step + c]);
    EACH_TAP(l, p->g, p->dw_ref[w_at + o * w_step + c] += factor[z_at + o] * p->xd[x_at + c]);
    EACH_TAP(l, p->g, p->dw_terms[w_at + o * w_step + c] += dz_terms[z_at + o] * p->xa[x_at + c]);
    for (int64_t k = 0; k < p->nz; k++)
        p->db_ref[k % l->out] += p->dz[k], p->db_terms[k % l->out] += dz_terms[k];
}

static void finite_differences(problem *p)
{
    CASE("the reference's gradients equal its finite differences");
    double *at[] = {p->xd, p->wd, p->bd}, *gradient[] = {p->dx_ref, p->dw_ref, p->db_ref}, h = 1e-4;
    int64_t count[] = {p->nx, p->nw, p->l->out};
    for (int k = 0; k < 6 && !p->rounds && p->l->activation != GAL_RELU; k++) {
        int64_t i = (int64_t)(uniform() * (double)count[k % 3]);
        if (!at[k % 3])
            continue;
        double *moved = &at[k % 3][i], old = *moved;
        *moved = old + h;
        double above = loss_of(p->l, p->xd, p->wd, p->bd, p->dyd);
        *moved = old - h;
        double below = loss_of(p->l, p->xd, p->wd, p->bd, p->dyd);
        *moved = old;
        IS_NEAR(gradient[k % 3][i], (above - below) / (2 * h), 1e-5 * (1 + fabs(gradient[k % 3][i])));
    }
}

static void check_forward(problem *p)
{
    const layer *l = p->l;
    CASE("the forward equals the double-precision reference");
    IS_OK(forward(p, p->y, p->slope));
    is_close("y", p->where, p->y, p->y_ref, p->y_terms);
    int slopes_off = 0;
    for (int64_t k = 0; k < p->nz; k++) {
        int64_t s = k / l->out % p->g.zw / l->pool, r = k / l->out / p->g.zw % p->g.zh / l->pool;
        double off = fabs(((float *)p->slope->data)[k] - slope_of(l->activation, p->z[k]));
        slopes_off += r < p->g.yh && s < p->g.yw && !(off <= 1e-6 * (1 + p->z_terms[k]) + 1e-9);
    }
    REPORT(slopes_off == 0, "%d of the slopes of %s are off", slopes_off, p->where);
    CASE("the forward without a slope gives the same bits");
    gal_tensor *again = TENSOR(l->n, p->g.yh, p->g.yw, l->out);
    IS_OK(forward(p, again, NULL));
    REPORT(same_data(again, p->y), "%s", p->where);
}

static void check_backward(problem *p)
{
    /* A dz that float32 has slightly off may fall on the other side of a tie when it is rounded, once in some
     * ten thousand: up to two of a sum may. Not where dz is exact. */
    int f = p->l->activation, exact = !p->rounds || (p->l->pool <= 2 && (f == GAL_IDENTITY || f == GAL_RELU));
    double flips = exact ? 0 : 2 * 0x1p-8 * largest(p->dz, p->nz);
    double dx_slack = flips * largest(p->wd, p->nw), dw_slack = flips * largest(p->xd, p->nx);
    for (int stored = 1; stored >= 0; stored--) {
        gal_tensor *slope = stored ? p->slope : NULL;
        CASE(stored ? "the backward equals the double-precision reference, with the slope stored"
                    : "the backward equals the double-precision reference, with the slope computed again");
        for (int alone = 0; alone < 2; alone++) { /* all gradients in one call, then each in one of its own */
            random_fill(p->dx);
            random_fill(p->dw);
            random_fill(p->db);
            IS_OK(backward(p, p->dx, alone ? NULL : p->dw, alone ? NULL : p->db, slope, 0));
            if (alone) {
                IS_OK(backward(p, NULL, p->dw, NULL, slope, 0));
                IS_OK(backward(p, NULL, NULL, p->db, slope, 0));
            }
            is_within("dx", p->where, p->dx, p->dx_ref, p->dx_terms, dx_slack);
            is_within("dw", p->where, p->dw, p->dw_ref, p->dw_terms, dw_slack);
            is_close("db", p->where, p->db, p->db_ref, p->db_terms);
        }
    }
    CASE("accumulating adds to what was there");
    IS_OK(backward(p, NULL, p->dw, p->db, p->slope, 1));
    IS_OK(backward(p, NULL, p->dw, NULL, p->slope, 1));
    IS_OK(backward(p, NULL, NULL, p->db, p->slope, 1));
    for (int64_t k = 0; k < p->nw; k++)
        p->dw_ref[k] *= 3, p->dw_terms[k] *= 3;
    for (int64_t k = 0; k < p->l->out; k++)
        p->db_ref[k] *= 3, p->db_terms[k] *= 3;
    is_within("dw", p->where, p->dw, p->dw_ref, p->dw_terms, 3 * dw_slack);
    is_close("db", p->where, p->db, p->db_ref, p->db_terms);
}

/* Every layer by `table`. way: for the reports. */
static void all_layers(int precision, const char *way)
{
    for (size_t k = 0; k < sizeof layers / sizeof *layers; k++) {
        problem p;
        set_up(&p, &layers[k], precision, way);
        expect(&p);
        if (!strcmp(way, "specification"))
            finite_differences(&p);
        check_forward(&p);
        check_backward(&p);
        tear_down(&p);
    }
}

/* ---- bits ---- */

/* A layer of silu and a pool of 2 over n images, with all its tensors. */
static problem images_of(const layer *l, int precision, int stores_slope)
{
    geometry g = geometry_of(l);
    problem p = {.l = l, .g = g, .precision = precision};
    p.x = TENSOR(l->n, l->h, l->w, l->c), p.dx = TENSOR(l->n, l->h, l->w, l->c);
    p.w = TENSOR(l->out, l->kh, l->kw, l->c), p.dw = TENSOR(l->out, l->kh, l->kw, l->c);
    p.b = TENSOR(l->out), p.db = TENSOR(l->out);
    p.y = TENSOR(l->n, g.yh, g.yw, l->out), p.dy = TENSOR(l->n, g.yh, g.yw, l->out);
    p.slope = stores_slope ? TENSOR(l->n, g.zh, g.zw, l->out) : NULL;
    return p;
}

static void copy(gal_tensor *to, const gal_tensor *from, int64_t first)
{
    memcpy(to->data, (const float *)from->data + first, (size_t)gal_tensor_count(to) * 4);
}

static void bits_of(const layer *l, int precision, int stores_slope, const char *way)
{
    problem p = images_of(l, precision, stores_slope);
    gal_tensor *filled[] = {p.x, p.w, p.b, p.dy};
    for (int i = 0; i < 4; i++)
        random_fill(filled[i]);
    IS_OK(forward(&p, p.y, p.slope));
    IS_OK(backward(&p, p.dx, p.dw, p.db, p.slope, 0));

    CASE("an image's y and dx have the same bits alone and in a batch");
    layer alone = *l;
    alone.n = 1;
    problem one = images_of(&alone, precision, stores_slope);
    int64_t x_first = 3 * gal_tensor_count(one.x), y_first = 3 * gal_tensor_count(one.y);
    copy(one.x, p.x, x_first);
    copy(one.dy, p.dy, y_first);
    copy(one.w, p.w, 0);
    copy(one.b, p.b, 0);
    IS_OK(forward(&one, one.y, one.slope));
    IS_OK(backward(&one, one.dx, NULL, NULL, one.slope, 0));
    size_t x_bytes = (size_t)gal_tensor_count(one.x) * 4, y_bytes = (size_t)gal_tensor_count(one.y) * 4;
    REPORT(!memcmp(one.y->data, (float *)p.y->data + y_first, y_bytes), "y by %s", way);
    REPORT(!memcmp(one.dx->data, (float *)p.dx->data + x_first, x_bytes), "dx by %s", way);

    CASE("y, dx, dw and db have the same bits with one, two and three threads");
    int threads = gal_threads(0);
    problem again = images_of(l, precision, stores_slope);
    copy(again.x, p.x, 0);
    copy(again.w, p.w, 0);
    copy(again.b, p.b, 0);
    copy(again.dy, p.dy, 0);
    for (int t = 1; t <= 3; t++) {
        gal_threads(t);
        IS_OK(forward(&again, again.y, again.slope));
        IS_OK(backward(&again, again.dx, again.dw, again.db, again.slope, 0));
        REPORT(same_data(again.y, p.y), "y by %s, %d threads", way, t);
        REPORT(same_data(again.dx, p.dx), "dx by %s, %d threads", way, t);
        REPORT(same_data(again.dw, p.dw), "dw by %s, %d threads", way, t);
        REPORT(same_data(again.db, p.db), "db by %s, %d threads", way, t);
    }
    gal_threads(threads);
    sentinels_and_free();
}

/* The claims of galrun.h about bits. */
static void bits(int precision, const char *way)
{
    static const layer cases[] = {
        {5, 24, 20, 3, 32, 3, 3, 1, GAL_SAME, 2, GAL_SILU, 1},
        {5, 12, 14, 32, 40, 3, 3, 1, GAL_SAME, 2, GAL_SILU, 1},
        {5, 70, 14, 20, 40, 3, 3, 1, GAL_SAME, 2, GAL_SILU, 1},
        {5, 33, 14, 20, 18, 3, 3, 2, 1, 2, GAL_SILU, 1},
    };
    bits_of(&cases[0], precision, 0, way);
    bits_of(&cases[1], precision, 0, way);
    bits_of(&cases[1], precision, 1, way);
    bits_of(&cases[2], precision, 1, way);
    bits_of(&cases[3], precision, 1, way);
}

/* A recorded step gives the same bits when it is replayed. */
static void replays(void)
{
    CASE("a replayed convolution equals the eager one bit for bit");
    const layer l = {3, 10, 12, 3, 8, 3, 3, 1, GAL_SAME, 2, GAL_SILU, 1};
    problem p = images_of(&l, GAL_IN_F32, 0);
    gal_tensor *y2 = TENSOR(3, 5, 6, 8), *dw2 = TENSOR(8, 3, 3, 3), *dx2 = TENSOR(3, 10, 12, 3);
    gal_tensor *filled[] = {p.x, p.w, p.b, p.dy};
    for (int i = 0; i < 4; i++)
        random_fill(filled[i]);
    gal_program *program = NULL;
    IS_OK(gal_program_begin(&program, "cpu"));
    IS_OK(forward(&p, p.y, NULL));
    IS_OK(backward(&p, p.dx, p.dw, p.db, NULL, 0));
    IS_OK(gal_program_end(program));
    random_fill(p.x);
    IS_OK(forward(&p, y2, NULL));
    IS_OK(backward(&p, dx2, dw2, p.db, NULL, 0));
    IS_TRUE(!same_data(p.y, y2));
    IS_OK(gal_program_replay(program, 2));
    IS_TRUE(same_data(p.y, y2));
    IS_TRUE(same_data(p.dx, dx2));
    IS_TRUE(same_data(p.dw, dw2));
    gal_program_free(program);
    sentinels_and_free();
}

/* ---- bfloat16 ---- */

/* Whether a small convolution has the bits of float32, so that nothing was rounded. */
static int is_float32(int64_t stride)
{
    gal_tensor *x = TENSOR(1, 5, 7, 7), *w = TENSOR(20, 3, 3, 7),
               *y = TENSOR(1, 4 / stride + 1, 6 / stride + 1, 20),
               *exact = TENSOR(1, 4 / stride + 1, 6 / stride + 1, 20);
    random_fill(x);
    random_fill(w);
    IS_OK(gal_conv2d(exact, NULL, x, w, NULL, stride, 1, GAL_SILU, 1, GAL_IN_F32));
    IS_OK(gal_conv2d(y, NULL, x, w, NULL, stride, 1, GAL_SILU, 1, GAL_IN_BF16));
    int same = same_data(y, exact);
    sentinels_and_free();
    return same;
}

/* What is said when a backward of stride 2 in bfloat16 comes first; no notice is given twice. */
static const char *said_by_backward(void)
{
    gal_tensor *x = TENSOR(1, 8, 8, 16), *w = TENSOR(16, 3, 3, 16), *dw = TENSOR(16, 3, 3, 16),
               *dy = TENSOR(1, 4, 4, 16);
    random_fill(x);
    random_fill(w);
    random_fill(dy);
    while (gal_notice())
        ;
    IS_OK(gal_conv2d_backward(NULL, dw, NULL, dy, NULL, x, w, NULL, 2, 1, GAL_IDENTITY, 1, GAL_IN_BF16, 0));
    sentinels_and_free();
    return gal_notice();
}

static void by_onednn(void)
{
    CASE("oneDNN's convolutions are float32, and a notice says so");
    const char *said = said_by_backward();
    REPORT(said && strstr(said, "by oneDNN take no precision"), "said: %s", said ? said : "nothing");
}

/* ---- Ctrl-C ---- */

/* A layer of 2.1e10 multiply-adds or more, and one of few. */
static void interrupted(int64_t size, int64_t channels, int64_t window, int64_t stride, int64_t outputs,
                        int precision, gal_status wanted)
{
    int64_t padding = window / 2, side = (size + 2 * padding - window) / stride + 1;
    gal_tensor *x = TENSOR(1, size, size, channels), *dx = TENSOR(1, size, size, channels),
               *w = TENSOR(outputs, window, window, channels), *y = TENSOR(1, side, side, outputs);
    gal_fill(x, 0), gal_fill(w, 0), gal_fill(y, 0);
    gal_interrupt_set(1);
    gal_status there = gal_conv2d(y, NULL, x, w, NULL, stride, padding, GAL_IDENTITY, 1, precision),
               back = gal_conv2d_backward(dx, NULL, NULL, y, NULL, x, w, NULL, stride, padding, GAL_IDENTITY,
                                          1, precision, 0);
    gal_interrupt_set(0);
    REPORT(there == wanted && back == wanted, "window %lld, %s: %d and %d, expected %d", (long long)window,
           precision == GAL_IN_F32 ? "f32" : "bf16", (int)there, (int)back, (int)wanted);
    sentinels_and_free();
}

static void by_ctrl_c(int precision)
{
    CASE("Ctrl-C ends a long convolution early, there and back, and leaves a short one whole");
    interrupted(128, 256, 3, 1, 576, precision, GAL_INTERRUPTED);
    interrupted(128, 256, 5, 2, 816, precision, GAL_INTERRUPTED);
    interrupted(16, 8, 3, 1, 16, precision, GAL_OK);
    interrupted(16, 8, 5, 2, 16, precision, GAL_OK);
}

/* One table in bfloat16, with GALRUN_BF16 = way. */
static void in_bfloat16(const char *isa, const char *way)
{
    char name[40];
    snprintf(name, sizeof name, "%s, %s", isa, way);
    setenv("GALRUN_BF16", way, 1);
    table = gal_cpu_table(isa);
    if (!table)
        return;
    CASE("without products of bfloat16 a convolution of any stride is float32, and a notice says so");
    const char *said = said_by_backward();
    int float32 = is_float32(1);
    REPORT(float32 == is_float32(2), "%s: stride 1 and stride 2 differ in what they round", name);
    if (float32) {
        static int told;
        REPORT(told || (said && strstr(said, "float32")), "%s: computed in float32, said: %s", name,
               said ? said : "nothing");
        REPORT(strcmp(isa, "specification") != 0, "%s rounds nothing", name);
        told = 1;
        return;
    }
    REPORT(strcmp(way, "none") || !strcmp(isa, "specification"), "%s rounds all the same", name);
    all_layers(GAL_IN_BF16, name);
    bits(GAL_IN_BF16, name);
    if (strcmp(isa, "avx512") == 0)
        by_ctrl_c(GAL_IN_BF16);
}

static void sentences(void)
{
    CASE("a failure names the argument, what it was and what was expected");
    gal_tensor *x = TENSOR(2, 6, 6, 3), *w = TENSOR(4, 3, 3, 3), *w2 = TENSOR(4, 3, 3, 2),
               *y = TENSOR(2, 6, 6, 4), *b = TENSOR(3), *flat = TENSOR(6, 6);
    FAILS(gal_conv2d(y, NULL, flat, w, NULL, 1, GAL_SAME, 0, 1, GAL_IN_F32), GAL_SHAPE,
          "conv2d: x is {6, 6}, expected images {N, H, W, 3} for w {4, 3, 3, 3}");
    FAILS(gal_conv2d(y, NULL, x, w2, NULL, 1, GAL_SAME, 0, 1, GAL_IN_F32), GAL_SHAPE,
          "conv2d: x is {2, 6, 6, 3}, expected images {N, H, W, 2} for w {4, 3, 3, 2}");
    FAILS(gal_conv2d(y, NULL, x, w, b, 1, GAL_SAME, 0, 1, GAL_IN_F32), GAL_SHAPE,
          "conv2d: b is {3}, expected {4} for {out}");
    FAILS(gal_conv2d(y, NULL, x, w, NULL, 1, GAL_VALID, 0, 1, GAL_IN_F32), GAL_SHAPE,
          "conv2d: y is {2, 6, 6, 4}, expected {2, 4, 4, 4}");
    FAILS(gal_conv2d(y, NULL, x, w, NULL, 2, GAL_SAME, 0, 1, GAL_IN_F32), GAL_VALUE,
          "padding \"same\" with stride 2");
    FAILS(gal_conv2d(y, NULL, x, w, NULL, 0, 1, 0, 1, GAL_IN_F32), GAL_VALUE, "stride is 0");
    FAILS(gal_conv2d(y, NULL, x, w, NULL, 1, -2, 0, 1, GAL_IN_F32), GAL_VALUE, "padding is -2");
    FAILS(gal_conv2d(y, NULL, x, w, NULL, 1, GAL_SAME, 9, 1, GAL_IN_F32), GAL_VALUE,
          "activation is 9, expected 0 to ");
    FAILS(gal_conv2d(y, NULL, x, w, NULL, 1, GAL_SAME, 0, 7, GAL_IN_F32), GAL_VALUE,
          "pool is 7, expected 1 to 6");
    FAILS(gal_conv2d(y, NULL, x, w, NULL, 1, GAL_SAME, 0, 1, GAL_IN_F16), GAL_DEVICE,
          "conv2d: precision is f16, which cpu does not have for it, expected f32 or bf16");
    FAILS(gal_conv2d_backward(x, NULL, NULL, y, NULL, x, w, NULL, 1, GAL_SAME, 0, 1, GAL_IN_F16, 0),
          GAL_DEVICE,
          "conv2d_backward: precision is f16, which cpu does not have for it, expected f32 or bf16");
    sentinels_and_free();
}

int main(void)
{
    static const char *const isas[] = {"specification", "plain", "avx2", "avx512"};
    for (int i = 0; i < 4; i++) {
        table = gal_cpu_table(isas[i]);
        if (!table)
            continue;
        all_layers(GAL_IN_F32, isas[i]);
        bits(GAL_IN_F32, isas[i]);
        if (i > 0) /* the specification is for reading, and slow */
            by_ctrl_c(GAL_IN_F32);
    }
    table = gal_cpu_table("onednn");
    if (table) {
        all_layers(GAL_IN_F32, "onednn");
        by_onednn();
    }
    for (const char *notice = gal_notice(); notice; notice = gal_notice())
        printf("notice: %s\n", notice);
    table = gal_cpu_table(NULL);
    replays();
    sentences();
    in_bfloat16("specification", "none");
    in_bfloat16("plain", "amx");
    in_bfloat16("avx2", "amx");
    in_bfloat16("avx512", "none");
    in_bfloat16("avx512", "dot");
    in_bfloat16("avx512", "amx");
    return finish();
}
