/* ops.c: elementwise ops, moves and reductions: check, then issue. Products, random numbers and optimisers are in ops_train.c. */
#include "ops.h"
#include <stddef.h>
#include <string.h>

gal_status gal_check(const char *op, const gal_operand *operands, int count)
{
    const gal_tensor *first = operands[0].x;
    for (int i = 0; i < count; i++) {
        const gal_operand *o = &operands[i];
        if (!o->x)
            return gal_fail(GAL_VALUE, "%s: %s is missing", op, o->name);
        if (o->x->dtype != o->dtype)
            return gal_fail(GAL_TYPE, "%s: %s is %s, expected %s", op, o->name, gal_dtype_name(o->x->dtype), gal_dtype_name(o->dtype));
        if (o->x->storage->backend != first->storage->backend)
            return gal_fail(GAL_DEVICE, "%s: %s is on %s but %s is on %s", op, operands[0].name, gal_tensor_device(first), o->name,
                            gal_tensor_device(o->x));
        if (o->contiguous && !gal_tensor_contiguous(o->x))
            return gal_fail(GAL_SHAPE, "%s: %s %s is a strided view, expected a contiguous tensor", op, o->name, gal_shape_text(o->x));
        gal_status status = gal_program_hold(o->x);
        if (status != GAL_OK)
            return status;
    }
    return GAL_OK;
}

gal_status gal_check_shape(const char *op, const char *name, const gal_tensor *x, const char *meaning, int rank, const int64_t *shape)
{
    if (x->rank == rank && memcmp(x->shape, shape, (size_t)rank * sizeof *shape) == 0)
        return GAL_OK;
    gal_tensor expected = {.rank = rank};
    memcpy(expected.shape, shape, (size_t)rank * sizeof *shape);
    return gal_fail(GAL_SHAPE, "%s: %s is %s, expected %s for %s", op, name, gal_shape_text(x), gal_shape_text(&expected), meaning);
}

/* ---- elementwise ---- */

/* x's strides along y's dimensions: 0 where x has one element and y more. Fails where x does not broadcast to y. */
static gal_status broadcast_strides(const char *op, const char *name, int64_t *strides, const gal_tensor *x, const gal_tensor *y)
{
    for (int i = 0; i < y->rank; i++) {
        int j = i - (y->rank - x->rank);
        int64_t size = j < 0 ? 1 : x->shape[j];
        if (x->rank > y->rank || (size != 1 && size != y->shape[i]))
            return gal_fail(GAL_SHAPE, "%s: %s is %s, which does not broadcast to %s", op, name, gal_shape_text(x), gal_shape_text(y));
        strides[i] = size == 1 ? 0 : x->stride[j];
    }
    return x->rank > y->rank
               ? gal_fail(GAL_SHAPE, "%s: %s is %s, which does not broadcast to %s", op, name, gal_shape_text(x), gal_shape_text(y))
               : GAL_OK;
}

/* Merges neighbouring dimensions that every operand steps through as one, and drops those of size 1; returns the new rank. */
static int merge(int rank, int64_t *shape, int64_t *const *strides, int operands)
{
    int kept = 0;
    for (int i = 0; i < rank; i++) {
        if (shape[i] == 1)
            continue;
        int fits = kept > 0;
        for (int k = 0; fits && k < operands; k++)
            fits = strides[k][kept - 1] == strides[k][i] * shape[i];
        if (fits)
            shape[kept - 1] *= shape[i];
        else
            shape[kept++] = shape[i];
        for (int k = 0; k < operands; k++)
            strides[k][kept - 1] = strides[k][i];
    }
    return kept;
}

/* kernel: its offset in the table. cost: operations an element, for the choice of lanes. */
static gal_status map(const char *op, size_t kernel, gal_tensor *y, const gal_tensor *a, const gal_tensor *b, double p, double q, int cost)
{
    CHECK(op, ANY(y), {b ? "a" : "x", a, GAL_F32, 0}, {"b", b ? b : a, GAL_F32, 0});
    gal_map_args args = {.y = y->data, .a = a->data, .b = b ? b->data : NULL, .rank = y->rank, .p = (float)p, .q = (float)q};
    args.count = gal_tensor_count(y);
    memcpy(args.shape, y->shape, sizeof args.shape);
    memcpy(args.ys, y->stride, sizeof args.ys);
    gal_status status = broadcast_strides(op, b ? "a" : "x", args.as, a, y);
    if (status == GAL_OK && b)
        status = broadcast_strides(op, "b", args.bs, b, y);
    if (status != GAL_OK || args.count == 0)
        return status;
    args.rank = merge(args.rank, args.shape, (int64_t *const[]){args.ys, args.as, args.bs}, b ? 3 : 2);
    const gal_backend *backend = gal_backend_of(y);
    return gal_issue(backend, *(gal_kernel *const *)((const char *)backend + kernel), &args, args.count * cost);
}

#define BINARY(name, cost)                                                         \
    gal_status gal_##name(gal_tensor *y, const gal_tensor *a, const gal_tensor *b) \
    {                                                                              \
        return map(#name, offsetof(gal_backend, name), y, a, b, 0, 0, cost);       \
    }
BINARY(add, 1)
BINARY(sub, 1)
BINARY(mul, 1)
BINARY(div, 2)
BINARY(pow, 40)
BINARY(maximum, 1)
BINARY(minimum, 1)
BINARY(eq, 1)
BINARY(lt, 1)
BINARY(le, 1)
BINARY(relu_backward, 1)
BINARY(silu_backward, 10)
BINARY(gelu_backward, 20)
BINARY(tanh_backward, 2)
BINARY(sigmoid_backward, 2)

#define UNARY(name, cost)                                                       \
    gal_status gal_##name(gal_tensor *y, const gal_tensor *x)                   \
    {                                                                           \
        return map(#name, offsetof(gal_backend, name), y, x, NULL, 0, 0, cost); \
    }
UNARY(exp, 8)
UNARY(log, 8)
UNARY(sqrt, 4)
UNARY(abs, 1)
UNARY(sin, 20)
UNARY(cos, 20)
UNARY(sigmoid, 10)
UNARY(tanh, 10)
UNARY(relu, 1)
UNARY(silu, 10)
UNARY(gelu, 20)

gal_status gal_affine(gal_tensor *y, const gal_tensor *x, double scale, double shift)
{
    return map("affine", offsetof(gal_backend, affine), y, x, NULL, scale, shift, 1);
}

gal_status gal_power(gal_tensor *y, const gal_tensor *x, double exponent)
{
    return map("power", offsetof(gal_backend, power), y, x, NULL, exponent, 0, 40);
}

/* ---- moving ---- */

/* From one device to the other through the host: contiguous to contiguous of one dtype, which is what files and results need. */
static gal_status copy_across(gal_tensor *y, const gal_tensor *x)
{
    if (gal_recording())
        return gal_fail(GAL_STATE, "copy: from %s to %s while a program is recorded", gal_tensor_device(x), gal_tensor_device(y));
    if (x->dtype != y->dtype || !gal_tensor_contiguous(x) || !gal_tensor_contiguous(y) || gal_tensor_count(x) != gal_tensor_count(y))
        return gal_fail(GAL_SHAPE, "copy: x %s on %s and y %s on %s, expected two contiguous tensors of one dtype and count",
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
    gal_copy_args args = {
        .y = y->data, .x = x->data, .y_type = y->dtype, .x_type = x->dtype, .rank = y->rank, .count = gal_tensor_count(y)};
    memcpy(args.shape, y->shape, sizeof args.shape);
    memcpy(args.ys, y->stride, sizeof args.ys);
    gal_status status = broadcast_strides("copy", "x", args.xs, x, y);
    if (status != GAL_OK || args.count == 0)
        return status;
    args.rank = merge(args.rank, args.shape, (int64_t *const[]){args.ys, args.xs}, 2);
    return gal_issue(gal_backend_of(y), gal_backend_of(y)->copy, &args, args.count);
}

static gal_status write_all(const char *op, size_t kernel, gal_tensor *y, double start, double step)
{
    CHECK(op, {"y", y, y->dtype, 0});
    gal_copy_args args = {.y = y->data, .y_type = y->dtype, .rank = y->rank, .count = gal_tensor_count(y), .start = start, .step = step};
    if (args.count == 0)
        return GAL_OK;
    memcpy(args.shape, y->shape, sizeof args.shape);
    memcpy(args.ys, y->stride, sizeof args.ys);
    args.rank = merge(args.rank, args.shape, (int64_t *const[]){args.ys}, 1);
    return gal_issue(gal_backend_of(y), *(gal_kernel *const *)((const char *)gal_backend_of(y) + kernel), &args, args.count);
}

gal_status gal_fill(gal_tensor *y, double value)
{
    return write_all("fill", offsetof(gal_backend, fill), y, value, 0);
}

gal_status gal_arange(gal_tensor *y, double start, double step)
{
    return write_all("arange", offsetof(gal_backend, arange), y, start, step);
}

/* Rows of `x` named by index {count}: the width of a row in elements, or -1 where x is no set of rows like y's. */
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
    CHECK("gather_rows", {"y", y, x->dtype, 1}, {"x", x, x->dtype, 1}, INTEGER(index));
    RANK("gather_rows", index, 1);
    int64_t width = row_elements(y, x);
    if (width < 0 || y->shape[0] != index->shape[0])
        return gal_fail(GAL_SHAPE, "gather_rows: y is %s, expected rows of x %s, as many as index %s", gal_shape_text(y), gal_shape_text(x),
                        gal_shape_text(index));
    gal_rows_args args = {.y = y->data, .x = x->data, .index = index->data, .count = index->shape[0], .rows = x->shape[0]};
    args.width = width * (int64_t)gal_dtype_size(x->dtype);
    return gal_issue(gal_backend_of(y), gal_backend_of(y)->gather_rows, &args, args.count * width);
}

gal_status gal_scatter_add_rows(gal_tensor *dx, const gal_tensor *dy, const gal_tensor *index)
{
    CHECK("scatter_add_rows", FLAT(dx), FLAT(dy), INTEGER(index));
    RANK("scatter_add_rows", index, 1);
    int64_t width = row_elements(dy, dx);
    if (width < 0 || dy->shape[0] != index->shape[0])
        return gal_fail(GAL_SHAPE, "scatter_add_rows: dy is %s, expected rows of dx %s, as many as index %s", gal_shape_text(dy),
                        gal_shape_text(dx), gal_shape_text(index));
    gal_rows_args args = {
        .y = dx->data, .x = dy->data, .index = index->data, .count = index->shape[0], .rows = dx->shape[0], .width = width * 4};
    return gal_issue(gal_backend_of(dx), gal_backend_of(dx)->scatter_add_rows, &args, GAL_SERIAL);
}

gal_status gal_sort(gal_tensor *y, const gal_tensor *x)
{
    CHECK("sort", FLAT(y), FLAT(x));
    SAME_COUNT("sort", y, x);
    int64_t n = x->rank ? x->shape[x->rank - 1] : 1;
    gal_reduce_args args = {.y = y->data, .x = x->data, .outer = n ? gal_tensor_count(x) / n : 0, .n = n, .inner = 1};
    return gal_issue(gal_backend_of(y), gal_backend_of(y)->sort, &args, 20 * gal_tensor_count(x));
}

/* ---- reductions ---- */
static gal_status reduce(const char *op, size_t kernel, gal_tensor *y, const gal_tensor *x, int first, int last, int empty_allowed)
{
    CHECK(op, FLAT(y), FLAT(x));
    gal_reduce_args args = {.y = y->data, .x = x->data, .outer = 1, .n = 1, .inner = 1};
    if (first < 0 || last >= x->rank)
        return gal_fail(GAL_SHAPE, "%s: dimensions %d to %d of x %s", op, first + 1, last + 1, gal_shape_text(x));
    for (int i = 0; i < x->rank; i++)
        *(i < first ? &args.outer : i <= last ? &args.n : &args.inner) *= x->shape[i];
    if (gal_tensor_count(y) != args.outer * args.inner)
        return gal_fail(GAL_SHAPE, "%s: y is %s, expected %lld elements for x %s without dimensions %d to %d", op, gal_shape_text(y),
                        (long long)(args.outer * args.inner), gal_shape_text(x), first + 1, last + 1);
    if (args.n == 0 && !empty_allowed)
        return gal_fail(GAL_SHAPE, "%s: x is %s, and there is none of no elements", op, gal_shape_text(x));
    const gal_backend *backend = gal_backend_of(y);
    return gal_issue(backend, *(gal_kernel *const *)((const char *)backend + kernel), &args, gal_tensor_count(x));
}

#define REDUCTION(name, empty_allowed)                                                       \
    gal_status gal_##name(gal_tensor *y, const gal_tensor *x, int first, int last)           \
    {                                                                                        \
        return reduce(#name, offsetof(gal_backend, name), y, x, first, last, empty_allowed); \
    }
REDUCTION(sum, 1)
REDUCTION(mean, 0)
REDUCTION(max, 0)
REDUCTION(min, 0)
REDUCTION(std, 0)
