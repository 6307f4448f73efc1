/* conv.h: what all convolutions share: the sums that they are made of (conv_tile.c), what is done with a row
 * of z (conv_row.c), bands of images, packed weights, and how conv.c calls each way to convolve.
 *
 * Row ky of a window covers kw * c consecutive floats of an image {h, w, c}. So a convolution is kh products
 * whose left factor has a row for each pixel, rows that overlap; and all three sums of a step (z, dx from dz,
 * dw) are of one form. */
#ifndef GAL_CONV_H
#define GAL_CONV_H
#include "cpu/cpu.h"
#include "cpu/bf16.h"
#include "cpu/scratch.h"
#include "half.h"
#include "vec.h"

#define WIDE (2 * VL)

/* One direction of one way to convolve: prepare on the calling thread, then the lanes, then, of a backward,
 * finish by the lanes. conv.c says which runs when. */
typedef struct conv_way {
    gal_kernel *prepare, *lanes, *finish;
} conv_way;
extern const conv_way FAST(conv_direct), FAST(conv_direct_backward);
extern const conv_way FAST(conv_winograd), FAST(conv_winograd_backward);
extern const conv_way FAST(conv_half), FAST(conv_half_backward);

/* How many multiply-adds a forward has, for gal_stopped. */
static inline double gal_conv_work(const gal_conv_args *g)
{
    return (double)g->n * (double)(g->zh * g->zw * g->out) * (double)(g->kh * g->kw * g->c);
}

/* For rows i and columns j < v VL, the sum over parts p, segments s and steps k
 *
 *   c[i][j] = bias[j] + sum of A(p, s, i, k) B(p, s, k, j), or c[i][j] += the sum.
 *
 * A(p, s, i, k) is a[p a_part + s a_segment + i a_row + k a_step]; rows may overlap. B is packed: B(p, s, k,
 * j) is b[(p segments + s) b_segment + k v VL + j]. The forward has one part; a segment is a row of the
 * window, a step one of that row's kw c floats. Of dx a part is a group of dz's channels. */
typedef struct factors {
    const float *a, *b, *bias; /* bias: {v VL}, or NULL: 0 */
    float *c;
    int64_t a_part, a_segment, a_row, a_step, b_segment, c_row, parts, segments, steps;
    int64_t columns; /* of c that there are: those behind are not written */
} factors;

/* Any number of rows, v 1 or 2. pixels_strip: a row is a pixel and a step the next float (a_step is 1): c =
 * bias + sum. taps_strip: a row is the next float and a step the next pixel (a_row is 1): c += sum, all v VL
 * columns. The bits of a sum depend on nothing beside it. */
void FAST(pixels_strip)(const factors *f, int64_t rows, int v);
void FAST(taps_strip)(const factors *f, int64_t rows, int v);

/* One row of y {zw / pool, out}, `outputs` channels of it = means of f(z). z {pool, pitch, width}: pool rows
 * of z, of which zw columns count. slope {pool, zw, out} = f'(z), or NULL. */
void FAST(pool_row)(const gal_conv_args *g, const float *z, int64_t width, int64_t pitch, float *y,
                    float *slope, int64_t outputs);
/* One row of dz {zw, width} = f'(z) dy / pool^2, `outputs` channels of it and zeros behind them. f'(z) is
 * slope {zw, out}; where that is NULL it is computed from z {zw, width}. dy {zw / pool, out}. */
void FAST(dz_row)(const gal_conv_args *g, float *dz, int64_t width, const float *slope, const float *z,
                  const float *dy, int64_t outputs);

/* The sum of a vec over a line of pixels `width` floats apart, in four chains. */
INLINE vec line_sum(const float *line, int64_t columns, int64_t width)
{
    vec chain[4] = {splat(0), splat(0), splat(0), splat(0)};
    for (int64_t i = 0; i < columns; i++)
        chain[i % 4] += load(line + i * width);
    return (chain[0] + chain[1]) + (chain[2] + chain[3]);
}

/* The larger and the smaller of two. */
INLINE int64_t most(int64_t a, int64_t b)
{
    return a > b ? a : b;
}
INLINE int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}
/* floor(a / b), b > 0. */
INLINE int64_t below(int64_t a, int64_t b)
{
    return a >= 0 ? a / b : -((b - 1 - a) / b);
}

/* Channels in groups of `width`, two vecs, the last one padded with zeros; or one vec, where two would leave
 * more than a fifth of the channels' number idle in the last group. */
typedef struct grouping {
    int64_t count, width;
    int vecs;
} grouping;

INLINE grouping groups_of(int64_t channels)
{
    int64_t idle = (channels + WIDE - 1) / WIDE * WIDE - channels;
    int vecs = idle >= VL && 5 * idle > channels ? 1 : 2;
    return (grouping){(channels + vecs * VL - 1) / (vecs * VL), vecs * VL, vecs};
}

/* dw is summed in parts, each by one lane, and the parts in order: so its bits do not depend on the lanes.
 * How many parts: 16; fewer where they would take more than 64 MiB together, but 4; at most one a unit.
 * floats: of one part. */
INLINE int64_t sum_groups_of(int64_t units, int64_t floats)
{
    return least(units, most(4, least(16, (16 << 20) / floats)));
}

/* x {n} = x rounded to bfloat16. */
INLINE void round_factors(float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        x[i] = gal_as_bf16(x[i]);
}

/* ---- the plan of direct convolutions: bands of rows that stay in the second-level cache, and where in the
 * scratch block everything lies, in floats from its start ---- */
typedef struct conv_plan {
    int64_t bands, band_rows;       /* of z; a multiple of pool */
    int64_t units;                  /* images x bands */
    int64_t x_rows, x_columns;      /* of a band's padded copy of x, at most */
    grouping out, in;               /* of z's channels and of x's */
    int64_t taps;                   /* kh kw c */
    int64_t before, after;          /* columns of zeros around dz */
    int64_t d_rows, d_columns;      /* of a band's dz with the zeros around it, at most */
    int64_t sum_groups, sums_size;  /* parts that dw is summed in; floats of each */
    int64_t weights, bias, flipped; /* packed weights, padded bias, weights packed for dx */
    int64_t sums; /* {sum_groups, sums_size}: dw {out groups, taps, width}, then db {out groups, width} */
    int64_t lanes, lane_size; /* {threads, lane_size}: x, then z, then dz */
    int64_t lane_z, lane_dz, total;
    int rounds; /* whether x, w and dz are rounded to bfloat16 in products */
} conv_plan;

/* One band of an image: its rows of z, [row, end); the rows of dx that it writes; the rows of dz that those
 * need, some of them outside z. */
typedef struct conv_band {
    int64_t row, end, dx_row, dx_end, d_row, d_end;
} conv_band;

static inline conv_band band_of(const gal_conv_args *g, const conv_plan *p, int64_t band)
{
    conv_band b = {.row = band * p->band_rows};
    b.end = least(g->zh, b.row + p->band_rows);
    b.d_row = b.row, b.d_end = b.end;
    if (g->dx) {
        b.dx_row = band == 0 ? 0 : least(g->h, b.row * g->stride);
        b.dx_end = band == p->bands - 1 ? g->h : least(g->h, b.end * g->stride);
        b.d_row = least(b.row, below(b.dx_row + g->top - (g->kh - 1), g->stride));
        b.d_end = most(b.end, below(b.dx_end - 1 + g->top, g->stride) + 1);
    }
    return b;
}

static inline conv_plan make_plan(const gal_conv_args *g, int backward)
{
    conv_plan p = {.x_columns = (g->zw - 1) * g->stride + g->kw,
                   .out = groups_of(g->out),
                   .in = groups_of(g->c),
                   .taps = g->kh * g->kw * g->c,
                   .rounds = g->precision == GAL_IN_BF16 && FAST(half)() != HALF_NONE};
    p.before = g->dx ? most(0, -below(g->left - (g->kw - 1), g->stride)) : 0;
    p.after = g->dx ? most(0, below(g->w - 1 + g->left, g->stride) - (g->zw - 1)) : 0;
    p.d_columns = p.before + g->zw + p.after;
    /* Bands depend on the shape alone, as the bits of dw do on them. Sizes: tests/bench/w2.md. */
    int64_t row = g->stride * p.x_columns * g->c + (backward ? g->zw * p.out.count * p.out.width : 0);
    p.band_rows = least(backward ? 64 : 32, (backward ? 131072 : 65536) / row);
    p.band_rows = most(1, p.band_rows / g->pool) * g->pool;
    p.bands = (g->zh + p.band_rows - 1) / p.band_rows;
    p.units = g->n * p.bands;
    for (int64_t i = 0; i < p.bands; i++) {
        conv_band b = band_of(g, &p, i);
        p.d_rows = most(p.d_rows, b.d_end - b.d_row);
    }
    p.x_rows = ((backward ? p.d_rows : p.band_rows) - 1) * g->stride + g->kh;
    p.bias = p.out.count * p.taps * p.out.width;
    p.flipped = p.bias + p.out.count * p.out.width;
    p.sums = p.flipped +
             (backward && g->dx ? p.in.count * p.in.width * g->kh * g->kw * p.out.count * p.out.width : 0);
    p.sums_size = p.out.count * (p.taps + 1) * p.out.width;
    p.sum_groups = sum_groups_of(p.units, p.sums_size);
    p.lanes = p.sums + (backward && (g->dw || g->db) ? p.sum_groups * p.sums_size : 0);
    p.lane_z = (p.x_rows * p.x_columns * g->c + 63) / 64 * 64;
    p.lane_dz = p.lane_z + g->pool * g->zw * p.out.width;
    p.lane_size = (p.lane_dz + (backward ? p.out.count * p.d_rows * p.d_columns * p.out.width : 0) + 1023) /
                  1024 * 1024;
    p.total = p.lanes + p.lane_size * gal_threads(0);
    return p;
}

/* weights {out groups, kh, kw, c, width}, as products take them, and bias {out groups, width}, zeros beyond
 * the outputs. */
static inline void pack_weights(const gal_conv_args *g, const conv_plan *p, float *scratch)
{
    for (int64_t o = 0; o < p->out.count * p->out.width; o++) {
        float *to = scratch + p->weights + o / p->out.width * p->taps * p->out.width + o % p->out.width;
        for (int64_t k = 0; k < p->taps; k++)
            to[k * p->out.width] = o < g->out ? g->weight[o * p->taps + k] : 0;
        scratch[p->bias + o] = g->bias && o < g->out ? g->bias[o] : 0;
    }
    if (p->rounds)
        round_factors(scratch + p->weights, p->out.count * p->taps * p->out.width);
}

/* Rows [row, row + rows) of image x {h, w, c}, as products take them, with zeros outside the image: copied to
 * `to` {rows, x_columns, c}; or the image itself where nothing is rounded and no window reaches outside.
 * Returns the first row; *distance: floats from one row to the next. */
static inline const float *padded_rows(const gal_conv_args *g, const conv_plan *p, const float *x, float *to,
                                       int64_t row, int64_t rows, int64_t *distance)
{
    if (!p->rounds && row >= 0 && row + rows <= g->h && g->left == 0 && p->x_columns <= g->w) {
        *distance = g->w * g->c;
        return x + row * g->w * g->c;
    }
    int64_t width = p->x_columns * g->c, left = least(g->left, p->x_columns),
            middle = least(g->w, p->x_columns - left);
    *distance = width;
    for (int64_t i = 0; i < rows; i++, row++) {
        float *line = to + i * width;
        int outside = row < 0 || row >= g->h;
        int64_t zeros = outside ? p->x_columns : left;
        memset(line, 0, (size_t)(zeros * g->c) * 4);
        if (outside)
            continue;
        memcpy(line + left * g->c, x + row * g->w * g->c, (size_t)(middle * g->c) * 4);
        memset(line + (left + middle) * g->c, 0, (size_t)(width - (left + middle) * g->c) * 4);
    }
    if (p->rounds)
        round_factors(to, rows * width);
    return to;
}

/* z {zw, width}: one row, one group of outputs, from x: the first of the rows under it, `distance` apart. */
INLINE void z_row(const gal_conv_args *g, const conv_plan *p, const float *scratch, const float *x,
                  int64_t distance, float *z, int64_t group)
{
    const factors f = {.a = x,
                       .a_segment = distance,
                       .a_row = g->stride * g->c,
                       .b = scratch + p->weights + group * p->taps * p->out.width,
                       .b_segment = g->kw * g->c * p->out.width,
                       .bias = scratch + p->bias + group * p->out.width,
                       .c = z,
                       .c_row = p->out.width,
                       .columns = p->out.width,
                       .parts = 1,
                       .segments = g->kh,
                       .steps = g->kw * g->c};
    FAST(pixels_strip)(&f, g->zw, p->out.vecs);
}

#endif
