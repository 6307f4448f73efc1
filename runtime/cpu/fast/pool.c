/* pool.c: pools of images, VL channels side by side. */
#include "conv.h"
#include "fast.h"

/* The largest pixel of a window; *which: its number in the window, in row-major order. Of equals it is the
 * first; a NaN is larger than all. */
INLINE vec largest(const gal_pool_args *g, const float *corner, int64_t n, ivec *which)
{
    vec best = load_up_to(corner, n);
    ivec place = {0};
    for (int32_t i = 0, k = 0; i < g->window; i++)
        for (int32_t j = 0; j < g->window; j++, k++) {
            vec v = load_up_to(corner + (i * g->w + j) * g->c, n);
            ivec wins = (v > best) | ((v != v) & (best == best));
            best = choose(wins, v, best);
            place = (wins & k) | (~wins & place);
        }
    *which = place;
    return best;
}

INLINE gal_status pool(const gal_lane *lane, const gal_pool_args *g, const int largest_one)
{
    vec share = 1 / splat((float)(g->window * g->window));
    int64_t from, to;
    gal_share(lane, g->n * g->yh * g->yw, 1, &from, &to);
    for (int64_t p = from; p < to; p++) {
        const float *corner = g->x + ((p / (g->yh * g->yw) * g->h + p / g->yw % g->yh * g->stride) * g->w +
                                      p % g->yw * g->stride) *
                                         g->c;
        for (int64_t c = 0; c < g->c; c += VL) {
            int64_t n = g->c - c;
            vec v = splat(0);
            ivec which;
            if (largest_one)
                v = largest(g, corner + c, n, &which);
            for (int64_t i = 0; i < g->window && !largest_one; i++)
                for (int64_t j = 0; j < g->window; j++)
                    v += load_up_to(corner + (i * g->w + j) * g->c + c, n);
            store_up_to(g->y + p * g->c + c, largest_one ? v : v * share, n);
        }
    }
    return GAL_OK;
}

/* Rows [*done, end) of channels [first, first + n) of one image's dx = 0; *done = end. */
INLINE void clear_rows(const gal_pool_args *g, float *dx, int64_t *done, int64_t end, int64_t first,
                       int64_t n)
{
    for (int64_t p = *done * g->w; p < end * g->w; p++)
        memset(dx + p * g->c + first, 0, (size_t)n * 4);
    *done = most(*done, end);
}

/* Lanes share images times groups of channels, so that windows that overlap are in one lane. A row of dx is
 * cleared when the first window reaches it. */
INLINE gal_status pool_backward(const gal_lane *lane, const gal_pool_args *g, const int largest_one)
{
    enum { CHANNELS = 4 * VL };
    vec share = 1 / splat((float)(g->window * g->window));
    int64_t parts = (g->c + CHANNELS - 1) / CHANNELS, from, to;
    gal_share(lane, g->n * parts, 1, &from, &to);
    for (int64_t u = from; u < to; u++) {
        int64_t n = u / parts, first = u % parts * CHANNELS, count = least(CHANNELS, g->c - first), done = 0;
        float *dx = g->dx + n * g->h * g->w * g->c;
        for (int64_t p = 0; p < g->yh * g->yw; p++) {
            clear_rows(g, dx, &done, p / g->yw * g->stride + g->window, first, count);
            for (int64_t c = first; c < first + count; c += VL) {
                int64_t here = first + count - c,
                        corner = (p / g->yw * g->stride * g->w + p % g->yw * g->stride) * g->c + c;
                vec dy = load_up_to(g->dy + (n * g->yh * g->yw + p) * g->c + c, here);
                ivec which = {0};
                if (largest_one)
                    largest(g, g->x + n * g->h * g->w * g->c + corner, here, &which);
                for (int32_t i = 0, k = 0; i < g->window; i++)
                    for (int32_t j = 0; j < g->window; j++, k++) {
                        float *to_ = dx + corner + (i * g->w + j) * g->c;
                        vec d = largest_one ? choose(which == k, dy, splat(0)) : dy * share;
                        store_up_to(to_, load_up_to(to_, here) + d, here);
                    }
            }
        }
        clear_rows(g, dx, &done, g->h, first, count);
    }
    return GAL_OK;
}

static gal_status avg_pool2d(const gal_lane *lane, const void *args)
{
    return pool(lane, args, 0);
}
static gal_status max_pool2d(const gal_lane *lane, const void *args)
{
    return pool(lane, args, 1);
}
static gal_status avg_pool2d_backward(const gal_lane *lane, const void *args)
{
    return pool_backward(lane, args, 0);
}
static gal_status max_pool2d_backward(const gal_lane *lane, const void *args)
{
    return pool_backward(lane, args, 1);
}

void FAST(pool)(gal_cpu_kernels *table)
{
    table->avg_pool2d = avg_pool2d;
    table->max_pool2d = max_pool2d;
    table->avg_pool2d_backward = avg_pool2d_backward;
    table->max_pool2d_backward = max_pool2d_backward;
}
