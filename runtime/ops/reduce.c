/* reduce.c: reductions along some dimensions, running sums, sorting and quantiles: check, then issue. */
#include "ops.h"
#include <string.h>

/* The rows of x, and y of as many elements. */
static gal_reduce_args rows_of(gal_tensor *y, const gal_tensor *x)
{
    int64_t n = x->rank ? x->shape[x->rank - 1] : 1;
    return (gal_reduce_args){
        .y = y->data, .x = x->data, .outer = n ? gal_tensor_count(x) / n : 0, .n = n, .inner = 1};
}

gal_status gal_sort(gal_tensor *y, const gal_tensor *x)
{
    CHECK("sort", FLAT(y), FLAT(x));
    SAME_COUNT("sort", y, x);
    gal_reduce_args args = rows_of(y, x);
    return ISSUE(y, sort, &args, 20 * gal_tensor_count(x));
}

gal_status gal_argsort(gal_tensor *y, const gal_tensor *x)
{
    CHECK("argsort", INTEGER(y), FLAT(x));
    SAME_COUNT("argsort", y, x);
    gal_reduce_args args = rows_of(y, x);
    if (args.n > UINT32_MAX)
        return gal_fail(GAL_SHAPE, "argsort: x is %s, expected at most 2^32 elements a row",
                        gal_shape_text(x));
    return ISSUE(y, argsort, &args, 40 * gal_tensor_count(x));
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

/* y of y_type; n = 0 is an error unless empty_allowed. */
static gal_status reduce(gal_op which, gal_tensor *y, int y_type, const gal_tensor *x, int first, int last,
                         int empty_allowed)
{
    const char *op = gal_op_name(which);
    CHECK(op, {"y", y, y_type, 1}, FLAT(x));
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

#define REDUCTION(name, y_type, empty_allowed)                                     \
    gal_status gal_##name(gal_tensor *y, const gal_tensor *x, int first, int last) \
    {                                                                              \
        return reduce(GAL_OP_##name, y, y_type, x, first, last, empty_allowed);    \
    }
REDUCTION(sum, GAL_F32, 1)
REDUCTION(mean, GAL_F32, 0)
REDUCTION(max, GAL_F32, 0)
REDUCTION(min, GAL_F32, 0)
REDUCTION(std, GAL_F32, 0)
REDUCTION(argmax, GAL_I64, 0)
REDUCTION(argmin, GAL_I64, 0)

gal_status gal_cumsum(gal_tensor *y, const gal_tensor *x, int dim)
{
    CHECK("cumsum", FLAT(y), FLAT(x));
    SAME_COUNT("cumsum", y, x);
    if (dim < 0 || dim >= x->rank)
        return gal_fail(GAL_SHAPE, "cumsum: dimension %d of x %s", dim + 1, gal_shape_text(x));
    gal_reduce_args args = {.y = y->data, .x = x->data, .outer = 1, .n = x->shape[dim], .inner = 1};
    for (int i = 0; i < x->rank; i++)
        if (i != dim)
            *(i < dim ? &args.outer : &args.inner) *= x->shape[i];
    return ISSUE(y, cumsum, &args, gal_tensor_count(x));
}
