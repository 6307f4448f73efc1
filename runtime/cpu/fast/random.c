/* random.c: draws and dropout from sixteen blocks of Philox side by side (philox.h), with the bits of
 * cpu/random.c. */
#include "cpu/cpu.h"
#include "fast.h"
#include "philox.h"

INLINE gal_status draw(const gal_lane *lane, const gal_random_args *g, int normal)
{
    int64_t per_row = gal_blocks_of(g->n), from, to;
    gal_share(lane, g->rows * per_row, SIDE, &from, &to);
    for (; from < to; from += SIDE) {
        uint64_t block[SIDE], stream[SIDE];
        blocks words;
        float value[4][SIDE];
        for (int s = 0; s < SIDE; s++) {
            int64_t row = (from + s) / per_row;
            block[s] = g->state[1] + (uint64_t)((from + s) % per_row);
            stream[s] = g->streams && row < g->rows ? (uint64_t)g->streams[row] : 0;
        }
        philox(&words, g->state[0], block, stream);
        for (int i = 0; i < 4; i += 2)
            if (normal) {
                normals(words.word[i], words.word[i + 1], value[i], value[i + 1]);
            } else {
                for (int s = 0; s < SIDE; s++)
                    value[i][s] = gal_random_uniform(words.word[i][s]);
                for (int s = 0; s < SIDE; s++)
                    value[i + 1][s] = gal_random_uniform(words.word[i + 1][s]);
            }
        for (int s = 0; s < SIDE && from + s < to; s++) {
            int64_t row = (from + s) / per_row, first = (from + s) % per_row * 4, n = g->n - first;
            float *y = (float *)g->y + row * g->n + first;
            for (int64_t i = 0; i < 4 && i < n; i++)
                y[i] = value[i][s];
        }
    }
    return GAL_OK;
}

static gal_status uniform(const gal_lane *lane, const void *args)
{
    return draw(lane, args, 0);
}

static gal_status normal(const gal_lane *lane, const void *args)
{
    return draw(lane, args, 1);
}

/* cpu/norm.c's dropout, 64 elements at a time. */
static gal_status dropout(const gal_lane *lane, const void *args)
{
    const gal_dropout_args *g = args;
    float scale = 1 / (1 - g->p);
    int64_t from, to;
    const uint64_t stream[SIDE] = {0};
    gal_share(lane, gal_blocks_of(g->n), SIDE, &from, &to);
    for (; from < to; from += SIDE) {
        uint64_t block[SIDE];
        blocks words;
        float keep[4 * SIDE];
        for (int s = 0; s < SIDE; s++)
            block[s] = g->state[1] + (uint64_t)(from + s);
        philox(&words, g->state[0], block, stream);
        for (int s = 0; s < SIDE; s++)
            for (int i = 0; i < 4; i++)
                keep[4 * s + i] = gal_random_uniform(words.word[i][s]);
        int64_t n = g->n - 4 * from < 4 * SIDE ? g->n - 4 * from : 4 * SIDE;
        for (int64_t i = 0; i < n; i++)
            g->y[4 * from + i] = keep[i] >= g->p ? g->x[4 * from + i] * scale : 0;
    }
    if (lane->index == 0 && g->used) {
        g->used[0] = g->state[0];
        g->used[1] = g->state[1];
    }
    return GAL_OK;
}

void FAST(random)(gal_cpu_kernels *table)
{
    table->dropout = dropout;
    table->uniform = uniform;
    table->normal = normal;
}
