/* copy.c: moves elements between strides and types; writes constants and arithmetic sequences. */
#include "walk.h"
#include <string.h>

/* Types other than float32 pass through double; a value outside the target's range becomes its nearest end,
 * NaN becomes 0 in integers. */
static inline double load(const void *x, int type, int64_t i)
{
    switch (type) {
    case GAL_F32:
        return ((const float *)x)[i];
    case GAL_U8:
        return ((const uint8_t *)x)[i];
    case GAL_I64:
        return (double)((const int64_t *)x)[i];
    default:
        return ((const double *)x)[i];
    }
}

static inline void store(void *y, int type, int64_t i, double value)
{
    switch (type) {
    case GAL_F32:
        ((float *)y)[i] = (float)value;
        break;
    case GAL_U8:
        ((uint8_t *)y)[i] = value >= 255 ? 255 : value > 0 ? (uint8_t)value : 0;
        break;
    case GAL_I64:
        ((int64_t *)y)[i] = value >= 0x1p63    ? INT64_MAX
                            : value <= -0x1p63 ? INT64_MIN
                            : value == value   ? (int64_t)value
                                               : 0;
        break;
    default:
        ((double *)y)[i] = value;
    }
}

/* n elements of one type from stride xs to stride ys; y and x are the same, or don't overlap. */
static void same_type(void *y, const void *x, size_t size, int64_t n, int64_t ys, int64_t xs)
{
    if (ys == 1 && xs == 1) {
        memmove(y, x, (size_t)n * size);
        return;
    }
    if (size == 4)
        for (int64_t i = 0; i < n; i++)
            ((uint32_t *)y)[i * ys] = ((const uint32_t *)x)[i * xs];
    else if (size == 8)
        for (int64_t i = 0; i < n; i++)
            ((uint64_t *)y)[i * ys] = ((const uint64_t *)x)[i * xs];
    else
        for (int64_t i = 0; i < n; i++)
            ((uint8_t *)y)[i * ys] = ((const uint8_t *)x)[i * xs];
}

/* Writes n elements of y along the last dimension; `flat` is the first one's place in row-major order. */
typedef void run_of(const gal_copy_args *g, char *y, const char *x, int64_t n, int64_t ys, int64_t xs,
                    int64_t flat);

/* Calls run for each piece of the last dimension in the lane's share. */
static gal_status each_run(const gal_lane *lane, const gal_copy_args *g, run_of *run)
{
    int64_t y_size = (int64_t)gal_dtype_size(g->y_type),
            x_size = g->x ? (int64_t)gal_dtype_size(g->x_type) : 0;
    gal_walk w;
    for (gal_walk_begin(&w, lane, g->count, g->rank, g->shape); w.n > 0; gal_walk_on(&w)) {
        char *y = (char *)g->y + gal_walk_offset(&w, g->ys) * y_size;
        const char *x = g->x ? (const char *)g->x + gal_walk_offset(&w, g->xs) * x_size : NULL;
        run(g, y, x, w.n, gal_walk_stride(&w, g->ys), gal_walk_stride(&w, g->xs), w.from);
    }
    return GAL_OK;
}

static void copy_run(const gal_copy_args *g, char *y, const char *x, int64_t n, int64_t ys, int64_t xs,
                     int64_t flat)
{
    (void)flat;
    if (g->y_type == g->x_type) {
        same_type(y, x, gal_dtype_size(g->y_type), n, ys, xs);
        return;
    }
    if (g->y_type == GAL_F32 && g->x_type == GAL_U8 && ys == 1 && xs == 1) { /* images, at every step */
        for (int64_t i = 0; i < n; i++)
            ((float *)y)[i] = ((const uint8_t *)x)[i];
        return;
    }
    for (int64_t i = 0; i < n; i++)
        store(y, g->y_type, i * ys, load(x, g->x_type, i * xs));
}

gal_status gal_cpu_copy(const gal_lane *lane, const void *args)
{
    return each_run(lane, args, copy_run);
}

static void arange_run(const gal_copy_args *g, char *y, const char *x, int64_t n, int64_t ys, int64_t xs,
                       int64_t flat)
{
    (void)x, (void)xs;
    for (int64_t i = 0; i < n; i++)
        store(y, g->y_type, i * ys, g->start + (double)(flat + i) * g->step);
}

gal_status gal_cpu_arange(const gal_lane *lane, const void *args)
{
    return each_run(lane, args, arange_run);
}

static void fill_run(const gal_copy_args *g, char *y, const char *x, int64_t n, int64_t ys, int64_t xs,
                     int64_t flat)
{
    (void)x, (void)xs, (void)flat;
    if (g->y_type == GAL_F32)
        for (int64_t i = 0; i < n; i++)
            ((float *)y)[i * ys] = (float)g->start;
    else
        for (int64_t i = 0; i < n; i++)
            store(y, g->y_type, i * ys, g->start);
}

gal_status gal_cpu_fill(const gal_lane *lane, const void *args)
{
    return each_run(lane, args, fill_run);
}
