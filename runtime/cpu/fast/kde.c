/* kde.c: the log-density of a sum of unit normals in vectors, VL points side by side, so that a point's bits don't depend on how many there
 * are. */
#include "../cpu.h"
#include "fast.h"
#include "vmath.h"
#include <math.h>

#define HALF_LOG_TWO_PI 0.91893853320467274
#define BLOCK 64 /* rows whose distances wait in the first-level cache for their exponentials */
#define DIMENSIONS 32
#define FARTHEST 3e38f /* the distance of a row that is left out: its exponential is 0 */

/* Squared distances {rows} of VL points, dimension k in p[k], to rows of data {rows, d}; returns the least of each point. */
INLINE vec distances_to(vec *distance, const vec *p, const float *data, int64_t rows, int64_t d)
{
    vec least = splat(FARTHEST);
    for (int64_t j = 0; j < rows; j++) {
        vec sum = splat(0);
        for (int64_t k = 0; k < d; k++) {
            vec step = p[k] - splat(data[j * d + k]);
            sum = fma_(step, step, sum);
        }
        distance[j] = sum;
    }
    for (int64_t j = 0; j < rows; j++)
        least = choose(distance[j] < least, distance[j], least);
    return least;
}

/* y {count} for the points from `first` on. One pass: the sums are relative to the nearest row so far and shrink when a nearer one comes.
 */
static void density_of(float *y, const gal_kde_args *g, int64_t first, int64_t count)
{
    vec p[DIMENSIONS], distance[BLOCK], nearest = splat(FARTHEST);
    float corner[VL], old[VL], now[VL];
    double sum[VL] = {0};
    for (int64_t k = 0; k < g->d; k++) {
        for (int64_t i = 0; i < VL; i++)
            corner[i] = g->points[(first + (i < count ? i : 0)) * g->d + k];
        p[k] = load(corner);
    }
    for (int64_t j = 0; j < g->n; j += BLOCK) {
        int64_t rows = g->n - j < BLOCK ? g->n - j : BLOCK;
        vec least = distances_to(distance, p, g->data + j * g->d, rows, g->d);
        if (g->skip_self && j < first + VL && first < j + rows) {
            for (int64_t i = 0; i < VL; i++)
                if (first + i >= j && first + i < j + rows)
                    distance[first + i - j][i] = FARTHEST;
            least = splat(FARTHEST);
            for (int64_t r = 0; r < rows; r++)
                least = choose(distance[r] < least, distance[r], least);
        }
        store(old, nearest);
        nearest = choose(least < nearest, least, nearest);
        store(now, nearest);
        /* Rows 100 farther than the nearest add less than e^-50 each. Where a distance is NaN nothing is far, and the sum becomes NaN. */
        if (total(choose(least > nearest + 100, splat(1), splat(0))) == VL)
            continue;
        vec part = splat(0);
        for (int64_t r = 0; r < rows; r++)
            part += vexp((nearest - distance[r]) * 0.5f);
        store(corner, part);
        for (int64_t i = 0; i < VL; i++)
            sum[i] = (now[i] < old[i] ? sum[i] * exp(0.5 * ((double)now[i] - old[i])) : sum[i]) + corner[i];
    }
    double constant = log((double)(g->n - (g->skip_self != 0))) + (double)g->d * HALF_LOG_TWO_PI;
    store(now, nearest);
    for (int64_t i = 0; i < count; i++)
        y[i] = (float)(log(sum[i]) - 0.5 * now[i] - constant);
}

static gal_status kde_log_density(const gal_lane *lane, const void *args)
{
    const gal_kde_args *g = args;
    if (g->d > DIMENSIONS || g->n - (g->skip_self != 0) < 1)
        return gal_cpu_kde_log_density(lane, args);
    int64_t from, to;
    gal_share(lane, g->m, VL, &from, &to);
    for (int64_t i = from; i < to; i += VL)
        density_of(g->y + i, g, i, to - i < VL ? to - i : VL);
    return GAL_OK;
}

void FAST(kde)(gal_backend *table)
{
    table->kde_log_density = kde_log_density;
}
