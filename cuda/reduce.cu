/* reduce.cu: sums, means, deviations, extremes and their places, and running sums, along the middle of
 * {outer, n, inner}. Sums run in double, in an order that depends on n, outer and inner alone. A block has
 * 256 threads for `results` elements of y side by side, 256 / results lanes for each; long sums of few
 * results are cut into parts, which a second launch adds up. */
#include "launch.h"
#include <cmath>

/* What a reduction starts from, takes in, and how two of its parts become one. */
struct total {
    static __device__ double start()
    {
        return 0;
    }
    static __device__ double term(float x, double)
    {
        return x;
    }
    static __device__ double join(double a, double b)
    {
        return a + b;
    }
};
/* Of the squares of the distances from the mean. */
struct squares : total {
    static __device__ double term(float x, double mean)
    {
        return (x - mean) * (x - mean);
    }
};
/* NaN where any is. */
template <int sign> struct extreme {
    static __device__ double start()
    {
        return -sign * INFINITY;
    }
    static __device__ double term(float x, double)
    {
        return x;
    }
    static __device__ double join(double a, double b)
    {
        return a != a || sign * a > sign * b ? a : b;
    }
};

struct partials {
    double value[BLOCK];
};

/* out[part][result]: from part number blockIdx.y of n; mean {results} or NULL. */
template <class op, int lanes>
__global__ void __launch_bounds__(BLOCK) reduce_parts(const float *x, const double *mean, double *out,
                                                      int64_t results, int64_t n, int64_t inner, int64_t part)
{
    GAL_SHARED(partials, s);
    const int side = BLOCK / lanes, lane = (int)threadIdx.x / side;
    int64_t r = (int64_t)blockIdx.x * side + threadIdx.x % side;
    int64_t from = blockIdx.y * part, to = from + part < n ? from + part : n;
    double value = op::start();
    if (r < results) {
        const float *column = x + r / inner * n * inner + r % inner;
        double m = mean ? mean[r] : 0;
        for (int64_t i = from + lane; i < to; i += lanes)
            value = op::join(value, op::term(column[i * inner], m));
    }
    s.value[threadIdx.x] = value;
    __syncthreads();
    if (lanes > 32 && threadIdx.x < 16) { /* sixteen first, then one */
        for (int i = 1; i < lanes / 16; i++)
            value = op::join(value, s.value[threadIdx.x + 16 * i]);
        s.value[threadIdx.x] = value;
    }
    if (lanes > 32 && threadIdx.x < 32)
        __syncwarp();
    if (lane == 0 && r < results) {
        value = s.value[threadIdx.x];
        for (int i = 1; i < (lanes > 32 ? 16 : lanes); i++)
            value = op::join(value, s.value[(int)threadIdx.x + i * side]);
        out[blockIdx.y * results + r] = value;
    }
}

enum { AS_IT_IS, MEAN, ROOT_MEAN };

/* From the parts to y, and to mean where it is not NULL. */
template <class op>
__global__ void __launch_bounds__(BLOCK) reduce_finish(float *y, double *mean, const double *parts,
                                                       int64_t results, int64_t count, double n, int what)
{
    GAL_EACH (r, results) {
        double value = parts[r];
        for (int64_t p = 1; p < count; p++)
            value = op::join(value, parts[p * results + r]);
        value = what == AS_IT_IS ? value : value / n;
        if (mean)
            mean[r] = value;
        else
            y[r] = (float)(what == ROOT_MEAN ? sqrt(value) : value);
    }
}

/* One pass over x: y, or the mean in its place. scratch {parts, results}. */
template <class op>
static gal_status pass(gal_cuda *device, const gal_reduce_args *g, double *mean_in, double *mean_out,
                       double *scratch, int64_t parts, int what)
{
    int64_t results = g->outer * g->inner, part = (g->n + parts - 1) / parts;
    int lanes = g->n <= 8 ? 1 : g->inner == 1 ? 256 : 8;
    dim3 grid((unsigned)((results * lanes + BLOCK - 1) / BLOCK), (unsigned)parts);
    auto kernel = lanes == 1 ? reduce_parts<op, 1> : lanes == 8 ? reduce_parts<op, 8> : reduce_parts<op, 256>;
    gal_status status = gal_launch(device, "reduce_parts", kernel, grid, BLOCK, 0, g->x, mean_in, scratch,
                                   results, g->n, g->inner, part);
    if (status == GAL_OK)
        status = GAL_LAUNCH(device, reduce_finish<op>, gal_grid(results), BLOCK, 0, (float *)g->y, mean_out,
                            scratch, results, parts, (double)g->n, what);
    return status;
}

/* So many parts of at least 2,048 terms that there are some 512 blocks. */
static int64_t parts_of(const gal_reduce_args *g)
{
    int64_t blocks = (g->outer * g->inner + BLOCK - 1) / BLOCK * (g->inner == 1 ? 256 : 8);
    int64_t wanted = 512 / blocks, most = g->n / 2048;
    wanted = wanted < most ? wanted : most;
    return wanted > 1 ? wanted : 1;
}

template <class op> static gal_status reduce(gal_cuda *device, const void *args, int what)
{
    const gal_reduce_args *g = (const gal_reduce_args *)args;
    int64_t results = g->outer * g->inner, parts = parts_of(g);
    double *scratch;
    if (results == 0)
        return GAL_OK;
    gal_status status =
        gal_cuda_scratch(device, (void **)&scratch, (size_t)((parts + 1) * results) * sizeof *scratch);
    if (status == GAL_OK)
        status = pass<op>(device, g, NULL, NULL, scratch, parts, what);
    return status;
}

extern "C" gal_status gal_cuda_sum(gal_cuda *device, const void *args)
{
    return reduce<total>(device, args, AS_IT_IS);
}

extern "C" gal_status gal_cuda_mean(gal_cuda *device, const void *args)
{
    return reduce<total>(device, args, MEAN);
}

extern "C" gal_status gal_cuda_max(gal_cuda *device, const void *args)
{
    return reduce<extreme<1>>(device, args, AS_IT_IS);
}

extern "C" gal_status gal_cuda_min(gal_cuda *device, const void *args)
{
    return reduce<extreme<-1>>(device, args, AS_IT_IS);
}

/* Two passes: the mean, then the squares about it. */
extern "C" gal_status gal_cuda_std(gal_cuda *device, const void *args)
{
    const gal_reduce_args *g = (const gal_reduce_args *)args;
    int64_t results = g->outer * g->inner, parts = parts_of(g);
    double *mean;
    if (results == 0)
        return GAL_OK;
    gal_status status =
        gal_cuda_scratch(device, (void **)&mean, (size_t)((parts + 1) * results) * sizeof *mean);
    if (status == GAL_OK)
        status = pass<total>(device, g, NULL, mean, mean + results, parts, MEAN);
    if (status == GAL_OK)
        status = pass<squares>(device, g, mean, NULL, mean + results, parts, ROOT_MEAN);
    return status;
}

/* ---- places of extremes ---- */

/* Of the terms that a thread or a block has seen; place 0: of none. */
struct candidate {
    float value;
    int64_t place;
};

/* The better of two: a NaN before all else, then the larger (sign +1) or smaller (-1), then the earlier. */
template <int sign> static __device__ inline candidate better(candidate a, candidate b)
{
    if (a.place == 0 || b.place == 0)
        return a.place ? a : b;
    bool a_nan = a.value != a.value, b_nan = b.value != b.value;
    if (a_nan != b_nan)
        return a_nan ? a : b;
    if (!a_nan && a.value != b.value)
        return sign * a.value > sign * b.value ? a : b;
    return a.place < b.place ? a : b;
}

struct candidates {
    candidate of[BLOCK];
};

/* lanes: how many threads of a block share a result, 1 or all. */
template <int sign, int lanes>
__global__ void __launch_bounds__(BLOCK)
    extreme_places(int64_t *y, const float *x, int64_t results, int64_t n, int64_t inner)
{
    GAL_SHARED(candidates, s);
    int lane = lanes == 1 ? 0 : (int)threadIdx.x;
    int64_t step = (int64_t)gridDim.x * (BLOCK / lanes);
    for (int64_t r = (int64_t)blockIdx.x * (BLOCK / lanes) + threadIdx.x / lanes; r < results; r += step) {
        const float *column = x + r / inner * n * inner + r % inner;
        candidate best = {0, 0};
        for (int64_t i = lane; i < n; i += lanes)
            best = better<sign>(best, candidate{column[i * inner], i + 1});
        for (int apart = lanes / 2; apart > 0; apart /= 2) {
            s.of[lane] = best;
            __syncthreads();
            if (lane < apart)
                best = better<sign>(best, s.of[lane + apart]);
            __syncthreads();
        }
        if (lane == 0)
            y[r] = best.place;
    }
}

template <int sign> static gal_status places(gal_cuda *device, const void *args)
{
    const gal_reduce_args *g = (const gal_reduce_args *)args;
    int64_t results = g->outer * g->inner;
    if (results == 0)
        return GAL_OK;
    if (g->n <= 64)
        return GAL_LAUNCH(device, (extreme_places<sign, 1>), gal_grid(results), BLOCK, 0, (int64_t *)g->y,
                          g->x, results, g->n, g->inner);
    return GAL_LAUNCH(device, (extreme_places<sign, BLOCK>), gal_blocks(device, results), BLOCK, 0,
                      (int64_t *)g->y, g->x, results, g->n, g->inner);
}

extern "C" gal_status gal_cuda_argmax(gal_cuda *device, const void *args)
{
    return places<1>(device, args);
}

extern "C" gal_status gal_cuda_argmin(gal_cuda *device, const void *args)
{
    return places<-1>(device, args);
}

/* ---- running sums ---- */

struct shares {
    double sum[BLOCK];
};

/* Each of a result's threads sums its share of the n terms, then writes what its terms add to the sums of the
 * shares before. lanes as above; y may be x. */
template <int lanes>
__global__ void __launch_bounds__(BLOCK)
    running_sums(float *y, const float *x, int64_t results, int64_t n, int64_t inner)
{
    GAL_SHARED(shares, s);
    int lane = lanes == 1 ? 0 : (int)threadIdx.x;
    int64_t step = (int64_t)gridDim.x * (BLOCK / lanes), part = (n + lanes - 1) / lanes;
    int64_t from = lane * part, to = from + part < n ? from + part : n;
    for (int64_t r = (int64_t)blockIdx.x * (BLOCK / lanes) + threadIdx.x / lanes; r < results; r += step) {
        int64_t first = r / inner * n * inner + r % inner;
        double total = 0, before = 0;
        if (lanes > 1) {
            for (int64_t i = from; i < to; i++)
                total += x[first + i * inner];
            s.sum[lane] = total;
            __syncthreads();
            for (int i = 0; i < lane; i++)
                before += s.sum[i];
            __syncthreads();
        }
        for (int64_t i = from; i < to; i++) {
            before += x[first + i * inner];
            y[first + i * inner] = (float)before;
        }
    }
}

extern "C" gal_status gal_cuda_cumsum(gal_cuda *device, const void *args)
{
    const gal_reduce_args *g = (const gal_reduce_args *)args;
    int64_t results = g->outer * g->inner;
    if (results == 0 || g->n == 0)
        return GAL_OK;
    if (g->n <= 64)
        return GAL_LAUNCH(device, running_sums<1>, gal_grid(results), BLOCK, 0, (float *)g->y, g->x, results,
                          g->n, g->inner);
    return GAL_LAUNCH(device, running_sums<BLOCK>, gal_blocks(device, results), BLOCK, 0, (float *)g->y, g->x,
                      results, g->n, g->inner);
}
