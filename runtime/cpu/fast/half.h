/* half.h: products of matrices of bfloat16, summed in float32: whether this machine has them, and squares of
 * 16 x 16 sums of which all products of bfloat16 in convolutions are made. */
#ifndef GAL_HALF_H
#define GAL_HALF_H
#include "vec.h"

#if VL == 16
/* For functions beyond the instruction set of their folder. */
#define DOT __attribute__((target("avx512bf16")))
#define AMX __attribute__((target("avx512bf16,amx-tile,amx-bf16")))

/* What dot products and tiles take: lane l of the low and of the high half side by side, for every l. */
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

/* No products of bfloat16 that are faster than float32's; dot products of pairs (AVX512_BF16); tiles of 16 x
 * 32 (AMX). */
typedef enum { HALF_NONE, HALF_DOT, HALF_AMX } half_way;
half_way FAST(half)(void);
/* A thread's products by AMX stand between these two; the other ways need neither. */
void FAST(half_begin)(half_way way);
void FAST(half_end)(half_way way);

enum { SQUARE = 16, TERMS = 32, HALF_TILE = SQUARE * TERMS };

/* c (i, j) = start (i, j) + sum over segments s, blocks k, terms t < TERMS of a (i; s, k, t) b (s, k; t, j),
 * m x n squares, m and n up to 2: square p of rows at a[p], start[p] and c[p], square q of columns at b[q]
 * and SQUARE floats behind the first in start and c. a (i; s, k, t) = a[p][s a_segment + k TERMS + i a_row +
 * t]; b (s, k) is a tile {TERMS / 2, SQUARE, 2} at b[q] + s b_segment + k b_step. The order of the sum
 * depends on nothing else. start may be c, and start_row 0. */
typedef struct half_factors {
    const uint16_t *a[2], *b[2];
    const float *start[2];
    float *c[2];
    int64_t a_row, a_segment, b_segment, b_step, start_row, c_row, segments, blocks;
} half_factors;
void FAST(half_squares)(half_way way, const half_factors *f, int m, int n);

/* to {n} from {n}, rounded to nearest even. */
void FAST(half_round)(uint16_t *to, const float *from, int64_t n);
/* One line of pixels {columns, 2 SQUARE} as bfloat16, in two forms, each of them or NULL: rows {columns, 2
 * SQUARE}, row_step apart; and pairs of columns {ceil(columns / 2), SQUARE, 2}, the second square's `apart`
 * behind the first's, an odd last column beside zeros. */
void FAST(half_line)(uint16_t *rows, int64_t row_step, uint16_t *pairs, int64_t apart, const float *line,
                     int64_t columns);
/* to {SQUARE, TERMS}, rows `to_row` apart, from TERMS pixels `step` apart, of whose values the first n <=
 * SQUARE are taken; rows beyond n are zeros. */
void FAST(half_transpose)(uint16_t *to, int64_t to_row, const uint16_t *from, int64_t step, int64_t n);

#endif
