/* product.cu: products in float32 of matrices that are small, or strided in a way that cuBLASLt can't read,
 * with bias, activation, its slope and the sums of a's rows in the same launch. */
#include "activation.h"
#include "launch.h"
#include "product.h"

/* A block has a tile of 16 x 32 of y, small so that batch 64 by 256 outputs is 32 blocks. It goes through k
 * in slabs of 64, the next one on its way in registers while this one is multiplied. Each of its eight warps
 * takes every eighth 8 of a slab's k, with 4 x 4 sums a thread; the warps' sums are added in order at the
 * end. */
enum { ROWS = 16, COLUMNS = 32, SLAB = 64, WARPS = BLOCK / 32, EACH = 4, PAD = 4 };

struct tiles {
    union {
        struct {
            float a[SLAB][ROWS + PAD], b[SLAB][COLUMNS + PAD];
        } slab;
        float sums[WARPS][ROWS][COLUMNS + PAD];
    };
    float rows[BLOCK / ROWS][ROWS]; /* parts of the sums of a's rows */
};

/* A thread's share of a slab of `side` rows or columns of a factor. */
template <int side> struct share {
    float value[SLAB * side / BLOCK];

    /* Where value n lies in the slab; neighbouring threads go along the step that is 1. */
    static __device__ void place(int n, bool along_k, int *i, int *k)
    {
        int u = (int)threadIdx.x + n * BLOCK;
        *k = along_k ? u % SLAB : u / side;
        *i = along_k ? u / SLAB : u % side;
    }
    /* Element (i, k) is from[i * step_i + k * step_k]; zeros beyond the ends. */
    __device__ void fetch(const float *from, int64_t step_i, int64_t step_k, int64_t count_i, int64_t count_k)
    {
        for (int n = 0; n < SLAB * side / BLOCK; n++) {
            int i, k;
            place(n, step_k == 1, &i, &k);
            value[n] = i < count_i && k < count_k ? from[i * step_i + k * step_k] : 0;
        }
    }
    __device__ void put(float (*to)[side + PAD], bool along_k) const
    {
        for (int n = 0; n < SLAB * side / BLOCK; n++) {
            int i, k;
            place(n, along_k, &i, &k);
            to[k][i] = value[n];
        }
    }
};

/* The first row and column of this thread's 4 x 4 elements. */
static __device__ inline void elements_of(int *i, int *j)
{
    *i = (int)threadIdx.x % 32 / 8 * EACH;
    *j = (int)threadIdx.x % 8 * EACH;
}

/* sum[i][j] += a b of this thread's elements over its warp's share of the slab. */
static __device__ inline void multiply_slab(float (&sum)[EACH][EACH], const tiles &s)
{
    int warp = (int)threadIdx.x / 32, i, j;
    elements_of(&i, &j);
    for (int k = warp * (SLAB / WARPS); k < (warp + 1) * (SLAB / WARPS); k++) {
        float4 a = *(const float4 *)&s.slab.a[k][i], b = *(const float4 *)&s.slab.b[k][j];
        const float left[EACH] = {a.x, a.y, a.z, a.w}, right[EACH] = {b.x, b.y, b.z, b.w};
        for (int p = 0; p < EACH; p++)
            for (int q = 0; q < EACH; q++)
                sum[p][q] = fmaf(left[p], right[q], sum[p][q]);
    }
}

/* The finished element (i, j) of y. */
static __device__ inline void store_element(const product_args &p, int64_t i, int64_t j, float sum)
{
    const gal_matmul_args &g = p.g;
    float *y = g.y + i * g.ldy + j, slope;
    if (g.accumulate) {
        *y += sum;
        return;
    }
    *y = activate(p.activation, sum + (p.bias ? p.bias[j] : 0), &slope);
    if (p.slope)
        p.slope[i * g.n + j] = slope;
}

/* The warps' sums of the tile, and with them y. */
static __device__ inline void store_tile(const product_args &p, tiles &s, const float (&sum)[EACH][EACH],
                                         int64_t first_i, int64_t first_j)
{
    int warp = (int)threadIdx.x / 32, i, j;
    elements_of(&i, &j);
    for (int a = 0; a < EACH; a++)
        for (int b = 0; b < EACH; b++)
            s.sums[warp][i + a][j + b] = sum[a][b];
    __syncthreads();
    for (int u = (int)threadIdx.x; u < ROWS * COLUMNS; u += BLOCK) {
        int row = u / COLUMNS, column = u % COLUMNS;
        float all = s.sums[0][row][column];
        for (int k = 1; k < WARPS; k++)
            all += s.sums[k][row][column];
        if (first_i + row < p.g.m && first_j + column < p.g.n)
            store_element(p, first_i + row, first_j + column, all);
    }
}

__global__ void __launch_bounds__(BLOCK) product(const __grid_constant__ product_args p)
{
    GAL_SHARED(tiles, s);
    const gal_matmul_args &g = p.g;
    int64_t first_i = (int64_t)blockIdx.x * ROWS, first_j = (int64_t)blockIdx.y * COLUMNS;
    const float *a = g.a + first_i * g.a_row, *b = g.b + first_j * g.b_col;
    share<ROWS> next_a;
    share<COLUMNS> next_b;
    float sum[EACH][EACH] = {}, row = 0;
    bool sums = p.sums && blockIdx.y == 0;
    next_a.fetch(a, g.a_row, g.a_col, g.m - first_i, g.k);
    next_b.fetch(b, g.b_col, g.b_row, g.n - first_j, g.k);
    for (int64_t k = 0; k < g.k; k += SLAB) {
        int64_t after = k + SLAB;
        next_a.put(s.slab.a, g.a_col == 1);
        next_b.put(s.slab.b, g.b_row == 1);
        __syncthreads();
        next_a.fetch(a + after * g.a_col, g.a_row, g.a_col, g.m - first_i, g.k - after);
        next_b.fetch(b + after * g.b_row, g.b_col, g.b_row, g.n - first_j, g.k - after);
        multiply_slab(sum, s);
        for (int i = (int)threadIdx.x / ROWS; sums && i < SLAB; i += BLOCK / ROWS)
            row += s.slab.a[i][threadIdx.x % ROWS];
        __syncthreads();
    }
    s.rows[threadIdx.x / ROWS][threadIdx.x % ROWS] = row;
    store_tile(p, s, sum, first_i, first_j);
    __syncthreads();
    if (sums && threadIdx.x < ROWS && first_i + threadIdx.x < g.m) {
        for (int i = 1; i < BLOCK / ROWS; i++)
            row += s.rows[i][threadIdx.x];
        float *out = p.sums + first_i + threadIdx.x;
        *out = g.accumulate ? *out + row : row;
    }
}

gal_status gal_own_product(gal_cuda *device, const product_args *p)
{
    unsigned rows = (unsigned)((p->g.m + ROWS - 1) / ROWS),
             columns = (unsigned)((p->g.n + COLUMNS - 1) / COLUMNS);
    return rows && columns ? GAL_LAUNCH(device, product, dim3(rows, columns), BLOCK, 0, *p) : GAL_OK;
}
