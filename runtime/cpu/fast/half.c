/* half.c: the products of half.h: by AMX tiles where the processor has them, else, where that is faster than
 * float32, by dot products of pairs. The choice is made at run time, so functions here are compiled for both,
 * beyond the instruction set of the folder. */
#define _GNU_SOURCE
#include "half.h"
#include "transpose.h"

#if VL == 16
#include <cpuid.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The processor has tiles (CPUID's leaf 7, register d: bit 24) and multiplies bfloat16 with them (bit 22),
 * and Linux lets this process use their registers, as it does once asked (arch/x86: ARCH_REQ_XCOMP_PERM,
 * feature 18). */
static int amx_is_granted(void)
{
    unsigned a, b, c, d;
    int has = __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d >> 22 & 5) == 5;
    return has && syscall(SYS_arch_prctl, 0x1023, 18) == 0;
}

half_way FAST(half)(void)
{
    const char *most = getenv("GALRUN_BF16"); /* for tests: "none" or "dot" instead of a better way */
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx512bf16") || (most && !strcmp(most, "none")))
        return HALF_NONE;
    if (most && !strcmp(most, "dot"))
        return HALF_DOT;
    if (amx_is_granted())
        return HALF_AMX;
    /* A dot product of pairs takes a cycle on Zen 4, and two on Sapphire Rapids, where a fused multiply-add
     * takes half of one (tests/bench/w2.md). */
    return __builtin_cpu_is("amd") ? HALF_DOT : HALF_NONE;
}

/* All tiles are 16 rows of 64 bytes. */
AMX static void begin_amx(void)
{
    /* A constant: the intrinsic's asm declares that it reads the first 8 bytes only, so the compiler could
     * drop stores to the others. */
    static const struct {
        uint8_t palette, start, unused[14];
        uint16_t bytes[16];
        uint8_t rows[16];
    } config = {
        .palette = 1, .bytes = {64, 64, 64, 64, 64, 64, 64, 64}, .rows = {16, 16, 16, 16, 16, 16, 16, 16}};
    _tile_loadconfig(&config);
}

AMX static void end_amx(void)
{
    _tile_release();
}

void FAST(half_begin)(half_way way)
{
    if (way == HALF_AMX)
        begin_amx();
}

void FAST(half_end)(half_way way)
{
    if (way == HALF_AMX)
        end_amx();
}

/* ---- squares ---- */

/* Tile registers 0 to 3: sums; 4, 5: a; 6, 7: b. */
AMX INLINE void by_amx(const half_factors *f, const int m, const int n)
{
    const int64_t start_row = f->start_row * 4, c_row = f->c_row * 4, a_row = f->a_row * 2;
    _tile_loadd(0, f->start[0], start_row);
    if (n > 1)
        _tile_loadd(1, f->start[0] + SQUARE, start_row);
    if (m > 1)
        _tile_loadd(2, f->start[1], start_row);
    if (m > 1 && n > 1)
        _tile_loadd(3, f->start[1] + SQUARE, start_row);
    for (int64_t s = 0; s < f->segments; s++) {
        const uint16_t *a0 = f->a[0] + s * f->a_segment, *a1 = m > 1 ? f->a[1] + s * f->a_segment : NULL;
        const uint16_t *b0 = f->b[0] + s * f->b_segment, *b1 = n > 1 ? f->b[1] + s * f->b_segment : NULL;
        for (int64_t k = 0; k < f->blocks; k++) {
            _tile_loadd(6, b0 + k * f->b_step, 64);
            _tile_loadd(4, a0 + k * TERMS, a_row);
            _tile_dpbf16ps(0, 4, 6);
            if (n > 1) {
                _tile_loadd(7, b1 + k * f->b_step, 64);
                _tile_dpbf16ps(1, 4, 7);
            }
            if (m > 1) {
                _tile_loadd(5, a1 + k * TERMS, a_row);
                _tile_dpbf16ps(2, 5, 6);
            }
            if (m > 1 && n > 1)
                _tile_dpbf16ps(3, 5, 7);
        }
    }
    _tile_stored(0, f->c[0], c_row);
    if (n > 1)
        _tile_stored(1, f->c[0] + SQUARE, c_row);
    if (m > 1)
        _tile_stored(2, f->c[1], c_row);
    if (m > 1 && n > 1)
        _tile_stored(3, f->c[1] + SQUARE, c_row);
}

AMX static void squares_by_amx(const half_factors *f, int m, int n)
{
    if (m == 2 && n == 2)
        by_amx(f, 2, 2);
    else if (m == 2)
        by_amx(f, 2, 1);
    else if (n == 2)
        by_amx(f, 1, 2);
    else
        by_amx(f, 1, 1);
}

#define ROWS 8 /* of a square at a time: 16 sums, 2 of b and a pair of a in registers */
DOT INLINE void by_dots(const half_factors *f, int p, int first, const int n)
{
    __m512 sum[ROWS][2];
#pragma GCC unroll 8
    for (int i = 0; i < ROWS; i++)
#pragma GCC unroll 2
        for (int q = 0; q < n; q++)
            sum[i][q] = _mm512_loadu_ps(f->start[p] + (first + i) * f->start_row + q * SQUARE);
    for (int64_t s = 0; s < f->segments; s++)
        for (int64_t k = 0; k < f->blocks; k++) {
            const uint16_t *a = f->a[p] + s * f->a_segment + k * TERMS + first * f->a_row;
            const int64_t at = s * f->b_segment + k * f->b_step;
            for (int64_t t = 0; t < TERMS; t += 2) {
                __m512bh b[2];
#pragma GCC unroll 2
                for (int q = 0; q < n; q++)
                    b[q] = (__m512bh)_mm512_loadu_si512(f->b[q] + at + t * SQUARE);
#pragma GCC unroll 8
                for (int i = 0; i < ROWS; i++) {
                    int32_t pair;
                    memcpy(&pair, a + i * f->a_row + t, 4);
                    __m512bh both = (__m512bh)_mm512_set1_epi32(pair);
#pragma GCC unroll 2
                    for (int q = 0; q < n; q++)
                        sum[i][q] = _mm512_dpbf16_ps(sum[i][q], both, b[q]);
                }
            }
        }
#pragma GCC unroll 8
    for (int i = 0; i < ROWS; i++)
#pragma GCC unroll 2
        for (int q = 0; q < n; q++)
            _mm512_storeu_ps(f->c[p] + (first + i) * f->c_row + q * SQUARE, sum[i][q]);
}

DOT static void squares_by_dots(const half_factors *f, int m, int n)
{
    for (int p = 0; p < m; p++)
        for (int first = 0; first < SQUARE; first += ROWS)
            if (n == 2)
                by_dots(f, p, first, 2);
            else
                by_dots(f, p, first, 1);
}

void FAST(half_squares)(half_way way, const half_factors *f, int m, int n)
{
    if (way == HALF_AMX)
        squares_by_amx(f, m, n);
    else
        squares_by_dots(f, m, n);
}

/* ---- rounding and packing ---- */

DOT void FAST(half_round)(uint16_t *to, const float *from, int64_t n)
{
    int64_t i = 0;
    for (; i + 2 * VL <= n; i += 2 * VL)
        _mm512_storeu_si512(
            to + i, (__m512i)_mm512_cvtne2ps_pbh(_mm512_loadu_ps(from + i + VL), _mm512_loadu_ps(from + i)));
    for (; i < n; i += VL) {
        __mmask16 some = (__mmask16)(n - i < VL ? (1u << (n - i)) - 1 : 0xffff);
        _mm256_mask_storeu_epi16(to + i, some,
                                 (__m256i)_mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(some, from + i)));
    }
}

DOT void FAST(half_line)(uint16_t *rows, int64_t row_step, uint16_t *pairs, int64_t apart, const float *line,
                         int64_t columns)
{
    for (int64_t i = 0; i < columns; i += 2) {
        __m512 v[2][2]; /* column, square */
        for (int k = 0; k < 2; k++)
            for (int q = 0; q < 2; q++)
                v[k][q] = i + k < columns ? _mm512_loadu_ps(line + (i + k) * 2 * SQUARE + q * SQUARE)
                                          : _mm512_setzero_ps();
        for (int k = 0; rows && k < 2 && i + k < columns; k++)
            _mm512_storeu_si512(rows + (i + k) * row_step, (__m512i)_mm512_cvtne2ps_pbh(v[k][1], v[k][0]));
        for (int q = 0; pairs && q < 2; q++)
            _mm512_storeu_si512(pairs + q * apart + i * SQUARE, side_by_side(v[0][q], v[1][q]));
    }
}

void FAST(half_transpose)(uint16_t *to, int64_t to_row, const uint16_t *from, int64_t step, int64_t n)
{
    /* Pairs of pixels as one word of 32 bits each value; then words are transposed. */
    const __mmask16 some = (__mmask16)((1u << n) - 1);
    vec pair[VL];
    for (int i = 0; i < VL; i++) {
        __m256i even = _mm256_maskz_loadu_epi16(some, from + 2 * i * step),
                odd = _mm256_maskz_loadu_epi16(some, from + (2 * i + 1) * step);
        pair[i] = (vec)halves_side_by_side(_mm512_inserti64x4(_mm512_castsi256_si512(even), odd, 1));
    }
    transpose(pair);
    for (int i = 0; i < VL; i++)
        _mm512_storeu_si512(to + i * to_row, (__m512i)pair[i]);
}

#else

/* This instruction set has no bfloat16: half says so, and the others are never called. */
half_way FAST(half)(void)
{
    return HALF_NONE;
}
void FAST(half_begin)(half_way way)
{
    (void)way;
}
void FAST(half_end)(half_way way)
{
    (void)way;
}
void FAST(half_squares)(half_way way, const half_factors *f, int m, int n)
{
    (void)way, (void)f, (void)m, (void)n;
}
void FAST(half_round)(uint16_t *to, const float *from, int64_t n)
{
    (void)to, (void)from, (void)n;
}
void FAST(half_line)(uint16_t *rows, int64_t row_step, uint16_t *pairs, int64_t apart, const float *line,
                     int64_t columns)
{
    (void)rows, (void)row_step, (void)pairs, (void)apart, (void)line, (void)columns;
}
void FAST(half_transpose)(uint16_t *to, int64_t to_row, const uint16_t *from, int64_t step, int64_t n)
{
    (void)to, (void)to_row, (void)from, (void)step, (void)n;
}

#endif
