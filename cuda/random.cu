/* random.cu: uniforms, normals, permutations and dropout by the formulas of core/random.h: the CPU's bits. */
#include "core/random.h"
#include "launch.h"
#include <cstdlib>

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

/* ---- permutations ---- */

/* Fisher & Yates, from the generator's words {key, counter}: one exchange after another, which a card does
 * slowly (0.1 s for 100,000), so the host does it. */
static void shuffle_on_host(int64_t *y, int64_t n, const uint64_t *state)
{
    uint32_t word[4] = {0};
    for (int64_t i = 0; i < n; i++)
        y[i] = i;
    for (int64_t i = n - 1; i > 0; i--) {
        int64_t used = n - 1 - i;
        if (used % 2 == 0)
            gal_random_block(word, state[0], state[1] + (uint64_t)used / 2, 0);
        uint64_t bits = (uint64_t)word[used % 2 * 2] << 32 | word[used % 2 * 2 + 1];
        int64_t j = (int64_t)(((unsigned __int128)bits * (uint64_t)(i + 1)) >> 64), swap = y[i];
        y[i] = y[j];
        y[j] = swap;
    }
}

extern "C" gal_status gal_cuda_permutation(gal_cuda *device, const void *args)
{
    const gal_random_args *g = (const gal_random_args *)args;
    const gal_backend *backend = &device->backend;
    uint64_t state[2];
    int64_t *order = (int64_t *)malloc((size_t)(g->n + 1) * sizeof *order);
    if (!order)
        return gal_cuda_host->fail(GAL_MEMORY, "permutation: no memory left for %lld places",
                                   (long long)g->n);
    gal_status status = backend->download(backend, state, g->state, sizeof state);
    if (status == GAL_OK) {
        shuffle_on_host(order, g->n, state);
        status = backend->upload(backend, g->y, order, (size_t)g->n * sizeof *order);
    }
    free(order);
    return status;
}
