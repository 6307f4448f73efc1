/* conv_winograd.h: 3 x 3 convolutions of stride 1 by Winograd's minimal filtering F(2 x 2, 3 x 3) (Lavin &
 * Gray 2016, section 4.1). A tile of 2 x 2 pixels of z takes 16 multiplications a pair of channels instead of
 * 36, in 16 products of small matrices, one for each place of the transformed 4 x 4 tile:
 *
 *   z tile  = A' (sum over c of (G w G') * (B' x B)) A
 *   dw      = G' (sum over tiles of (B' x B) * (A dz A')) G
 *   dx tile = B ((G w G') * (A dz A')) B'
 *
 * with ' for the transpose and * elementwise; dx tiles overlap and are added up. The transforms cost about 15
 * % of what the products save. Errors stay of the size of the direct sum's, relative to the largest terms
 * among the tile's 4 x 4 pixels rather than the window's 3 x 3 (tests/bench/w2.md). */
#ifndef GAL_CONV_WINOGRAD_H
#define GAL_CONV_WINOGRAD_H
#include "conv.h"

enum { PLACES = 16 };

/* An image is worked on in chunks, some whole rows of tiles each, whose transformed tiles stay in the cache.
 * Offsets are in floats. */
typedef struct winograd_plan {
    grouping out, in;
    int64_t rows, columns; /* of tiles of an image */
    int64_t chunk, chunks; /* rows of tiles of a chunk; chunks of an image */
    int64_t tiles;         /* chunk * columns */
    int64_t channels;      /* c, rounded up to a vec */
    /* From one place to the next in transformed x {16, tiles, channels}, z or dz {16, tiles, width}, dx {16,
     * tiles, width}. */
    int64_t x_plane, z_plane, e_plane;
    int64_t weights, bias, sums, sum_groups, sums_size, lanes, lane_size, lane_z, lane_e, total;
} winograd_plan;

/* A cache line more than needed: the distance is then no power of two, for which the 16 places would share
 * the sets of the cache. */
INLINE int64_t plane(int64_t floats)
{
    return (floats + 15) / 16 * 16 + 16;
}

static inline winograd_plan make_winograd_plan(const gal_conv_args *g, int backward)
{
    winograd_plan p = {
        .out = groups_of(g->out), .in = groups_of(g->c), .rows = (g->zh + 1) / 2, .columns = (g->zw + 1) / 2};
    p.chunk = least(p.rows, most(1, 64 / p.columns));
    p.chunks = (p.rows + p.chunk - 1) / p.chunk;
    p.tiles = p.chunk * p.columns;
    p.channels = (g->c + VL - 1) / VL * VL;
    p.x_plane = plane(p.tiles * p.channels);
    p.z_plane = plane(p.tiles * p.out.width);
    p.e_plane = plane(p.tiles * p.in.width);
    int64_t weights = PLACES * (backward ? p.in.count * p.in.width : g->c) * p.out.count * p.out.width;
    p.bias = p.weights + weights;
    p.sums = p.bias + p.out.count * p.out.width;
    p.sums_size = PLACES * p.out.count * g->c * p.out.width + p.out.count * p.out.width;
    p.sum_groups = sum_groups_of(g->n, p.sums_size);
    p.lanes = p.sums + (backward && (g->dw || g->db) ? p.sum_groups * p.sums_size : 0);
    p.lane_z = PLACES * p.x_plane;
    p.lane_e = p.lane_z + PLACES * p.z_plane * (backward ? p.out.count : 1);
    p.lane_size = p.lane_e + (backward ? PLACES * p.e_plane : 0);
    p.total = p.lanes + p.lane_size * gal_threads(0);
    return p;
}

/* y = B' d of one column of x. */
INLINE void transform_input(vec y[4], vec d0, vec d1, vec d2, vec d3)
{
    y[0] = d0 - d2;
    y[1] = d1 + d2;
    y[2] = d2 - d1;
    y[3] = d1 - d3;
}

/* y = B' d of column `column` of four rows of x, n channels from `first` on; rows that are NULL and columns
 * outside the image are zeros. */
INLINE void input_column(vec y[4], const float *const rows[4], int64_t column, int64_t w, int64_t c,
                         int64_t first, int64_t n)
{
    vec d[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        d[i] = splat(0);
        if (!rows[i] || column < 0 || column >= w)
            continue;
        const float *from = rows[i] + column * c + first;
        d[i] = load_up_to(from, n);
    }
    transform_input(y, d[0], d[1], d[2], d[3]);
}

/* to {16, tiles, channels} = B' x B of rows of tiles [row, row + count) of one image x {h, w, c}. */
static inline void input_tiles(const gal_conv_args *g, const winograd_plan *p, const float *x, int64_t row,
                               int64_t count, float *to)
{
    for (int64_t r = 0; r < count; r++)
        for (int64_t first = 0; first < g->c; first += VL) {
            const float *rows[4];
            for (int i = 0; i < 4; i++) {
                int64_t at = 2 * (row + r) - g->top + i;
                rows[i] = at >= 0 && at < g->h ? x + at * g->w * g->c : NULL;
            }
            int64_t n = least(VL, g->c - first);
            vec t[4][4]; /* columns, transformed down: the last two are the next tile's first */
            input_column(t[0], rows, -g->left, g->w, g->c, first, n);
            input_column(t[1], rows, 1 - g->left, g->w, g->c, first, n);
            for (int64_t column = 0; column < p->columns; column++) {
                input_column(t[2], rows, 2 * column + 2 - g->left, g->w, g->c, first, n);
                input_column(t[3], rows, 2 * column + 3 - g->left, g->w, g->c, first, n);
                float *at = to + (r * p->columns + column) * p->channels + first;
#pragma GCC unroll 4
                for (int i = 0; i < 4; i++) {
                    vec y[4];
                    transform_input(y, t[0][i], t[1][i], t[2][i], t[3][i]);
#pragma GCC unroll 4
                    for (int j = 0; j < 4; j++)
                        store(at + (4 * i + j) * p->x_plane, y[j]);
                }
#pragma GCC unroll 4
                for (int i = 0; i < 4; i++)
                    t[0][i] = t[2][i], t[1][i] = t[3][i];
            }
        }
}

/* u {16} = G w G' of w {3, 3}, w's elements `step` apart. */
INLINE void transform_weights(float *u, const float *w, int64_t step)
{
    float t[4][3];
    for (int k = 0; k < 3; k++) {
        float a = w[k * step], b = w[(3 + k) * step], c = w[(6 + k) * step];
        t[0][k] = a;
        t[1][k] = 0.5f * (a + b + c);
        t[2][k] = 0.5f * (a - b + c);
        t[3][k] = c;
    }
    for (int i = 0; i < 4; i++) {
        float a = t[i][0], b = t[i][1], c = t[i][2];
        u[4 * i] = a;
        u[4 * i + 1] = 0.5f * (a + b + c);
        u[4 * i + 2] = 0.5f * (a - b + c);
        u[4 * i + 3] = c;
    }
}

#endif
