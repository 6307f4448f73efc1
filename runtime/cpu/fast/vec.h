/* vec.h: vec, a vector of VL floats of the instruction set that the file is compiled for. Arithmetic on vecs
 * is written with operators (GCC vectors). Here is the rest: fused multiply-add, broadcast, partial loads and
 * stores, reciprocals, roots, scaling by powers of two, choosing by comparison. */
#ifndef GAL_VEC_H
#define GAL_VEC_H
#include <stdint.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define INLINE static inline __attribute__((always_inline))

#if defined(__AVX512F__)
#define VL 16 /* floats in a vec */
#elif defined(__AVX2__) && defined(__FMA__)
#define VL 8
#else
#define VL 4
#endif
typedef float vec __attribute__((vector_size(VL * 4)));
typedef int32_t ivec __attribute__((vector_size(VL * 4)));
typedef uint32_t uvec __attribute__((vector_size(VL * 4))); /* bits whose sums wrap */
typedef uint64_t wide __attribute__((vector_size(VL * 4))); /* VL / 2 words of 64 bits */
typedef float loose_vec __attribute__((vector_size(VL * 4), aligned(4), may_alias));

INLINE vec load(const float *p)
{
    return *(const loose_vec *)p;
}

INLINE void store(float *p, vec v)
{
    *(loose_vec *)p = v;
}

/* Lane l of SHUFFLE(a, b, ...) is lane k of a and b side by side, k the l-th of the constants; lane l of
 * pick(x, k) is lane k[l] of x. */
#if defined(__clang__)
#define SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
INLINE vec pick(vec x, ivec k)
{
#if VL == 16
    return (vec)_mm512_permutexvar_ps((__m512i)k, (__m512)x);
#elif VL == 8
    return (vec)_mm256_permutevar8x32_ps((__m256)x, (__m256i)k);
#else
    return (vec){x[k[0] & 3], x[k[1] & 3], x[k[2] & 3], x[k[3] & 3]};
#endif
}
#else
#define SHUFFLE(a, b, ...) __builtin_shuffle(a, b, (ivec){__VA_ARGS__})
INLINE vec pick(vec x, ivec k)
{
    return __builtin_shuffle(x, k);
}
#endif

#if VL == 16

INLINE vec splat(float x)
{
    return (vec)_mm512_set1_ps(x);
}
/* a b + c, rounded once where the machine can. */
INLINE vec fma_(vec a, vec b, vec c)
{
    return (vec)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
}
/* The first n of VL floats, zero behind them; 0 <= n <= VL. */
INLINE vec load_some(const float *p, int64_t n)
{
    return (vec)_mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p);
}
INLINE void store_some(float *p, vec v, int64_t n)
{
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), (__m512)v);
}
/* 1 / d for 2^-126 <= d <= 2^126, within 1 unit in the last place: one Newton step from 14 bits; half the
 * time of a division. */
INLINE vec reciprocal(vec d)
{
    vec y = (vec)_mm512_rcp14_ps((__m512)d);
    return fma_(y, fma_(-d, y, splat(1)), y);
}
INLINE vec square_root(vec x)
{
    return (vec)_mm512_sqrt_ps((__m512)x);
}
/* The same, within 1 unit in the last place, for 0 and x >= 2^-122; for x between, some number below 2^-61. A
 * Newton step from 14 bits. */
INLINE vec quick_square_root(vec x)
{
    vec y = (vec)_mm512_rsqrt14_ps(_mm512_max_ps((__m512)x, _mm512_set1_ps(0x1p-122f))), s = x * y;
    return fma_(fma_(-s, s, x), y * 0.5f, s);
}
/* v 2^n for whole n, with overflow to infinity and underflow to subnormals. */
INLINE vec scale_by(vec v, vec n)
{
    return (vec)_mm512_scalef_ps((__m512)v, (__m512)n);
}

#else

INLINE vec splat(float x)
{
#if VL == 8
    return (vec){x, x, x, x, x, x, x, x};
#else
    return (vec){x, x, x, x};
#endif
}
INLINE vec fma_(vec a, vec b, vec c)
{
#if VL == 8
    return (vec)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#else
    return a * b + c;
#endif
}
INLINE vec load_some(const float *p, int64_t n)
{
    vec v = splat(0);
    memcpy(&v, p, (size_t)n * 4);
    return v;
}
INLINE void store_some(float *p, vec v, int64_t n)
{
    memcpy(p, &v, (size_t)n * 4);
}
INLINE vec reciprocal(vec d)
{
    return 1 / d;
}
INLINE vec square_root(vec x)
{
#if VL == 8
    return (vec)_mm256_sqrt_ps((__m256)x);
#elif defined(__x86_64__)
    return (vec)_mm_sqrt_ps((__m128)x);
#else
    return (vec){__builtin_sqrtf(x[0]), __builtin_sqrtf(x[1]), __builtin_sqrtf(x[2]), __builtin_sqrtf(x[3])};
#endif
}
INLINE vec quick_square_root(vec x)
{
    return square_root(x);
}
/* In two factors, so that neither leaves the range of normal numbers. */
INLINE vec scale_by(vec v, vec n)
{
    ivec whole = __builtin_convertvector(n, ivec), half = whole >> 1;
    return v * (vec)((half + 127) << 23) * (vec)((whole - half + 127) << 23);
}

#endif

/* The low half of each word of a, times m: 64 bits. */
INLINE wide multiply_low(wide a, uint32_t m)
{
#if VL == 16
    return (wide)_mm512_mul_epu32((__m512i)a, _mm512_set1_epi64(m));
#elif VL == 8
    return (wide)_mm256_mul_epu32((__m256i)a, _mm256_set1_epi64x(m));
#elif defined(__x86_64__)
    return (wide)_mm_mul_epu32((__m128i)a, _mm_set1_epi64x(m));
#else
    return (a & 0xffffffffu) * m;
#endif
}

/* The first n floats for any n >= 0: all of VL where there are as many. */
INLINE vec load_up_to(const float *p, int64_t n)
{
    return n >= VL ? load(p) : load_some(p, n);
}
INLINE void store_up_to(float *p, vec v, int64_t n)
{
    if (n >= VL)
        store(p, v);
    else
        store_some(p, v, n);
}

/* yes where the comparison holds, no elsewhere; a comparison of vecs gives an ivec of 0 and -1. */
INLINE vec choose(ivec holds, vec yes, vec no)
{
    return (vec)((holds & (ivec)yes) | (~holds & (ivec)no));
}
/* The smaller and the larger of x and the limit; NaN stays NaN: x86's min and max return their second operand
 * where either is one. */
INLINE vec at_most(vec x, float limit)
{
#if VL == 16
    return (vec)_mm512_min_ps((__m512)splat(limit), (__m512)x);
#elif VL == 8
    return (vec)_mm256_min_ps((__m256)splat(limit), (__m256)x);
#else
    return choose(x > splat(limit), splat(limit), x);
#endif
}
INLINE vec at_least(vec x, float limit)
{
#if VL == 16
    return (vec)_mm512_max_ps((__m512)splat(limit), (__m512)x);
#elif VL == 8
    return (vec)_mm256_max_ps((__m256)splat(limit), (__m256)x);
#else
    return choose(x < splat(limit), splat(limit), x);
#endif
}
INLINE vec absolute(vec x)
{
    return (vec)((ivec)x & 0x7fffffff);
}
/* The sum of all floats, by halves, in a fixed order. */
INLINE float total(vec v)
{
    float part[VL];
    memcpy(part, &v, sizeof part);
    for (int half = VL / 2; half > 0; half /= 2)
        for (int i = 0; i < half; i++)
            part[i] += part[i + half];
    return part[0];
}

#define GAL_PASTE_(a, b, c) a##b##_##c
#define GAL_PASTE(a, b, c) GAL_PASTE_(a, b, c)
/* The name of a symbol that other files of this folder use, in this instruction set. */
#define FAST(name) GAL_PASTE(gal_fast_, name, GAL_ISA)

#endif
