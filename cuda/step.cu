/* step.cu: optimisers with their averages, and clipping, over one flat block of parameters. Each number that
 * changes from step to step is read through a pointer. */
#include "launch.h"
#include <cmath>

/* ---- the numbers of a step ----
 * A launch of one thread works them out in double, counts the step, and leaves them for the launch over the
 * parameters. */
struct rates {
    float m_keep, m_new, v_keep, v_new, eps, rate, scale, decay; /* AdamW; SGD: rate, decay, m_keep */
    float average; /* how far the average goes to the new value */
    int32_t nesterov, start;
};

/* The weight of a new value in the average, after `step` steps. */
static __device__ inline float average_weight(const gal_step_args &g, double step)
{
    if (!g.average)
        return 0;
    double window = step / (step + 9), decay = *g.decay;
    return (float)(1 - (decay < window ? decay : window));
}

__global__ void adamw_rates(const __grid_constant__ gal_step_args g, rates *out)
{
    double lr = g.hyper[0], beta1 = g.hyper[1], beta2 = g.hyper[2], t = (double)(*g.step + 1);
    rates r = {};
    r.m_keep = g.hyper[1], r.m_new = (float)(1 - beta1);
    r.v_keep = g.hyper[2], r.v_new = (float)(1 - beta2);
    r.eps = g.hyper[3];
    r.rate = (float)(lr / (1 - pow(beta1, t)));
    r.scale = (float)(1 / sqrt(1 - pow(beta2, t)));
    r.decay = (float)(1 - lr * g.hyper[4]);
    r.average = average_weight(g, t);
    *out = r;
    ++*g.step;
}

__global__ void sgd_rates(const __grid_constant__ gal_step_args g, rates *out)
{
    rates r = {};
    r.rate = g.hyper[0], r.m_keep = g.hyper[1], r.decay = g.hyper[2];
    r.nesterov = g.hyper[3] != 0, r.start = *g.step <= 0;
    r.average = average_weight(g, (double)(*g.step + 1));
    *out = r;
    ++*g.step;
}

/* ---- optimisers ---- */

static __device__ inline void store_parameter(const gal_step_args &g, int64_t i, float value, float weight)
{
    g.parameter[i] = value;
    if (g.average)
        g.average[i] += weight * (value - g.average[i]);
}

/* As in PyTorch: the decay first, then p -= lr / (1 - beta1^t) * m / (sqrt(v) / sqrt(1 - beta2^t) + eps). */
__global__ void __launch_bounds__(BLOCK) adamw(const __grid_constant__ gal_step_args g, const rates *at)
{
    const rates r = *at;
    GAL_EACH (i, g.count) {
        float d = g.gradient[i];
        float m = fmaf(r.m_keep, g.first[i], r.m_new * d);
        float v = fmaf(r.v_keep, g.second[i], r.v_new * (d * d));
        g.first[i] = m;
        g.second[i] = v;
        store_parameter(g, i, r.decay * g.parameter[i] - r.rate * m / fmaf(sqrtf(v), r.scale, r.eps),
                        r.average);
    }
}

/* As in PyTorch: the velocity starts as the first gradient. */
__global__ void __launch_bounds__(BLOCK) sgd(const __grid_constant__ gal_step_args g, const rates *at)
{
    const rates r = *at;
    GAL_EACH (i, g.count) {
        float d = g.gradient[i] + r.decay * g.parameter[i];
        float v = r.start ? d : r.m_keep * g.first[i] + d;
        g.first[i] = v;
        store_parameter(g, i, g.parameter[i] - r.rate * (r.nesterov ? d + r.m_keep * v : v), r.average);
    }
}

extern "C" gal_status gal_cuda_adamw(gal_cuda *device, const void *args)
{
    const gal_step_args *g = (const gal_step_args *)args;
    rates *r;
    gal_status status = gal_cuda_scratch(device, (void **)&r, sizeof *r);
    if (status == GAL_OK)
        status = GAL_LAUNCH(device, adamw_rates, 1, 1, 0, *g, r);
    if (status == GAL_OK && g->count)
        status = GAL_LAUNCH(device, adamw, gal_grid(g->count), BLOCK, 0, *g, r);
    return status;
}

extern "C" gal_status gal_cuda_sgd(gal_cuda *device, const void *args)
{
    const gal_step_args *g = (const gal_step_args *)args;
    rates *r;
    gal_status status = gal_cuda_scratch(device, (void **)&r, sizeof *r);
    if (status == GAL_OK)
        status = GAL_LAUNCH(device, sgd_rates, 1, 1, 0, *g, r);
    if (status == GAL_OK && g->count)
        status = GAL_LAUNCH(device, sgd, gal_grid(g->count), BLOCK, 0, *g, r);
    return status;
}

/* ---- clipping ---- */

struct partials {
    double warp[BLOCK / 32];
};

/* y[block] = the sum of squares of the block's share of x {count}. */
__global__ void __launch_bounds__(BLOCK) squares(double *y, const float *x, int64_t count)
{
    GAL_SHARED(partials, s);
    double sum = 0;
    GAL_EACH (i, count)
        sum += (double)x[i] * x[i];
    sum = gal_block_sum(sum, s.warp);
    if (threadIdx.x == 0)
        y[blockIdx.x] = sum;
}

__global__ void __launch_bounds__(BLOCK) sum_parts(double *y, const double *parts, int count)
{
    GAL_SHARED(partials, s);
    double sum = (int)threadIdx.x < count ? parts[threadIdx.x] : 0;
    sum = gal_block_sum(sum, s.warp);
    if (threadIdx.x == 0)
        *y = sum;
}

extern "C" gal_status gal_cuda_sum_squares(gal_cuda *device, const void *args)
{
    const gal_step_args *g = (const gal_step_args *)args;
    int64_t wanted = g->count / 2048;
    int blocks = wanted < BLOCK ? (int)wanted : (int)BLOCK;
    double *parts;
    if (blocks <= 1)
        return GAL_LAUNCH(device, squares, 1, BLOCK, 0, g->total, g->gradient, g->count);
    gal_status status = gal_cuda_scratch(device, (void **)&parts, (size_t)blocks * sizeof *parts);
    if (status == GAL_OK)
        status = GAL_LAUNCH(device, squares, (unsigned)blocks, BLOCK, 0, parts, g->gradient, g->count);
    if (status == GAL_OK)
        status = GAL_LAUNCH(device, sum_parts, 1, BLOCK, 0, g->total, parts, blocks);
    return status;
}

/* total {}: the sum of squares; hyper {1}: the limit. */
__global__ void __launch_bounds__(BLOCK) clip(const __grid_constant__ gal_step_args g)
{
    double norm = sqrt(*g.total);
    float scale = norm > g.hyper[0] ? (float)(g.hyper[0] / norm) : 1;
    GAL_EACH (i, g.count)
        g.parameter[i] *= scale;
}

extern "C" gal_status gal_cuda_clip(gal_cuda *device, const void *args)
{
    const gal_step_args *g = (const gal_step_args *)args;
    return g->count ? GAL_LAUNCH(device, clip, gal_grid(g->count), BLOCK, 0, *g) : GAL_OK;
}
