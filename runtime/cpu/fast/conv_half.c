/* conv_half.c: the forward of conv_half.h, and what both directions share: the plan, packed weights, rounded
 * rows of x. */
#include "conv_half.h"
#include "cpu/bf16.h"

/* Pixels, about, whose sums {pixels, PAIR} stay in the first-level cache until they are used. */
enum { STRIP = 256 };

/* Returns *at and moves it on by `floats`, rounded up to whole cache lines. */
static int64_t take(int64_t *at, int64_t floats)
{
    int64_t from = *at;
    *at += (floats + 15) / 16 * 16;
    return from;
}

half_plan FAST(conv_half_plan)(const gal_conv_args *g, int backward)
{
    half_plan p = {.bands = make_plan(g, backward)};
    int64_t rows = p.bands.x_rows, blocks_of_c = (g->c + SQUARE - 1) / SQUARE;
    p.groups = (g->out + PAIR - 1) / PAIR;
    p.pitch = (g->zw + g->kw) / 2 * 2;
    p.blocks = (g->kw * g->c + TERMS - 1) / TERMS;
    p.pixels = (p.bands.band_rows * p.pitch + TERMS - 1) / TERMS * TERMS;
    p.strip = g->pool * most(1, STRIP / (g->pool * p.pitch));
    /* An odd number of cache lines, so that the 16 rows of a square lie in different sets of the cache. */
    p.plane = ((p.pixels + g->kh * p.pitch + g->kw + 3 * TERMS) / 32 | 1) * 32;
    p.tiles = g->kh * g->kw * blocks_of_c;
    p.in_groups = (g->c + PAIR - 1) / PAIR;
    p.in_pitch = p.bands.d_columns;
    p.in_blocks = g->kw * p.groups * (PAIR / TERMS);
    p.in_strip = most(1, STRIP / p.in_pitch);
    int64_t at = 0, lane = 0,
            strip = most(p.strip * p.pitch, backward && g->dx ? p.in_strip * p.in_pitch : 0) + SQUARE;
    p.weights = take(&at, p.groups * g->kh * p.blocks * HALF_TILE);
    p.bias = take(&at, p.groups * PAIR);
    p.flipped = take(&at, backward && g->dx ? p.in_groups * g->kh * p.in_blocks * HALF_TILE : 0);
    p.sums_size = p.groups * (p.tiles * SQUARE + 1) * PAIR;
    p.sum_groups = sum_groups_of(p.bands.units, p.sums_size);
    p.sums = take(&at, backward && (g->dw || g->db) ? p.sum_groups * p.sums_size : 0);
    take(&lane, (rows * p.pitch * g->c + (2 * TERMS + g->kw) * g->c + 2 * TERMS) / 2 + 16);
    p.lane_z = take(&lane, strip * PAIR);
    if (backward) {
        p.lane_line = take(&lane, g->zw * PAIR);
        p.lane_rows = take(
            &lane, g->dx ? ((p.bands.d_rows * p.in_pitch + SQUARE + g->kw) * p.groups * PAIR) / 2 + 16 : 0);
        p.lane_pairs = take(&lane, g->dw ? p.groups * p.pixels * PAIR / 2 : 0);
        p.lane_plane = take(&lane, g->dw ? blocks_of_c * SQUARE * p.plane / 2 : 0);
    }
    p.lane_size = (lane + 1023) / 1024 * 1024;
    p.lanes = (at + 1023) / 1024 * 1024;
    p.total = p.lanes + p.lane_size * gal_threads(0);
    return p;
}

/* Lanes share outputs: weights {groups, kh, blocks, 2, TERMS / 2, SQUARE, 2}, zeros behind the window's row
 * and the last output; bias {groups, PAIR}. */
static gal_status pack(const gal_lane *lane, const void *args)
{
    const gal_conv_args *g = args;
    const half_plan p = FAST(conv_half_plan)(g, 0);
    float *scratch = gal_cpu_scratch();
    uint16_t *weights = (uint16_t *)(scratch + p.weights);
    int64_t terms = g->kw * g->c, from, to;
    gal_share(lane, p.groups * PAIR, SQUARE, &from, &to);
    for (int64_t o = from; o < to; o++) {
        scratch[p.bias + o] = g->bias && o < g->out ? g->bias[o] : 0;
        for (int64_t ky = 0; ky < g->kh; ky++) {
            const float *w = g->weight + (o * g->kh + ky) * terms;
            uint16_t *row = weights + (o / PAIR * g->kh + ky) * p.blocks * 2 * HALF_TILE +
                            o % PAIR / SQUARE * HALF_TILE + o % SQUARE * 2;
            for (int64_t t = 0; t < p.blocks * TERMS; t++)
                row[t / TERMS * 2 * HALF_TILE + t % TERMS / 2 * PAIR + t % 2] =
                    o < g->out && t < terms ? gal_to_bf16(w[t]) : 0;
        }
    }
    return GAL_OK;
}

gal_status FAST(conv_half_pack)(const gal_conv_args *g)
{
    return gal_cpu_run(&(gal_cpu_stage){pack, g, 4 * g->out * g->kh * g->kw * g->c});
}

static gal_status prepare(const gal_lane *lane, const void *args)
{
    const gal_conv_args *g = args;
    const half_plan p = FAST(conv_half_plan)(g, 0);
    (void)lane;
    gal_status status = gal_cpu_scratch_grow((size_t)p.total * sizeof(float));
    return status == GAL_OK ? FAST(conv_half_pack)(g) : status;
}

void FAST(conv_half_rows)(const gal_conv_args *g, const half_plan *p, uint16_t *x16, const float *x,
                          int64_t row, int64_t rows)
{
    int64_t width = p->pitch * g->c, left = least(g->left, p->pitch), middle = least(g->w, p->pitch - left);
    for (int64_t i = 0; i < rows; i++, row++, x16 += width) {
        if (row < 0 || row >= g->h) {
            memset(x16, 0, (size_t)width * 2);
            continue;
        }
        memset(x16, 0, (size_t)(left * g->c) * 2);
        FAST(half_round)(x16 + left * g->c, x + row * g->w * g->c, middle * g->c);
        memset(x16 + (left + middle) * g->c, 0, (size_t)(width - (left + middle) * g->c) * 2);
    }
    memset(x16, 0, (size_t)((2 * TERMS + g->kw) * g->c + 2 * TERMS) * 2);
}

void FAST(conv_half_z)(half_way way, const gal_conv_args *g, const half_plan *p, const uint16_t *x16,
                       float *z, int64_t pixels, int64_t group)
{
    const float *scratch = gal_cpu_scratch();
    const float *bias = scratch + p->bias + group * PAIR;
    const uint16_t *all = (const uint16_t *)(scratch + p->weights),
                   *weights = all + group * g->kh * p->blocks * 2 * HALF_TILE;
    flat_sums(way, x16, g->c, p->pitch * g->c, g->kh, p->blocks, weights, bias, z, pixels,
              squares_of(g->out, group));
}

/* Lanes share bands of images. */
static gal_status forward(const gal_lane *lane, const void *args)
{
    const gal_conv_args *g = args;
    const half_way way = FAST(half)();
    const half_plan p = FAST(conv_half_plan)(g, 0);
    float *mine = (float *)gal_cpu_scratch() + p.lanes + lane->index * p.lane_size, *z = mine + p.lane_z;
    uint16_t *x16 = (uint16_t *)mine;
    int64_t from, to, yh = g->zh / g->pool, yw = g->zw / g->pool;
    gal_share(lane, p.bands.units, 1, &from, &to);
    FAST(half_begin)(way);
    for (int64_t u = from; u < to && !gal_stopped(gal_conv_work(g)); u++) {
        int64_t n = u / p.bands.bands, row = u % p.bands.bands * p.bands.band_rows,
                end = least(yh * g->pool, row + p.bands.band_rows);
        if (row >= end)
            continue;
        FAST(conv_half_rows)(g, &p, x16, g->x + n * g->h * g->w * g->c, row - g->top, end - row + g->kh - 1);
        for (int64_t group = 0; group < p.groups; group++)
            for (int64_t strip = row; strip < end; strip += p.strip) {
                int64_t rows = least(p.strip, end - strip), first = group * PAIR;
                FAST(conv_half_z)(way, g, &p, x16 + (strip - row) * p.pitch * g->c, z, rows * p.pitch, group);
                for (int64_t r = 0; r < rows; r += g->pool) {
                    const float *sums = z + r * p.pitch * PAIR;
                    float *y = g->y + (n * yh + (strip + r) / g->pool) * yw * g->out + first, *slope = NULL;
                    if (g->slope)
                        slope = g->slope + (n * g->zh + strip + r) * g->zw * g->out + first;
                    FAST(pool_row)(g, sums, PAIR, p.pitch, y, slope, least(PAIR, g->out - first));
                }
            }
    }
    FAST(half_end)(way);
    return gal_stopped(gal_conv_work(g)) ? GAL_STOP : GAL_OK;
}

const conv_way FAST(conv_half) = {prepare, forward, NULL};
