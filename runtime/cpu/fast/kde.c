/* kde.c: the log-density of a sum of unit normals, vectors running over rows of data. Distances are sums of
 * squared differences in float32, so those to nearby rows are exact to float32; the sums of blocks of rows
 * are in double. */
#include "cpu/cpu.h"
#include "fast.h"
#include "vmath.h"
#include <math.h>

enum {
    POINTS = 64,      /* that use a block of rows once it is turned, so that turning it costs 1/64 */
    ROOM = 16384,     /* floats of a block, {d, rows}: 64 KiB, in the second-level cache */
    MOST_ROWS = 1024, /* of a block: their distances are on the stack */
};
#define HALF_LOG_TWO_PI 0.91893853320467274

/* Of a point: the least squared distance so far, and the sum of exp((nearest - distance) / 2). */
typedef struct sum {
    float nearest;
    double total;
} sum;

/* block {d, rows} = rows [from, from + count) of the data turned, padded to whole vecs by copies of the last
 * row. */
static void turn(float *block, const gal_kde_args *g, int64_t from, int64_t count, int64_t rows)
{
    for (int64_t j = 0; j < rows; j++) {
        const float *row = g->data + (from + (j < count ? j : count - 1)) * g->d;
        for (int64_t k = 0; k < g->d; k++)
            block[k * rows + j] = row[k];
    }
}

/* distance {rows} = squared distances from the point to the block's rows; infinite from `count` on and at
 * `skip`. Returns the least. */
INLINE float distances(float *distance, const float *point, const float *block, int64_t d, int64_t rows,
                       int64_t count, int64_t skip)
{
    vec least = splat(INFINITY);
    for (int64_t j = 0; j < rows; j += 2 * VL) {
        vec a = splat(0), b = splat(0);
        for (int64_t k = 0; k < d; k++) {
            vec p = splat(point[k]), u = p - load(block + k * rows + j),
                v = p - load(block + k * rows + j + VL);
            a = fma_(u, u, a);
            b = fma_(v, v, b);
        }
        store(distance + j, a);
        store(distance + j + VL, b);
        a = choose(a < b, a, b);
        least = choose(least < a, least, a);
    }
    for (int64_t j = count; j < rows; j++)
        distance[j] = INFINITY;
    if (skip >= 0 && skip < count) { /* the point itself was the nearest: look again */
        distance[skip] = INFINITY;
        least = splat(INFINITY);
        for (int64_t j = 0; j < rows; j += VL) {
            vec a = load(distance + j);
            least = choose(least < a, least, a);
        }
    }
    float part[VL], smallest = INFINITY;
    memcpy(part, &least, sizeof part);
    for (int i = 0; i < VL; i++)
        smallest = smallest < part[i] ? smallest : part[i];
    return smallest;
}

/* The sum over rows of exp((nearest - distance) / 2). Far rows count as e^-87 of the nearest, which no sum
 * shows: as subnormal numbers they would take ten times as long. */
INLINE double weights(const float *distance, int64_t rows, float nearest)
{
    vec a = splat(0), b = splat(0), shift = splat(0.5f * nearest);
    for (int64_t j = 0; j < rows; j += 2 * VL) {
        a += vexp_of_small(at_least(fma_(load(distance + j), splat(-0.5f), shift), -87.0f));
        b += vexp_of_small(at_least(fma_(load(distance + j + VL), splat(-0.5f), shift), -87.0f));
    }
    return (double)total(a) + (double)total(b);
}

static void add_block(sum *s, const gal_kde_args *g, int64_t point, const float *block, int64_t from,
                      int64_t count, int64_t rows)
{
    float distance[MOST_ROWS];
    float least = distances(distance, g->points + point * g->d, block, g->d, rows, count,
                            g->skip_self ? point - from : -1);
    if (least == INFINITY)
        return;
    if (least < s->nearest) {
        s->total *= exp(0.5 * ((double)least - s->nearest));
        s->nearest = least;
    }
    s->total += weights(distance, rows, s->nearest);
}

static gal_status kde_log_density(const gal_lane *lane, const void *args)
{
    const gal_kde_args *g = args;
    int64_t most = g->d > 0 ? ROOM / g->d / (2 * VL) * (2 * VL) : MOST_ROWS, first, to,
            counted = g->n - (g->skip_self != 0);
    if (most < 2 * VL || counted < 1)
        return gal_cpu_kde_log_density(lane, args); /* hundreds of dimensions, or nothing to sum */
    most = most < MOST_ROWS ? most : MOST_ROWS;
    gal_share(lane, g->m, 1, &first, &to);
    for (; first < to; first += POINTS) {
        _Alignas(64) float block[ROOM];
        sum sums[POINTS];
        int64_t points = to - first < POINTS ? to - first : POINTS;
        for (int64_t i = 0; i < points; i++)
            sums[i] = (sum){INFINITY, 0};
        for (int64_t from = 0; from < g->n; from += most) {
            int64_t count = g->n - from < most ? g->n - from : most,
                    rows = (count + 2 * VL - 1) / (2 * VL) * (2 * VL);
            turn(block, g, from, count, rows);
            for (int64_t i = 0; i < points; i++)
                add_block(&sums[i], g, first + i, block, from, count, rows);
            if (gal_interrupted())
                return gal_fail(GAL_INTERRUPTED, "interrupted");
        }
        for (int64_t i = 0; i < points; i++) {
            double constant = log((double)counted) + (double)g->d * HALF_LOG_TWO_PI;
            g->y[first + i] = (float)(log(sums[i].total) - 0.5 * sums[i].nearest - constant);
            /* A point too far from all rows has -inf; one that is NaN or infinite, and so without distances,
             * NaN. */
            for (int64_t k = 0; k < g->d && sums[i].total == 0; k++)
                g->y[first + i] += 0 * g->points[(first + i) * g->d + k];
        }
    }
    return GAL_OK;
}

void FAST(kde)(gal_cpu_kernels *table)
{
    table->kde_log_density = kde_log_density;
}
