/* norm.cu: layer normalisation: a warp for each row, sums in double. */
#include "launch.h"
#include <cmath>

enum { WARPS = BLOCK / 32 };

/* The sum over a warp, the same in all its lanes. */
static __device__ inline double warp_sum(double value)
{
    for (int by = 16; by > 0; by /= 2)
        value += __shfl_xor_sync(0xffffffffu, value, by);
    return value;
}

__global__ void __launch_bounds__(BLOCK) layer_norm(const __grid_constant__ gal_layer_norm_args g)
{
    int lane = (int)threadIdx.x % 32;
    int64_t warp = (int64_t)blockIdx.x * WARPS + threadIdx.x / 32;
    for (int64_t r = warp; r < g.rows; r += (int64_t)gridDim.x * WARPS) {
        const float *x = g.x + r * g.n;
        double mean = 0, variance = 0;
        for (int64_t i = lane; i < g.n; i += 32)
            mean += x[i];
        mean = warp_sum(mean) / (double)g.n;
        for (int64_t i = lane; i < g.n; i += 32)
            variance += (x[i] - mean) * (x[i] - mean);
        variance = warp_sum(variance) / (double)g.n;
        float inverse = (float)(1 / sqrt(variance + g.eps));
        for (int64_t i = lane; i < g.n; i += 32)
            g.y[r * g.n + i] =
                (float)(x[i] - mean) * inverse * (g.scale ? g.scale[i] : 1) + (g.shift ? g.shift[i] : 0);
        if (g.statistics && lane == 0) {
            g.statistics[2 * r] = (float)mean;
            g.statistics[2 * r + 1] = inverse;
        }
    }
}

/* With u = (x - mean) inverse and v = dy scale: dx = inverse (v - mean of v - u mean of u v). */
__global__ void __launch_bounds__(BLOCK) layer_norm_backward(const __grid_constant__ gal_layer_norm_args g)
{
    int lane = (int)threadIdx.x % 32;
    int64_t warp = (int64_t)blockIdx.x * WARPS + threadIdx.x / 32;
    for (int64_t r = warp; r < g.rows; r += (int64_t)gridDim.x * WARPS) {
        const float *x = g.x + r * g.n, *dy = g.dy + r * g.n;
        float mean = g.statistics[2 * r], inverse = g.statistics[2 * r + 1];
        double v_mean = 0, uv_mean = 0;
        for (int64_t i = lane; i < g.n; i += 32) {
            double v = (double)dy[i] * (g.scale ? g.scale[i] : 1);
            v_mean += v;
            uv_mean += v * (x[i] - mean) * inverse;
        }
        v_mean = warp_sum(v_mean) / (double)g.n;
        uv_mean = warp_sum(uv_mean) / (double)g.n;
        for (int64_t i = lane; i < g.n; i += 32) {
            double u = (double)(x[i] - mean) * inverse, v = (double)dy[i] * (g.scale ? g.scale[i] : 1);
            g.dx[r * g.n + i] = (float)(inverse * (v - v_mean - u * uv_mean));
        }
    }
}

/* 32 columns a block, and the rows in eight lanes. */
enum { SIDE = 32, LANES = BLOCK / SIDE };
struct columns {
    double scale[LANES][SIDE], shift[LANES][SIDE];
};

__global__ void __launch_bounds__(BLOCK) layer_norm_scale(const __grid_constant__ gal_layer_norm_args g)
{
    GAL_SHARED(columns, s);
    int side = (int)threadIdx.x % SIDE, lane = (int)threadIdx.x / SIDE;
    int64_t i = (int64_t)blockIdx.x * SIDE + side;
    double scale = 0, shift = 0;
    for (int64_t r = lane; r < g.rows && i < g.n; r += LANES) {
        float mean = g.statistics[2 * r], inverse = g.statistics[2 * r + 1], dy = g.dy[r * g.n + i];
        scale += (double)dy * ((g.x[r * g.n + i] - mean) * inverse);
        shift += dy;
    }
    s.scale[lane][side] = scale;
    s.shift[lane][side] = shift;
    __syncthreads();
    if (lane != 0 || i >= g.n)
        return;
    for (int k = 1; k < LANES; k++) {
        scale += s.scale[k][side];
        shift += s.shift[k][side];
    }
    if (g.dscale)
        g.dscale[i] = (float)(scale + (g.accumulate ? g.dscale[i] : 0));
    if (g.dshift)
        g.dshift[i] = (float)(shift + (g.accumulate ? g.dshift[i] : 0));
}

extern "C" gal_status gal_cuda_layer_norm(gal_cuda *device, const void *args)
{
    const gal_layer_norm_args *g = (const gal_layer_norm_args *)args;
    return g->rows ? GAL_LAUNCH(device, layer_norm, gal_grid(32 * g->rows), BLOCK, 0, *g) : GAL_OK;
}

extern "C" gal_status gal_cuda_layer_norm_backward(gal_cuda *device, const void *args)
{
    const gal_layer_norm_args *g = (const gal_layer_norm_args *)args;
    return g->rows ? GAL_LAUNCH(device, layer_norm_backward, gal_grid(32 * g->rows), BLOCK, 0, *g) : GAL_OK;
}

extern "C" gal_status gal_cuda_layer_norm_backward_scale(gal_cuda *device, const void *args)
{
    const gal_layer_norm_args *g = (const gal_layer_norm_args *)args;
    unsigned blocks = (unsigned)((g->n + SIDE - 1) / SIDE);
    return blocks ? GAL_LAUNCH(device, layer_norm_scale, blocks, BLOCK, 0, *g) : GAL_OK;
}
