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
    return ISSUE_AT(y, op, kernel, &args, args.count * cost);
}

#define UNARY(name, cost)                                                       \
    gal_status gal_##name(gal_tensor *y, const gal_tensor *x)                   \
    {                                                                           \
        return map(#name, offsetof(gal_backend, name), y, x, NULL, 0, 0, cost); \
    }
GAL_UNARY_OPS(UNARY)

#define BINARY(name, cost)                                                         \
    gal_status gal_##name(gal_tensor *y, const gal_tensor *a, const gal_tensor *b) \
    {                                                                              \
        return map(#name, offsetof(gal_backend, name), y, a, b, 0, 0, cost);       \
    }
GAL_BINARY_OPS(BINARY)

gal_status gal_affine(gal_tensor *y, const gal_tensor *x, double scale, double shift)
{
    return map("affine", offsetof(gal_backend, affine), y, x, NULL, scale, shift, 1);
}

gal_status gal_power(gal_tensor *y, const gal_tensor *x, double exponent)
{
    return map("power", offsetof(gal_backend, power), y, x, NULL, exponent, 0, 40);
}
