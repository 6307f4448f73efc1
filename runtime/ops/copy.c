/* copy.c: copies within a device, between devices and to and from the host; fill and arange: check, then
 * issue. */
#include "ops.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A contiguous tensor of this dtype and of the shape of `like`, in no scope: the caller frees it. */
static gal_status whole_new(gal_tensor **out, const char *device, int dtype, const gal_tensor *like)
{
    gal_scope_pause();
    gal_status status = gal_tensor_new(out, device, dtype, like->rank, like->shape);
    gal_scope_resume();
    return status;
}

/* x's bytes to y on another device, both contiguous, of one dtype and count; through the host where it can
 * read neither. */
static gal_status transfer(gal_tensor *y, const gal_tensor *x)
{
    size_t bytes = (size_t)gal_tensor_count(x) * gal_dtype_size(x->dtype);
    const gal_backend *from = gal_backend_of(x), *to = gal_backend_of(y);
    if (gal_on_host(x))
        return to->upload(to, y->data, x->data, bytes);
    if (gal_on_host(y))
        return from->download(from, y->data, x->data, bytes);
    void *host = malloc(bytes ? bytes : 1);
    if (!host)
        return gal_fail(GAL_MEMORY, "copy: no memory left for %zu bytes on the host", bytes);
    gal_status status = from->download(from, host, x->data, bytes);
    if (status == GAL_OK)
        status = to->upload(to, y->data, host, bytes);
    free(host);
    return status;
}

/* From one device to another: what is not to be moved byte for byte becomes so on x's device, and gets into a
 * strided y on y's. */
static gal_status copy_across(gal_tensor *y, const gal_tensor *x)
{
    int64_t strides[GAL_RANK];
    gal_tensor *sent = NULL, *received = NULL;
    if (gal_recording())
        return gal_fail(GAL_RECORDING, "copy: x on %s can't be copied to %s while a program is recorded",
                        gal_tensor_device(x), gal_tensor_device(y));
    gal_status status = gal_broadcast_strides("copy", "x", strides, x, y);
    if (status != GAL_OK || gal_tensor_count(y) == 0)
        return status;
    if (x->dtype != y->dtype || !gal_tensor_contiguous(x) || gal_tensor_count(x) != gal_tensor_count(y)) {
        status = whole_new(&sent, gal_tensor_device(x), y->dtype, y);
        if (status == GAL_OK)
            status = gal_copy(sent, x);
    }
    if (status == GAL_OK && !gal_tensor_contiguous(y))
        status = whole_new(&received, gal_tensor_device(y), y->dtype, y);
    if (status == GAL_OK)
        status = transfer(received ? received : y, sent ? sent : x);
    if (status == GAL_OK && received)
        status = gal_copy(y, received);
    gal_tensor_free(sent);
    gal_tensor_free(received);
    return status;
}

gal_status gal_copy(gal_tensor *y, const gal_tensor *x)
{
    if (!x || !y)
        return gal_fail(GAL_VALUE, "copy: %s is missing", x ? "y" : "x");
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

static gal_status write_all(gal_op which, gal_tensor *y, double start, double step)
{
    CHECK(gal_op_name(which), {"y", y, y ? y->dtype : GAL_F32, 0});
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
    return gal_issue(gal_backend_of(y), which, &args, sizeof args, args.count);
}

gal_status gal_fill(gal_tensor *y, double value)
{
    return write_all(GAL_OP_fill, y, value, 0);
}

gal_status gal_arange(gal_tensor *y, double start, double step)
{
    return write_all(GAL_OP_arange, y, start, step);
}

gal_status gal_tensor_keep(gal_tensor **out, const gal_tensor *x)
{
    gal_tensor *y;
    if (!x)
        return gal_fail(GAL_VALUE, "keep: x is missing");
    gal_status status = whole_new(&y, gal_tensor_device(x), x->dtype, x);
    if (status != GAL_OK)
        return status;
    status = gal_copy(y, x);
    if (status != GAL_OK)
        gal_tensor_free(y);
    else
        *out = y;
    return status;
}

static gal_status count_matches(const char *name, const gal_tensor *x, int64_t count)
{
    return count == gal_tensor_count(x) ? GAL_OK
                                        : gal_fail(GAL_SHAPE, "%s: %lld values for a tensor of shape %s",
                                                   name, (long long)count, gal_shape_text(x));
}

/* Makes any NaN the plain one: LuaJIT keeps its other types in negative NaNs with a payload, and memory that
 * nothing has been written to holds anything. */
static void plain_nans(void *host, int64_t count, int dtype)
{
    float *f = host;
    double *d = host;
    if (dtype == GAL_F32)
        for (int64_t i = 0; i < count; ++i)
            f[i] = isnan(f[i]) ? (float)NAN : f[i];
    else if (dtype == GAL_F64)
        for (int64_t i = 0; i < count; ++i)
            d[i] = isnan(d[i]) ? (double)NAN : d[i];
}

/* In one piece where x is contiguous, else through a contiguous copy on its device. */
gal_status gal_tensor_read(const gal_tensor *x, void *host, int64_t count)
{
    gal_status status = count_matches("read", x, count);
    if (status != GAL_OK || count == 0)
        return status;
    if (gal_recording())
        return gal_fail(GAL_RECORDING,
                        "read: a tensor can't be read while a program is recorded: every replay "
                        "would reuse the value read now");
    const gal_backend *backend = x->storage->backend;
    size_t bytes = (size_t)count * gal_dtype_size(x->dtype);
    if (gal_tensor_contiguous(x)) {
        status = backend->download(backend, host, x->data, bytes);
    } else {
        gal_tensor *whole;
        status = gal_tensor_keep(&whole, x);
        if (status == GAL_OK) {
            status = backend->download(backend, host, whole->data, bytes);
            gal_tensor_free(whole);
        }
    }
    if (status == GAL_OK)
        plain_nans(host, count, x->dtype);
    return status;
}

/* Through a contiguous tensor of its own, copied into y by an op: the way into a strided view. While a
 * program is recorded the program holds that tensor, a constant, and every replay copies it into y, whose
 * memory may be in use for something else between two replays. */
static gal_status write_by_copy(gal_tensor *y, const void *host, size_t bytes)
{
    const gal_backend *backend = gal_backend_of(y);
    gal_tensor *whole;
    gal_status status = whole_new(&whole, backend->name, y->dtype, y);
    if (status != GAL_OK)
        return status;
    status = backend->upload(backend, whole->data, host, bytes);
    if (status == GAL_OK)
        status = gal_copy(y, whole);
    gal_tensor_free(whole);
    return status;
}

gal_status gal_tensor_write(gal_tensor *y, const void *host, int64_t count)
{
    gal_status status = count_matches("write", y, count);
    if (status != GAL_OK || count == 0)
        return status;
    const gal_backend *backend = gal_backend_of(y);
    size_t bytes = (size_t)count * gal_dtype_size(y->dtype);
    if (gal_recording() || !gal_tensor_contiguous(y))
        return write_by_copy(y, host, bytes);
    return backend->upload(backend, y->data, host, bytes);
}
