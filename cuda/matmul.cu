/* matmul.cu: products of matrices and of linear layers: which go to cuBLASLt (cublas.c), which to our own
 * kernel (product.cu), and what neither does by itself: activations behind a library's product, sums of
 * columns. */
#include "activation.h"
#include "launch.h"
#include "product.h"

/* Up to so many multiply-adds a product is our own kernel's, in float32 whatever precision is asked for: one
 * launch with bias, activation and slope instead of two, whose latency is what a small product costs, and a
 * row's own bits. Computed, not yet measured on a card. */
#define OWN_MOST ((int64_t)1 << 24)

static bool own(const gal_matmul_args *g)
{
    return g->m * g->n * g->k <= OWN_MOST || !gal_cuda_library_takes(g);
}

extern "C" gal_status gal_cuda_matmul(gal_cuda *device, const void *args)
{
    product_args p = {};
    p.g = *(const gal_matmul_args *)args;
    if (p.g.m == 0 || p.g.n == 0)
        return GAL_OK;
    return own(&p.g) ? gal_own_product(device, &p) : gal_cuda_library_product(device, &p.g, NULL, 0);
}

/* ---- layers ---- */

/* y = f(y), slope = f'(y) or NULL. */
__global__ void __launch_bounds__(BLOCK) activate_all(float *y, float *slope, int64_t count, int activation)
{
    GAL_EACH (i, count) {
        float f;
        y[i] = activate(activation, y[i], &f);
        if (slope)
            slope[i] = f;
    }
}

extern "C" gal_status gal_cuda_linear(gal_cuda *device, const void *args)
{
    const gal_linear_args *g = (const gal_linear_args *)args;
    product_args p = {};
    p.g.y = g->y, p.g.a = g->x, p.g.b = g->w;
    p.g.m = g->rows, p.g.n = g->out, p.g.k = g->in, p.g.ldy = g->out;
    p.g.a_row = g->in, p.g.a_col = 1, p.g.b_row = 1, p.g.b_col = g->in;
    p.g.precision = g->precision;
    p.bias = g->b, p.slope = g->slope, p.activation = g->activation;
    if (g->rows == 0 || g->out == 0)
        return GAL_OK;
    if (own(&p.g))
        return gal_own_product(device, &p);
    int relu = g->activation == GAL_RELU && !g->slope;
    gal_status status = gal_cuda_library_product(device, &p.g, g->b, relu);
    bool done = relu || (g->activation == GAL_IDENTITY && !g->slope);
    int64_t count = g->rows * g->out;
    if (status == GAL_OK && !done)
        status =
            GAL_LAUNCH(device, activate_all, gal_grid(count), BLOCK, 0, g->y, g->slope, count, g->activation);
    return status;
}

extern "C" gal_status gal_cuda_linear_backward_input(gal_cuda *device, const void *args)
{
    const gal_linear_args *g = (const gal_linear_args *)args;
    gal_matmul_args product = {};
    product.y = g->y, product.a = g->x, product.b = g->w;
    product.m = g->rows, product.n = g->in, product.k = g->out, product.ldy = g->in;
    product.a_row = g->out, product.a_col = 1, product.b_row = g->in, product.b_col = 1;
    product.precision = g->precision;
    return gal_cuda_matmul(device, &product);
}

/* ---- sums of columns: behind a library's dw ---- */

enum { SIDE = 32, LANES = BLOCK / SIDE };
struct columns {
    double part[LANES][SIDE];
};

/* y {n} = sums of the columns of x {rows, n}, or += them. */
__global__ void __launch_bounds__(BLOCK)
    column_sums(float *y, const float *x, int64_t rows, int64_t n, int accumulate)
{
    GAL_SHARED(columns, s);
    int side = (int)threadIdx.x % SIDE, lane = (int)threadIdx.x / SIDE;
    int64_t i = (int64_t)blockIdx.x * SIDE + side;
    double sum = 0;
    for (int64_t r = lane; r < rows && i < n; r += LANES)
        sum += x[r * n + i];
    s.part[lane][side] = sum;
    __syncthreads();
    if (lane != 0 || i >= n)
        return;
    for (int k = 1; k < LANES; k++)
        sum += s.part[k][side];
    y[i] = (float)(sum + (accumulate ? y[i] : 0));
}

extern "C" gal_status gal_cuda_linear_backward_weight(gal_cuda *device, const void *args)
{
    const gal_linear_args *g = (const gal_linear_args *)args;
    product_args p = {};
    p.g.y = g->y, p.g.a = g->w, p.g.b = g->x;
    p.g.m = g->out, p.g.n = g->in, p.g.k = g->rows, p.g.ldy = g->in;
    p.g.a_row = 1, p.g.a_col = g->out, p.g.b_row = g->in, p.g.b_col = 1;
    p.g.accumulate = g->accumulate, p.g.precision = g->precision;
    p.sums = g->slope;
    if (g->out == 0)
        return GAL_OK;
    if (g->y && g->in && own(&p.g))
        return gal_own_product(device, &p);
    gal_status status = g->y && g->in ? gal_cuda_library_product(device, &p.g, NULL, 0) : GAL_OK;
    unsigned blocks = (unsigned)((g->out + SIDE - 1) / SIDE);
    if (status == GAL_OK && g->slope)
        status =
            GAL_LAUNCH(device, column_sums, blocks, BLOCK, 0, g->slope, g->w, g->rows, g->out, g->accumulate);
    return status;
}
