/* copy.cu: moves elements between strides and types; writes constants and arithmetic sequences. */
#include "launch.h"

/* ---- types ----
 * Other types than float32 pass through double; a value outside the target's range becomes its nearest end,
 * NaN becomes 0 in integers. */
static __device__ inline double load(const void *x, int type, int64_t i)
{
    switch (type) {
    case GAL_F32:
        return ((const float *)x)[i];
    case GAL_U8:
        return ((const uint8_t *)x)[i];
    case GAL_I64:
        return (double)((const int64_t *)x)[i];
    default:
        return ((const double *)x)[i];
    }
}

static __device__ inline void store(void *y, int type, int64_t i, double value)
{
    switch (type) {
    case GAL_F32:
        ((float *)y)[i] = (float)value;
        break;
    case GAL_U8:
        ((uint8_t *)y)[i] = value >= 255 ? 255 : value > 0 ? (uint8_t)value : 0;
        break;
    case GAL_I64:
        ((int64_t *)y)[i] = value >= 0x1p63    ? INT64_MAX
                            : value <= -0x1p63 ? INT64_MIN
                            : value == value   ? (int64_t)value
                                               : 0;
        break;
    default:
        ((double *)y)[i] = value;
    }
}

static int64_t size_of(int type)
{
    static const int64_t sizes[] = {4, 1, 8, 8};
    return sizes[type];
}

/* ---- kernels ---- */

/* The places in y and x of element `flat` in row-major order. */
static __device__ inline void places(const gal_copy_args &g, int64_t flat, int64_t *y, int64_t *x)
{
    uint64_t rest = (uint64_t)flat;
    *y = *x = 0;
    for (int d = g.rank - 1; d >= 0; d--) {
        uint64_t at;
        if (rest <= UINT32_MAX && g.shape[d] <= UINT32_MAX) { /* a quarter of the price */
            at = (uint32_t)rest % (uint32_t)g.shape[d];
            rest = (uint32_t)rest / (uint32_t)g.shape[d];
        } else {
            at = rest % (uint64_t)g.shape[d];
            rest /= (uint64_t)g.shape[d];
        }
        *y += (int64_t)at * g.ys[d];
        *x += (int64_t)at * g.xs[d];
    }
}

/* Within one type, whose bits are those of T. */
template <class T> __global__ void __launch_bounds__(BLOCK) move(const __grid_constant__ gal_copy_args g)
{
    GAL_EACH (i, g.count) {
        int64_t y, x;
        places(g, i, &y, &x);
        ((T *)g.y)[y] = ((const T *)g.x)[x];
    }
}

__global__ void __launch_bounds__(BLOCK) convert(const __grid_constant__ gal_copy_args g)
{
    GAL_EACH (i, g.count) {
        int64_t y, x;
        places(g, i, &y, &x);
        if (g.y_type == GAL_F32 && g.x_type == GAL_U8) /* images, at every step */
            ((float *)g.y)[y] = ((const uint8_t *)g.x)[x];
        else
            store(g.y, g.y_type, y, load(g.x, g.x_type, x));
    }
}

/* start + i step at element i. */
__global__ void __launch_bounds__(BLOCK) sequence(const __grid_constant__ gal_copy_args g)
{
    GAL_EACH (i, g.count) {
        int64_t y, x;
        places(g, i, &y, &x);
        store(g.y, g.y_type, y, g.start + (double)i * g.step);
    }
}

/* ---- ops ---- */

static bool flat(const gal_copy_args *g)
{
    return g->rank == 0 || (g->rank == 1 && g->ys[0] == 1 && g->xs[0] == 1);
}

extern "C" gal_status gal_cuda_copy(gal_cuda *device, const void *args)
{
    const gal_copy_args *g = (const gal_copy_args *)args;
    dim3 grid = gal_grid(g->count);
    if (g->count == 0 || (g->x == g->y && g->x_type == g->y_type))
        return GAL_OK;
    if (g->x_type != g->y_type)
        return GAL_LAUNCH(device, convert, grid, BLOCK, 0, *g);
    int64_t size = size_of(g->y_type);
    if (flat(g))
        return gal_cuda_status(
            device,
            cudaMemcpyAsync(g->y, g->x, (size_t)(g->count * size), cudaMemcpyDeviceToDevice, device->stream),
            "copy");
    if (size == 4)
        return GAL_LAUNCH(device, move<uint32_t>, grid, BLOCK, 0, *g);
    if (size == 8)
        return GAL_LAUNCH(device, move<uint64_t>, grid, BLOCK, 0, *g);
    return GAL_LAUNCH(device, move<uint8_t>, grid, BLOCK, 0, *g);
}

extern "C" gal_status gal_cuda_arange(gal_cuda *device, const void *args)
{
    const gal_copy_args *g = (const gal_copy_args *)args;
    return g->count ? GAL_LAUNCH(device, sequence, gal_grid(g->count), BLOCK, 0, *g) : GAL_OK;
}

extern "C" gal_status gal_cuda_fill(gal_cuda *device, const void *args)
{
    gal_copy_args g = *(const gal_copy_args *)args;
    g.step = 0;
    return gal_cuda_arange(device, &g);
}
