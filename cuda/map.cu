/* map.cu: elementwise ops over any strides: a formula each, and the loop that all of them share. */
#include "activation.h"
#include "launch.h"

/* Operands of rank 1 at most: a stride each. */
template <class op> __global__ void __launch_bounds__(BLOCK) map_flat(const __grid_constant__ gal_map_args g)
{
    GAL_EACH (i, g.count)
        g.y[i * g.ys[0]] = op::of(g.a[i * g.as[0]], g.b ? g.b[i * g.bs[0]] : 0.0f, g.p, g.q);
}

/* Any rank; index: uint32_t where count fits it, whose divisions are a quarter of the price. */
template <class op, class index>
__global__ void __launch_bounds__(BLOCK) map_strided(const __grid_constant__ gal_map_args g)
{
    GAL_EACH (i, g.count) {
        index rest = (index)i;
        int64_t y = 0, a = 0, b = 0;
        for (int d = g.rank - 1; d >= 0; d--) {
            index size = (index)g.shape[d], at = rest % size;
            rest /= size;
            y += (int64_t)at * g.ys[d];
            a += (int64_t)at * g.as[d];
            b += (int64_t)at * g.bs[d];
        }
        g.y[y] = op::of(g.a[a], g.b ? g.b[b] : 0.0f, g.p, g.q);
    }
}

template <class op> static gal_status map(gal_cuda *device, const void *args)
{
    const gal_map_args *g = (const gal_map_args *)args;
    dim3 grid = gal_grid(g->count);
    if (g->count == 0)
        return GAL_OK;
    if (g->rank <= 1)
        return GAL_LAUNCH(device, map_flat<op>, grid, BLOCK, 0, *g);
    if (g->count <= UINT32_MAX)
        return GAL_LAUNCH(device, (map_strided<op, uint32_t>), grid, BLOCK, 0, *g);
    return GAL_LAUNCH(device, (map_strided<op, uint64_t>), grid, BLOCK, 0, *g);
}

#define MAP(name, expression)                                                 \
    struct name##_of {                                                        \
        static __device__ float of(float a, float b, float p, float q)        \
        {                                                                     \
            (void)a, (void)b, (void)p, (void)q;                               \
            return expression;                                                \
        }                                                                     \
    };                                                                        \
    extern "C" gal_status gal_cuda_##name(gal_cuda *device, const void *args) \
    {                                                                         \
        return map<name##_of>(device, args);                                  \
    }

/* clang-format off */
MAP(add, a + b)
MAP(sub, a - b)
MAP(mul, a * b)
MAP(div, a / b)
MAP(pow, powf(a, b))
MAP(maximum, a > b || a != a ? a : b) /* NaN where either is: a comparison with a NaN b is false */
MAP(minimum, a < b || a != a ? a : b)
MAP(eq, a == b)
MAP(lt, a < b)
MAP(le, a <= b)
MAP(masked, b != 0 ? a : -0.0f)
MAP(affine, p * a + q)
MAP(power, powf(a, p))
MAP(exp, expf(a))
MAP(log, logf(a))
MAP(sqrt, sqrtf(a))
MAP(abs, fabsf(a))
MAP(sin, sinf(a))
MAP(cos, cosf(a))
MAP(sigmoid, sigmoid_of_real(a))
MAP(tanh, tanhf(a))
MAP(relu, a > 0 || a != a ? a : 0)
MAP(silu, a * sigmoid_of_real(a))
MAP(gelu, a * normal_cdf(a))
MAP(relu_backward, b > 0 ? a : 0)
MAP(silu_backward, a * silu_slope(b))
MAP(gelu_backward, a * gelu_slope(b))
MAP(tanh_backward, a * (1 - b * b))
MAP(sigmoid_backward, a * b * (1 - b))
/* clang-format on */
