/* conv_tile.c: the sums of conv.h over tiles of TILE rows and one or two vecs, which stay in registers. */
#include "conv.h"

#ifdef __SANITIZE_ADDRESS__
#define TILE 3 /* instrumented, the large tiles take half a minute to compile */
#define TILE_CASES CASES_3
#elif VL == 16
#define TILE 14 /* 28 sums, 2 of b, 1 of a: of 32 registers */
#define TILE_CASES CASES_14
#elif VL == 8
#define TILE 6 /* 12 of 16 */
#define TILE_CASES CASES_6
#else
#define TILE 5
#define TILE_CASES CASES_5
#endif

INLINE void tile(const int rows, const int v, const factors *t, const int64_t a_row, const int64_t a_step,
                 vec sum[TILE][2])
{
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 2
        for (int j = 0; j < v; j++)
            sum[i][j] = splat(0);
    for (int64_t part = 0; part < t->parts; part++)
        for (int64_t s = 0; s < t->segments; s++) {
            const float *a = t->a + part * t->a_part + s * t->a_segment,
                        *b = t->b + (part * t->segments + s) * t->b_segment;
#pragma GCC unroll 4
            for (int64_t k = 0; k < t->steps; k++) {
                vec bv[2];
#pragma GCC unroll 2
                for (int j = 0; j < v; j++)
                    bv[j] = load(b + j * VL);
                b += v * VL;
#pragma GCC unroll 16
                for (int i = 0; i < rows; i++) {
                    vec av = splat(a[i * a_row]);
#pragma GCC unroll 2
                    for (int j = 0; j < v; j++)
                        sum[i][j] = fma_(av, bv[j], sum[i][j]);
                }
                a += a_step;
            }
        }
}

/* Tiles of pixels: a step is the next float. c = sum + bias. */
INLINE void pixels_tile(const int rows, const int v, const factors *t)
{
    vec sum[TILE][2];
    tile(rows, v, t, t->a_row, 1, sum);
#pragma GCC unroll 2
    for (int j = 0; j < v; j++) {
        int64_t n = t->columns - j * VL;
        vec bias = t->bias ? load(t->bias + j * VL) : splat(0);
#pragma GCC unroll 16
        for (int i = 0; i < rows; i++) {
            float *to = t->c + i * t->c_row + j * VL;
            if (n >= VL)
                store(to, sum[i][j] + bias);
            else
                store_some(to, sum[i][j] + bias, n > 0 ? n : 0);
        }
    }
}

/* Tiles of taps: a row is the next float, a step the next pixel. c += sum, all columns. */
INLINE void taps_tile(const int rows, const int v, const factors *t)
{
    vec sum[TILE][2];
    tile(rows, v, t, 1, t->a_step, sum);
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 2
        for (int j = 0; j < v; j++) {
            float *to = t->c + i * t->c_row + j * VL;
            store(to, load(to) + sum[i][j]);
        }
}

#define TILE_CASE(kind, n)        \
    case n:                       \
        if (v == 1)               \
            kind##_tile(n, 1, t); \
        else                      \
            kind##_tile(n, 2, t); \
        break;
/* clang-format off */
#define CASES_3(kind) TILE_CASE(kind, 1) TILE_CASE(kind, 2) TILE_CASE(kind, 3)
#define CASES_5(kind) CASES_3(kind) TILE_CASE(kind, 4) TILE_CASE(kind, 5)
#define CASES_6(kind) CASES_5(kind) TILE_CASE(kind, 6)
#define CASES_14(kind)                                                                    \
    CASES_6(kind) TILE_CASE(kind, 7) TILE_CASE(kind, 8) TILE_CASE(kind, 9) TILE_CASE(kind, 10) \
    TILE_CASE(kind, 11) TILE_CASE(kind, 12) TILE_CASE(kind, 13) TILE_CASE(kind, 14)
/* clang-format on */

/* Rows are cut into tiles of nearly one size. */
void FAST(pixels_strip)(const factors *strip, int64_t rows, int v)
{
    int64_t tiles = (rows + TILE - 1) / TILE;
    for (int64_t i = 0; i < tiles; i++) {
        int64_t from = rows * i / tiles, n = rows * (i + 1) / tiles - from;
        factors one = *strip, *t = &one;
        one.a += from * one.a_row;
        one.c += from * one.c_row;
        switch (n) {
            TILE_CASES(pixels)
        }
    }
}

void FAST(taps_strip)(const factors *strip, int64_t rows, int v)
{
    int64_t tiles = (rows + TILE - 1) / TILE;
    for (int64_t i = 0; i < tiles; i++) {
        int64_t from = rows * i / tiles, n = rows * (i + 1) / tiles - from;
        factors one = *strip, *t = &one;
        one.a += from;
        one.c += from * one.c_row;
        switch (n) {
            TILE_CASES(taps)
        }
    }
}
