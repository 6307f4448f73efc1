/* philox.h: sixteen blocks of Philox side by side, and normals from them, with the bits of core/random.h: its
 * functions in loops that the compiler turns into vectors. */
#ifndef GAL_FAST_PHILOX_H
#define GAL_FAST_PHILOX_H
#include "core/random.h"
#include "vec.h"

enum { SIDE = 16, WIDE = VL / 2 };

typedef struct blocks {
    uint32_t word[4][SIDE];
} blocks;

/* out = gal_random_block of each {block[s], stream[s]}, s < SIDE. A 32-bit word is in each 64-bit one, since
 * products of 64 bits take the time. */
INLINE void philox(blocks *out, uint64_t key, const uint64_t *block, const uint64_t *stream)
{
    for (int s = 0; s < SIDE; s += WIDE) {
        wide c0, c1, c2, c3;
        uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
        memcpy(&c0, block + s, sizeof c0);
        memcpy(&c2, stream + s, sizeof c2);
        c1 = c0 >> 32, c3 = c2 >> 32; /* the high halves are never read */
#pragma GCC unroll 10
        for (int round = 0; round < 10; round++) {
            wide a = multiply_low(c0, GAL_PHILOX_M0), b = multiply_low(c2, GAL_PHILOX_M1);
            c0 = (b >> 32) ^ c1 ^ (uint64_t)k0;
            c2 = (a >> 32) ^ c3 ^ (uint64_t)k1;
            c1 = b;
            c3 = a;
            k0 += GAL_PHILOX_W0;
            k1 += GAL_PHILOX_W1;
        }
        for (int i = 0; i < WIDE; i++) {
            out->word[0][s + i] = (uint32_t)c0[i];
            out->word[1][s + i] = (uint32_t)c1[i];
            out->word[2][s + i] = (uint32_t)c2[i];
            out->word[3][s + i] = (uint32_t)c3[i];
        }
    }
}

INLINE void normals(const uint32_t *a, const uint32_t *b, float *first, float *second)
{
    for (int s = 0; s < SIDE; s++)
        gal_random_normals(a[s], b[s], &first[s], &second[s]);
}

#endif
