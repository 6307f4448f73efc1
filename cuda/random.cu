/* random.cu: uniforms, normals, permutations and dropout by the formulas of core/random.h: the CPU's bits. */
#include "core/random.h"
#include "launch.h"

/* ---- draws ---- */

/* Element i of a row is the uniform of word i % 4 of block counter + i / 4 of the row's stream, or one of the
 * two normals of that word's pair. A thread has one block of four words. */
template <bool normal>
__global__ void __launch_bounds__(BLOCK) draw(const __grid_constant__ gal_random_args g)
{
    int64_t blocks = gal_blocks_of(g.n);
    GAL_EACH (f, g.rows * blocks) {
        int64_t row = f / blocks, block = f % blocks, n = g.n - block * 4;
        uint32_t word[4];
        float value[4];
        gal_random_block(word, g.state[0], g.state[1] + (uint64_t)block,
                         g.streams ? (uint64_t)g.streams[row] : 0);
        for (int i = 0; i < 4; i += 2) {
            value[i] = gal_random_uniform(word[i]);
            value[i + 1] = gal_random_uniform(word[i + 1]);
            if (normal)
                gal_random_normals(word[i], word[i + 1], &value[i], &value[i + 1]);
        }
        for (int i = 0; i < 4 && i < n; i++)
            ((float *)g.y)[row * g.n + block * 4 + i] = value[i];
    }
}

extern "C" gal_status gal_cuda_uniform(gal_cuda *device, const void *args)
{
    const gal_random_args *g = (const gal_random_args *)args;
    int64_t threads = g->rows * gal_blocks_of(g->n);
    return threads ? GAL_LAUNCH(device, draw<false>, gal_grid(threads), BLOCK, 0, *g) : GAL_OK;
}

extern "C" gal_status gal_cuda_normal(gal_cuda *device, const void *args)
{
    const gal_random_args *g = (const gal_random_args *)args;
    int64_t threads = g->rows * gal_blocks_of(g->n);
    return threads ? GAL_LAUNCH(device, draw<true>, gal_grid(threads), BLOCK, 0, *g) : GAL_OK;
}

__global__ void advance_counter(uint64_t *state, int64_t blocks)
{
    state[1] += (uint64_t)blocks;
}

extern "C" gal_status gal_cuda_random_advance(gal_cuda *device, const void *args)
{
    const gal_random_args *g = (const gal_random_args *)args;
    return GAL_LAUNCH(device, advance_counter, 1, 1, 0, g->state, g->blocks);
}

/* ---- dropout ---- */

/* Element i is kept or not by word i % 4 of block counter + i / 4. */
__global__ void __launch_bounds__(BLOCK) drop(const __grid_constant__ gal_dropout_args g)
{
    float scale = 1 / (1 - g.p);
    GAL_EACH (block, gal_blocks_of(g.n)) {
        uint32_t word[4];
        gal_random_block(word, g.state[0], g.state[1] + (uint64_t)block, 0);
        for (int k = 0; k < 4 && 4 * block + k < g.n; k++)
            g.y[4 * block + k] = gal_random_uniform(word[k]) >= g.p ? g.x[4 * block + k] * scale : 0;
    }
    if (blockIdx.x == 0 && threadIdx.x == 0 && g.used) {
        g.used[0] = g.state[0];
        g.used[1] = g.state[1];
    }
}

extern "C" gal_status gal_cuda_dropout(gal_cuda *device, const void *args)
{
    const gal_dropout_args *g = (const gal_dropout_args *)args;
    return GAL_LAUNCH(device, drop, gal_grid(gal_blocks_of(g->n)), BLOCK, 0, *g);
}

/* ---- permutations ----
 * Fisher & Yates: for i = n - 1 ... 1 the places i and j(i) <= i exchange what they hold, which at first is
 * their own number. Place p holds before exchange i what the last exchange before it that reached p brought:
 * that of the smallest k > i with j(k) = p, which brought what place k held before exchange k; and so on,
 * until no exchange has reached the place. So each element is found by itself: the exchanges that reach a
 * place are a list, some ln(n / p) long, and on average there are as many lists to look through. */

/* The place that exchange i reaches. */
static __device__ inline int64_t reached(const gal_random_args &g, int64_t i)
{
    if (i == 0)
        return 0;
    uint32_t word[4];
    int64_t used = g.n - 1 - i;
    gal_random_block(word, g.state[0], g.state[1] + (uint64_t)used / 2, 0);
    uint64_t bits = (uint64_t)word[used % 2 * 2] << 32 | word[used % 2 * 2 + 1];
    return (int64_t)(((unsigned __int128)bits * (uint64_t)(i + 1)) >> 64);
}

/* The lists: first {n} of a place and next {n} of an exchange, plus 1; 0 ends a list. */
struct exchanges {
    unsigned long long *first, *next;
};

__global__ void __launch_bounds__(BLOCK) empty_lists(exchanges e, int64_t n)
{
    GAL_EACH (p, n)
        e.first[p] = 0;
}

/* In which order a list has its exchanges depends on timing; what is read of it does not. */
__global__ void __launch_bounds__(BLOCK)
    list_exchanges(const __grid_constant__ gal_random_args g, exchanges e)
{
    GAL_EACH (i, g.n)
        if (i > 0)
            e.next[i] = atomicExch(&e.first[reached(g, i)], (unsigned long long)i + 1);
}

__global__ void __launch_bounds__(BLOCK) permute(const __grid_constant__ gal_random_args g, exchanges e)
{
    GAL_EACH (i, g.n) {
        int64_t place = reached(g, i), before = i;
        for (int64_t last = -1; last != before;) {
            last = before;
            int64_t nearest = INT64_MAX;
            for (int64_t k = (int64_t)e.first[place] - 1; k >= 0; k = (int64_t)e.next[k] - 1)
                if (k > before && k < nearest)
                    nearest = k;
            if (nearest < INT64_MAX)
                place = before = nearest;
        }
        ((int64_t *)g.y)[i] = place;
    }
}

extern "C" gal_status gal_cuda_permutation(gal_cuda *device, const void *args)
{
    const gal_random_args *g = (const gal_random_args *)args;
    void *room = NULL;
    if (g->n == 0)
        return GAL_OK;
    gal_status status = gal_cuda_scratch(device, &room, 2 * (size_t)g->n * sizeof(unsigned long long));
    exchanges e = {(unsigned long long *)room, (unsigned long long *)room + g->n};
    dim3 grid = gal_grid(g->n);
    if (status == GAL_OK)
        status = GAL_LAUNCH(device, empty_lists, grid, BLOCK, 0, e, g->n);
    if (status == GAL_OK)
        status = GAL_LAUNCH(device, list_exchanges, grid, BLOCK, 0, *g, e);
    return status == GAL_OK ? GAL_LAUNCH(device, permute, grid, BLOCK, 0, *g, e) : status;
}
