/* matmul.c: the products of a linear layer and of gal_matmul, all by product.h. */
#include "product.h"
#include "activate.h"
#include "fast.h"

INLINE void finish_as(const int activation, const product *p, int64_t row, int64_t rows, int64_t column,
                      int64_t columns)
{
    for (int64_t i = row; i < row + rows; i++) {
        float *y = p->y + i * p->ldy + column,
              *d = p->finish->slope ? p->finish->slope + i * p->ldy + column : NULL;
        int64_t j = 0;
        vec slope;
        for (; j + VL <= columns; j += VL) {
            store(y + j, activate(activation, load(y + j), &slope));
            if (d)
                store(d + j, slope);
        }
        if (j < columns) {
            store_some(y + j, activate(activation, load_some(y + j, columns - j), &slope), columns - j);
            if (d)
                store_some(d + j, slope, columns - j);
        }
    }
}

/* This part of y holds z = x w^T + b; y = f(z), slope = f'(z). */
static void finish_linear(const product *p, int64_t row, int64_t rows, int64_t column, int64_t columns)
{
    if (p->finish->activation == GAL_IDENTITY && !p->finish->slope)
        return;
    switch (p->finish->activation) {
#define FINISH_CASE(NAME, name)                               \
    case GAL_##NAME:                                          \
        finish_as(GAL_##NAME, p, row, rows, column, columns); \
        break;
        GAL_ACTIVATIONS(FINISH_CASE)
    }
}

static gal_status linear_products(const gal_lane *lane, const product *p)
{
    return multiply(lane, p, p->finish ? finish_linear : NULL);
}

static gal_status linear(const gal_lane *lane, const void *args)
{
    const gal_linear_args *g = args;
    const product p = {.m = g->rows,
                       .n = g->out,
                       .k = g->in,
                       .a = g->x,
                       .a_row = g->in,
                       .a_col = 1,
                       .b = g->w,
                       .b_row = 1,
                       .b_col = g->in,
                       .y = g->y,
                       .ldy = g->out,
                       .bias = g->b,
                       .finish = g};
    return linear_products(lane, &p);
}

static gal_status linear_backward_input(const gal_lane *lane, const void *args)
{
    const gal_linear_args *g = args;
    const product p = {.m = g->rows,
                       .n = g->in,
                       .k = g->out,
                       .a = g->x,
                       .a_row = g->out,
                       .a_col = 1,
                       .b = g->w,
                       .b_row = g->in,
                       .b_col = 1,
                       .y = g->y,
                       .ldy = g->in};
    return linear_products(lane, &p);
}

/* db {out} = column sums of dz {rows, out}, in the order of cpu.h (GAL_CHAIN). */
static void column_sums(const gal_lane *lane, const gal_linear_args *g)
{
    int64_t from, to;
    gal_share(lane, g->out, VL, &from, &to);
    for (int64_t o = from; o < to; o += VL) {
        int64_t n = to - o < VL ? to - o : VL;
        vec sum = g->accumulate ? load_some(g->slope + o, n) : splat(0);
        for (int64_t first = 0; first < g->rows; first += GAL_CHAIN) {
            int64_t end = first + GAL_CHAIN < g->rows ? first + GAL_CHAIN : g->rows;
            vec chain = splat(0);
            for (int64_t r = first; r < end; r++)
                chain += load_some(g->w + r * g->out + o, n);
            sum += chain;
        }
        store_some(g->slope + o, sum, n);
    }
}

static gal_status linear_backward_weight(const gal_lane *lane, const void *args)
{
    const gal_linear_args *g = args;
    const product p = {.m = g->out,
                       .n = g->in,
                       .k = g->rows,
                       .a = g->w,
                       .a_row = 1,
                       .a_col = g->out,
                       .b = g->x,
                       .b_row = g->in,
                       .b_col = 1,
                       .y = g->y,
                       .ldy = g->in,
                       .accumulate = g->accumulate};
    gal_status status = g->y ? linear_products(lane, &p) : GAL_OK;
    if (g->slope && status == GAL_OK)
        column_sums(lane, g);
    return status;
}

static gal_status matmul(const gal_lane *lane, const void *args)
{
    const gal_matmul_args *g = args;
    const product p = {.m = g->m,
                       .n = g->n,
                       .k = g->k,
                       .a = g->a,
                       .a_row = g->a_row,
                       .a_col = g->a_col,
                       .b = g->b,
                       .b_row = g->b_row,
                       .b_col = g->b_col,
                       .y = g->y,
                       .ldy = g->ldy,
                       .accumulate = g->accumulate};
    return linear_products(lane, &p);
}

void FAST(matmul)(gal_cpu_kernels *table)
{
    table->linear = linear;
    table->linear_backward_input = linear_backward_input;
    table->linear_backward_weight = linear_backward_weight;
    table->matmul = matmul;
}
