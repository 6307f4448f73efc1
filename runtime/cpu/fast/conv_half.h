/* conv_half.h: convolutions of stride 1 with products of bfloat16 (half.h): x, weights and dz are rounded
 * when they are copied into the cache; sums, activations and all that is in memory are float32.
 *
 * A band of an image is copied flat: its padded rows one after the other, `pitch` pixels each. Pixel p of z
 * is then a sum over the rows ky of the window, of kw * c consecutive values from pixel p + ky * pitch on,
 * whichever row p is in. So any 16 consecutive pixels make a square of sums; those on the padding between two
 * rows are not used. dx is the same sum over padded dz. dw is a product over pixels: its rows are channels of
 * x, so x is transposed; and pixels of dz are in pairs. */
#ifndef GAL_CONV_HALF_H
#define GAL_CONV_HALF_H
#include "conv.h"
#include "half.h"

/* Outputs (or, for dx, inputs) are taken two squares at a time, a group. */
#define PAIR (2 * SQUARE)

/* Offsets are in floats, each part at the start of a cache line. */
typedef struct half_plan {
    conv_plan bands; /* of it: bands, band_rows, units, d_rows, before, d_columns */
    int64_t groups;  /* of PAIR outputs */
    int64_t pitch;   /* of x and of dz in pairs: pixels of a padded row, an even number */
    int64_t blocks;  /* of TERMS along a row of the window, kw c of them */
    int64_t pixels;  /* of a band of dz, rounded up to a block of TERMS */
    int64_t strip;   /* rows of z that are summed before activation and mean pass over them */
    int64_t plane;   /* from one channel of transposed x to the next */
    int64_t tiles;   /* of dw's rows: SQUARE channels at one tap each */
    /* groups, pitch, blocks, strip of dx, which has kw groups PAIR terms along a row of the window */
    int64_t in_groups, in_pitch, in_blocks, in_strip;
    int64_t weights, bias, flipped, sums, sums_size, sum_groups, lanes, lane_size; /* of the scratch */
    int64_t lane_z, lane_line, lane_rows, lane_pairs, lane_plane;                  /* of a lane; x is first */
    int64_t total;
} half_plan;

half_plan FAST(conv_half_plan)(const gal_conv_args *g, int backward);

/* x16 {rows, pitch, c} = rows [row, row + rows) of image x {h, w, c}, zeros outside it; behind them zeros,
 * which the last square reads. */
void FAST(conv_half_rows)(const gal_conv_args *g, const half_plan *p, uint16_t *x16, const float *x,
                          int64_t row, int64_t rows);
/* z {pixels, PAIR}, rounded up to SQUARE pixels, of one group of outputs; x16: at the first pixel. */
void FAST(conv_half_z)(half_way way, const gal_conv_args *g, const half_plan *p, const uint16_t *x16,
                       float *z, int64_t pixels, int64_t group);

/* c {pixels, PAIR} = start {PAIR} + sums over `segments` rows of the window, n squares of columns. a: at the
 * first pixel; a pixel is `pixel` values, a row of pixels a_segment. weights {segments, blocks, 2,
 * HALF_TILE}. */
INLINE void flat_sums(half_way way, const uint16_t *a, int64_t pixel, int64_t a_segment, int64_t segments,
                      int64_t blocks, const uint16_t *weights, const float *start, float *c, int64_t pixels,
                      int n)
{
    half_factors f = {.a_row = pixel,
                      .a_segment = a_segment,
                      .b = {weights, weights + HALF_TILE},
                      .b_segment = 2 * HALF_TILE * blocks,
                      .b_step = 2 * HALF_TILE,
                      .start = {start, start},
                      .c_row = PAIR,
                      .segments = segments,
                      .blocks = blocks};
    for (int64_t at = 0; at < pixels; at += 2 * SQUARE) {
        f.a[0] = a + at * pixel, f.a[1] = f.a[0] + SQUARE * pixel;
        f.c[0] = c + at * PAIR, f.c[1] = f.c[0] + SQUARE * PAIR;
        FAST(half_squares)(way, &f, pixels - at > SQUARE ? 2 : 1, n);
    }
}

/* Squares of columns with channels in them, of a group. */
INLINE int squares_of(int64_t channels, int64_t group)
{
    return channels - group * PAIR > SQUARE ? 2 : 1;
}

/* Packs weights and bias into the scratch block, at the same place in either direction's plan. */
gal_status FAST(conv_half_pack)(const gal_conv_args *g);

#endif
