/* rows.cu: rows by an index, and the next rows. Index and cursor are data, so these kernels check them. */
#include "launch.h"

/* ---- gather ---- */

/* Rows of `units` words T each; `first` is the row of x that row 0 of y is, where there is no index. */
template <class T>
static __device__ inline void copy_rows(const gal_rows_args &g, int64_t units, int64_t first,
                                        gal_cuda_fault *fault, uint32_t call)
{
    GAL_EACH (i, g.count * units) {
        int64_t row = i / units, at = i % units, from = g.index ? g.index[row] : first + row;
        if (from >= 0 && from < g.rows)
            ((T *)g.y)[i] = ((const T *)g.x)[from * units + at];
        else if (at == 0)
            gal_leave_fault(fault, call, gal_fault{row, from, g.rows, GAL_OP_gather_rows});
    }
}

template <class T>
__global__ void __launch_bounds__(BLOCK)
    gather(const __grid_constant__ gal_rows_args g, int64_t units, gal_cuda_fault *fault, uint32_t call)
{
    copy_rows<T>(g, units, 0, fault, call);
}

static __device__ inline bool cursor_fits(const gal_rows_args &g)
{
    return *g.cursor >= 0 && *g.cursor <= g.rows - g.count;
}

/* The rows from the cursor on, none where they pass the end. advance: this launch is one block, and moves the
 * cursor on itself. */
template <class T>
__global__ void __launch_bounds__(BLOCK) next(const __grid_constant__ gal_rows_args g, int64_t units,
                                              gal_cuda_fault *fault, uint32_t call, int advance)
{
    int64_t first = *g.cursor;
    bool fits = cursor_fits(g);
    if (fits)
        copy_rows<T>(g, units, first, fault, call);
    else if (blockIdx.x == 0 && threadIdx.x == 0)
        gal_leave_fault(fault, call, gal_fault{GAL_CURSOR, first, g.rows - g.count + 1, GAL_OP_next_rows});
    __syncthreads();
    if (advance && fits && threadIdx.x == 0)
        *g.cursor = first + g.count;
}

/* A launch of its own: all blocks have read the old one. */
__global__ void advance_cursor(const __grid_constant__ gal_rows_args g)
{
    if (cursor_fits(g))
        *g.cursor += g.count;
}

/* The largest word, in bytes, that divides rows and addresses. */
static int word_of(const gal_rows_args *g)
{
    uintptr_t all = (uintptr_t)g->y | (uintptr_t)g->x | (uintptr_t)g->width;
    return all % 16 == 0 ? 16 : all % 8 == 0 ? 8 : all % 4 == 0 ? 4 : 1;
}

#define BY_WORD(kernel, ...)                                                                        \
    switch (word_of(g)) {                                                                           \
    case 16:                                                                                        \
        return GAL_LAUNCH(device, kernel<uint4>, grid, BLOCK, 0, *g, g->width / 16, __VA_ARGS__);   \
    case 8:                                                                                         \
        return GAL_LAUNCH(device, kernel<uint64_t>, grid, BLOCK, 0, *g, g->width / 8, __VA_ARGS__); \
    case 4:                                                                                         \
        return GAL_LAUNCH(device, kernel<uint32_t>, grid, BLOCK, 0, *g, g->width / 4, __VA_ARGS__); \
    default:                                                                                        \
        return GAL_LAUNCH(device, kernel<uint8_t>, grid, BLOCK, 0, *g, g->width, __VA_ARGS__);      \
    }

extern "C" gal_status gal_cuda_gather_rows(gal_cuda *device, const void *args)
{
    const gal_rows_args *g = (const gal_rows_args *)args;
    dim3 grid = gal_grid(g->count * g->width / word_of(g));
    if (g->count == 0 || g->width == 0)
        return GAL_OK;
    BY_WORD(gather, device->fault, device->calls)
}

static gal_status copy_next(gal_cuda *device, const gal_rows_args *g, dim3 grid, int advance)
{
    BY_WORD(next, device->fault, device->calls, advance)
}

extern "C" gal_status gal_cuda_next_rows(gal_cuda *device, const void *args)
{
    const gal_rows_args *g = (const gal_rows_args *)args;
    int64_t words = g->count * g->width / word_of(g);
    int one = words <= 4 * BLOCK;
    gal_status status = copy_next(device, g, one ? dim3(1) : gal_grid(words), one);
    if (status == GAL_OK && !one)
        status = GAL_LAUNCH(device, advance_cursor, 1, 1, 0, *g);
    return status;
}

/* ---- scatter ---- */

/* Whether an earlier element of the index names the same row as element i: asked by a whole block. */
static __device__ inline bool named_before(const int64_t *index, int64_t i, int *votes)
{
    int64_t row = index[i];
    int found = 0;
    for (int64_t j = threadIdx.x; j < i && !found; j += blockDim.x)
        found = index[j] == row;
    int warp = __any_sync(0xffffffffu, found);
    __syncthreads(); /* votes may still be read from before */
    if (threadIdx.x % 32 == 0)
        votes[threadIdx.x / 32] = warp;
    __syncthreads();
    int any = 0;
    for (int w = 0; w < BLOCK / 32; w++)
        any |= votes[w];
    return any != 0;
}

struct named {
    int votes[BLOCK / 32];
    unsigned same[BLOCK / 32];
};

/* y[row] += x[j] for all j that name the row of element i, in ascending order: the CPU's bits. One block. */
static __device__ inline void add_rows(const gal_rows_args &g, int64_t i, named &s)
{
    int64_t columns = g.width / 4, row = g.index[i];
    float *y = (float *)g.y + row * columns;
    for (int64_t from = i; from < g.count; from += BLOCK) {
        int64_t j = from + threadIdx.x;
        unsigned same = __ballot_sync(0xffffffffu, j < g.count && g.index[j] == row);
        if (threadIdx.x % 32 == 0)
            s.same[threadIdx.x / 32] = same;
        __syncthreads();
        for (int w = 0; w < BLOCK / 32; w++)
            for (unsigned rest = s.same[w]; rest; rest &= rest - 1) {
                const float *x = (const float *)g.x + (from + w * 32 + __ffs((int)rest) - 1) * columns;
                for (int64_t c = threadIdx.x; c < columns; c += BLOCK)
                    y[c] += x[c];
            }
        __syncthreads();
    }
}

/* A block for each element of the index: the first that names a row adds all of that row's. */
__global__ void __launch_bounds__(BLOCK)
    scatter(const __grid_constant__ gal_rows_args g, gal_cuda_fault *fault, uint32_t call)
{
    GAL_SHARED(named, s);
    for (int64_t i = blockIdx.x; i < g.count; i += gridDim.x) {
        int64_t row = g.index[i];
        if (row < 0 || row >= g.rows) {
            if (threadIdx.x == 0)
                gal_leave_fault(fault, call, gal_fault{i, row, g.rows, GAL_OP_scatter_add_rows});
        } else if (!named_before(g.index, i, s.votes)) {
            add_rows(g, i, s);
        }
    }
}

extern "C" gal_status gal_cuda_scatter_add_rows(gal_cuda *device, const void *args)
{
    const gal_rows_args *g = (const gal_rows_args *)args;
    if (g->count == 0 || g->width == 0)
        return GAL_OK;
    return GAL_LAUNCH(device, scatter, gal_blocks(device, g->count), BLOCK, 0, *g, device->fault,
                      device->calls);
}
