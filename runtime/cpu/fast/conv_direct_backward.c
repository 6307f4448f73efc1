/* conv_direct_backward.c: the backward of a direct convolution, band by band (conv.h): of each band dz =
 * f'(z) dy is made in the cache, and dw and dx come from it while it is there. */
#include "conv.h"

/* Pixels i of dx with the same i mod stride, the phase, get something from the same taps along one direction:
 * first, first + stride, ..., `count` of them. */
typedef struct phase {
    int64_t first, count;
} phase;

INLINE phase phase_of(int64_t i, int64_t before, int64_t window, int64_t stride)
{
    int64_t first = (i + before) % stride;
    return (phase){first, first < window ? (window - 1 - first) / stride + 1 : 0};
}

/* to, for each phase: weights, as products take them, {in groups, out groups, taps down, taps across, out
 * width, in width}, taps in descending order, so that dx is a convolution of dz. */
static void pack_flipped(const gal_conv_args *g, const conv_plan *p, float *to)
{
    for (int64_t py = 0; py < g->stride; py++)
        for (int64_t px = 0; px < g->stride; px++) {
            phase y = phase_of(py, g->top, g->kh, g->stride), x = phase_of(px, g->left, g->kw, g->stride);
            for (int64_t first = 0; first < p->in.count * p->in.width; first += p->in.width)
                for (int64_t group = 0; group < p->out.count; group++)
                    for (int64_t t = 0; t < y.count * x.count; t++)
                        for (int64_t o = group * p->out.width; o < (group + 1) * p->out.width;
                             o++, to += p->in.width) {
                            int64_t ky = y.first + (y.count - 1 - t / x.count) * g->stride,
                                    kx = x.first + (x.count - 1 - t % x.count) * g->stride;
                            int64_t n = o < g->out ? least(p->in.width, g->c - first) : 0;
                            memset(to, 0, (size_t)p->in.width * 4);
                            if (n > 0)
                                memcpy(to, g->weight + ((o * g->kh + ky) * g->kw + kx) * g->c + first,
                                       (size_t)n * 4);
                            if (p->rounds)
                                round_factors(to, p->in.width);
                        }
        }
}

static gal_status prepare(const gal_lane *lane, const void *args)
{
    const gal_conv_args *g = args;
    const conv_plan p = make_plan(g, 1);
    (void)lane;
    gal_status status = gal_cpu_scratch_grow((size_t)p.total * sizeof(float));
    if (status != GAL_OK)
        return status;
    if (!g->slope && g->activation != GAL_IDENTITY)
        pack_weights(g, &p, gal_cpu_scratch());
    if (g->dx)
        pack_flipped(g, &p, (float *)gal_cpu_scratch() + p.flipped);
    return GAL_OK;
}

/* dz {out groups, d_rows, d_columns, width} = rows [d_row, d_end) of image n with zeros around it. x: the
 * image's rows from those under row x_row of z on. */
static void make_dz(const gal_conv_args *g, const conv_plan *p, const conv_band *b, int64_t n, const float *x,
                    int64_t x_row, int64_t distance, float *z, float *dz)
{
    const float *scratch = gal_cpu_scratch();
    int64_t width = p->out.width, yh = g->zh / g->pool, yw = g->zw / g->pool;
    for (int64_t group = 0; group < p->out.count; group++)
        for (int64_t r = b->d_row; r < b->d_end; r++) {
            float *line = dz + ((group * p->d_rows + r - b->d_row) * p->d_columns) * width;
            int64_t first = group * width;
            if (r < 0 || r >= yh * g->pool) {
                memset(line, 0, (size_t)(p->d_columns * width) * 4);
                continue;
            }
            if (!g->slope && g->activation != GAL_IDENTITY)
                z_row(g, p, scratch, x + (r - x_row) * g->stride * distance, distance, z, group);
            const float *slope = g->slope ? g->slope + (n * g->zh + r) * g->zw * g->out + first : NULL;
            const float *dy = g->dy + (n * yh + r / g->pool) * yw * g->out + first;
            memset(line, 0, (size_t)(p->before * width) * 4);
            FAST(dz_row)(g, line + p->before * width, width, slope, z, dy, least(width, g->out - first));
            memset(line + (p->before + g->zw) * width, 0, (size_t)(p->after * width) * 4);
        }
}

/* sums: dw {out groups, taps, width} += the band's part. About 256 pixels at a time, so that a group's dz
 * stays in the first-level cache for all taps. */
static void add_dw(const gal_conv_args *g, const conv_plan *p, const conv_band *b, const float *x,
                   int64_t x_row, int64_t distance, const float *dz, float *sums)
{
    int64_t width = p->out.width, end = least(b->end, g->zh / g->pool * g->pool),
            chunk = most(1, 256 / g->zw);
    for (int64_t row = b->row; row < end; row += chunk)
        for (int64_t group = 0; group < p->out.count; group++)
            for (int64_t ky = 0; ky < g->kh; ky++) {
                const factors f = {
                    .a = x + ((row - x_row) * g->stride + ky) * distance,
                    .a_segment = g->stride * distance,
                    .a_step = g->stride * g->c,
                    .b = dz + ((group * p->d_rows + row - b->d_row) * p->d_columns + p->before) * width,
                    .b_segment = p->d_columns * width,
                    .c = sums + (group * p->taps + ky * g->kw * g->c) * width,
                    .c_row = width,
                    .parts = 1,
                    .segments = least(chunk, end - row),
                    .steps = g->zw};
                FAST(taps_strip)(&f, g->kw * g->c, p->out.vecs);
            }
}

/* sums: db {out groups, width} += the band's part, the sums of its rows. */
static void add_db(const gal_conv_args *g, const conv_plan *p, const conv_band *b, const float *dz,
                   float *sums)
{
    int64_t width = p->out.width;
    for (int64_t group = 0; group < p->out.count; group++)
        for (int64_t j = 0; j < width; j += VL) {
            vec total = load(sums + group * width + j);
            for (int64_t r = b->row; r < b->end; r++) {
                const float *line =
                    dz + ((group * p->d_rows + r - b->d_row) * p->d_columns + p->before) * width + j;
                total += line_sum(line, g->zw, width);
            }
            store(sums + group * width + j, total);
        }
}

/* The band's rows of dx: for each phase a convolution of dz with the taps that reach it. */
static void make_dx(const gal_conv_args *g, const conv_plan *p, const conv_band *b, int64_t n,
                    const float *dz)
{
    const float *weights = (const float *)gal_cpu_scratch() + p->flipped;
    for (int64_t py = 0; py < g->stride; py++)
        for (int64_t px = 0; px < g->stride; px++) {
            phase y = phase_of(py, g->top, g->kh, g->stride), x = phase_of(px, g->left, g->kw, g->stride);
            int64_t steps = x.count * p->out.width, panel = p->out.count * y.count * steps * p->in.width,
                    pixels = (g->w - px + g->stride - 1) / g->stride;
            int64_t column = (px + g->left - x.first) / g->stride - (x.count - 1) + p->before;
            for (int64_t first = 0; first < g->c; first += p->in.width, weights += panel)
                for (int64_t i = b->dx_row + (py - b->dx_row % g->stride + g->stride) % g->stride;
                     i < b->dx_end && pixels > 0; i += g->stride) {
                    int64_t row = (i + g->top - y.first) / g->stride - (y.count - 1) - b->d_row;
                    const factors f = {.a = dz + (row * p->d_columns + column) * p->out.width,
                                       .a_part = p->d_rows * p->d_columns * p->out.width,
                                       .a_segment = p->d_columns * p->out.width,
                                       .a_row = p->out.width,
                                       .b = weights,
                                       .b_segment = steps * p->in.width,
                                       .c = g->dx + ((n * g->h + i) * g->w + px) * g->c + first,
                                       .c_row = g->stride * g->c,
                                       .columns = least(p->in.width, g->c - first),
                                       .parts = steps ? p->out.count : 0,
                                       .segments = y.count,
                                       .steps = steps};
                    FAST(pixels_strip)(&f, pixels, p->in.vecs);
                }
        }
}

/* Lanes share the parts that dw is summed in, some bands each; where neither dw nor db is wanted, single
 * bands. */
static gal_status backward(const gal_lane *lane, const void *args)
{
    const gal_conv_args *g = args;
    const conv_plan p = make_plan(g, 1);
    float *scratch = gal_cpu_scratch(), *mine = scratch + p.lanes + lane->index * p.lane_size,
          *dz = mine + p.lane_dz;
    int summing = g->dw || g->db;
    int64_t groups = summing ? p.sum_groups : p.units, from, to;
    gal_share(lane, groups, 1, &from, &to);
    for (int64_t group = from; group < to; group++) {
        float *sums = scratch + p.sums + group * p.sums_size;
        if (summing)
            memset(sums, 0, (size_t)p.sums_size * 4);
        for (int64_t u = p.units * group / groups; u < p.units * (group + 1) / groups; u++) {
            if (gal_stopped(gal_conv_work(g)))
                return GAL_STOP;
            int64_t n = u / p.bands, distance = 0;
            conv_band b = band_of(g, &p, u % p.bands);
            int64_t x_row = most(b.d_row, 0), x_end = least(b.d_end, g->zh);
            const float *x = NULL;
            if (g->dw || (!g->slope && g->activation != GAL_IDENTITY))
                x = padded_rows(g, &p, g->x + n * g->h * g->w * g->c, mine, x_row * g->stride - g->top,
                                (x_end - x_row - 1) * g->stride + g->kh, &distance);
            make_dz(g, &p, &b, n, x, x_row, distance, mine + p.lane_z, dz);
            if (g->db)
                add_db(g, &p, &b, dz, sums + p.out.count * p.taps * p.out.width);
            if (p.rounds)
                round_factors(dz, p.out.count * p.d_rows * p.d_columns * p.out.width);
            if (g->dw)
                add_dw(g, &p, &b, x, x_row, distance, dz, sums);
            if (g->dx)
                make_dx(g, &p, &b, n, dz);
        }
    }
    return GAL_OK;
}

/* dw and db are their parts' sums, always in the same order. Lanes share blocks of VL taps of a group of
 * outputs; a last block of each group is db. */
static gal_status finish(const gal_lane *lane, const void *args)
{
    const gal_conv_args *g = args;
    const conv_plan p = make_plan(g, 1);
    if (!g->dw && !g->db)
        return GAL_OK;
    const float *sums = (const float *)gal_cpu_scratch() + p.sums;
    int64_t rows = g->dw ? p.taps : 0, blocks = (rows + VL - 1) / VL + 1, width = p.out.width, from, to;
    gal_share(lane, p.out.count * blocks, 1, &from, &to);
    for (int64_t k = from; k < to; k++) {
        int64_t group = k / blocks, first = k % blocks * VL, n = least(VL, rows - first),
                db = k % blocks == blocks - 1;
        const float *part = sums + (db ? p.out.count * p.taps + group : group * p.taps + first) * width;
        float total[VL * WIDE];
        n = db ? 1 : n;
        if (db && !g->db)
            continue;
        for (int64_t i = 0; i < n * width; i += VL) {
            vec t = load(part + i);
            for (int64_t s = 1; s < p.sum_groups; s++)
                t += load(part + s * p.sums_size + i);
            store(total + i, t);
        }
        for (int64_t o = 0; o < least(width, g->out - group * width); o++)
            for (int64_t i = 0; i < n; i++) {
                float *to_ =
                    db ? g->db + group * width + o : g->dw + (group * width + o) * p.taps + first + i;
                *to_ = (g->accumulate ? *to_ : 0) + total[i * width + o];
            }
    }
    return GAL_OK;
}

const conv_way FAST(conv_direct_backward) = {prepare, backward, finish};
