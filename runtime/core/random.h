/* random.h: the numbers that are the same on every device: Philox4x32-10, uniforms, normals by Box-Muller.
 *
 * Valid C11 and C++17 (CUDA's). Bits are equal everywhere because every function is a fixed sequence of
 * correctly rounded operations: integers, fma, square root, and products that never feed a bare addition, so
 * that no compiler can contract them. All of them are free of branches, so a loop over sixteen of them is
 * vector code (cpu/fast/random.c). */
#ifndef GAL_RANDOM_H
#define GAL_RANDOM_H
#include <math.h>
#include <stdint.h>
#include <string.h>

#ifdef __CUDACC__
#define GAL_INLINE static __host__ __device__ __forceinline__
#else
#define GAL_INLINE static inline __attribute__((always_inline))
#endif

/* One block of Philox4x32-10 (Salmon, Moraes, Dror & Shaw 2011): out[4] from counter[4] and key[2]; out may
 * be counter. */
#define GAL_PHILOX_M0 0xD2511F53u
#define GAL_PHILOX_M1 0xCD9E8D57u
#define GAL_PHILOX_W0 0x9E3779B9u
#define GAL_PHILOX_W1 0xBB67AE85u
GAL_INLINE void gal_philox_block(uint32_t *out, const uint32_t *counter, const uint32_t *key)
{
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3], k0 = key[0], k1 = key[1];
    for (int round = 0; round < 10; round++) {
        uint64_t a = (uint64_t)GAL_PHILOX_M0 * c0, b = (uint64_t)GAL_PHILOX_M1 * c2;
        c0 = (uint32_t)(b >> 32) ^ c1 ^ k0;
        c2 = (uint32_t)(a >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)b;
        c3 = (uint32_t)a;
        k0 += GAL_PHILOX_W0;
        k1 += GAL_PHILOX_W1;
    }
    out[0] = c0, out[1] = c1, out[2] = c2, out[3] = c3;
}

/* Block number `block` of a stream: the counter's 128 bits are {block, stream}, low words first. */
GAL_INLINE void gal_random_block(uint32_t *out, uint64_t key, uint64_t block, uint64_t stream)
{
    uint32_t counter[4] = {(uint32_t)block, (uint32_t)(block >> 32), (uint32_t)stream,
                           (uint32_t)(stream >> 32)};
    uint32_t keys[2] = {(uint32_t)key, (uint32_t)(key >> 32)};
    gal_philox_block(out, counter, keys);
}

/* A multiple of 2^-24 in [0, 1). */
GAL_INLINE float gal_random_uniform(uint32_t word)
{
    return (float)(int32_t)(word >> 8) * 0x1p-24f;
}

/* log x for normal x > 0, relative error 1e-7 away from 1 (Cephes logf, Moshier 1992). */
GAL_INLINE float gal_random_log(float x)
{
    int32_t bits;
    memcpy(&bits, &x, 4);
    int32_t exponent = (bits - 0x3f3504f3) >> 23; /* x / 2^exponent lies in [sqrt 1/2, sqrt 2) */
    bits -= (int32_t)((uint32_t)exponent << 23);
    memcpy(&x, &bits, 4);
    x -= 1;
    float z = x * x, y = 7.0376836292e-2f;
    y = fmaf(y, x, -1.1514610310e-1f);
    y = fmaf(y, x, 1.1676998740e-1f);
    y = fmaf(y, x, -1.2420140846e-1f);
    y = fmaf(y, x, 1.4249322787e-1f);
    y = fmaf(y, x, -1.6668057665e-1f);
    y = fmaf(y, x, 2.0000714765e-1f);
    y = fmaf(y, x, -2.4999993993e-1f);
    y = fmaf(y, x, 3.3333331174e-1f);
    y = y * x * z;
    y = fmaf((float)exponent, -2.12194440e-4f, y);
    y = fmaf(-0.5f, z, y);
    return fmaf((float)exponent, 0.693359375f, x + y);
}

/* Two independent N(0, 1) from two words (Box & Muller 1958): radius from a in (0, 1] so that the logarithm
 * is finite, which bounds |normal| by sqrt(48 ln 2) = 5.77; angle from b, in quarter turns and a rest within
 * an eighth. */
GAL_INLINE void gal_random_normals(uint32_t a, uint32_t b, float *first, float *second)
{
    float radius = sqrtf(-2 * gal_random_log((float)(int32_t)((a >> 8) + 1) * 0x1p-24f));
    int32_t turn = (int32_t)(b >> 8);
    int32_t quarter = (turn + (1 << 21)) >> 22;
    float angle = (float)(turn - quarter * (1 << 22)) * 0x1p-24f * 6.283185307f, z = angle * angle;
    float sine =
        fmaf(fmaf(fmaf(-1.9515295891e-4f, z, 8.3321608736e-3f), z, -1.6666654611e-1f) * z, angle, angle);
    float cosine =
        fmaf(fmaf(fmaf(2.443315711809948e-5f, z, -1.388731625493765e-3f), z, 4.166664568298827e-2f) * z, z,
             fmaf(-0.5f, z, 1.0f));
    float x = quarter & 1 ? cosine : sine, y = quarter & 1 ? sine : cosine;
    x = quarter & 2 ? -x : x;
    y = (quarter + 1) & 2 ? -y : y;
    *first = radius * y;
    *second = radius * x;
}

/* How many blocks each use takes: by so much the counter moves.
 * n uniforms or normals of one stream: four to a block, in order, normals in pairs of words. */
GAL_INLINE int64_t gal_blocks_of(int64_t n)
{
    return (n + 3) / 4;
}
/* A permutation of n: two words for each exchange. */
GAL_INLINE int64_t gal_blocks_permutation(int64_t n)
{
    return (n + 1) / 2;
}
/* One row of flow_draw: word 0 is t, word 1 is unused, then pairs of words give d normals for theta_0 and d
 * for eps. Row r starts at block r times this. */
GAL_INLINE int64_t gal_blocks_flow_row(int64_t d)
{
    return (2 * d + 2 + 3) / 4;
}
/* The time of a row of flow_batch from its uniform u, a multiple of 2^-24 in [0, 1): 1 - (1 - u)^power, at
 * power 1 u to the bit. Its density, (1 - t)^(1 / power - 1) / power, is highest at t = 1. */
GAL_INLINE float gal_flow_time(float u, int64_t power)
{
    float left = 1 - u, product = left;
    for (int64_t k = 1; k < power; k++)
        product *= left;
    return 1 - product;
}

#endif
