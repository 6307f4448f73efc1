/* mma.h: the velocity net on tensor cores: a warp's operands, one chunk of a layer's outputs, and the
 * activations in few instructions. integrate_mma.cu carries rows with it.
 *
 * A warp has 16 M columns: a row each or, for the divergence, eight rows' values and 2 M - 1 of their
 * tangents. With g = lane / 4, t = lane % 4 a lane holds the columns g + 8 q, q = 0 ... 2 M - 1, of what it
 * multiplies and of what comes out, so that a row and its tangents meet in one lane. What comes out are tiles
 * of eight outputs, of which a lane has 2t and 2t + 1; as the next layer's input they stay in this lane. */
#ifndef GAL_MMA_H
#define GAL_MMA_H
#include "cuda.h"
#include <cmath>
#include <device.h>

/* The widest layer, in tiles; the stretch of a weight row that one instruction takes, bytes. */
enum { MMA_TILES = 32, MMA_STEP = 32 };

/* How operands are kept. WORDS: registers of a lane for one tile of inputs and 16 columns. TILES: of inputs
 * in one step. words(first, second): of an input pair, from column g (x) and column g + 8 (y). APPROXIMATE:
 * the rounding hides that of tanh.approx. */
template <int precision> struct mma_kind;

#define MMA_OF_16_BITS(PRECISION, name, SPREAD)                                                             \
    template <> struct mma_kind<PRECISION> {                                                                \
        enum { WORDS = 2, TILES = 2, APPROXIMATE = 1 };                                                     \
        static __device__ __forceinline__ void words(uint32_t (&w)[2], const float (&z)[4])                 \
        {                                                                                                   \
            w[0] = gal_pack_##name(z[0], z[1]);                                                             \
            w[1] = gal_pack_##name(z[2], z[3]);                                                             \
        }                                                                                                   \
        static __device__ __forceinline__ float rounded(float x)                                            \
        {                                                                                                   \
            uint32_t word = gal_pack_##name(x, 0);                                                          \
            return SPREAD;                                                                                  \
        }                                                                                                   \
        template <int M, int TILES_IN>                                                                      \
        static __device__ __forceinline__ void multiply(float (&z)[4], const uint32_t (&x)[TILES_IN][M][2], \
                                                        int step, int m, uint32_t b0, uint32_t b1)          \
        {                                                                                                   \
            gal_mma_##name(z, x[2 * step][m][0], x[2 * step][m][1], x[2 * step + 1][m][0],                  \
                           x[2 * step + 1][m][1], b0, b1);                                                  \
        }                                                                                                   \
    };
MMA_OF_16_BITS(GAL_IN_F16, f16, gal_low_f16(word))
MMA_OF_16_BITS(GAL_IN_BF16, bf16, __uint_as_float(word << 16))
#undef MMA_OF_16_BITS

/* TF32 takes k in the order 0, 2, 4, 6, 1, 3, 5, 7: then a lane's outputs are its inputs here, too. */
template <> struct mma_kind<GAL_IN_TF32> {
    enum { WORDS = 4, TILES = 1, APPROXIMATE = 0 };
    static __device__ __forceinline__ void words(uint32_t (&w)[4], const float (&z)[4])
    {
        w[0] = gal_round_tf32(z[0]), w[1] = gal_round_tf32(z[2]);
        w[2] = gal_round_tf32(z[1]), w[3] = gal_round_tf32(z[3]);
    }
    static __device__ __forceinline__ float rounded(float x)
    {
        return __uint_as_float(gal_round_tf32(x));
    }
    template <int M, int TILES_IN>
    static __device__ __forceinline__ void multiply(float (&z)[4], const uint32_t (&x)[TILES_IN][M][4],
                                                    int step, int m, uint32_t b0, uint32_t b1)
    {
        gal_mma_tf32(z, x[step][m][0], x[step][m][1], x[step][m][2], x[step][m][3], b0, b1);
    }
};

/* ---- activations ---- */

/* sigmoid(x), off by some 3e-7 of it. */
static __device__ __forceinline__ float mma_sigmoid(float x)
{
    return __fdividef(1, 1 + __expf(-x));
}

/* f(z), and f'(z), which costs nothing where nobody uses it. APPROXIMATE: tanh and sigmoid by tanh.approx. */
template <int activation, bool APPROXIMATE>
static __device__ __forceinline__ float mma_activate(float z, float *slope)
{
    float y = z;
    *slope = 1;
    if (activation == GAL_RELU) {
        *slope = z > 0 ? 1 : 0;
        y = z > 0 || z != z ? z : 0;
    } else if (activation == GAL_SILU) {
        float half = 0.5f * z, t = APPROXIMATE ? gal_tanh_approx(half) : 0;
        float s = APPROXIMATE ? fmaf(0.5f, t, 0.5f) : mma_sigmoid(z);
        y = APPROXIMATE ? fmaf(half, t, half) : z * s;
        *slope = fmaf(y, 1 - s, s); /* s (1 + z (1 - s)) */
    } else if (activation == GAL_GELU) {
        /* Phi(z) by Abramowitz & Stegun (1964), 7.1.26: off by at most 1e-7. */
        float density = __expf(-0.5f * z * z), u = __fdividef(1, fmaf(0.23164189f, fabsf(z), 1));
        float tail = fmaf(fmaf(fmaf(fmaf(1.061405429f, u, -1.453152027f), u, 1.421413741f), u, -0.284496736f),
                          u, 0.254829592f);
        tail *= 0.5f * u * density;
        float phi = z < 0 ? tail : 1 - tail;
        y = z * phi;
        *slope = fmaf(z * 0.39894228040143268f, density, phi);
    } else if (activation == GAL_TANH) {
        y = APPROXIMATE ? gal_tanh_approx(z) : fmaf(2, mma_sigmoid(2 * z), -1);
        *slope = 1 - y * y;
    }
    return y;
}

/* z = f(z) in every column or, with tangents, in column g, and f' times the tangents in the others. */
template <class kind, int activation, int M, bool TANGENTS>
static __device__ __forceinline__ void mma_activate_tile(float (&z)[M][4])
{
    float slope[2], unused;
    for (int m = 0; m < M; m++)
        for (int e = 0; e < 4; e++)
            if (!TANGENTS)
                z[m][e] = mma_activate<activation, kind::APPROXIMATE>(z[m][e], &unused);
            else if (m == 0 && e < 2)
                z[m][e] = mma_activate<activation, false>(z[m][e], &slope[e]);
            else
                z[m][e] *= slope[e % 2];
}

/* ---- a chunk ---- */

/* z += the inputs x times the weights of N tiles of outputs. row: where this lane reads them, in shared
 * memory (mma_row). WHOLE: there are as many steps as x holds. */
template <class kind, int M, int N, bool WHOLE, int TILES_IN>
static __device__ __forceinline__ void mma_products(float (&z)[N][M][4],
                                                    const uint32_t (&x)[TILES_IN][M][kind::WORDS],
                                                    const unsigned char *row, int steps)
{
#pragma unroll
    for (int step = 0; step < TILES_IN / kind::TILES; step++) {
        if (!WHOLE && step >= steps)
            break;
        uint32_t b[2 * N];
        gal_ldmatrix(b, row + MMA_STEP * step);
#pragma unroll
        for (int n = 0; n < N; n++)
#pragma unroll
            for (int m = 0; m < M; m++)
                kind::template multiply<M, TILES_IN>(z[n][m], x, step, m, b[2 * n], b[2 * n + 1]);
    }
}

/* Where a lane reads the weights of N tiles whose rows begin at `rows`, `pitch` bytes apart: lanes 0 to 7 the
 * first 16 bytes of the first tile's rows, 8 to 15 the next 16, and the other half of the warp the second
 * tile, if there is one. */
template <int N>
static __device__ __forceinline__ const unsigned char *mma_row(const unsigned char *rows, int pitch)
{
    int lane = (int)gal_thread() % 32;
    return rows + ((N == 2 ? lane / 16 * 8 : 0) + lane % 8) * pitch + lane / 8 % 2 * 16;
}
#endif
