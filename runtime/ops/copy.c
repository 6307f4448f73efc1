/* copy.c: copies within and between devices, fill and arange: check, then issue. */
#include "ops.h"
#include <stddef.h>
#include <string.h>

/* From one device to the other through the host: contiguous to contiguous of one dtype, which is what files
 * and results need. */
static gal_status copy_across(gal_tensor *y, const gal_tensor *x)
{
    if (gal_recording())
        return gal_fail(GAL_STATE, "copy: from %s to %s while a program is recorded", gal_tensor_device(x),
                        gal_tensor_device(y));
    if (x->dtype != y->dtype || !gal_tensor_contiguous(x) || !gal_tensor_contiguous(y) ||
        gal_tensor_count(x) != gal_tensor_count(y))
        return gal_fail(
            GAL_SHAPE,
            "copy: x %s on %s and y %s on %s, expected two contiguous tensors of one dtype and count",
            gal_shape_text(x), gal_tensor_device(x), gal_shape_text(y), gal_tensor_device(y));
    size_t bytes = (size_t)gal_tensor_count(x) * gal_dtype_size(x->dtype);
    if (gal_backend_of(x) == gal_cpu_backend())
        return gal_backend_of(y)->upload(y->data, x->data, bytes);
    return gal_backend_of(x)->download(y->data, x->data, bytes);
}

gal_status gal_copy(gal_tensor *y, const gal_tensor *x)
{
    if (gal_backend_of(x) != gal_backend_of(y))
        return copy_across(y, x);
    CHECK("copy", {"y", y, y->dtype, 0}, {"x", x, x->dtype, 0});
    gal_copy_args args = {.y = y->data,
                          .x = x->data,
                          .y_type = y->dtype,
                          .x_type = x->dtype,
                          .rank = y->rank,
                          .count = gal_tensor_count(y)};
    memcpy(args.shape, y->shape, sizeof args.shape);
    memcpy(args.ys, y->stride, sizeof args.ys);
    gal_status status = gal_broadcast_strides("copy", "x", args.xs, x, y);
    if (status != GAL_OK || args.count == 0)
        return status;
    args.rank = gal_merge_dimensions(args.rank, args.shape, (int64_t *const[]){args.ys, args.xs}, 2);
    return ISSUE(y, copy, &args, args.count);
}

static gal_status write_all(const char *op, size_t kernel, gal_tensor *y, double start, double step)
{
    CHECK(op, {"y", y, y->dtype, 0});
    gal_copy_args args = {.y = y->data,
                          .y_type = y->dtype,
                          .rank = y->rank,
                          .count = gal_tensor_count(y),
                          .start = start,
                          .step = step};
    if (args.count == 0)
        return GAL_OK;
    memcpy(args.shape, y->shape, sizeof args.shape);
    memcpy(args.ys, y->stride, sizeof args.ys);
    args.rank = gal_merge_dimensions(args.rank, args.shape, (int64_t *const[]){args.ys}, 1);
    return ISSUE_AT(y, op, kernel, &args, args.count);
}

gal_status gal_fill(gal_tensor *y, double value)
{
    return write_all("fill", offsetof(gal_backend, fill), y, value, 0);
}

gal_status gal_arange(gal_tensor *y, double start, double step)
{
    return write_all("arange", offsetof(gal_backend, arange), y, start, step);
}
