/* conv_winograd_backward.c: the backward of conv_winograd.h. A lane takes whole images, chunk by chunk from
 * the top: tiles of dx overlap, and each chunk adds to the last rows of the one above. */
#include "conv_winograd.h"

/* Lanes share the inputs: weights {in groups, 16, out groups, out width, in width}. */
static gal_status pack(const gal_lane *lane, const void *args)
{
    const gal_conv_args *g = args;
    const winograd_plan p = make_winograd_plan(g, 1);
    float *scratch = gal_cpu_scratch(), u[PLACES];
    int64_t from, to, outputs = p.out.count * p.out.width;
    gal_share(lane, p.in.count * p.in.width, 1, &from, &to);
    for (int64_t o = 0; o < outputs; o++)
        for (int64_t c = from; c < to; c++) {
            if (o < g->out && c < g->c)
                transform_weights(u, g->weight + o * 9 * g->c + c, g->c);
            else
                memset(u, 0, sizeof u);
            float *at =
                scratch + p.weights + (c / p.in.width * PLACES * outputs + o) * p.in.width + c % p.in.width;
            for (int k = 0; k < PLACES; k++)
                at[k * outputs * p.in.width] = u[k];
        }
    return GAL_OK;
}

static gal_status prepare(const gal_lane *lane, const void *args)
{
    const gal_conv_args *g = args;
    const winograd_plan p = make_winograd_plan(g, 1);
    (void)lane;
    gal_status status = gal_cpu_scratch_grow((size_t)p.total * sizeof(float));
    return status == GAL_OK && g->dx ? gal_cpu_run(&(gal_cpu_stage){pack, g, 20 * g->out * g->c}) : status;
}

/* d[2 r + c] = dz of one tile, `count` outputs from `first` on; 0 where the tile sticks out or no mean took
 * the pixel in. */
INLINE void dz_tile(const gal_conv_args *g, int64_t n, int64_t row, int64_t column, int64_t first,
                    int64_t count, vec d[4])
{
    int64_t yh = g->zh / g->pool, yw = g->zw / g->pool;
#pragma GCC unroll 4
    for (int k = 0; k < 4; k++) {
        int64_t r = 2 * row + k / 2, c = 2 * column + k % 2;
        d[k] = splat(0);
        if (r >= yh * g->pool || c >= yw * g->pool)
            continue;
        const float *dy = g->dy + ((n * yh + r / g->pool) * yw + c / g->pool) * g->out + first;
        const float *slope = g->slope ? g->slope + ((n * g->zh + r) * g->zw + c) * g->out + first : NULL;
        vec v = load_up_to(dy, count);
        if (g->pool == 2)
            v *= 0.25f;
        if (slope)
            v *= load_up_to(slope, count);
        d[k] = v;
    }
}

/* to {out groups, 16, tiles, width} = A dz A' of rows of tiles [row, row + count) of image n; db {out groups,
 * width} += the sums of dz, or NULL. */
static void dz_tiles(const gal_conv_args *g, const winograd_plan *p, int64_t n, int64_t row, int64_t count,
                     float *to, float *db)
{
    int64_t width = p->out.width;
    for (int64_t r = 0; r < count; r++)
        for (int64_t j = 0; j < p->out.count * width; j += VL) {
            int64_t here = most(0, least(VL, g->out - j));
            vec chain = splat(0);
            for (int64_t column = 0; column < p->columns; column++) {
                vec d[4], a[4][2];
                dz_tile(g, n, row + r, column, j, here, d);
                chain += (d[0] + d[1]) + (d[2] + d[3]);
#pragma GCC unroll 2
                for (int k = 0; k < 2; k++) {
                    a[0][k] = d[k];
                    a[1][k] = d[k] + d[2 + k];
                    a[2][k] = d[k] - d[2 + k];
                    a[3][k] = -d[2 + k];
                }
                float *at =
                    to + j / width * PLACES * p->z_plane + (r * p->columns + column) * width + j % width;
#pragma GCC unroll 4
                for (int i = 0; i < 4; i++) {
                    store(at + 4 * i * p->z_plane, a[i][0]);
                    store(at + (4 * i + 1) * p->z_plane, a[i][0] + a[i][1]);
                    store(at + (4 * i + 2) * p->z_plane, a[i][0] - a[i][1]);
                    store(at + (4 * i + 3) * p->z_plane, -a[i][1]);
                }
            }
            if (db)
                store(db + j, load(db + j) + chain);
        }
}

/* sums {16, out groups, c, width} += transformed x times transformed dz, over the tiles. */
static void add_dw(const gal_conv_args *g, const winograd_plan *p, const float *x, const float *dz,
                   int64_t tiles, float *sums)
{
    int64_t width = p->out.width;
    for (int k = 0; k < PLACES; k++)
        for (int64_t group = 0; group < p->out.count; group++) {
            const factors f = {.a = x + k * p->x_plane,
                               .a_step = p->channels,
                               .b = dz + (group * PLACES + k) * p->z_plane,
                               .c = sums + (k * p->out.count + group) * g->c * width,
                               .c_row = width,
                               .parts = 1,
                               .segments = 1,
                               .steps = tiles};
            FAST(taps_strip)(&f, g->c, p->out.vecs);
        }
}

/* y = B d: transform_input is B' d. */
INLINE void transform_back(vec y[4], vec d0, vec d1, vec d2, vec d3)
{
    y[0] = d0;
    y[1] = d1 - d2 + d3;
    y[2] = d1 + d2 - d0;
    y[3] = -d3;
}

/* dx at one pixel, n channels from `first` on, = v or, with add, += v; nothing where the pixel is outside. */
INLINE void give(const gal_conv_args *g, float *dx, int64_t row, int64_t column, int64_t first, int64_t n,
                 vec v, int add)
{
    if (row < 0 || row >= g->h || column < 0 || column >= g->w)
        return;
    float *to = dx + (row * g->w + column) * g->c + first;
    store_up_to(to, add ? load_up_to(to, n) + v : v, n);
}

/* dx of one image += B e B' of rows of tiles [row, row + count), e {16, tiles, width}, one group of inputs,
 * from `first` on. The right two columns of a tile are kept for the next tile, which adds its own; the upper
 * two rows add to what the row of tiles above has written, the lower two are the first to be written. */
static void dx_tiles(const gal_conv_args *g, const winograd_plan *p, const float *e, int64_t row,
                     int64_t count, int64_t first, float *dx)
{
    for (int64_t r = row; r < row + count; r++)
        for (int64_t j = 0; j < least(p->in.width, g->c - first); j += VL) {
            int64_t n = least(VL, g->c - first - j), top = 2 * r - g->top;
            vec kept[4][2];
            for (int64_t column = 0; column < p->columns; column++) {
                const float *at = e + ((r - row) * p->columns + column) * p->in.width + j;
                vec down[4][4]; /* column, row */
                int64_t left = 2 * column - g->left;
#pragma GCC unroll 4
                for (int k = 0; k < 4; k++)
                    transform_back(down[k], load(at + k * p->e_plane), load(at + (4 + k) * p->e_plane),
                                   load(at + (8 + k) * p->e_plane), load(at + (12 + k) * p->e_plane));
#pragma GCC unroll 4
                for (int i = 0; i < 4; i++) {
                    vec y[4];
                    transform_back(y, down[0][i], down[1][i], down[2][i], down[3][i]);
                    int add = i < 2 && r > 0;
                    give(g, dx, top + i, left, first + j, n, column ? y[0] + kept[i][0] : y[0], add);
                    give(g, dx, top + i, left + 1, first + j, n, column ? y[1] + kept[i][1] : y[1], add);
                    kept[i][0] = y[2];
                    kept[i][1] = y[3];
                }
            }
            for (int i = 0; i < 4; i++)
                for (int k = 0; k < 2; k++)
                    give(g, dx, top + i, 2 * p->columns - g->left + k, first + j, n, kept[i][k],
                         i < 2 && r > 0);
        }
}

static void make_dx(const gal_conv_args *g, const winograd_plan *p, const float *dz, float *e, int64_t row,
                    int64_t count, float *dx)
{
    const float *weights = (const float *)gal_cpu_scratch() + p->weights;
    int64_t outputs = p->out.count * p->out.width;
    for (int64_t group = 0; group < p->in.count; group++) {
        for (int k = 0; k < PLACES; k++) {
            const factors f = {.a = dz + k * p->z_plane,
                               .a_part = PLACES * p->z_plane,
                               .a_row = p->out.width,
                               .b = weights + (group * PLACES + k) * outputs * p->in.width,
                               .b_segment = p->out.width * p->in.width,
                               .c = e + k * p->e_plane,
                               .c_row = p->in.width,
                               .columns = p->in.width,
                               .parts = p->out.count,
                               .segments = 1,
                               .steps = p->out.width};
            FAST(pixels_strip)(&f, count * p->columns, p->in.vecs);
        }
        dx_tiles(g, p, e, row, count, group * p->in.width, dx);
    }
}

/* Lanes share the parts that dw is summed in, some images each; where neither dw nor db is wanted, single
 * images. */
static gal_status backward(const gal_lane *lane, const void *args)
{
    const gal_conv_args *g = args;
    const winograd_plan p = make_winograd_plan(g, 1);
    float *scratch = gal_cpu_scratch(), *x = scratch + p.lanes + lane->index * p.lane_size,
          *dz = x + p.lane_z, *e = x + p.lane_e;
    int summing = g->dw || g->db;
    int64_t groups = summing ? p.sum_groups : g->n, from, to;
    gal_share(lane, groups, 1, &from, &to);
    for (int64_t group = from; group < to; group++) {
        float *sums = summing ? scratch + p.sums + group * p.sums_size : NULL;
        if (summing)
            memset(sums, 0, (size_t)p.sums_size * 4);
        for (int64_t n = g->n * group / groups; n < g->n * (group + 1) / groups; n++)
            for (int64_t row = 0; row < p.rows; row += p.chunk) {
                if (gal_stopped(gal_conv_work(g)))
                    return GAL_STOP;
                int64_t count = least(p.chunk, p.rows - row);
                dz_tiles(g, &p, n, row, count, dz,
                         summing ? sums + PLACES * p.out.count * g->c * p.out.width : NULL);
                if (g->dw) {
                    input_tiles(g, &p, g->x + n * g->h * g->w * g->c, row, count, x);
                    add_dw(g, &p, x, dz, count * p.columns, sums);
                }
                if (g->dx)
                    make_dx(g, &p, dz, e, row, count, g->dx + n * g->h * g->w * g->c);
            }
    }
    return GAL_OK;
}

/* db of one group of outputs = the sum of its parts. */
static void finish_db(const gal_conv_args *g, const winograd_plan *p, const float *parts, int64_t group)
{
    for (int64_t o = 0; o < least(p->out.width, g->out - group * p->out.width); o++) {
        float sum = 0, *to = g->db + group * p->out.width + o;
        for (int64_t s = 0; s < p->sum_groups; s++)
            sum += parts[s * p->sums_size + group * p->out.width + o];
        *to = (g->accumulate ? *to : 0) + sum;
    }
}

/* dw = G' s G for one group of outputs and n inputs from `first` on; s: the sum of the parts {16, out groups,
 * c, width}.
 */
static void finish_dw(const gal_conv_args *g, const winograd_plan *p, const float *parts, int64_t group,
                      int64_t first, int64_t n)
{
    float taps[9][VL][WIDE];
    int64_t width = p->out.width, step = p->out.count * g->c * width;
    for (int64_t c = 0; c < n; c++)
        for (int64_t j = 0; j < width; j += VL) {
            vec s[PLACES], t[3][4];
            for (int k = 0; k < PLACES; k++) {
                const float *at = parts + k * step + (group * g->c + first + c) * width + j;
                s[k] = load(at);
                for (int64_t i = 1; i < p->sum_groups; i++)
                    s[k] += load(at + i * p->sums_size);
            }
            for (int k = 0; k < 4; k++) {
                t[0][k] = s[k] + 0.5f * (s[4 + k] + s[8 + k]);
                t[1][k] = 0.5f * (s[4 + k] - s[8 + k]);
                t[2][k] = 0.5f * (s[4 + k] + s[8 + k]) + s[12 + k];
            }
            for (int i = 0; i < 3; i++) {
                store(&taps[3 * i][c][j], t[i][0] + 0.5f * (t[i][1] + t[i][2]));
                store(&taps[3 * i + 1][c][j], 0.5f * (t[i][1] - t[i][2]));
                store(&taps[3 * i + 2][c][j], 0.5f * (t[i][1] + t[i][2]) + t[i][3]);
            }
        }
    for (int64_t o = 0; o < least(width, g->out - group * width); o++)
        for (int k = 0; k < 9; k++)
            for (int64_t c = 0; c < n; c++) {
                float *to = g->dw + ((group * width + o) * 9 + k) * g->c + first + c;
                *to = (g->accumulate ? *to : 0) + taps[k][c][o];
            }
}

/* Lanes share blocks: of each group of outputs VL inputs at a time, and last db. */
static gal_status finish(const gal_lane *lane, const void *args)
{
    const gal_conv_args *g = args;
    const winograd_plan p = make_winograd_plan(g, 1);
    const float *parts = (const float *)gal_cpu_scratch() + p.sums;
    int64_t blocks = (g->c + VL - 1) / VL + 1, from, to;
    if (!g->dw && !g->db)
        return GAL_OK;
    gal_share(lane, p.out.count * blocks, 1, &from, &to);
    for (int64_t k = from; k < to; k++) {
        int64_t group = k / blocks, block = k % blocks;
        if (block == blocks - 1 && g->db)
            finish_db(g, &p, parts + PLACES * p.out.count * g->c * p.out.width, group);
        else if (block < blocks - 1 && g->dw)
            finish_dw(g, &p, parts, group, block * VL, least(VL, g->c - block * VL));
    }
    return GAL_OK;
}

const conv_way FAST(conv_winograd_backward) = {prepare, backward, finish};
