/* half.h: products of bfloat16 summed in float32: whether this machine has fast ones, and squares of 16 x 16
 * sums, of which convolutions are made. */
#ifndef GAL_HALF_H
#define GAL_HALF_H
#include "vec.h"

#if VL == 16
/* For functions beyond the instruction set of their folder. */
#define DOT __attribute__((target("avx512bf16")))
#define AMX __attribute__((target("avx512bf16,amx-tile,amx-bf16")))

/* Pairs as dot products and tiles take them: element l of the low half beside element l of the high half, for
 * every l.
 */
static inline __m512i halves_side_by_side(__m512i halves)
{
    return _mm512_permutexvar_epi16(_mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9,
                                                     24, 8, 23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1,
                                                     16, 0),
                                    halves);
}
DOT static inline __m512i side_by_side(__m512 even, __m512 odd)
{
    return halves_side_by_side((__m512i)_mm512_cvtne2ps_pbh(odd, even));
}
#endif

/* How products of bfloat16 are made. NONE: no way is faster than float32; DOT: dot products of pairs
 * (AVX512_BF16); AMX: tiles of 16 x 32. FAST(half)() says which way is this machine's. */
typedef enum { HALF_NONE, HALF_DOT, HALF_AMX } half_way;
half_way FAST(half)(void);
/* A thread that makes products by AMX calls these before and after; the other ways may. */
void FAST(half_begin)(half_way way);
void FAST(half_end)(half_way way);

enum { SQUARE = 16, TERMS = 32, HALF_TILE = SQUARE * TERMS };

/* m x n squares, m and n 1 or 2:
 *
 *   c[i][j] = start[i][j] + sum over segments s, blocks k, terms t < TERMS of A(i, s, k, t) B(s, k, t, j)
 *
 * Square p of rows: A(i, s, k, t) = a[p][s a_segment + k TERMS + i a_row + t], start[p], c[p]. Square q of
 * columns: B(s, k) is a tile {TERMS / 2, SQUARE, 2} at b[q] + s b_segment + k b_step; in start and c it is
 * SQUARE floats behind the first. The order of a sum depends on segments and blocks alone. start may be c,
 * and start_row 0. */
typedef struct half_factors {
    const uint16_t *a[2], *b[2];
    const float *start[2];
    float *c[2];
    int64_t a_row, a_segment, b_segment, b_step, start_row, c_row, segments, blocks;
} half_factors;
void FAST(half_squares)(half_way way, const half_factors *f, int m, int n);

/* to {n} = from {n} rounded to nearest even. */
void FAST(half_round)(uint16_t *to, const float *from, int64_t n);
/* A line of pixels {columns, 2 SQUARE} in bfloat16, in two forms; either may be NULL. rows {columns, 2
 * SQUARE}, pixels row_step apart. pairs {ceil(columns / 2), SQUARE, 2}: columns in pairs, those of the second
 * square `apart` behind the first's; an odd last column has zeros beside it. */
void FAST(half_line)(uint16_t *rows, int64_t row_step, uint16_t *pairs, int64_t apart, const float *line,
                     int64_t columns);
/* to {SQUARE, TERMS}, rows `to_row` apart = the first n <= SQUARE values of TERMS pixels, which are `step`
 * apart; rows behind n are zeros. */
void FAST(half_transpose)(uint16_t *to, int64_t to_row, const uint16_t *from, int64_t step, int64_t n);

#endif
