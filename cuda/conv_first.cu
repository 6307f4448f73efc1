/* conv_first.cu: an encoder's first layer in bfloat16, forward and backward, each in one pass: a window of
 * few inputs, the activation, the mean of 2 x 2 pixels. Of all layers it has the most pixels and the fewest
 * multiply-adds for each, so that moving z to memory and back would cost more than all else of it; here z
 * never leaves the registers, and the backward works it out again. On the tensor cores.
 *
 * Products are z^T = w x^T: outputs down, pixels across. A warp takes 2 rows of 8 pixels at a time; then a
 * thread holds whole means, and dz is where the product dw = dz^T x wants it. */
#include "activation.h"
#include "conv.h"
#include "launch.h"

enum {
    SIDE = 3,     /* the largest window */
    CHANNELS = 4, /* of a pixel in shared memory: 8 bytes */
    TAPS = 32,    /* the most weights of an output */
    ROWS = 16,    /* of z in a tile */
    COLUMNS = 32, /* of z in a tile: four warps side by side */
    TALL = ROWS + SIDE - 1,
    WIDE = COLUMNS + 4, /* a product reads four pixels, whatever the window */
    WARPS = BLOCK / 32,
    MOST = 32 /* outputs */
};

extern "C" int gal_conv_first_takes(const gal_conv_args *g)
{
    return g->precision == GAL_IN_BF16 && g->stride == 1 && g->pool == 2 && g->kh <= SIDE && g->kw <= SIDE &&
           g->c <= CHANNELS && g->kh * g->kw * g->c <= TAPS && (g->out == 16 || g->out == 32);
}

struct first_shared {
    uint32_t patch[TALL][WIDE][2]; /* a pixel: channels 0 and 1, 2 and 3 */
    float dw[MOST][TAPS], db[MOST];
};

/* A tile of z: its image, and its first row and column there. */
struct tile {
    int64_t image;
    int row, column;

    __device__ tile(const gal_conv_args &g, int64_t i)
    {
        int64_t across = (g.zw + COLUMNS - 1) / COLUMNS, down = (g.zh + ROWS - 1) / ROWS;
        column = (int)(i % across) * COLUMNS, row = (int)(i / across % down) * ROWS,
        image = i / (across * down);
    }
};

/* The pixels under a tile, rounded; zeros outside the image and in channels that it has not. */
static __device__ inline void fetch(const gal_conv_args &g, const tile &t, first_shared &s)
{
    const float *x = g.x + t.image * g.h * g.w * g.c;
    for (int i = (int)threadIdx.x; i < TALL * WIDE; i += BLOCK) {
        int64_t r = t.row - g.top + i / WIDE, column = t.column - g.left + i % WIDE;
        bool inside = r >= 0 && r < g.h && column >= 0 && column < g.w;
        float pixel[CHANNELS];
        for (int c = 0; c < CHANNELS; c++)
            pixel[c] = inside && c < g.c ? x[(r * g.w + column) * g.c + c] : 0;
        s.patch[i / WIDE][i % WIDE][0] = gal_pack_bf16(pixel[0], pixel[1]);
        s.patch[i / WIDE][i % WIDE][1] = gal_pack_bf16(pixel[2], pixel[3]);
    }
}

/* Weight k of a window's row: pixel k / 4, channel k % 4. */
static __device__ inline float weight(const gal_conv_args &g, int output, int ky, int k)
{
    int kx = k / CHANNELS, c = k % CHANNELS;
    return ky < g.kh && kx < g.kw && c < g.c ? g.weight[((output * g.kh + ky) * g.kw + kx) * g.c + c] : 0;
}

/* A thread's part of the products, for 16 M outputs. Lane l: g = l / 4, t = l % 4 (device.h, gal_mma_bf16).
 */
template <int M> struct first {
    uint32_t w[M][SIDE][4]; /* the weights, a window's row at a time */
    float bias[M][2];       /* of outputs 16 m + g and 16 m + g + 8 */
    int g, t;

    __device__ explicit first(const gal_conv_args &args)
        : g((int)threadIdx.x % 32 / 4), t((int)threadIdx.x % 4)
    {
#pragma unroll
        for (int m = 0; m < M; m++)
#pragma unroll
            for (int half = 0; half < 2; half++) {
                int o = 16 * m + g + 8 * half;
                bias[m][half] = args.bias ? args.bias[o] : 0;
#pragma unroll
                for (int ky = 0; ky < SIDE; ky++)
#pragma unroll
                    for (int k = 0; k < 2; k++)
                        w[m][ky][half + 2 * k] = gal_pack_bf16(weight(args, o, ky, 2 * t + 8 * k),
                                                               weight(args, o, ky, 2 * t + 8 * k + 1));
            }
    }
    /* z[m][r]: outputs 16 m + g and + 8 of pixels 2t and 2t + 1 from (row + r, column) of the tile on. */
    __device__ void products(float (&z)[M][2][4], const first_shared &s, int row, int column) const
    {
#pragma unroll
        for (int r = 0; r < 2; r++) {
#pragma unroll
            for (int m = 0; m < M; m++)
#pragma unroll
                for (int i = 0; i < 4; i++)
                    z[m][r][i] = 0;
#pragma unroll
            for (int ky = 0; ky < SIDE; ky++) {
                uint32_t low = s.patch[row + r + ky][column + g + t / 2][t % 2],
                         high = s.patch[row + r + ky][column + g + t / 2 + 2][t % 2];
#pragma unroll
                for (int m = 0; m < M; m++)
                    gal_mma_bf16(z[m][r], w[m][ky][0], w[m][ky][1], w[m][ky][2], w[m][ky][3], low, high);
            }
        }
    }
};

/* Where y and dy of a thread's mean lie, output 0; -1 outside. */
static __device__ inline int64_t mean_of(const gal_conv_args &g, const tile &t, int row, int column)
{
    int64_t yh = g.zh / 2, yw = g.zw / 2, r = (t.row + row) / 2, c = (t.column + column) / 2;
    return r < yh && c < yw ? ((t.image * yh + r) * yw + c) * g.out : -1;
}

/* The pairs of rows by 8 pixels of a tile that a warp takes: four across, and so every second pair down. */
#define EACH_PAIR(row, column)                                                                        \
    for (int row = (int)threadIdx.x / 32 / 4 * 2, column = (int)threadIdx.x / 32 % 4 * 8; row < ROWS; \
         row += 2 * WARPS / 4)

template <int M>
__global__ void __launch_bounds__(BLOCK) first_forward(const __grid_constant__ gal_conv_args g, int64_t tiles)
{
    GAL_SHARED(first_shared, s);
    first<M> own(g);
    for (int64_t i = blockIdx.x; i < tiles; i += gridDim.x) {
        tile t(g, i);
        fetch(g, t, s);
        __syncthreads();
        EACH_PAIR(row, column)
        {
            float z[M][2][4], slope;
            own.products(z, s, row, column);
            int64_t at = mean_of(g, t, row, column + 2 * own.t);
#pragma unroll
            for (int m = 0; m < M; m++)
#pragma unroll
                for (int half = 0; half < 2; half++) {
                    float y = 0;
#pragma unroll
                    for (int k = 0; k < 4; k++)
                        y += activate_at(g.activation, g.precision,
                                         z[m][k / 2][2 * half + k % 2] + own.bias[m][half], &slope);
                    if (at >= 0)
                        g.y[at + 16 * m + 8 * half + own.g] = y / 4;
                }
        }
        __syncthreads(); /* the patch has been read */
    }
}

/* Where tap i of a window is, in channels behind its first pixel; beyond the last tap the first, for sums
 * that nobody reads. */
static __device__ inline int place_of(const gal_conv_args &g, int i, int taps)
{
    int row = (int)(g.kw * g.c), c = (int)g.c;
    i = i < taps ? i : 0;
    return (i / row * WIDE + i % row / c) * CHANNELS + i % c;
}

/* The values at a place under two neighbouring pixels of z. */
static __device__ inline uint32_t pair_at(const first_shared &s, int row, int column, int place)
{
    const uint32_t *low = s.patch[row][column] + place / 2;
    int shift = place % 2 * 16;
    return (low[0] >> shift & 0xffffu) | low[2] >> shift << 16;
}

/* A thread's sums of dw and db, over the pixels of its warp. */
template <int M> struct first_totals {
    float dw[M][TAPS / 8][4], db[M][2];
    int places[TAPS / 8];

    __device__ first_totals(const gal_conv_args &g, const first<M> &own, int taps) : dw{}, db{}
    {
#pragma unroll
        for (int j = 0; j < TAPS / 8; j++)
            places[j] = place_of(g, 8 * j + own.g, taps);
    }
    /* z becomes dz; at: where the thread's mean lies, or -1. */
    __device__ void slopes(const gal_conv_args &g, const first<M> &own, float (&z)[M][2][4], int64_t at)
    {
#pragma unroll
        for (int m = 0; m < M; m++)
#pragma unroll
            for (int half = 0; half < 2; half++) {
                float dy = at >= 0 ? g.dy[at + 16 * m + 8 * half + own.g] / 4 : 0;
#pragma unroll
                for (int k = 0; k < 4; k++) {
                    float &dz = z[m][k / 2][2 * half + k % 2], slope;
                    activate_at(g.activation, g.precision, dz + own.bias[m][half], &slope);
                    dz = at >= 0 ? slope * dy : 0;
                    db[m][half] += dz;
                }
            }
    }
    /* dw += dz^T x over the pair of rows. */
    __device__ void add(const first_shared &s, const first<M> &own, const float (&dz)[M][2][4], int row,
                        int column)
    {
#pragma unroll
        for (int j = 0; j < TAPS / 8; j++) {
            uint32_t low = pair_at(s, row, column + 2 * own.t, places[j]),
                     high = pair_at(s, row + 1, column + 2 * own.t, places[j]);
#pragma unroll
            for (int m = 0; m < M; m++)
                gal_mma_bf16(dw[m][j], gal_pack_bf16(dz[m][0][0], dz[m][0][1]),
                             gal_pack_bf16(dz[m][0][2], dz[m][0][3]), gal_pack_bf16(dz[m][1][0], dz[m][1][1]),
                             gal_pack_bf16(dz[m][1][2], dz[m][1][3]), low, high);
        }
    }
    /* Adds a warp's sums to the block's; the first warp's are the first. */
    __device__ void leave(first_shared &s, const first<M> &own, bool first_warp) const
    {
#pragma unroll
        for (int m = 0; m < M; m++)
#pragma unroll
            for (int half = 0; half < 2; half++) {
                int o = 16 * m + 8 * half + own.g;
                float sum = db[m][half];
                for (int by = 1; by < 4; by *= 2)
                    sum += __shfl_xor_sync(0xffffffffu, sum, by);
                if (own.t == 0)
                    s.db[o] = (first_warp ? 0 : s.db[o]) + sum;
#pragma unroll
                for (int j = 0; j < TAPS / 8; j++)
#pragma unroll
                    for (int e = 0; e < 2; e++) {
                        float *to = &s.dw[o][8 * j + 2 * own.t + e];
                        *to = (first_warp ? 0 : *to) + dw[m][j][2 * half + e];
                    }
            }
    }
};

/* parts {blocks, out taps + out}: each block's sums of dw and then db. */
template <int M>
__global__ void __launch_bounds__(BLOCK)
    first_backward(const __grid_constant__ gal_conv_args g, int64_t tiles, float *parts)
{
    GAL_SHARED(first_shared, s);
    int taps = (int)(g.kh * g.kw * g.c);
    first<M> own(g);
    first_totals<M> totals(g, own, taps);
    for (int64_t i = blockIdx.x; i < tiles; i += gridDim.x) {
        tile t(g, i);
        fetch(g, t, s);
        __syncthreads();
        EACH_PAIR(row, column)
        {
            float z[M][2][4];
            own.products(z, s, row, column);
            totals.slopes(g, own, z, mean_of(g, t, row, column + 2 * own.t));
            totals.add(s, own, z, row, column);
        }
        __syncthreads(); /* the patch has been read */
    }
    for (int warp = 0; warp < WARPS; warp++) { /* in order */
        if ((int)threadIdx.x / 32 == warp)
            totals.leave(s, own, warp == 0);
        __syncthreads();
    }
    float *part = parts + blockIdx.x * (g.out * taps + g.out);
    for (int k = (int)threadIdx.x; k < 16 * M * taps; k += BLOCK)
        part[k] = s.dw[k / taps][k % taps];
    for (int k = (int)threadIdx.x; k < 16 * M; k += BLOCK)
        part[16 * M * taps + k] = s.db[k];
}

/* dw and db from the blocks' sums: a block for eight of them, the blocks in lanes. */
enum { EIGHT = 8, LANES = BLOCK / EIGHT };
struct first_sums {
    double of[LANES][EIGHT];
};
__global__ void __launch_bounds__(BLOCK)
    first_ends(const __grid_constant__ gal_conv_args g, const float *parts, int64_t blocks)
{
    GAL_SHARED(first_sums, s);
    int64_t weights = g.out * g.kh * g.kw * g.c, all = weights + g.out;
    int64_t k = (int64_t)blockIdx.x * EIGHT + threadIdx.x % EIGHT;
    double sum = 0;
    for (int64_t b = threadIdx.x / EIGHT; b < blocks && k < all; b += LANES)
        sum += parts[b * all + k];
    s.of[threadIdx.x / EIGHT][threadIdx.x % EIGHT] = sum;
    __syncthreads();
    if (threadIdx.x >= EIGHT || k >= all)
        return;
    for (int lane = 1; lane < LANES; lane++)
        sum += s.of[lane][threadIdx.x];
    float *to = k < weights ? g.dw ? g.dw + k : NULL : g.db ? g.db + (k - weights) : NULL;
    if (to)
        *to = (float)(sum + (g.accumulate ? *to : 0));
}

/* ---- starting them ---- */

static int64_t tiles_of(const gal_conv_args *g)
{
    return g->n * ((g->zh + ROWS - 1) / ROWS) * ((g->zw + COLUMNS - 1) / COLUMNS);
}

/* Two blocks for each multiprocessor, which is what their registers leave room for. */
static int64_t blocks_of(const gal_cuda *device, const gal_conv_args *g)
{
    int64_t most = 2 * device->processors, tiles = tiles_of(g);
    return tiles < most ? tiles : most;
}

extern "C" gal_status gal_conv_first(gal_cuda *device, const gal_conv_args *g)
{
    return gal_launch(device, "first_forward", g->out == 16 ? first_forward<1> : first_forward<2>,
                      (unsigned)blocks_of(device, g), BLOCK, 0, *g, tiles_of(g));
}

extern "C" gal_status gal_conv_first_backward(gal_cuda *device, const gal_conv_args *g)
{
    int64_t blocks = blocks_of(device, g), all = g->out * (g->kh * g->kw * g->c + 1);
    float *parts = NULL;
    gal_status status = gal_cuda_scratch(device, (void **)&parts, (size_t)(blocks * all) * sizeof *parts);
    if (status == GAL_OK)
        status = gal_launch(device, "first_backward", g->out == 16 ? first_backward<1> : first_backward<2>,
                            (unsigned)blocks, BLOCK, 0, *g, tiles_of(g), parts);
    return status == GAL_OK ? GAL_LAUNCH(device, first_ends, (unsigned)((all + EIGHT - 1) / EIGHT), BLOCK, 0,
                                         *g, (const float *)parts, blocks)
                            : status;
}
