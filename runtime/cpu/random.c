/* random.c: uniforms, normals, permutations and dropout by the formulas of core/random.h. */
#include "cpu.h"
#include "core/random.h"

/* Element i of a row is the uniform of word i % 4 of block counter + i / 4 of the row's stream, or one of the
 * two normals of that word's pair. */
static gal_status draw(const gal_lane *lane, const gal_random_args *g, int normal)
{
    float *y = g->y;
    int64_t blocks = gal_blocks_of(g->n), from, to;
    gal_share(lane, g->rows * blocks, 16, &from, &to);
    for (int64_t f = from; f < to; f++) {
        int64_t row = f / blocks, block = f % blocks, n = g->n - block * 4;
        uint32_t word[4];
        float value[4];
        gal_random_block(word, g->state[0], g->state[1] + (uint64_t)block,
                         g->streams ? (uint64_t)g->streams[row] : 0);
        for (int i = 0; i < 4; i += 2) {
            value[i] = gal_random_uniform(word[i]);
            value[i + 1] = gal_random_uniform(word[i + 1]);
            if (normal)
                gal_random_normals(word[i], word[i + 1], &value[i], &value[i + 1]);
        }
        for (int64_t i = 0; i < 4 && i < n; i++)
            y[row * g->n + block * 4 + i] = value[i];
    }
    return GAL_OK;
}

gal_status gal_cpu_uniform(const gal_lane *lane, const void *args)
{
    return draw(lane, args, 0);
}

gal_status gal_cpu_normal(const gal_lane *lane, const void *args)
{
    return draw(lane, args, 1);
}

/* Fisher & Yates: for i = n - 1 ... 1 exchange i with j in 0 ... i, j = i-th 64-bit word * (i + 1) / 2^64,
 * whose bias is below n / 2^64. */
gal_status gal_cpu_permutation(const gal_lane *lane, const void *args)
{
    const gal_random_args *g = args;
    int64_t *y = g->y;
    if (lane->index)
        return GAL_OK;
    for (int64_t i = 0; i < g->n; i++)
        y[i] = i;
    uint32_t word[4];
    for (int64_t i = g->n - 1; i > 0; i--) {
        int64_t used = g->n - 1 - i;
        if (used % 2 == 0)
            gal_random_block(word, g->state[0], g->state[1] + (uint64_t)used / 2, 0);
        uint64_t bits = (uint64_t)word[used % 2 * 2] << 32 | word[used % 2 * 2 + 1];
        int64_t j = (int64_t)(((unsigned __int128)bits * (uint64_t)(i + 1)) >> 64), swap = y[i];
        y[i] = y[j];
        y[j] = swap;
    }
    return GAL_OK;
}

gal_status gal_cpu_random_advance(const gal_lane *lane, const void *args)
{
    const gal_random_args *g = args;
    if (lane->index == 0)
        g->state[1] += (uint64_t)g->blocks;
    return GAL_OK;
}

/* Element i is kept or not by word i % 4 of block counter + i / 4. */
gal_status gal_cpu_dropout(const gal_lane *lane, const void *args)
{
    const gal_dropout_args *g = args;
    float scale = 1 / (1 - g->p);
    int64_t from, to;
    gal_share(lane, gal_blocks_of(g->n), 16, &from, &to);
    for (int64_t block = from; block < to; block++) {
        uint32_t word[4];
        gal_random_block(word, g->state[0], g->state[1] + (uint64_t)block, 0);
        for (int64_t i = 4 * block; i < g->n && i < 4 * block + 4; i++)
            g->y[i] = gal_random_uniform(word[i % 4]) >= g->p ? g->x[i] * scale : 0;
    }
    if (lane->index == 0 && g->used) {
        g->used[0] = g->state[0];
        g->used[1] = g->state[1];
    }
    return GAL_OK;
}
