/* matmul.c: products, in the order of sums that cpu.h states (GAL_CHAIN). fast/product.h does the same sums
 * in tiles. */
#include "cpu.h"
#include "activation.h"
#include <math.h>

/* start + the product of row a and column b over k terms: chains of GAL_CHAIN, each from 0, added in order.
 */
static float product(float start, const float *a, int64_t a_step, const float *b, int64_t b_step, int64_t k)
{
    for (int64_t from = 0; from < k; from += GAL_CHAIN) {
        int64_t to = from + GAL_CHAIN < k ? from + GAL_CHAIN : k;
        float chain = 0;
        for (int64_t i = from; i < to; i++)
            chain = fmaf(a[i * a_step], b[i * b_step], chain);
        start += chain;
    }
    return start;
}

gal_status gal_cpu_matmul(const gal_lane *lane, const void *args)
{
    const gal_matmul_args *g = args;
    int64_t from, to;
    gal_share(lane, g->m, 1, &from, &to);
    for (int64_t i = from; i < to; i++)
        for (int64_t j = 0; j < g->n; j++) {
            float *y = g->y + i * g->ldy + j;
            *y = product(g->accumulate ? *y : 0, g->a + i * g->a_row, g->a_col, g->b + j * g->b_col, g->b_row,
                         g->k);
        }
    return GAL_OK;
}

gal_status gal_cpu_linear(const gal_lane *lane, const void *args)
{
    const gal_linear_args *g = args;
    int64_t from, to;
    gal_share(lane, g->rows, 1, &from, &to);
    for (int64_t r = from; r < to; r++)
        for (int64_t o = 0; o < g->out; o++) {
            float slope, z = product(0, g->x + r * g->in, 1, g->w + o * g->in, 1, g->in);
            g->y[r * g->out + o] = gal_activate(g->activation, z + (g->b ? g->b[o] : 0), &slope);
            if (g->slope)
                g->slope[r * g->out + o] = slope;
        }
    return GAL_OK;
}

gal_status gal_cpu_linear_backward_input(const gal_lane *lane, const void *args)
{
    const gal_linear_args *g = args;
    int64_t from, to;
    gal_share(lane, g->rows, 1, &from, &to);
    for (int64_t r = from; r < to; r++)
        for (int64_t i = 0; i < g->in; i++)
            g->y[r * g->in + i] = product(0, g->x + r * g->out, 1, g->w + i, g->in, g->out);
    return GAL_OK;
}

/* Lanes share the outputs: rows of dw and elements of db. */
gal_status gal_cpu_linear_backward_weight(const gal_lane *lane, const void *args)
{
    static const float one = 1;
    const gal_linear_args *g = args;
    int64_t from, to;
    gal_share(lane, g->out, 1, &from, &to);
    for (int64_t o = from; o < to; o++) {
        for (int64_t i = 0; g->y && i < g->in; i++) {
            float *dw = g->y + o * g->in + i;
            *dw = product(g->accumulate ? *dw : 0, g->w + o, g->out, g->x + i, g->in, g->rows);
        }
        if (g->slope)
            g->slope[o] = product(g->accumulate ? g->slope[o] : 0, g->w + o, g->out, &one, 0, g->rows);
    }
    return GAL_OK;
}
