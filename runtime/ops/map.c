/* map.c: elementwise ops over any strides: check, then issue. */
#include "ops.h"
#include <stddef.h>
#include <string.h>

/* kernel: its offset in the table. cost: operations an element, for the choice of lanes. */
static gal_status map(const char *op, size_t kernel, gal_tensor *y, const gal_tensor *a, const gal_tensor *b,
                      double p, double q, int cost)
{
    CHECK(op, ANY(y), {b ? "a" : "x", a, GAL_F32, 0}, {"b", b ? b : a, GAL_F32, 0});
    gal_map_args args = {
        .y = y->data, .a = a->data, .b = b ? b->data : NULL, .rank = y->rank, .p = (float)p, .q = (float)q};
    args.count = gal_tensor_count(y);
    memcpy(args.shape, y->shape, sizeof args.shape);
    memcpy(args.ys, y->stride, sizeof args.ys);
    gal_status status = gal_broadcast_strides(op, b ? "a" : "x", args.as, a, y);
    if (status == GAL_OK && b)
        status = gal_broadcast_strides(op, "b", args.bs, b, y);
    if (status != GAL_OK || args.count == 0)
        return status;
    args.rank =
        gal_merge_dimensions(args.rank, args.shape, (int64_t *const[]){args.ys, args.as, args.bs}, b ? 3 : 2);
    const gal_backend *backend = gal_backend_of(y);
    return gal_issue(backend, *(gal_kernel *const *)((const char *)backend + kernel), &args,
                     args.count * cost);
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
