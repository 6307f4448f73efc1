/* tensor.c: tensors: handles on storages, their shapes and views. Values are moved in ops/copy.c. */
#include "core.h"
#include <stdio.h>

const char *gal_dtype_name(int dtype)
{
    static const char *const names[] = {"float32", "uint8", "int64", "float64"};
    return dtype >= GAL_F32 && dtype <= GAL_F64 ? names[dtype] : "no dtype";
}

size_t gal_dtype_size(int dtype)
{
    static const size_t sizes[] = {4, 1, 8, 8};
    return sizes[dtype];
}

const char *gal_shape_text(const gal_tensor *x)
{
    static _Thread_local char ring[8][160];
    static _Thread_local unsigned next;
    if (!x)
        return "missing";
    char *text = ring[next++ % 8];
    int used = snprintf(text, sizeof ring[0], "{");
    for (int i = 0; i < x->rank; i++)
        used += snprintf(text + used, sizeof ring[0] - used, i ? ", %lld" : "%lld", (long long)x->shape[i]);
    snprintf(text + used, sizeof ring[0] - used, "}");
    return text;
}

int64_t gal_tensor_count(const gal_tensor *x)
{
    int64_t count = x != NULL;
    for (int i = 0; x && i < x->rank; i++)
        count *= x->shape[i];
    return count;
}

int gal_tensor_contiguous(const gal_tensor *x)
{
    int64_t expected = 1;
    if (gal_tensor_count(x) == 0)
        return 1;
    for (int i = x->rank - 1; i >= 0; i--) {
        if (x->shape[i] != 1 && x->stride[i] != expected)
            return 0;
        expected *= x->shape[i];
    }
    return 1;
}

const char *gal_tensor_device(const gal_tensor *x)
{
    return x ? x->storage->backend->name : "no device";
}

int gal_on_host(const gal_tensor *x)
{
    return x->storage->backend->host_readable;
}

gal_status gal_check_host(const char *op, const char *name, const gal_tensor *x)
{
    return gal_on_host(x)
               ? GAL_OK
               : gal_fail(GAL_DEVICE, "%s: %s is on %s, expected cpu", op, name, gal_tensor_device(x));
}

/* Fills rank, shape and row-major strides. GAL_SHAPE for a rank or a size that is out of range. */
static gal_status set_shape(gal_tensor *x, int rank, const int64_t *shape)
{
    if (rank < 0 || rank > GAL_RANK)
        return gal_fail(GAL_SHAPE, "shape: %d dimensions, expected 0 to %d", rank, GAL_RANK);
    x->rank = rank;
    int64_t count = 1;
    for (int i = rank - 1; i >= 0; i--) {
        if (shape[i] < 0)
            return gal_fail(GAL_SHAPE, "shape: dimension %d is %lld, expected 0 or more", i + 1,
                            (long long)shape[i]);
        if (shape[i] && count > ((int64_t)1 << 48) / shape[i])
            return gal_fail(GAL_SHAPE, "shape: more than 2^48 elements");
        x->shape[i] = shape[i];
        x->stride[i] = count;
        count *= shape[i] ? shape[i] : 1;
    }
    return GAL_OK;
}

gal_status gal_tensor_new(gal_tensor **out, const char *device, int dtype, int rank, const int64_t *shape)
{
    gal_tensor wanted = {.dtype = dtype};
    if (dtype < GAL_F32 || dtype > GAL_F64)
        return gal_fail(GAL_TYPE, "dtype: it is %d, expected %d to %d", dtype, GAL_F32, GAL_F64);
    const gal_backend *backend;
    gal_status status = gal_backend_find(&backend, device);
    if (status == GAL_OK)
        status = set_shape(&wanted, rank, shape);
    if (status == GAL_OK)
        status = gal_storage_new(&wanted.storage, backend,
                                 (size_t)gal_tensor_count(&wanted) * gal_dtype_size(dtype));
    if (status != GAL_OK)
        return status;
    gal_tensor *x;
    status = gal_handle_new(&x);
    if (status != GAL_OK) {
        gal_storage_release(wanted.storage);
        return status;
    }
    wanted.data = wanted.storage->base;
    wanted.in_arena = x->in_arena;
    *x = wanted;
    *out = x;
    return GAL_OK;
}

gal_status gal_tensor_view(gal_tensor **out, const gal_tensor *x, int rank, const int64_t *shape,
                           const int64_t *stride, int64_t offset)
{
    if (!x)
        return gal_fail(GAL_VALUE, "view: x is missing");
    gal_tensor view = {.dtype = x->dtype, .storage = x->storage};
    gal_status status = set_shape(&view, rank, shape);
    if (status != GAL_OK)
        return status;
    int64_t size = (int64_t)gal_dtype_size(x->dtype);
    int64_t first = ((char *)x->data - (char *)x->storage->base) / size + offset, lowest = first,
            highest = first;
    for (int i = 0; i < rank; i++) {
        view.stride[i] = stride[i];
        *(stride[i] < 0 ? &lowest : &highest) += stride[i] * (shape[i] - 1);
    }
    if (gal_tensor_count(&view) == 0)
        first = 0; /* an empty view points at nothing */
    else if (lowest < 0 || (highest + 1) * size > (int64_t)x->storage->bytes)
        return gal_fail(GAL_SHAPE, "view: elements %lld to %lld lie outside the storage of %zu bytes",
                        (long long)lowest, (long long)highest, x->storage->bytes);
    gal_tensor *y;
    status = gal_handle_new(&y);
    if (status != GAL_OK)
        return status;
    status = gal_storage_hold(x->storage);
    if (status != GAL_OK) {
        gal_handle_free(y);
        return status;
    }
    view.data = (char *)x->storage->base + first * size;
    view.in_arena = y->in_arena ? 1 : x->storage->in_arena ? 2 : 0;
    *y = view;
    *out = y;
    return GAL_OK;
}

void gal_tensor_free(gal_tensor *x)
{
    if (!x || x->in_arena == 1)
        return;
    if (!x->in_arena) /* a view may outlive the storage of an arena, which must not be touched here */
        gal_storage_release(x->storage);
    gal_handle_free(x);
}
