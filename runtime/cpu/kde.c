/* kde.c: the log-density of a sum of unit normals at each point. */
#include "cpu.h"
#include <math.h>

/* log(2 pi) / 2, in nats, for each dimension. */
#define HALF_LOG_TWO_PI 0.91893853320467274

/* y[i] = log sum_j exp(-|p_i - x_j|^2 / 2) - log(rows counted) - d log(2 pi) / 2, shifted by the nearest row
 * so that no sum is empty. -inf without rows. */
gal_status gal_cpu_kde_log_density(const gal_lane *lane, const void *args)
{
    const gal_kde_args *g = args;
    int64_t from, to;
    gal_share(lane, g->m, 1, &from, &to);
    for (int64_t i = from; i < to; i++) {
        double nearest = INFINITY, sum = 0;
        for (int pass = 0; pass < 2; pass++)
            for (int64_t j = 0; j < g->n; j++) {
                double distance = 0;
                for (int64_t k = 0; k < g->d; k++) {
                    double step = (double)g->points[i * g->d + k] - g->data[j * g->d + k];
                    distance += step * step;
                }
                if (g->skip_self && i == j)
                    continue;
                if (pass == 0)
                    nearest = distance < nearest || distance != distance ? distance : nearest;
                else
                    sum += exp(0.5 * (nearest - distance));
            }
        int64_t counted = g->n - (g->skip_self != 0);
        g->y[i] =
            counted > 0
                ? (float)(log(sum) - 0.5 * nearest - log((double)counted) - (double)g->d * HALF_LOG_TWO_PI)
                : -INFINITY;
    }
    return GAL_OK;
}
