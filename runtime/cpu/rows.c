/* rows.c: rows by an index, and the next rows. Index and cursor are data, so these kernels check them. */
#include "cpu.h"
#include <string.h>

static gal_status outside(int op, int64_t place, int64_t index, int64_t rows)
{
    return gal_fault_fail(&(gal_fault){.op = op, .place = place, .index = index, .rows = rows});
}

gal_status gal_cpu_gather_rows(const gal_lane *lane, const void *args)
{
    const gal_rows_args *g = args;
    int64_t from, to;
    gal_share(lane, g->count, 1, &from, &to);
    for (int64_t i = from; i < to; i++) {
        if (g->index[i] < 0 || g->index[i] >= g->rows)
            return outside(GAL_OP_gather_rows, i, g->index[i], g->rows);
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
            return outside(GAL_OP_scatter_add_rows, i, g->index[i], g->rows);
    for (int64_t i = 0; i < g->count; i++) {
        float *y = (float *)g->y + g->index[i] * columns;
        const float *x = (const float *)g->x + i * columns;
        for (int64_t c = from; c < to; c++)
            y[c] += x[c];
    }
    return GAL_OK;
}

gal_status gal_cpu_next_rows(const gal_lane *lane, const void *args)
{
    const gal_rows_args *g = args;
    if (lane->index)
        return GAL_OK;
    int64_t first = *g->cursor;
    if (first < 0 || first > g->rows - g->count)
        return outside(GAL_OP_next_rows, GAL_CURSOR, first, g->rows - g->count + 1);
    memcpy(g->y, (const char *)g->x + first * g->width, (size_t)(g->count * g->width));
    *g->cursor = first + g->count;
    return GAL_OK;
}
