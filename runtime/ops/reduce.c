/* reduce.c: reductions along one dimension, sort and quantiles: check, then issue. */
#include "ops.h"
#include <string.h>

gal_status gal_sort(gal_tensor *y, const gal_tensor *x)
{
    CHECK("sort", FLAT(y), FLAT(x));
    SAME_COUNT("sort", y, x);
    int64_t n = x->rank ? x->shape[x->rank - 1] : 1;
    gal_reduce_args args = {
        .y = y->data, .x = x->data, .outer = n ? gal_tensor_count(x) / n : 0, .n = n, .inner = 1};
    return ISSUE(y, sort, &args, 20 * gal_tensor_count(x));
}

gal_status gal_quantiles(gal_tensor *y, const gal_tensor *x, const gal_tensor *levels)
{
    CHECK("quantiles", DOUBLE(y), FLAT(x), DOUBLE(levels));
    RANK("quantiles", levels, 1);
    int64_t n = x->rank ? x->shape[x->rank - 1] : 1, q = levels->shape[0];
    if (n == 0)
        return gal_fail(GAL_SHAPE, "quantiles: x is %s, expected at least 1 element a row",
                        gal_shape_text(x));
    int64_t rows = gal_tensor_count(x) / n;
    if (gal_tensor_count(y) != rows * q)
        return gal_fail(GAL_SHAPE, "quantiles: y is %s, expected %lld elements for %lld levels of x %s",
                        gal_shape_text(y), (long long)(rows * q), (long long)q, gal_shape_text(x));
    gal_quantiles_args args = {
        .y = y->data, .x = x->data, .levels = levels->data, .rows = rows, .n = n, .q = q};
    return ISSUE(y, quantiles, &args, 20 * gal_tensor_count(x));
}

static gal_status reduce(gal_op which, gal_tensor *y, const gal_tensor *x, int first, int last,
                         int empty_allowed)
{
    const char *op = gal_op_name(which);
    CHECK(op, FLAT(y), FLAT(x));
    gal_reduce_args args = {.y = y->data, .x = x->data, .outer = 1, .n = 1, .inner = 1};
    if (first < 0 || last >= x->rank)
        return gal_fail(GAL_SHAPE, "%s: dimensions %d to %d of x %s", op, first + 1, last + 1,
                        gal_shape_text(x));
    for (int i = 0; i < x->rank; i++)
        *(i < first ? &args.outer : i <= last ? &args.n : &args.inner) *= x->shape[i];
    if (gal_tensor_count(y) != args.outer * args.inner)
        return gal_fail(GAL_SHAPE, "%s: y is %s, expected %lld elements for x %s without dimensions %d to %d",
                        op, gal_shape_text(y), (long long)(args.outer * args.inner), gal_shape_text(x),
                        first + 1, last + 1);
    if (args.n == 0 && !empty_allowed)
        return gal_fail(GAL_SHAPE,
                        "%s: x %s has no elements along the reduced dimensions, expected at least 1", op,
                        gal_shape_text(x));
    return gal_issue(gal_backend_of(y), which, &args, sizeof args, gal_tensor_count(x));
}

#define REDUCTION(name, empty_allowed)                                             \
    gal_status gal_##name(gal_tensor *y, const gal_tensor *x, int first, int last) \
    {                                                                              \
        return reduce(GAL_OP_##name, y, x, first, last, empty_allowed);            \
    }
REDUCTION(sum, 1)
REDUCTION(mean, 0)
REDUCTION(max, 0)
REDUCTION(min, 0)
REDUCTION(std, 0)
