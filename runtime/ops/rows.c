/* rows.c: rows by index: gather, scatter; and the next rows: check, then issue. */
#include "ops.h"
#include <stddef.h>
#include <string.h>

/* How many elements a row has, or -1 where the two don't have rows of one shape. */
static int64_t row_elements(const gal_tensor *rows, const gal_tensor *many)
{
    if (rows->rank < 1 || rows->rank != many->rank ||
        memcmp(rows->shape + 1, many->shape + 1, (size_t)(rows->rank - 1) * sizeof(int64_t)) != 0)
        return -1;
    int64_t width = 1;
    for (int i = 1; i < rows->rank; i++)
        width *= rows->shape[i];
    return width;
}

gal_status gal_gather_rows(gal_tensor *y, const gal_tensor *x, const gal_tensor *index)
{
    CHECK("gather_rows", {"y", y, DTYPE(x), 1}, {"x", x, DTYPE(x), 1}, INTEGER(index));
    RANK("gather_rows", index, 1);
    int64_t width = row_elements(y, x);
    if (width < 0 || y->shape[0] != index->shape[0])
        return gal_fail(GAL_SHAPE, "gather_rows: y is %s, expected rows of x %s, as many as index %s",
                        gal_shape_text(y), gal_shape_text(x), gal_shape_text(index));
    gal_rows_args args = {
        .y = y->data, .x = x->data, .index = index->data, .count = index->shape[0], .rows = x->shape[0]};
    args.width = width * (int64_t)gal_dtype_size(x->dtype);
    return ISSUE(y, gather_rows, &args, args.count * width);
}

gal_status gal_next_rows(gal_tensor *y, const gal_tensor *x, gal_tensor *cursor)
{
    CHECK("next_rows", {"y", y, DTYPE(x), 1}, {"x", x, DTYPE(x), 1}, INTEGER(cursor));
    RANK("next_rows", cursor, 0);
    int64_t width = row_elements(y, x);
    if (width < 0)
        return gal_fail(GAL_SHAPE, "next_rows: y is %s, expected rows of x %s", gal_shape_text(y),
                        gal_shape_text(x));
    gal_rows_args args = {
        .y = y->data, .x = x->data, .cursor = cursor->data, .count = y->shape[0], .rows = x->shape[0]};
    args.width = width * (int64_t)gal_dtype_size(x->dtype);
    return ISSUE(y, next_rows, &args, GAL_SERIAL);
}

gal_status gal_scatter_add_rows(gal_tensor *dx, const gal_tensor *dy, const gal_tensor *index)
{
    CHECK("scatter_add_rows", FLAT(dx), FLAT(dy), INTEGER(index));
    RANK("scatter_add_rows", index, 1);
    int64_t width = row_elements(dy, dx);
    if (width < 0 || dy->shape[0] != index->shape[0])
        return gal_fail(GAL_SHAPE, "scatter_add_rows: dy is %s, expected rows of dx %s, as many as index %s",
                        gal_shape_text(dy), gal_shape_text(dx), gal_shape_text(index));
    gal_rows_args args = {.y = dx->data,
                          .x = dy->data,
                          .index = index->data,
                          .count = index->shape[0],
                          .rows = dx->shape[0],
                          .width = width * 4};
    return ISSUE(dx, scatter_add_rows, &args, GAL_SERIAL);
}
