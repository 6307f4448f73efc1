/* conv_winograd.c: the forward of conv_winograd.h: activation and mean pool are applied to a tile in
 * registers. */
#include "conv_winograd.h"
#include "activate.h"

/* Lanes share the inputs: weights {16, out groups, c, width}, bias {out groups, width}. */
static gal_status pack(const gal_lane *lane, const void *args)
{
    const gal_conv_args *g = args;
    const winograd_plan p = make_winograd_plan(g, 0);
    float *scratch = gal_cpu_scratch(), u[PLACES];
    int64_t from, to, outputs = p.out.count * p.out.width;
    gal_share(lane, g->c, 1, &from, &to);
    for (int64_t c = from; c < to; c++)
        for (int64_t o = 0; o < outputs; o++) {
            if (o < g->out)
                transform_weights(u, g->weight + o * 9 * g->c + c, g->c);
            else
                memset(u, 0, sizeof u);
            float *at = scratch + p.weights + (o / p.out.width * g->c + c) * p.out.width + o % p.out.width;
            for (int k = 0; k < PLACES; k++)
                at[k * g->c * outputs] = u[k];
        }
    for (int64_t o = 0; o < outputs && lane->index == 0; o++)
        scratch[p.bias + o] = g->bias && o < g->out ? g->bias[o] : 0;
    return GAL_OK;
}

static gal_status prepare(const gal_lane *lane, const void *args)
{
    const gal_conv_args *g = args;
    const winograd_plan p = make_winograd_plan(g, 0);
    (void)lane;
    gal_status status = gal_cpu_scratch_grow((size_t)p.total * sizeof(float));
    return status == GAL_OK ? gal_cpu_run(&(gal_cpu_stage){pack, g, 20 * g->out * g->c}) : status;
}

/* Where one tile's results go: y of the tile (pool 2) or of its first pixel (pool 1), slope at its first
 * pixel; and how many of its rows and columns are inside z. */
typedef struct place {
    float *y, *slope;
    int64_t rows, columns;
} place;

/* One tile, n <= VL outputs: z = A' m A + bias, then f(z), f'(z) and the mean. m: the first of 16 places,
 * z_plane apart. */
INLINE void output_tile(const int activation, const int pool, const gal_conv_args *g, const winograd_plan *p,
                        const float *m, vec bias, const place *at, int64_t n)
{
    vec s[2][4], z[4], sum = splat(0);
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++) {
        vec m1 = load(m + (4 + j) * p->z_plane), m2 = load(m + (8 + j) * p->z_plane);
        s[0][j] = load(m + j * p->z_plane) + m1 + m2;
        s[1][j] = m1 - m2 - load(m + (12 + j) * p->z_plane);
    }
#pragma GCC unroll 2
    for (int i = 0; i < 2; i++) {
        z[2 * i] = s[i][0] + s[i][1] + s[i][2] + bias;
        z[2 * i + 1] = s[i][1] - s[i][2] - s[i][3] + bias;
    }
#pragma GCC unroll 4
    for (int k = 0; k < 4; k++) {
        vec d, f = activate(activation, z[k], &d);
        int64_t offset = (k / 2 * g->zw + k % 2) * g->out;
        if (k / 2 >= at->rows || k % 2 >= at->columns)
            continue;
        if (at->slope)
            store_up_to(at->slope + offset, d, n);
        if (pool == 1)
            store_up_to(at->y + offset, f, n);
        sum += f;
    }
    if (pool == 2)
        store_up_to(at->y, sum * 0.25f, n);
}

/* One group of outputs of rows of tiles [row, row + count) of image n, from m {16, tiles, width}. With pool 2
 * no mean takes in a tile that sticks out, and it is left out. */
INLINE void output_as(const int activation, const int pool, const gal_conv_args *g, const winograd_plan *p,
                      const float *m, int64_t n, int64_t row, int64_t count, int64_t group)
{
    const float *bias = (const float *)gal_cpu_scratch() + p->bias + group * p->out.width;
    int64_t first = group * p->out.width, outputs = least(p->out.width, g->out - first), yh = g->zh / pool,
            yw = g->zw / pool;
    for (int64_t t = 0; t < count * p->columns; t++) {
        int64_t r = row + t / p->columns, c = t % p->columns;
        place at = {.rows = least(2, g->zh - 2 * r), .columns = least(2, g->zw - 2 * c)};
        if (pool == 2 && (at.rows < 2 || at.columns < 2))
            continue;
        at.y = pool == 2 ? g->y + ((n * yh + r) * yw + c) * g->out + first
                         : g->y + ((n * yh + 2 * r) * yw + 2 * c) * g->out + first;
        at.slope = g->slope ? g->slope + ((n * g->zh + 2 * r) * g->zw + 2 * c) * g->out + first : NULL;
        for (int64_t j = 0; j < outputs; j += VL) {
            place here = {at.y + j, at.slope ? at.slope + j : NULL, at.rows, at.columns};
            output_tile(activation, pool, g, p, m + t * p->out.width + j, load(bias + j), &here,
                        least(VL, outputs - j));
        }
    }
}

static void output_tiles(const gal_conv_args *g, const winograd_plan *p, const float *m, int64_t n,
                         int64_t row, int64_t count, int64_t group)
{
    switch (g->activation * 2 + g->pool - 1) {
#define OUTPUT_CASE(NAME, name)                                  \
    case GAL_##NAME * 2:                                         \
        output_as(GAL_##NAME, 1, g, p, m, n, row, count, group); \
        break;                                                   \
    case GAL_##NAME * 2 + 1:                                     \
        output_as(GAL_##NAME, 2, g, p, m, n, row, count, group); \
        break;
        GAL_ACTIVATIONS(OUTPUT_CASE)
    }
}

/* Lanes share chunks of images. */
static gal_status forward(const gal_lane *lane, const void *args)
{
    const gal_conv_args *g = args;
    const winograd_plan p = make_winograd_plan(g, 0);
    float *scratch = gal_cpu_scratch(), *x = scratch + p.lanes + lane->index * p.lane_size, *m = x + p.lane_z;
    int64_t from, to;
    gal_share(lane, g->n * p.chunks, 1, &from, &to);
    for (int64_t u = from; u < to; u++) {
        if (gal_stopped(gal_conv_work(g)))
            return GAL_STOP;
        int64_t n = u / p.chunks, row = u % p.chunks * p.chunk, count = least(p.chunk, p.rows - row);
        input_tiles(g, &p, g->x + n * g->h * g->w * g->c, row, count, x);
        for (int64_t group = 0; group < p.out.count; group++) {
            for (int k = 0; k < PLACES; k++) {
                const factors f = {.a = x + k * p.x_plane,
                                   .a_row = p.channels,
                                   .b = scratch + p.weights + (k * p.out.count + group) * g->c * p.out.width,
                                   .c = m + k * p.z_plane,
                                   .c_row = p.out.width,
                                   .columns = p.out.width,
                                   .parts = 1,
                                   .segments = 1,
                                   .steps = g->c};
                FAST(pixels_strip)(&f, count * p.columns, p.out.vecs);
            }
            output_tiles(g, &p, m, n, row, count, group);
        }
    }
    return GAL_OK;
}

const conv_way FAST(conv_winograd) = {prepare, forward, NULL};
