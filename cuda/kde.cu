/* kde.cu: the log-density of a sum of unit normals at each point: a block for each point, in double. */
#include "launch.h"
#include <cmath>

/* log(2 pi) / 2, in nats, for each dimension. */
#define HALF_LOG_TWO_PI 0.91893853320467274

struct partials {
    double warp[BLOCK / 32];
};

static __device__ inline double distance(const gal_kde_args &g, int64_t i, int64_t j)
{
    double sum = 0;
    for (int64_t k = 0; k < g.d; k++) {
        double step = (double)g.points[i * g.d + k] - g.data[j * g.d + k];
        sum += step * step;
    }
    return sum;
}

/* The smaller one; NaN where either is. */
static __device__ inline double smaller(double a, double b)
{
    return a < b || a != a ? a : b;
}

/* The smallest squared distance from point i to a row, in all threads. */
static __device__ inline double nearest_of(const gal_kde_args &g, int64_t i, partials &s)
{
    double nearest = INFINITY;
    for (int64_t j = threadIdx.x; j < g.n; j += BLOCK)
        if (!(g.skip_self && i == j))
            nearest = smaller(nearest, distance(g, i, j));
    for (int by = 16; by > 0; by /= 2)
        nearest = smaller(nearest, __shfl_xor_sync(0xffffffffu, nearest, by));
    __syncthreads(); /* the point before this one has been read */
    if (threadIdx.x % 32 == 0)
        s.warp[threadIdx.x / 32] = nearest;
    __syncthreads();
    for (int w = 0; w < BLOCK / 32; w++)
        nearest = smaller(nearest, s.warp[w]);
    return nearest;
}

/* y[i] = log sum_j exp(-|p_i - x_j|^2 / 2) - log(rows counted) - d log(2 pi) / 2, shifted by the nearest row
 * so that no sum is empty. -inf without rows. */
__global__ void __launch_bounds__(BLOCK) kde(const __grid_constant__ gal_kde_args g)
{
    GAL_SHARED(partials, s);
    int64_t counted = g.n - (g.skip_self != 0);
    for (int64_t i = blockIdx.x; i < g.m; i += gridDim.x) {
        double nearest = nearest_of(g, i, s), sum = 0;
        for (int64_t j = threadIdx.x; j < g.n; j += BLOCK)
            if (!(g.skip_self && i == j))
                sum += exp(0.5 * (nearest - distance(g, i, j)));
        __syncthreads(); /* the warps' nearest have been read */
        sum = gal_block_sum(sum, s.warp);
        if (threadIdx.x == 0)
            g.y[i] =
                counted > 0
                    ? (float)(log(sum) - 0.5 * nearest - log((double)counted) - (double)g.d * HALF_LOG_TWO_PI)
                    : -INFINITY;
    }
}

extern "C" gal_status gal_cuda_kde_log_density(gal_cuda *device, const void *args)
{
    const gal_kde_args *g = (const gal_kde_args *)args;
    return g->m ? GAL_LAUNCH(device, kde, gal_blocks(device, g->m), BLOCK, 0, *g) : GAL_OK;
}
