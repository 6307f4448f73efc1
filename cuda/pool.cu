/* pool.cu: mean and maximum pools over windows, forward and backward. The backward goes over x's pixels and
 * adds, in the windows' order, what each window gives to the pixel: no two threads write one element. */
#include "launch.h"

/* Element i of {images, height, width, c}: its parts. */
struct place {
    int64_t image, row, column, channel;

    __device__ place(int64_t i, int64_t height, int64_t width, int64_t c)
        : image(i / (c * width * height)), row(i / (c * width) % height), column(i / c % width),
          channel(i % c)
    {
    }
};

/* x at pixel (row, column) of the place's image and channel. */
static __device__ inline int64_t at(const gal_pool_args &g, const place &p, int64_t row, int64_t column)
{
    return ((p.image * g.h + row) * g.w + column) * g.c + p.channel;
}

/* Where the first of a window's largest values in row-major order is, or its first NaN: an element of x. */
static __device__ inline int64_t largest(const gal_pool_args &g, const place &p, int64_t row, int64_t column)
{
    int64_t best = at(g, p, row, column);
    for (int64_t k = 1; k < g.window * g.window; k++) {
        int64_t i = at(g, p, row + k / g.window, column + k % g.window);
        if (g.x[i] > g.x[best] || (g.x[i] != g.x[i] && g.x[best] == g.x[best]))
            best = i;
    }
    return best;
}

template <bool mean> __global__ void __launch_bounds__(BLOCK) pool(const __grid_constant__ gal_pool_args g)
{
    GAL_EACH (i, g.n * g.yh * g.yw * g.c) {
        place p(i, g.yh, g.yw, g.c);
        int64_t row = p.row * g.stride, column = p.column * g.stride;
        float y = 0;
        for (int64_t k = 0; mean && k < g.window * g.window; k++)
            y += g.x[at(g, p, row + k / g.window, column + k % g.window)];
        g.y[i] = mean ? y / (float)(g.window * g.window) : g.x[largest(g, p, row, column)];
    }
}

/* The first window that reaches a pixel, of those that begin every `stride` pixels. */
static __device__ inline int64_t first_window(int64_t pixel, int64_t window, int64_t stride)
{
    return pixel < window ? 0 : (pixel - window) / stride + 1;
}

template <bool mean>
__global__ void __launch_bounds__(BLOCK) pool_backward(const __grid_constant__ gal_pool_args g)
{
    GAL_EACH (i, g.n * g.h * g.w * g.c) {
        place p(i, g.h, g.w, g.c);
        float dx = 0;
        for (int64_t r = first_window(p.row, g.window, g.stride); r < g.yh && r * g.stride <= p.row; r++)
            for (int64_t c = first_window(p.column, g.window, g.stride); c < g.yw && c * g.stride <= p.column;
                 c++) {
                float dy = g.dy[((p.image * g.yh + r) * g.yw + c) * g.c + p.channel];
                if (mean)
                    dx += dy / (float)(g.window * g.window);
                else if (largest(g, p, r * g.stride, c * g.stride) == i)
                    dx += dy;
            }
        g.dx[i] = dx;
    }
}

#define POOL(name, mean)                                                                                \
    extern "C" gal_status gal_cuda_##name(gal_cuda *device, const void *args)                           \
    {                                                                                                   \
        const gal_pool_args *g = (const gal_pool_args *)args;                                           \
        int64_t count = g->n * g->yh * g->yw * g->c;                                                    \
        return count ? GAL_LAUNCH(device, pool<mean>, gal_grid(count), BLOCK, 0, *g) : GAL_OK;          \
    }                                                                                                   \
    extern "C" gal_status gal_cuda_##name##_backward(gal_cuda *device, const void *args)                \
    {                                                                                                   \
        const gal_pool_args *g = (const gal_pool_args *)args;                                           \
        int64_t count = g->n * g->h * g->w * g->c;                                                      \
        return count ? GAL_LAUNCH(device, pool_backward<mean>, gal_grid(count), BLOCK, 0, *g) : GAL_OK; \
    }
POOL(avg_pool2d, true)
POOL(max_pool2d, false)
