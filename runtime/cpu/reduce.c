/* reduce.c: sums, means, deviations, extremes and running sums along the middle of {outer, n, inner}; sorting
 * and quantiles. Sums run in double. Lanes share the results, never one sum, so a result's bits depend on its
 * own terms alone. */
#include "cpu.h"
#include "sums.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PART 256 /* results along inner that are summed side by side: 2 KiB of doubles */

/* total[j] = sum over n of x[i * inner + j] for j in [0, columns); with means, of the squared distance from
 * them. */
static void column_sums(double *total, const double *mean, const float *x, int64_t n, int64_t inner,
                        int64_t columns)
{
    for (int64_t j = 0; j < columns; j++)
        total[j] = 0;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < columns; j++) {
            double v = x[i * inner + j] - (mean ? mean[j] : 0);
            total[j] += mean ? v * v : v;
        }
}

typedef enum { SUM, MEAN, STD } statistic;

static gal_status moments(const gal_lane *lane, const gal_reduce_args *g, statistic what)
{
    float *y = g->y;
    int64_t from, to;
    gal_share(lane, g->outer * g->inner, 16, &from, &to);
    double n = (double)g->n, total[PART], mean[PART];
    if (g->inner == 1) {
        for (int64_t i = from; i < to; i++) {
            const float *x = g->x + i * g->n;
            double s = gal_sum_of(x, g->n, 0, 1);
            if (what == STD)
                y[i] = (float)sqrt(gal_sum_of(x, g->n, s / n, 2) / n);
            else
                y[i] = (float)(what == SUM ? s : s / n);
        }
        return GAL_OK;
    }
    while (from < to) {
        int64_t o = from / g->inner, j = from % g->inner, columns = g->inner - j;
        columns = columns < to - from ? columns : to - from;
        columns = columns < PART ? columns : PART;
        const float *x = g->x + o * g->n * g->inner + j;
        column_sums(total, NULL, x, g->n, g->inner, columns);
        if (what != SUM)
            for (int64_t c = 0; c < columns; c++)
                total[c] /= n;
        if (what == STD) {
            memcpy(mean, total, sizeof mean);
            column_sums(total, mean, x, g->n, g->inner, columns);
            for (int64_t c = 0; c < columns; c++)
                total[c] = sqrt(total[c] / n);
        }
        for (int64_t c = 0; c < columns; c++)
            y[from + c] = (float)total[c];
        from += columns;
    }
    return GAL_OK;
}

gal_status gal_cpu_sum(const gal_lane *lane, const void *args)
{
    return moments(lane, args, SUM);
}

gal_status gal_cpu_mean(const gal_lane *lane, const void *args)
{
    return moments(lane, args, MEAN);
}

gal_status gal_cpu_std(const gal_lane *lane, const void *args)
{
    return moments(lane, args, STD);
}

/* sign +1: the largest; -1: the smallest. NaN where any is. */
static inline gal_status extreme(const gal_lane *lane, const gal_reduce_args *g, float sign)
{
    float *y = g->y;
    int64_t from, to;
    gal_share(lane, g->outer * g->inner, 16, &from, &to);
    for (int64_t r = from; r < to; r++) {
        const float *x = g->x + r / g->inner * g->n * g->inner + r % g->inner;
        float best = x[0];
        for (int64_t i = 1; i < g->n; i++) {
            float v = x[i * g->inner];
            best = sign * v > sign * best || v != v ? v : best;
        }
        y[r] = best;
    }
    return GAL_OK;
}

gal_status gal_cpu_max(const gal_lane *lane, const void *args)
{
    return extreme(lane, args, 1);
}

gal_status gal_cpu_min(const gal_lane *lane, const void *args)
{
    return extreme(lane, args, -1);
}

/* Where the extreme is, from 1: the first NaN, else the first of the largest (sign +1) or smallest (-1). */
static inline gal_status place_of(const gal_lane *lane, const gal_reduce_args *g, float sign)
{
    int64_t *y = g->y;
    int64_t from, to;
    gal_share(lane, g->outer * g->inner, 16, &from, &to);
    for (int64_t r = from; r < to; r++) {
        const float *x = g->x + r / g->inner * g->n * g->inner + r % g->inner;
        float best = x[0];
        y[r] = 1;
        for (int64_t i = 1; i < g->n && best == best; i++) {
            float v = x[i * g->inner];
            if (sign * v > sign * best || v != v)
                best = v, y[r] = i + 1;
        }
    }
    return GAL_OK;
}

gal_status gal_cpu_argmax(const gal_lane *lane, const void *args)
{
    return place_of(lane, args, 1);
}

gal_status gal_cpu_argmin(const gal_lane *lane, const void *args)
{
    return place_of(lane, args, -1);
}

gal_status gal_cpu_cumsum(const gal_lane *lane, const void *args)
{
    const gal_reduce_args *g = args;
    int64_t from, to;
    gal_share(lane, g->outer * g->inner, 16, &from, &to);
    for (int64_t r = from; r < to; r++) {
        int64_t first = r / g->inner * g->n * g->inner + r % g->inner;
        double total = 0;
        for (int64_t i = 0; i < g->n; i++) {
            total += g->x[first + i * g->inner];
            ((float *)g->y)[first + i * g->inner] = (float)total;
        }
    }
    return GAL_OK;
}

/* A float's bits as an integer of the same order, NaN above all. */
static uint32_t key_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, 4);
    if (x != x)
        return UINT32_MAX;
    return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

static float value_of(uint32_t key)
{
    uint32_t bits = key & 0x80000000u ? key & 0x7fffffffu : ~key;
    float x;
    memcpy(&x, &bits, 4);
    return key == UINT32_MAX ? NAN : x;
}

/* Radix sorts, least digit first, have three digits of 11 bits. place[d]: where the first of the keys whose
 * digit is d goes. */
enum { DIGITS = 2048 };
static void places_of(int64_t place[DIGITS], const uint32_t *keys, int64_t n, int shift)
{
    int64_t sum = 0;
    memset(place, 0, DIGITS * sizeof *place);
    for (int64_t i = 0; i < n; i++)
        place[(keys[i] >> shift) & 2047]++;
    for (int d = 0; d < DIGITS; d++) {
        int64_t count = place[d];
        place[d] = sum;
        sum += count;
    }
}

/* Whether a sort of so many elements in all is to end because of Ctrl-C: it looks from 1e7 on. */
static int sort_stopped(int64_t elements)
{
    return gal_stopped(2e3 * (double)elements);
}

/* a and b hold n keys each; the result ends in b. Ctrl-C ends it, unsorted. */
static void sort_keys(uint32_t *a, uint32_t *b, int64_t n)
{
    for (int shift = 0; shift < 33 && !sort_stopped(n); shift += 11) {
        int64_t place[DIGITS];
        places_of(place, a, n, shift);
        for (int64_t i = 0; i < n; i++)
            b[place[(a[i] >> shift) & 2047]++] = a[i];
        uint32_t *swap = a;
        a = b, b = swap;
    }
}

/* Room to sort a row of n elements in; free() gives it back. */
static gal_status room_for(uint32_t **keys, const char *op, int64_t n)
{
    *keys = malloc((size_t)n * 2 * sizeof **keys);
    return *keys ? GAL_OK
                 : gal_fail(GAL_MEMORY, "%s: no memory for the keys of %lld elements", op, (long long)n);
}

/* The keys of x {n} in ascending order, within the room, but where Ctrl-C came. */
static const uint32_t *sorted(uint32_t *keys, const float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        keys[i] = key_of(x[i]);
    sort_keys(keys, keys + n, n);
    return keys + n;
}

gal_status gal_cpu_sort(const gal_lane *lane, const void *args)
{
    const gal_reduce_args *g = args;
    int64_t from, to;
    uint32_t *keys;
    gal_share(lane, g->outer, 1, &from, &to);
    if (from == to || g->n == 0)
        return GAL_OK;
    gal_status status = room_for(&keys, "sort", g->n);
    if (status != GAL_OK)
        return status;
    for (int64_t r = from; r < to; r++) {
        const uint32_t *ascending = sorted(keys, g->x + r * g->n, g->n);
        if (sort_stopped(g->outer * g->n)) {
            status = GAL_STOP;
            break;
        }
        for (int64_t i = 0; i < g->n; i++)
            ((float *)g->y)[r * g->n + i] = value_of(ascending[i]);
    }
    free(keys);
    return status;
}

/* order {n}: the places of the keys, from 0, in ascending order; equal keys stay in theirs. room {n}. Ctrl-C
 * ends it, in another order. */
static void sort_places(int64_t *order, int64_t *room, const uint32_t *keys, int64_t n)
{
    for (int pass = 0; pass < 3 && !sort_stopped(n); pass++) {
        const int64_t *from = pass == 1 ? order : room;
        int64_t place[DIGITS], *to = pass == 1 ? room : order;
        places_of(place, keys, n, 11 * pass);
        for (int64_t i = 0; i < n; i++) {
            int64_t at = pass ? from[i] : i;
            to[place[(keys[at] >> 11 * pass) & 2047]++] = at;
        }
    }
}

gal_status gal_cpu_argsort(const gal_lane *lane, const void *args)
{
    const gal_reduce_args *g = args;
    int64_t from, to;
    gal_share(lane, g->outer, 1, &from, &to);
    if (from == to || g->n == 0)
        return GAL_OK;
    int64_t *room = malloc((size_t)g->n * (sizeof *room + sizeof(uint32_t)));
    if (!room)
        return gal_fail(GAL_MEMORY, "argsort: no memory for the keys of %lld elements", (long long)g->n);
    uint32_t *keys = (uint32_t *)(room + g->n);
    for (int64_t r = from; r < to && !sort_stopped(g->outer * g->n); r++) {
        for (int64_t i = 0; i < g->n; i++)
            keys[i] = key_of(g->x[r * g->n + i] + 0.0f); /* -0 is equal to 0 */
        sort_places((int64_t *)g->y + r * g->n, room, keys, g->n);
    }
    free(room);
    return sort_stopped(g->outer * g->n) ? GAL_STOP : GAL_OK;
}

/* Of n > 0 keys in ascending order. */
static double quantile(const uint32_t *ascending, int64_t n, double level)
{
    if (ascending[n - 1] == UINT32_MAX)
        return NAN;
    double position = (level > 0 ? level < 1 ? level : 1 : 0) * (double)(n - 1);
    int64_t below = (int64_t)position, above = below + 1 < n ? below + 1 : below;
    double low = value_of(ascending[below]), high = value_of(ascending[above]);
    double part = position - (double)below;
    return part == 0 || low == high ? low : low + part * (high - low); /* infinities too */
}

gal_status gal_cpu_quantiles(const gal_lane *lane, const void *args)
{
    const gal_quantiles_args *g = args;
    int64_t from, to;
    uint32_t *keys;
    gal_share(lane, g->rows, 1, &from, &to);
    if (from == to)
        return GAL_OK;
    gal_status status = room_for(&keys, "quantiles", g->n);
    if (status != GAL_OK)
        return status;
    for (int64_t r = from; r < to; r++) {
        const uint32_t *ascending = sorted(keys, g->x + r * g->n, g->n);
        if (sort_stopped(g->rows * g->n)) {
            status = GAL_STOP;
            break;
        }
        for (int64_t i = 0; i < g->q; i++)
            g->y[r * g->q + i] = quantile(ascending, g->n, g->levels[i]);
    }
    free(keys);
    return status;
}
