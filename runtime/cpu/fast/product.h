/* product.h: the one blocked product under linear, its backwards and matmul: y {m, n} = a {m, k} b {k, n},
 * summed in the order of cpu.h (GAL_CHAIN).
 *
 * A tile of ROWS x COLUMNS vecs stays in registers while k runs. b is packed into panels, COLUMNS vecs wide,
 * GAL_CHAIN rows long and padded with zeros, so that one loop serves every stride and every edge; a is
 * broadcast through its strides. */
#ifndef GAL_PRODUCT_H
#define GAL_PRODUCT_H
#include "cpu/cpu.h"
#include "transpose.h"

#if VL == 16
#define ROWS 12
#elif VL == 8
#define ROWS 6 /* 12 sums, 2 of b, 1 of a: of 16 registers */
#else
#define ROWS 4
#endif
#define COLUMNS 2
#define WIDTH (COLUMNS * VL)
/* Rows of a that use a panel before the next is packed: 512 x 256 floats stay in the second-level cache. */
#define BLOCK_ROWS 512

typedef struct product {
    int64_t m, n, k;
    const float *a;
    int64_t a_row, a_col; /* a's element (i, l) at a[i a_row + l a_col] */
    const float *b;
    int64_t b_row, b_col; /* b's element (l, j) at b[l b_row + j b_col] */
    float *y;
    int64_t ldy;
    int accumulate;
    const float *bias;             /* {n} or NULL, added after the chains */
    const gal_linear_args *finish; /* for finish_part; or NULL: y is done when its sums are */
} product;
/* Called for each part of y once its sums are done and still in the cache. */
typedef void finish_part(const product *p, int64_t row, int64_t rows, int64_t column, int64_t columns);

/* panel {k, width} = rows [from, from + k), columns [column, column + columns) of b, zeros behind them. */
INLINE void pack(float *panel, const product *p, int64_t from, int64_t k, int64_t column, int64_t columns,
                 int width)
{
    const float *b = p->b + from * p->b_row + column * p->b_col;
    if (p->b_col == 1) {
        for (int64_t l = 0; l < k; l++)
            for (int w = 0; w < width; w += VL) {
                int64_t n = columns - w;
                store(panel + l * width + w,
                      n >= VL ? load(b + l * p->b_row + w) : load_some(b + l * p->b_row + w, n > 0 ? n : 0));
            }
        return;
    }
    for (int w = 0; w < width; w += VL) {
        int64_t l = 0, n = columns - w;
        for (; p->b_row == 1 && l + VL <= k; l += VL) {
            vec r[VL];
#pragma GCC unroll 16
            for (int j = 0; j < VL; j++)
                r[j] = j < n ? load(b + (w + j) * p->b_col + l) : splat(0);
            transpose(r);
#pragma GCC unroll 16
            for (int j = 0; j < VL; j++)
                store(panel + (l + j) * width + w, r[j]);
        }
        for (; l < k; l++)
            for (int j = 0; j < VL; j++)
                panel[l * width + w + j] = j < n ? b[l * p->b_row + (w + j) * p->b_col] : 0;
    }
}

/* rows x w vecs of one chain; stored to y or, with add, added to it, `columns` of them. */
INLINE void tile(const int rows, const int w, const product *p, const float *a, const float *panel, int64_t k,
                 float *y, int64_t columns, int add, const float *bias)
{
    vec c[ROWS][COLUMNS];
#pragma GCC unroll 12
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 2
        for (int j = 0; j < w; j++)
            c[i][j] = splat(0);
    int64_t a_row = p->a_row, a_col = p->a_col;
    for (int64_t l = 0; l < k; l++) {
        vec b[COLUMNS];
#pragma GCC unroll 2
        for (int j = 0; j < w; j++)
            b[j] = load(panel + j * VL);
#pragma GCC unroll 12
        for (int i = 0; i < rows; i++) {
            vec x = splat(a[i * a_row]);
#pragma GCC unroll 2
            for (int j = 0; j < w; j++)
                c[i][j] = fma_(x, b[j], c[i][j]);
        }
        a += a_col;
        panel += w * VL;
    }
#pragma GCC unroll 2
    for (int j = 0; j < w; j++) {
        int64_t n = columns - j * VL;
        vec z = !bias ? splat(0) : n >= VL ? load(bias + j * VL) : load_some(bias + j * VL, n);
#pragma GCC unroll 12
        for (int i = 0; i < rows; i++) {
            float *to = y + i * p->ldy + j * VL;
            vec v = c[i][j];
            if (n >= VL) {
                v = add ? load(to) + v : v;
                store(to, bias ? v + z : v);
            } else {
                v = add ? load_some(to, n) + v : v;
                store_some(to, bias ? v + z : v, n);
            }
        }
    }
}

/* Rows [row, row + rows) of y under one panel, one chain: k of all terms, from `from` on. */
INLINE void strip(const int w, const product *p, int64_t row, int64_t rows, int64_t from, const float *panel,
                  int64_t k, int64_t column, int64_t columns)
{
    int add = p->accumulate || from > 0;
    const float *bias = p->bias && from + k == p->k ? p->bias + column : NULL;
    const float *a = p->a + row * p->a_row + from * p->a_col;
    float *y = p->y + row * p->ldy + column;
    int64_t i = 0;
    for (; i + ROWS <= rows; i += ROWS)
        tile(ROWS, w, p, a + i * p->a_row, panel, k, y + i * p->ldy, columns, add, bias);
    for (; i + 4 <= rows; i += 4)
        tile(4, w, p, a + i * p->a_row, panel, k, y + i * p->ldy, columns, add, bias);
    for (; i < rows; i++)
        tile(1, w, p, a + i * p->a_row, panel, k, y + i * p->ldy, columns, add, bias);
}

INLINE void block(const int w, const product *p, int64_t row, int64_t rows, int64_t column, int64_t columns)
{
    _Alignas(64) float panel[GAL_CHAIN * WIDTH];
    for (int64_t from = 0; from < p->k || from == 0; from += GAL_CHAIN) {
        int64_t k = p->k - from < GAL_CHAIN ? p->k - from : GAL_CHAIN;
        pack(panel, p, from, k, column, columns, w * VL);
        strip(w, p, row, rows, from, panel, k, column, columns);
    }
}

/* The lane's share: whole panels where there are enough of them, so that each is packed once; else rows. */
INLINE gal_status multiply(const gal_lane *lane, const product *p, finish_part *finish)
{
    int64_t panels = (p->n + WIDTH - 1) / WIDTH, row = 0, end = p->m, column = 0, columns = p->n;
    double work = (double)p->m * (double)p->n * (double)p->k;
    if (panels % lane->count == 0 || panels >= 4 * lane->count || p->m < 2 * ROWS)
        gal_share(lane, p->n, WIDTH, &column, &columns);
    else
        gal_share(lane, p->m, ROWS, &row, &end);
    for (; row < end; row += BLOCK_ROWS) {
        int64_t rows = end - row < BLOCK_ROWS ? end - row : BLOCK_ROWS;
        for (int64_t j = column; j < columns; j += WIDTH) {
            int64_t width = columns - j < WIDTH ? columns - j : WIDTH;
            if (gal_stopped(work))
                return GAL_STOP;
            if (width <= VL)
                block(1, p, row, rows, j, width);
            else
                block(COLUMNS, p, row, rows, j, width);
            if (finish)
                finish(p, row, rows, j, width);
        }
    }
    return GAL_OK;
}

#endif
