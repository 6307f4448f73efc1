/* map.c: elementwise ops over any strides: check, then issue. */
#include "ops.h"
#include <string.h>

/* cost: operations an element. */
static gal_status map(gal_op which, gal_tensor *y, const gal_tensor *a, const gal_tensor *b, double p,
                      double q, int cost)
{
    const char *op = gal_op_name(which);
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
    return gal_issue(gal_backend_of(y), which, &args, sizeof args, args.count * cost);
}

#define UNARY(name, cost)                                     \
    gal_status gal_##name(gal_tensor *y, const gal_tensor *x) \
    {                                                         \
        return map(GAL_OP_##name, y, x, NULL, 0, 0, cost);    \
    }
GAL_UNARY_OPS(UNARY)

#define BINARY(name, cost)                                                         \
    gal_status gal_##name(gal_tensor *y, const gal_tensor *a, const gal_tensor *b) \
    {                                                                              \
        return map(GAL_OP_##name, y, a, b, 0, 0, cost);                            \
    }
GAL_BINARY_OPS(BINARY)

gal_status gal_affine(gal_tensor *y, const gal_tensor *x, double scale, double shift)
{
    return map(GAL_OP_affine, y, x, NULL, scale, shift, 1);
}

gal_status gal_power(gal_tensor *y, const gal_tensor *x, double exponent)
{
    return map(GAL_OP_power, y, x, NULL, exponent, 0, 40);
}
