/* flow.c: flow matching's draws from sixteen blocks of Philox side by side (philox.h), with the bits of
 * cpu/flow.c. */
#include "cpu/cpu.h"
#include "fast.h"
#include "philox.h"

/* cpu/flow.c's draw for sixteen rows side by side; its comment says which normal is for what. */
static gal_status flow_draw(const gal_lane *lane, const void *args)
{
    const gal_flow_draw_args *g = args;
    int64_t per_row = gal_blocks_flow_row(g->d), d = g->d, from, to;
    gal_share(lane, g->batch, SIDE, &from, &to);
    for (; from < to; from += SIDE) {
        int rows = to - from < SIDE ? (int)(to - from) : SIDE;
        for (int s = 0; s < rows; s++)
            if (g->index[from + s] < 0 || g->index[from + s] >= g->rows)
                return gal_cpu_flow_draw(lane, args); /* it says which */
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
                    t[s] = gal_random_uniform(words.word[0][s]);
            for (int pair = b == 0; pair < 2; pair++) {
                normals(words.word[2 * pair], words.word[2 * pair + 1], value[0], value[1]);
                for (int i = 0; i < 2; i++) {
                    int64_t which = (b * 2 + pair - 1) * 2 + i, j = which < d ? which : which - d;
                    for (int s = 0; s < rows && j < d; s++) {
                        int64_t at = (from + s) * d + j;
                        float theta = g->theta[g->index[from + s] * d + j];
                        if (which < d) {
                            g->velocity[at] = theta - value[i][s];
                            g->theta_t[at] = fmaf(t[s], theta, (1 - t[s]) * value[i][s]);
                        } else {
                            g->theta_t[at] = fmaf(g->sigma, value[i][s], g->theta_t[at]);
                        }
                    }
                }
            }
        }
        memcpy(g->t + from, t, (size_t)rows * sizeof *t);
    }
    return GAL_OK;
}

void FAST(flow)(gal_cpu_kernels *table)
{
    table->flow_draw = flow_draw;
}
