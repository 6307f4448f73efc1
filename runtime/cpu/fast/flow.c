/* flow.c: flow matching's batches from sixteen blocks of Philox side by side (philox.h), with the bits of
 * cpu/flow.c. */
#include "cpu/cpu.h"
#include "fast.h"
#include "philox.h"

/* Finds the rows of theta of `count` rows of the input from `from` on; 0 where one is outside. Writes them
 * down in index, and copies what is seen of them. */
static int rows_of(int64_t *row, const gal_flow_batch_args *g, int64_t from, int count)
{
    for (int s = 0; s < count; s++) {
        int64_t r = from + s, b = r / g->draws;
        row[s] = g->order[*g->cursor + b];
        if (row[s] < 0 || row[s] >= g->rows)
            return 0;
        if (r % g->draws == 0)
            g->index[b] = row[s];
        if (g->seen)
            memcpy(g->input + (r + 1) * g->width - g->c, g->seen + row[s] * g->c, (size_t)g->c * 4);
    }
    return 1;
}

/* cpu/flow.c's kernel for sixteen rows side by side; its comment says which normal is for what. */
static gal_status flow_batch(const gal_lane *lane, const void *args)
{
    const gal_flow_batch_args *g = args;
    int64_t per_row = gal_blocks_flow_row(g->d), d = g->d, from, to;
    if (*g->cursor < 0 || *g->cursor > g->places - g->batch)
        return gal_cpu_flow_batch(lane, args); /* it says what is wrong */
    gal_share(lane, g->batch * g->draws, SIDE, &from, &to);
    for (; from < to; from += SIDE) {
        int count = to - from < SIDE ? (int)(to - from) : SIDE;
        int64_t row[SIDE];
        if (!rows_of(row, g, from, count))
            return gal_cpu_flow_batch(lane, args);
        float t[SIDE], value[2][SIDE];
        const uint64_t stream[SIDE] = {0};
        for (int64_t b = 0; b < per_row; b++) {
            uint64_t block[SIDE];
            blocks words;
            for (int s = 0; s < SIDE; s++)
                block[s] = g->state[1] + (uint64_t)((from + s) * per_row + b);
            philox(&words, g->state[0], block, stream);
            if (b == 0)
                for (int s = 0; s < SIDE; s++)
                    t[s] = gal_flow_time(gal_random_uniform(words.word[0][s]),
                                         (from + s) % g->draws % 2 ? g->time_power : 1);
            for (int pair = b == 0; pair < 2; pair++) {
                normals(words.word[2 * pair], words.word[2 * pair + 1], value[0], value[1]);
                for (int i = 0; i < 2; i++) {
                    int64_t which = (b * 2 + pair - 1) * 2 + i, j = which < d ? which : which - d;
                    for (int s = 0; s < count && j < d; s++) {
                        float theta = g->theta[row[s] * d + j];
                        float *theta_t = g->input + (from + s) * g->width + 1 + j;
                        if (which < d) {
                            g->target[(from + s) * d + j] = theta - value[i][s];
                            *theta_t = fmaf(t[s], theta, (1 - t[s]) * value[i][s]);
                        } else {
                            *theta_t = fmaf(g->sigma, value[i][s], *theta_t);
                        }
                    }
                }
            }
        }
        for (int s = 0; s < count; s++)
            g->input[(from + s) * g->width] = t[s];
    }
    return GAL_OK;
}

void FAST(flow)(gal_cpu_kernels *table)
{
    table->flow_batch = flow_batch;
}
