/* flow.c: the draws and the loss of flow matching. */
#include "cpu.h"
#include "core/random.h"

/* Row r: t, then theta_0 {d}, then eps {d} from blocks counter + r * gal_blocks_flow_row(d) of stream 0
 * (random.h). */
gal_status gal_cpu_flow_draw(const gal_lane *lane, const void *args)
{
    const gal_flow_draw_args *g = args;
    int64_t per_row = gal_blocks_flow_row(g->d), from, to;
    gal_share(lane, g->batch, 16, &from, &to);
    for (int64_t r = from; r < to; r++) {
        if (g->index[r] < 0 || g->index[r] >= g->rows)
            return gal_fail(
                GAL_VALUE, "flow_draw: index[%lld] is %lld, expected 0 to %lld for theta's %lld rows",
                (long long)r, (long long)g->index[r], (long long)(g->rows - 1), (long long)g->rows);
        const float *theta = g->theta + g->index[r] * g->d;
        float *theta_t = g->theta_t + r * g->d, *velocity = g->velocity + r * g->d, t = 0;
        for (int64_t block = 0; block < per_row; block++) {
            uint32_t word[4];
            gal_random_block(word, g->state[0], g->state[1] + (uint64_t)(r * per_row + block), 0);
            if (block == 0)
                g->t[r] = t = gal_random_uniform(word[0]);
            for (int pair = block == 0; pair < 2; pair++) {
                float normal[2];
                gal_random_normals(word[2 * pair], word[2 * pair + 1], &normal[0], &normal[1]);
                for (int i = 0; i < 2; i++) {
                    int64_t which = (block * 2 + pair - 1) * 2 + i,
                            j = which < g->d ? which : which - g->d; /* theta_0[j], or eps[j] */
                    if (which < g->d) {
                        velocity[j] = theta[j] - normal[i];
                        theta_t[j] = fmaf(t, theta[j], (1 - t) * normal[i]);
                    } else if (j < g->d) {
                        theta_t[j] = fmaf(g->sigma, normal[i], theta_t[j]);
                    }
                }
            }
        }
    }
    return GAL_OK;
}

gal_status gal_cpu_mse(const gal_lane *lane, const void *args)
{
    const gal_mse_args *g = args;
    if (lane->index)
        return GAL_OK;
    double part[8] = {0}, total = 0;
    for (int64_t i = 0; i < g->count; i++) {
        double d = (double)g->prediction[i] - g->target[i];
        part[i % 8] += d * d;
    }
    for (int j = 0; j < 8; j++)
        total += part[j];
    *g->loss = (float)(total / (double)g->count);
    return GAL_OK;
}

gal_status gal_cpu_mse_backward(const gal_lane *lane, const void *args)
{
    const gal_mse_args *g = args;
    int64_t from, to;
    gal_share(lane, g->count, 64, &from, &to);
    float scale = (float)(2.0 * *g->loss / (double)g->count);
    for (int64_t i = from; i < to; i++)
        g->gradient[i] = scale * (g->prediction[i] - g->target[i]);
    return GAL_OK;
}
