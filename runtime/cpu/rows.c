/* rows.c: rows by an index, and the next rows of a shuffled order. The index is data, so these kernels check
 * it. */
#include "cpu.h"
#include <string.h>

static gal_status outside(const char *op, int64_t place, int64_t index, int64_t rows)
{
    return gal_fail(GAL_VALUE, "%s: index[%lld] is %lld, expected 0 to %lld for %lld rows", op,
                    (long long)place, (long long)index, (long long)(rows - 1), (long long)rows);
}

gal_status gal_cpu_gather_rows(const gal_lane *lane, const void *args)
{
    const gal_rows_args *g = args;
    int64_t from, to;
    gal_share(lane, g->count, 1, &from, &to);
    for (int64_t i = from; i < to; i++) {
        if (g->index[i] < 0 || g->index[i] >= g->rows)
            return outside("gather_rows", i, g->index[i], g->rows);
        memcpy((char *)g->y + i * g->width, (const char *)g->x + g->index[i] * g->width, (size_t)g->width);
    }
    return GAL_OK;
}

/* Lanes share the columns, so that the sum of a row that is named twice is one lane's, in one order. */
gal_status gal_cpu_scatter_add_rows(const gal_lane *lane, const void *args)
{
    const gal_rows_args *g = args;
    int64_t columns = g->width / 4, from, to;
    gal_share(lane, columns, 16, &from, &to);
    for (int64_t i = 0; i < g->count; i++)
        if (g->index[i] < 0 || g->index[i] >= g->rows)
            return outside("scatter_add_rows", i, g->index[i], g->rows);
    for (int64_t i = 0; i < g->count; i++) {
        float *y = (float *)g->y + g->index[i] * columns;
        const float *x = (const float *)g->x + i * columns;
        for (int64_t c = from; c < to; c++)
            y[c] += x[c];
    }
    return GAL_OK;
}

gal_status gal_cpu_batch_rows(const gal_lane *lane, const void *args)
{
    const gal_batch_args *g = args;
    if (lane->index)
        return GAL_OK;
    int64_t first = *g->cursor;
    if (first < 0 || first > g->rows - g->batch)
        return gal_fail(
            GAL_VALUE, "batch_rows: cursor is %lld, expected 0 to %lld for batches of %lld from %lld rows",
            (long long)first, (long long)(g->rows - g->batch), (long long)g->batch, (long long)g->rows);
    memcpy(g->index, g->order + first, (size_t)g->batch * sizeof *g->index);
    *g->cursor = first + g->batch;
    return GAL_OK;
}
