/* integrate.c: the fused integrator of the velocity net (gal_flow_integrate). Weights are packed once a call.
 * Then each lane takes tiles of rows, one after another, and carries each from the first instant to the last;
 * all that a tile needs is in the lane's second-level cache. Layers are in integrate_layer.c, bfloat16 in
 * integrate_half.c. */
#include "integrate.h"
#include "cpu/bf16.h"
#include "cpu/scratch.h"
#include "transpose.h"
#include <math.h>

/* ---- prepare: once per call, on the calling thread ---- */

/* Hands out a block of memory piece by piece; with base NULL it only counts bytes. */
typedef struct pieces {
    char *base;
    size_t used;
} pieces;

static void *piece(pieces *p, int64_t count, size_t size)
{
    void *at = p->base ? p->base + p->used : NULL;
    p->used += ((size_t)count * size + 63) & ~(size_t)63;
    return at;
}

static int64_t round_up(int64_t n, int64_t to)
{
    return (n + to - 1) / to * to;
}

/* to {ceil(out / outs), in, outs} = w {out, in}, whose rows are `stride` apart: VL x VL weights at a time. */
static void pack(float *to, const float *w, int64_t stride, int64_t in, int64_t out, int outs)
{
    for (int64_t o = 0; o < out; o += VL)
        for (int64_t k = 0; k < in; k += VL) {
            vec r[VL];
#pragma GCC unroll 16
            for (int i = 0; i < VL; i++)
                r[i] = o + i < out ? load_up_to(w + (o + i) * stride + k, in - k) : splat(0);
            transpose(r);
            for (int64_t part = 0; part < VL && o + part < out; part += outs)
                for (int l = 0; l < VL && k + l < in; l++)
                    memcpy(to + (o + part) * in + (k + l) * outs, (const float *)&r[l] + part,
                           (size_t)outs * sizeof *to);
        }
}

/* to {ceil(out / outs), ceil(in / ins), outs, ins} = w {out, in} in bfloat16. */
static void pack_half(uint16_t *to, const float *w, int64_t in, int64_t out, int64_t outs, int64_t ins)
{
    for (int64_t o = 0; o < out; o += outs)
        for (int64_t k = 0; k < in; k += ins)
            for (int64_t i = o; i < o + outs; i++)
                for (int64_t l = k; l < k + ins; l++)
                    *to++ = i < out && l < in ? gal_to_bf16(w[i * in + l]) : 0;
}

/* *l = a layer of w {out, in} and b {out}; packs them where p has memory. */
static void lay_out_layer(integrate_layer *l, pieces *p, int64_t in, const float *w, const float *b,
                          int64_t stride, int64_t out, int activation, half_way half, int slim)
{
    *l = (integrate_layer){.in = in, .out = out, .activation = activation};
    float *bias = piece(p, round_up(out, AMX_OUTS) * VL, sizeof *bias);
    l->b = bias;
    for (int64_t o = 0; bias && o < round_up(out, AMX_OUTS); o++)
        store(bias + o * VL, splat(b && o < out ? b[o] : 0));
    if (half != HALF_NONE) {
        int64_t outs = half == HALF_AMX ? AMX_OUTS : OUTS, ins = half == HALF_AMX ? AMX_IN : 2;
        uint16_t *packed = piece(p, round_up(out, outs) * round_up(in, ins), sizeof *packed);
        if (packed)
            pack_half(packed, w, in, out, outs, ins);
        l->half = packed;
        return;
    }
    int outs = slim ? VL : OUTS;
    float *packed = piece(p, round_up(out, outs) * in, sizeof *packed);
    if (packed)
        pack(packed, w, stride, in, out, outs);
    l->w = packed;
}

/* A tile of `rows` rows, with tangents for a density. */
static integrate_tile tile_of(int64_t rows, int64_t d, int density)
{
    integrate_tile t = {.rows = rows, .values = (int)((rows + VL - 1) / VL), .narrow = density && rows < VL};
    t.vecs = t.narrow ? (int)((rows * (1 + d) + VL - 1) / VL) : t.values * (density ? 1 + (int)d : 1);
    t.columns = (int)(rows * (density ? 1 + d : 1));
    t.ld = (int64_t)t.vecs * VL;
    for (int i = 0; i < VL; i++)
        t.holds[i] = !t.narrow || i < rows ? -1 : 0;
    return t;
}

/* Rows of a tile at most: those of VECS vecs; with more than 3 tangents a row, of one vec; fewer where the
 * lanes would not all get some. */
static int64_t rows_of_tile(const gal_flow_integrate_args *g, int lanes)
{
    int64_t each = (g->rows + lanes - 1) / lanes, most = (g->integral && g->d > 3 ? 1 : VECS) * VL;
    if (each >= most)
        return most;
    return each < VL ? each : round_up(each, VL);
}

static void lay_out(const gal_flow_integrate_args *g, integrate_plan *plan, pieces *p)
{
    plan->half = g->precision == GAL_IN_BF16 ? FAST(half)() : HALF_NONE;
    plan->slim = plan->half == HALF_NONE && tile_of(plan->most, g->d, g->integral != NULL).columns <= FEW;
    const gal_flow_layer *first = &g->layer[0];
    lay_out_layer(&plan->features, p, g->width, first->w + 1 + g->d, first->b, first->in, first->out,
                  GAL_IDENTITY, HALF_NONE, plan->slim);
    plan->widest = 1;
    for (int i = 0; i < g->layers; i++) {
        const gal_flow_layer *l = &g->layer[i];
        half_way half = i > 0 && i < g->layers - 1 ? plan->half : HALF_NONE;
        lay_out_layer(&plan->layer[i], p, i ? l->in : 1 + g->d, l->w, i ? l->b : NULL, l->in, l->out,
                      l->activation, half, plan->slim);
        plan->widest = l->out > plan->widest ? l->out : plan->widest;
    }
}

/* A lane's memory. R and ld are those of the widest tile, R = values * VL. */
typedef struct integrate_work {
    float *input;    /* {1 + d, ld}: [t; theta] and its tangents */
    float *y[2];     /* {widest, ld}: layers' results in turn */
    float *start;    /* {outputs of the first layer rounded up to VL, R}: w x + b_1 of the features alone */
    float *features; /* {width, R} */
    float *block;    /* {AMX_OUTS, ld} */
    float *out;      /* {d rounded up to VL, ld}: the last layer's */
    float *state;    /* {d + 1, R}: theta, and the divergence's integral */
    float *k;        /* {stages, d + 1, R}: velocity and divergence */
    ivec *row_of;    /* {vecs} */
} integrate_work;

static integrate_work work_of(const gal_flow_integrate_args *g, const integrate_plan *plan, pieces *p)
{
    int64_t ld = plan->vecs * VL, r = round_up(plan->most, VL), widest = round_up(plan->widest, AMX_IN);
    integrate_work w;
    w.input = piece(p, (1 + g->d) * ld, sizeof(float));
    w.y[0] = piece(p, widest * ld, sizeof(float));
    w.y[1] = piece(p, widest * ld, sizeof(float));
    w.start = piece(p, round_up(g->layer[0].out, VL) * r, sizeof(float));
    w.features = piece(p, g->width * r, sizeof(float));
    w.block = piece(p, AMX_OUTS * ld, sizeof(float));
    w.out = piece(p, round_up(g->d, VL) * ld, sizeof(float));
    w.state = piece(p, (g->d + 1) * r, sizeof(float));
    w.k = piece(p, g->method.stages * (g->d + 1) * r, sizeof(float));
    w.row_of = piece(p, plan->vecs, sizeof(ivec));
    return w;
}

static gal_status prepare(const gal_lane *lane, const void *args)
{
    (void)lane;
    const gal_flow_integrate_args *g = args;
    integrate_plan plan = {.lanes = gal_threads(0)};
    plan.most = rows_of_tile(g, plan.lanes);
    plan.vecs = tile_of(plan.most, g->d, g->integral != NULL).vecs;
    pieces count = {NULL, 0}, work = {NULL, 0};
    piece(&count, 1, sizeof plan);
    lay_out(g, &plan, &count);
    work_of(g, &plan, &work);
    plan.work_bytes = work.used + 4096; /* no two lanes share a line, nor a page */
    gal_status status = gal_cpu_scratch_grow(count.used + (size_t)plan.lanes * plan.work_bytes);
    if (status != GAL_OK)
        return status;
    pieces all = {gal_cpu_scratch(), 0};
    integrate_plan *kept = piece(&all, 1, sizeof plan);
    lay_out(g, &plan, &all);
    plan.work = all.base + all.used;
    memcpy(kept, &plan, sizeof plan);
    if (g->precision == GAL_IN_BF16 && plan.half == HALF_NONE)
        gal_note(
            "this processor has no fast products of bfloat16: precision \"bf16\" is computed in float32");
    return GAL_OK;
}

/* ---- a tile ---- */

/* Fills state, features, start and the tangents of the input for rows [from, from + t->rows); columns behind
 * the last row hold copies of it. */
static void begin(const gal_flow_integrate_args *g, const integrate_plan *plan, const integrate_tile *t,
                  const integrate_work *w, int64_t from)
{
    int64_t r = t->values * VL, galaxy = 0;
    memset(w->input, 0, (size_t)((1 + g->d) * t->ld) * sizeof(float));
    memset(w->state + g->d * r, 0, (size_t)r * sizeof(float));
    for (int64_t i = 0; i < r; i++) {
        int64_t row = from + (i < t->rows ? i : t->rows - 1);
        for (int64_t j = 0; j < g->d; j++)
            w->state[j * r + i] = g->theta[row * g->d + j];
        galaxy = g->galaxies > 1 ? (g->first + row) / g->share : 0;
        for (int64_t f = 0; f < g->width; f++)
            w->features[f * r + i] = g->features[galaxy * g->width + f];
    }
    /* d [t; theta] / d theta_j */
    int64_t apart = t->narrow ? t->rows : r;
    for (int64_t j = 0; g->integral && j < g->d; j++)
        for (int64_t i = 0; i < apart; i++)
            w->input[(1 + j) * t->ld + (1 + j) * apart + i] = 1;
    /* The features have no tangents; where all rows have the same, one vec is enough. */
    int alone = g->width == 0 || (galaxy == (g->galaxies > 1 ? (g->first + from) / g->share : 0));
    integrate_tile plain = tile_of(t->rows, g->d, 0);
    int vecs = alone ? 1 : t->values;
    FAST(integrate_layer)(plan, &plan->features, &plain, vecs, NULL, w->features, w->start, 0, NULL);
    for (int64_t o = 0; alone && o < plan->features.out; o++)
        for (int v = 1; v < t->values; v++)
            store(w->start + o * r + v * VL, load(w->start + o * r));
}

/* row[v] = x at the columns that hold rows; tangents stay. */
INLINE void put(const integrate_tile *t, float *row, int v, vec x)
{
    store(row + v * VL, t->narrow ? choose(t->holds, x, load(row)) : x);
}

/* y {count, R}, rows `apart` floats apart, = state + h sum_j weights_j k_j over the first `stages`. */
static void advance(const gal_flow_integrate_args *g, const integrate_tile *t, const integrate_work *w,
                    float h, const double *weights, int stages, int64_t count, float *y, int64_t apart)
{
    int64_t r = t->values * VL;
    for (int64_t j = 0; j < count; j++)
        for (int v = 0; v < t->values; v++) {
            vec sum = splat(0);
            for (int i = 0; i < stages; i++)
                if (weights[i] != 0)
                    sum = fma_(splat((float)weights[i]), load(w->k + (i * (g->d + 1) + j) * r + v * VL), sum);
            put(t, y + j * apart, v, fma_(splat(h), sum, load(w->state + j * r + v * VL)));
        }
}

/* k {d + 1, R} = the velocity at w->input and, where the integral is wanted, its divergence. */
static void evaluate(const gal_flow_integrate_args *g, const integrate_plan *plan, const integrate_tile *t,
                     const integrate_work *w, float *k)
{
    const float *x = w->input;
    int last = g->layers - 1;
    for (int i = 0; i < last; i++) {
        float *y = w->y[i % 2], *start = i ? NULL : w->start;
        int to_half = plan->layer[i + 1].half != NULL;
        FAST(integrate_layer)(plan, &plan->layer[i], t, t->vecs, start, x, y, to_half, w->block);
        x = y;
    }
    const integrate_layer *l = &plan->layer[last];
    int density = g->integral != NULL, whole = density && (t->narrow || l->activation != GAL_IDENTITY);
    int vecs = whole ? t->vecs : t->values;
    FAST(integrate_layer)(plan, l, t, vecs, last ? NULL : w->start, x, w->out, 0, w->block);
    int64_t r = t->values * VL;
    for (int64_t j = 0; j < g->d; j++)
        memcpy(k + j * r, w->out + j * t->ld, (size_t)r * sizeof *k);
    float *trace = k + g->d * r;
    if (!density)
        return;
    if (!whole) {
        FAST(integrate_trace)(l, t, x, trace);
        return;
    }
    int64_t apart = t->narrow ? t->rows : r;
    memset(trace, 0, (size_t)r * sizeof *trace);
    for (int64_t j = 0; j < g->d; j++)
        for (int64_t i = 0; i < apart; i++)
            trace[i] += w->out[j * t->ld + (1 + j) * apart + i];
}

static gal_status carry(const gal_flow_integrate_args *g, const integrate_plan *plan, const integrate_tile *t,
                        const integrate_work *w)
{
    const gal_runge_kutta *m = &g->method;
    int64_t r = t->values * VL, parts = g->integral ? g->d + 1 : g->d;
    integrate_tile all = *t;
    all.narrow = 0; /* the state has no tangents beside it */
    for (int64_t s = 0; s < g->steps; s++) {
        double h = g->times[s + 1] - g->times[s];
        for (int i = 0; i < m->stages; i++) {
            if (gal_interrupted())
                return gal_fail(GAL_INTERRUPTED, "interrupted");
            vec instant = splat((float)(g->times[s] + m->c[i] * h));
            for (int v = 0; v < t->values; v++)
                put(t, w->input, v, instant);
            advance(g, t, w, (float)h, m->a[i], i, g->d, w->input + t->ld, t->ld);
            evaluate(g, plan, t, w, w->k + i * (g->d + 1) * r);
        }
        advance(g, &all, w, (float)h, m->b, m->stages, parts, w->state, r);
    }
    return GAL_OK;
}

static gal_status run(const gal_lane *lane, const void *args)
{
    const gal_flow_integrate_args *g = args;
    integrate_plan *plan = gal_cpu_scratch();
    if (lane->index >= plan->lanes)
        return GAL_OK; /* no memory for it: the others take its rows */
    pieces p = {plan->work + (size_t)lane->index * plan->work_bytes, 0};
    integrate_work w = work_of(g, plan, &p);
    gal_status status = GAL_OK;
    FAST(half_begin)(plan->half);
    for (;;) {
        int64_t from = atomic_fetch_add(&plan->next, plan->most);
        if (from >= g->rows || status != GAL_OK)
            break;
        int64_t rows = g->rows - from < plan->most ? g->rows - from : plan->most;
        integrate_tile t = tile_of(rows, g->d, g->integral != NULL);
        t.row_of = w.row_of;
        for (int64_t i = 0; t.narrow && i < t.ld; i++)
            w.row_of[i / VL][i % VL] = (int32_t)(i % rows);
        begin(g, plan, &t, &w, from);
        status = carry(g, plan, &t, &w);
        int64_t r = t.values * VL;
        for (int64_t i = 0; status == GAL_OK && i < rows; i++) {
            for (int64_t j = 0; j < g->d; j++)
                g->theta[(from + i) * g->d + j] = w.state[j * r + i];
            if (g->integral)
                g->integral[from + i] = w.state[g->d * r + i];
        }
    }
    FAST(half_end)(plan->half);
    return status;
}

void FAST(integrate)(gal_cpu_kernels *table)
{
    table->flow_integrate_prepare = prepare;
    table->flow_integrate = run;
}
